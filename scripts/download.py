"""Bring the images of one event and channel into the store, verified."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.access import Access, add_flags
from flareset.campaign.run import alone
from flareset.campaign.settings import DownloadSettings
from flareset.download import acquire, check_complete, check_usable, open_acquisition, store_of
from flareset.errors import IncompleteError
from flareset.job import Job
from flareset.ledger import make_ledger, write_ledger
from flareset.phases import quota_by_phase
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log
from flareset.system.progress import Progress
from flareset.tables.manifest import write_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--job", required=True, type=Path, help="<event_id>/<wavelength> with the tables of `list`"
    )
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/download.*.json")
    parser.add_argument("--manifest", required=True, help="output: CSV, a row per file tried")
    parser.add_argument(
        "--ledger", required=True, type=Path, help="output if too many images are missing: CSV"
    )
    add_terminal(parser)
    add_flags(parser)
    args = parser.parse_args()

    name = f"{args.job.parent.name} {args.job.name}"
    with job_log(f"download {name}", args.terminal) as streams, alone(args.job):
        settings = DownloadSettings.read(args.settings)
        job = Job.read(args.job, settings.image_series, settings.segment)
        access = Access.of(args, settings.origin)
        store = store_of(job, args.store, settings.archive_of(job.event))
        progress = Progress(f"download {name}", streams)
        quotas = settings.quotas and quota_by_phase(settings.quotas)
        with open_acquisition(job, settings, access, store, progress) as acquisition:
            manifest = acquire(acquisition, job, quotas)
            progress.close()
        try:
            most = settings.completeness.allow_missing
            check_complete(manifest, most, name, acquisition.problem)
            check_usable(job, manifest, quotas, most, name)
        except IncompleteError:
            # No later stage will run, so the ledger with what is missing is written here.
            args.ledger.parent.mkdir(parents=True, exist_ok=True)
            write_ledger(make_ledger(job, manifest), args.ledger)
            raise
        write_manifest(manifest, args.manifest)


if __name__ == "__main__":
    sys.exit(exit_status(main))
