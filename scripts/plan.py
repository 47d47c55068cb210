"""Say what a campaign will ask for and download, before anything is."""

import argparse
import json
import sys
from pathlib import Path

from tabulate import tabulate

from flareset.asking import Plan, Wish, make_plan
from flareset.errors import ExportError, exit_status
from flareset.events import read_event
from flareset.job import Job
from flareset.plan import export_row, listed_row, pages_wanted, plan_table
from flareset.site import reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listed", nargs="*", default=[], help="<event_id>/<wavelength> listed")
    parser.add_argument("--exports", nargs="*", default=[], help="those to be asked for")
    parser.add_argument("--missing", nargs="*", default=[], help="those without a page")
    parser.add_argument("--events", type=Path, required=True, help="the folder of event.json files")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--archive", required=True, type=json.loads, help="JSON: how to reach it")
    args = parser.parse_args()

    if args.missing:
        wanted = pages_wanted(args.missing, args.events, args.settings["series"], args.pages)
        print("No page is saved for these; export them at JSOC (method url, protocol FITS):\n")
        print(tabulate(wanted, headers="keys", showindex=False), end="\n\n")
    plans, refused = export_plans(args)
    for plan in plans:
        print(f"{plan.wish.event.event_id} {plan.wish.wavelength}: JSOC will be asked for")
        for order in plan.orders:
            print(f"  {order.recordset}  {order.process}")
        for remark in plan.remarks:
            print(f"  note: {remark}")
    rows = [
        listed_row(
            Job.read(args.events / job, args.settings), args.store, args.settings, args.archive
        )
        for job in args.listed
    ]
    rows += [export_row(plan, args.settings) for plan in plans]
    print(tabulate(plan_table(rows), headers="keys", showindex=False, floatfmt=".3f"))
    print("\nGB are estimated from the sizes that JSOC gives. Nothing was asked for.")
    if refused:
        raise ExportError("cannot be asked for:\n" + "\n".join(f"  {text}" for text in refused))


def export_plans(args: argparse.Namespace) -> tuple[list[Plan], list[str]]:
    """What is to be asked for, and why some of it cannot be."""
    plans, refused = [], []
    for job in args.exports:
        event_id, wavelength = job.split("/")
        event = read_event(args.events / event_id / "event.json")
        wish = Wish.of(event, int(wavelength), args.settings, args.archive["wavelengths"])
        flares = [event.flare, *event.other_flares]
        with reached(args.archive, flares, args.store) as site:
            try:
                plans.append(make_plan(wish, site.jsoc(print)))
            except ExportError as error:
                refused.append(f"{event_id} {wavelength}: {error}")
    return plans, refused


if __name__ == "__main__":
    sys.exit(exit_status(main))
