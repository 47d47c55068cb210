"""List what the archive offers for one event and wavelength."""

import argparse
import logging
import sys
from pathlib import Path

import pandas as pd

from flareset.archive.endpoints import reached, rehearsal_page
from flareset.campaign import environment
from flareset.campaign.access import Access, add_flags
from flareset.campaign.config import Archive
from flareset.campaign.events import SOURCES, read_event
from flareset.campaign.pages import missing_page, page_text
from flareset.campaign.run import alone
from flareset.campaign.settings import Settings
from flareset.errors import ListingError
from flareset.sdo.processing import process_text
from flareset.sources.page import read_page
from flareset.sources.planning import Wish, list_export, list_request, make_plan, processing_of
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.listing import PageFacts, write_facts, write_listing
from flareset.tables.records import no_records, write_records

Found = tuple[pd.DataFrame, pd.DataFrame, PageFacts]

log = logging.getLogger("flareset.list")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument(
        "--wavelengths",
        type=int,
        nargs="+",
        help="those that the campaign asks for: its pages may list them all (default:"
        f" {environment.WAVELENGTHS} in the environment, else this one)",
    )
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default="page",
        help="where the listing comes from: a saved page, the row's RequestIDs, or an export that"
        " is asked for here (default: %(default)s)",
    )
    parser.add_argument("--page", nargs="?", help="the saved export page")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="take the page though it lists another number of rows than its own count says",
    )
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", default="store", help="where requests are remembered")
    parser.add_argument("--settings", required=True, help="<results>/settings/list.*.json")
    parser.add_argument("--listing", required=True, help="output: CSV, one row per file")
    parser.add_argument("--records", required=True, help="output: CSV, what JSOC has")
    parser.add_argument("--facts", required=True, help="output: JSON, the export's summary")
    parser.add_argument("--terminal", default=2, type=int, help="descriptor that shows the log too")
    add_flags(parser)
    args = parser.parse_args()

    event, settings = read_event(args.event), Settings.read(args.settings)
    access = Access.of(args)
    args.wavelengths = args.wavelengths or environment.wavelengths() or [args.wavelength]
    wish = Wish.of(event, args.wavelength, settings)
    with (
        job_log(f"{event.event_id} {args.wavelength}", args.terminal),
        alone(Path(args.listing).parent),
    ):
        if args.source == "page":
            listing, records, facts = from_page(wish, access.archive, args)
        else:
            name = settings.archive_of(event)
            listing, records, facts = from_jsoc(wish, access, name, args)
        write_listing(listing, args.listing)
        write_records(records, args.records)
        write_facts(facts, Path(args.facts))
        print(f"{len(listing)} files at {args.wavelength} of {facts.count} in the export")
        for remark in facts.remarks:
            log.info("note: %s", remark)
        if facts.accepted:
            print(f"taken as it is (accept_pages): {facts.accepted}")
        if facts.edges:
            print(f"warning: {facts.edges}; the window's edges count as without records")


def from_page(wish: Wish, archive: Archive, args: argparse.Namespace) -> Found:
    """The listing of a saved page, or of one that a rehearsal makes up."""
    steps, remarks = processing_of(wish, wish.recordset, None)
    if args.page:
        origin, text = args.page, page_text(args.page)
    elif archive.rehearses and not steps:
        origin = f"the stand-in's page of {wish.recordset}"
        recordset = wish.recordset.partition("{")[0]
        text = rehearsal_page(recordset, archive.frame_size)
    elif archive.rehearses:
        raise ListingError(
            "a rehearsal makes pages of unprocessed images alone: set source: export, or take"
            " export.processing out"
        )
    else:
        raise missing_page(args.pages, wish.event, wish.wavelength)
    try:
        listing, facts = read_page(
            text,
            wish.event,
            wish.wavelength,
            series=wish.series,
            wavelengths=args.wavelengths,
            hosts=list(archive.hosts),
            segment=wish.segment,
            process=process_text(steps),
            accept=args.accept,
        )
    except ListingError as error:
        raise ListingError(f"{origin}: {error}") from None
    print(origin)
    facts.remarks.extend(remarks)
    return listing, no_records(), facts


def from_jsoc(wish: Wish, access: Access, archive: str, args: argparse.Namespace) -> Found:
    """Return the listing of exports: those in the row, or one that is asked for here.

    `archive` is its name in the store.
    """
    flares = [wish.event.flare, *wish.event.other_flares]
    with reached(access, flares, args.store) as site:
        jsoc = site.jsoc()
        exporter = site.exporter(jsoc, archive, wish.series)
        if args.source == "request_id":
            return list_request(wish, args.wavelengths, exporter)
        jsoc.check_address()
        plan = make_plan(wish, jsoc)
        log.info("%s: %d records, %.0f MB", plan.recordset, len(plan.records), plan.megabytes)
        return list_export(plan, exporter)


if __name__ == "__main__":
    sys.exit(exit_status(main))
