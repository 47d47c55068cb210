"""Say what a campaign will ask for and download, before anything is."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tabulate import tabulate

from flareset.archive.endpoints import reached
from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import read_event
from flareset.campaign.settings import PlanSettings
from flareset.errors import ExportError, ListingError
from flareset.job import Job
from flareset.plan import export_row, listed_row, pages_wanted, plan_table
from flareset.sources.planning import Wish, known_listing, make_plan
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listed", nargs="*", default=[], help="<event_id>/<wavelength> listed")
    parser.add_argument("--exports", nargs="*", default=[], help="those whose listing is an export")
    parser.add_argument("--missing", nargs="*", default=[], help="those without a page")
    parser.add_argument("--events", type=Path, required=True, help="the folder of event.json files")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/plan.*.json")
    add_flags(parser)
    args = parser.parse_args()
    settings, access = PlanSettings.read(args.settings), Access.of(args)

    if args.missing:
        wanted = pages_wanted(args.missing, args.events, settings.image_series, args.pages)
        print("No page is saved for these; export them at JSOC (method url, protocol FITS):\n")
        print(tabulate(wanted, headers="keys", showindex=False), end="\n\n")
    rows = [
        listed_row(
            Job.read(args.events / job, settings.image_series, settings.segment),
            args.store,
            settings,
        )
        for job in args.listed
    ]
    refused = []
    for job in args.exports:
        try:
            rows.append(export(job, settings, access, args))
        except (ExportError, ListingError) as error:
            refused.append(f"{job.replace('/', ' ')}: {error}")
    print(tabulate(plan_table(rows), headers="keys", showindex=False, floatfmt=".3f"))
    print("\nGB are estimated from the sizes that JSOC gives. Nothing was asked for.")
    if refused:
        raise ExportError("cannot be asked for:\n" + "\n".join(f"  {text}" for text in refused))


def export(
    name: str, settings: PlanSettings, access: Access, args: argparse.Namespace
) -> dict[str, Any]:
    """Return the row of a job whose listing is an export; print what JSOC will be asked for."""
    event_id, wavelength = name.split("/")
    event = read_event(args.events / event_id / "event.json")
    wish = Wish.of(event, int(wavelength), settings)
    flares = [event.flare, *event.other_flares]
    with job_log(), reached(access, flares, args.store) as site:
        jsoc = site.jsoc()
        plan = make_plan(wish, jsoc)
        exporter = site.exporter(jsoc, settings.archive_of(event), wish.series)
        if known := known_listing(plan, exporter):
            listing, records, facts = known
            job = Job(event, wish.wavelength, wish.series, wish.segment, listing, facts, records)
            return listed_row(job, args.store, settings)
        asked = [order for order in plan.orders if not exporter.is_asked(order)]
    print(f"{event_id} {wavelength}: {'JSOC will be asked for' if asked else 'JSOC is at it'}")
    for order in plan.orders:
        print(f"  {order.recordset}  {order.process}  ({order.method}, {order.protocol})")
    for remark in plan.remarks:
        print(f"  note: {remark}")
    return export_row(plan, len(asked), settings)


if __name__ == "__main__":
    sys.exit(exit_status(main))
