"""Write the final result of the draw: the sample, its sampling log, the ledger, the account."""

import argparse
import json
import logging
import sys
from pathlib import Path

from flareset.account import make_account
from flareset.campaign.run import alone
from flareset.job import Job
from flareset.ledger import make_ledger, short_outside, write_ledger
from flareset.phases import PHASES, quota_by_phase
from flareset.sample import (
    LOG_COLUMNS,
    count_lacking,
    final_draw,
    sample_rows,
    sampling_log,
    verified_files,
    write_sample,
)
from flareset.sdo.series import SERIES
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log
from flareset.tables.csv import write_rows
from flareset.tables.manifest import read_manifest
from flareset.tables.rows import records_in

log = logging.getLogger("flareset.sample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--job", required=True, type=Path, help="<event_id>/<wavelength> with the tables of `list`"
    )
    parser.add_argument("--manifest", required=True, help="manifest.csv")
    parser.add_argument(
        "--series", required=True, choices=SERIES, metavar="SERIES", help=", ".join(SERIES)
    )
    parser.add_argument("--segment", required=True, help="the segment that is used, like image")
    for quota in dict.fromkeys(phase.quota for phase in PHASES):
        phases = ", ".join(phase.name for phase in PHASES if phase.quota == quota)
        parser.add_argument(
            f"--{quota.replace('_', '-')}",
            required=True,
            type=int,
            help=f"images from each bin of the phase {phases}",
        )
    parser.add_argument("--sample", required=True, help="output: CSV, a row per drawn image")
    parser.add_argument("--log", required=True, help="output: the sampling log, CSV")
    parser.add_argument("--ledger", required=True, help="output: CSV, a row per slot and file")
    parser.add_argument("--account", required=True, help="output: JSON, times and counts")
    add_terminal(parser)
    args = parser.parse_args()

    name = f"sample {args.job.parent.name} {args.job.name}"
    with job_log(name, args.terminal), alone(args.job):
        most = quota_by_phase(vars(args))
        job = Job.read(args.job, SERIES[args.series], args.segment)
        manifest = read_manifest(args.manifest)
        files = verified_files(manifest)
        unusable = set(records_in(job.candidates)) - set(files)
        chosen, short = [], []
        # Pictures and movies are not drawn from.
        if not job.facts.pictured:
            chosen, short = final_draw(job.candidates, job.event, unusable, most)
        booked = make_ledger(job, manifest, short)
        write_ledger(booked, args.ledger)
        write_rows(sampling_log(job.candidates, chosen, files), LOG_COLUMNS, args.log)
        sample = sample_rows(chosen, files, job.event.event_id, job.wavelength)
        write_sample(sample, args.sample)
        outside = short_outside(job, manifest)
        statuses = [row["status"] for row in booked if row["record"]]
        entry = make_account(job, chosen, statuses, manifest, len(outside))
        write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n", args.account)
        tell(entry["drawn"], count_lacking(short))
        if outside:
            log.info("%d short exposures outside the listed flares: see the ledger", len(outside))


def tell(drawn: dict[str, int], lacking: int) -> None:
    """Log how many images were drawn from each phase, and how many were not to be had."""
    phases = ", ".join(f"{phase} {number}" for phase, number in drawn.items())
    short = f"; {lacking} fewer than asked for: see the ledger" if lacking else ""
    log.info("%d images drawn (%s)%s", sum(drawn.values()), phases, short)


if __name__ == "__main__":
    sys.exit(exit_status(main))
