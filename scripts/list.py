"""List what the archive offers for one event and wavelength."""

import argparse
import json
import sys
from pathlib import Path

from flareset.errors import ListingError, exit_status
from flareset.events import read_event
from flareset.listing import read_page, write_facts, write_listing
from flareset.pages import missing_page, page_text
from flareset.recordset import window_recordset
from flareset.series import SERIES
from flareset.standin import catalogue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument("--page", nargs="?", help="the saved export page")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--archive", required=True, type=json.loads, help="JSON: how to reach it")
    parser.add_argument("--listing", required=True, help="output: CSV, one row per file")
    parser.add_argument("--facts", required=True, help="output: JSON, the page's summary")
    args = parser.parse_args()

    event, settings = read_event(args.event), args.settings
    series = SERIES[settings["series"]]
    if args.page:
        origin, text = args.page, page_text(args.page)
    elif args.archive["kind"] == "rehearsal":
        wanted = str(window_recordset(series, event.window_start, event.window_end, [args.wavelength]))
        origin = f"the stand-in's page of {wanted}"
        text = catalogue.listing_page(catalogue.export(wanted, args.archive["frame_size"]))
    else:
        raise missing_page(args.pages, event, args.wavelength)
    try:
        listing, facts = read_page(
            text,
            event,
            args.wavelength,
            series=series,
            wavelengths=args.archive["wavelengths"],
            hosts=args.archive["hosts"],
            accept=settings["accept"],
        )
    except ListingError as error:
        raise ListingError(f"{origin}: {error}") from None
    write_listing(listing, args.listing)
    write_facts(facts, Path(args.facts))
    print(f"{origin}: {len(listing)} files at {args.wavelength} of {facts.count} on the page")
    if facts.accepted:
        print(f"taken as it is (accept_pages): {facts.accepted}")
    if facts.edges:
        print(f"warning: {facts.edges}; the window's edges count as without records")


if __name__ == "__main__":
    sys.exit(exit_status(main))
