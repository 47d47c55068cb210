"""Say what a campaign will ask for and download, before anything is."""

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from tabulate import tabulate

from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import read_event
from flareset.campaign.settings import PlanSettings
from flareset.download import open_requests, store_of
from flareset.errors import ExportError, FlaresetError
from flareset.job import Job
from flareset.listing import Where
from flareset.partition import quota_by_phase
from flareset.plan import look_up, needed_records, pages_wanted, plan_row, plan_table
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--look-up", nargs="*", default=[], help="<source>/<event_id>/<wavelength> of each job"
    )
    parser.add_argument(
        "--missing", nargs="*", default=[], help="<event_id>/<wavelength> without a page"
    )
    parser.add_argument(
        "--accept", nargs="*", default=[], help="the event_id of those whose pages are incomplete"
    )
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
    with job_log():
        names = (name.split("/") for name in args.look_up)
        for (source, event_id), jobs_of in groupby(names, key=lambda name: name[:2]):
            wavelengths = [int(name[2]) for name in jobs_of]
            event = read_event(args.events / event_id / "event.json")
            where = Where(access, settings.archive_of(event), args.store, args.pages)
            try:
                accept = event_id in args.accept
                jobs = look_up(event, wavelengths, source, settings, where, accept=accept)
            except FlaresetError as error:
                refused.append(f"{event_id} cannot be listed: {error}")
                continue
            for job in jobs:
                try:
                    rows.append(planned(job, settings, where))
                except FlaresetError as error:
                    refused.append(f"{event_id} {job.wavelength} cannot be asked for: {error}")
    print(tabulate(plan_table(rows), headers="keys", showindex=False, floatfmt=".3f"))
    print("\nGB are estimated from the sizes that JSOC gives. Nothing was asked for.")
    if refused:
        raise ExportError(
            "the plan is without these:\n" + "\n".join(f"  {text}" for text in refused)
        )


def planned(job: Job, settings: PlanSettings, where: Where) -> dict[str, Any]:
    """Return a row of the plan; print what will be asked for, and what there is to say of it."""
    name = f"{job.event.event_id} {job.wavelength}"
    store = store_of(job, where.store, where.name)
    needed = needed_records(job, settings.quotas and quota_by_phase(settings.quotas))
    with open_requests(job, settings, where.access, store) as requests:
        left = needed[~needed["record"].isin(store.kept(needed))]
        orders = requests(left, needed)
    for order in orders:
        print(f"{name}: {order}")
    for remark in job.facts.remarks:
        print(f"{name}: note: {remark}")
    return plan_row(job, store, needed, len(orders))


if __name__ == "__main__":
    sys.exit(exit_status(main))
