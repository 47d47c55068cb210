"""Say what a campaign will ask for and download, before anything is."""

import argparse
import sys
from pathlib import Path

from tabulate import tabulate

from flareset.campaign.access import Access, add_flags
from flareset.campaign.settings import PlanSettings
from flareset.download import open_requests, store_of
from flareset.errors import ExportError, FlaresetError
from flareset.job import Job
from flareset.partition import quota_by_phase
from flareset.plan import needed_records, pages_wanted, plan_row, plan_table
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listed", nargs="*", default=[], help="<event_id>/<wavelength> listed")
    parser.add_argument("--missing", nargs="*", default=[], help="those without a page")
    parser.add_argument("--events", type=Path, required=True, help="the folder of event.json files")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/plan.*.json")
    add_flags(parser)
    args = parser.parse_args()
    settings = PlanSettings.read(args.settings)
    access = Access.of(args, settings.origin)

    if args.missing:
        wanted = pages_wanted(args.missing, args.events, settings, args.pages)
        print("No page is saved for these; export them at JSOC (method url, protocol FITS):\n")
        print(tabulate(wanted, headers="keys", showindex=False), end="\n\n")
    rows, refused = [], []
    most = settings.quotas and quota_by_phase(settings.quotas)
    with job_log():
        for name in args.listed:
            job = Job.read(args.events / name, settings.image_series, settings.segment)
            store = store_of(job, args.store, settings.archive_of(job.event))
            needed = needed_records(job, most)
            try:
                with open_requests(job, settings, access, store) as requests:
                    left = needed[~needed["record"].isin(store.kept(needed))]
                    orders = requests(left, needed)
            except FlaresetError as error:
                refused.append(f"{name.replace('/', ' ')}: {error}")
                continue
            for order in orders:
                print(f"{name.replace('/', ' ')}: {order}")
            for remark in job.facts.remarks:
                print(f"  note: {remark}")
            rows.append(plan_row(job, store, needed, len(orders)))
    print(tabulate(plan_table(rows), headers="keys", showindex=False, floatfmt=".3f"))
    print("\nGB are estimated from the sizes that JSOC gives. Nothing was asked for.")
    if refused:
        raise ExportError("cannot be asked for:\n" + "\n".join(f"  {text}" for text in refused))


if __name__ == "__main__":
    sys.exit(exit_status(main))
