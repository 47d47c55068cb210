"""Write the final result of the draw: the sample, its sampling log, the ledger, the account."""

import argparse
import json
import logging
import sys
from pathlib import Path

from flareset.account import make_account
from flareset.campaign.run import alone
from flareset.draw import choose
from flareset.job import Job
from flareset.ledger import make_ledger, short_outside, write_ledger
from flareset.phases import PHASES, quota_by_phase
from flareset.sample import find_shortages, sample_table, sampling_log
from flareset.sdo.series import SERIES
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log
from flareset.tables.csv import write_table
from flareset.tables.manifest import read_manifest
from flareset.tables.status import Status

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
        verified = manifest[manifest["status"] == Status.VERIFIED]
        files = dict(zip(verified["record"], verified["filename"], strict=True))

        unusable = set(job.candidates["record"]) - set(files)
        # Pictures and movies are not drawn from.
        chosen = choose(job.candidates, unusable, most).iloc[: 0 if job.facts.pictured else None]
        short = None if job.facts.pictured else find_shortages(chosen, job.event, most)
        booked = make_ledger(job, manifest, short)
        write_ledger(booked, args.ledger)
        write_table(sampling_log(job.candidates, chosen, files), args.log)
        table = sample_table(chosen, manifest, job.event.event_id, job.wavelength)
        write_table(table, args.sample)
        outside = short_outside(job, manifest)
        statuses = booked["status"][booked["record"] != ""]
        entry = make_account(job, chosen, statuses, manifest, len(outside))
        write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n", args.account)
        tell(entry["drawn"], 0 if short is None else int((short["wanted"] - short["drawn"]).sum()))
        if outside:
            log.info("%d short exposures outside the listed flares: see the ledger", len(outside))


def tell(drawn: dict[str, int], lacking: int) -> None:
    """Log how many images were drawn from each phase, and how many were not to be had."""
    phases = ", ".join(f"{phase} {number}" for phase, number in drawn.items())
    short = f"; {lacking} fewer than asked for: see the ledger" if lacking else ""
    log.info("%d images drawn (%s)%s", sum(drawn.values()), phases, short)


if __name__ == "__main__":
    sys.exit(exit_status(main))
