"""Draw an event's images, and write its sampling log, ledger and account."""

import argparse
import json
import sys
from pathlib import Path

from flareset.account import account
from flareset.campaign.run import alone
from flareset.job import Job
from flareset.ledger import ledger, write_ledger
from flareset.partition import PHASES
from flareset.sample import Quota, choose, draw, sample_table, sampling_log, shortages
from flareset.sdo.series import SERIES
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import job_log
from flareset.tables.csv import write_table
from flareset.tables.manifest import read_manifest
from flareset.tables.status import Status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--job", required=True, type=Path, help="<event_id>/<wavelength> with what `list` left"
    )
    parser.add_argument("--manifest", required=True, help="manifest.csv")
    parser.add_argument(
        "--series", required=True, choices=SERIES, metavar="SERIES", help=", ".join(SERIES)
    )
    parser.add_argument("--segment", required=True, help="the segment that is used, like image")
    parser.add_argument("--seed", required=True, help="a number or text: decides every choice")
    for phase in PHASES:
        parser.add_argument(
            f"--{phase.quota.replace('_', '-')}",
            required=True,
            type=int,
            help=f"images from each bin of the phase {phase.name}",
        )
    parser.add_argument(
        "--other-flares",
        required=True,
        choices=("exclude", "allow"),
        help="whether an image in another flare may be drawn as pre or post",
    )
    parser.add_argument("--sample", required=True, help="output: CSV, a row per drawn image")
    parser.add_argument("--log", required=True, help="output: the sampling log, CSV")
    parser.add_argument("--ledger", required=True, help="output: CSV, a row per slot and file")
    parser.add_argument("--account", required=True, help="output: JSON, times and counts")
    args = parser.parse_args()

    with job_log(), alone(args.job):
        quota = Quota.of(vars(args))
        job = Job.read(args.job, SERIES[args.series], args.segment)
        manifest = read_manifest(args.manifest)
        event, images = job.event, job.images

        candidates = draw(images, event.event_id, job.wavelength, quota)
        verified = set(manifest["filename"][manifest["status"] == Status.VERIFIED])
        chosen = choose(candidates, candidates["filename"].isin(verified), quota)
        # An export of pictures or movies has nothing to draw from.
        short = shortages(chosen, event, quota) if job.products.empty else None
        booked = ledger(job, manifest, short)
        write_ledger(booked, args.ledger)
        write_table(sampling_log(images, chosen), args.log)
        table = sample_table(chosen, manifest, event.event_id, job.wavelength)
        write_table(table, args.sample)
        entry = account(job, chosen, booked["status"], manifest)
        write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n", args.account)
        lacking = 0 if short is None else len(short)
        print(f"{len(chosen)} images drawn; {lacking} bins came short (see the ledger)")


if __name__ == "__main__":
    sys.exit(exit_status(main))
