"""List what the archive has of one event and channel, as facts."""

import argparse
import logging
import sys
from pathlib import Path

from flareset.archive.endpoints import reached, rehearsal_page
from flareset.campaign import environment
from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import SOURCES, read_event
from flareset.campaign.pages import missing_page, page_text
from flareset.campaign.run import alone
from flareset.campaign.settings import Settings
from flareset.errors import ListingError
from flareset.listing import Found, list_page, list_records, list_request
from flareset.sources.query import Query
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.listing import write_facts, write_listing
from flareset.tables.records import write_records

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
        help="where files are had: a saved page, the row's RequestIDs, exports, or the stored files"
        " themselves (default: %(default)s)",
    )
    parser.add_argument("--page", nargs="?", help="the saved export page")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="take the page though it lists another number of rows than its own count says",
    )
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", default="store", help="where JSOC's answers are kept")
    parser.add_argument("--settings", required=True, help="<results>/settings/list.*.json")
    parser.add_argument("--records", required=True, help="output: CSV, a row per record")
    parser.add_argument("--listing", required=True, help="output: CSV, the links that are known")
    parser.add_argument("--facts", required=True, help="output: JSON, the export's summary")
    parser.add_argument("--terminal", default=2, type=int, help="descriptor that shows the log too")
    add_flags(parser)
    args = parser.parse_args()

    event, settings = read_event(args.event), Settings.read(args.settings)
    access = Access.of(args, settings.origin)
    wavelengths = args.wavelengths or environment.wavelengths() or [args.wavelength]
    query = Query.of(event, args.wavelength, wavelengths, settings)
    name = f"{event.event_id} {args.wavelength}"
    with job_log(name, args.terminal), alone(Path(args.listing).parent):
        if args.source == "page":
            found = from_page(query, access, args)
        else:
            found = from_jsoc(query, access, settings.archive_of(event), args)
        write_records(found.records, args.records)
        write_listing(found.listing, args.listing)
        write_facts(found.facts, Path(args.facts))
        tell(found)


def from_page(query: Query, access: Access, args: argparse.Namespace) -> Found:
    """Return what a saved page lists, or the page that a rehearsal makes up."""
    if args.page:
        origin, text = args.page, page_text(args.page)
    elif access.archive.rehearses and not query.processing:
        origin = f"the stand-in's page of {query.recordset}"
        recordset = query.recordset.partition("{")[0]
        text = rehearsal_page(recordset, access.archive.frame_size)
    elif access.archive.rehearses:
        raise ListingError(
            "a rehearsal makes pages of unprocessed images alone: set source: export, or take"
            " export.processing out"
        )
    else:
        raise missing_page(args.pages, query.event, query.wavelength)
    try:
        found = list_page(query, text, hosts=list(access.archive.hosts), accept=args.accept)
    except ListingError as error:
        raise ListingError(f"{origin}: {error}") from None
    print(origin)
    return found


def from_jsoc(query: Query, access: Access, archive: str, args: argparse.Namespace) -> Found:
    """Return what JSOC has of a query; `archive` is its name in the store."""
    flares = [query.event.flare, *query.event.other_flares]
    with reached(access, flares, args.store) as site:
        jsoc = site.jsoc(archive)
        if args.source == "request_id":
            exporter = site.exporter(jsoc, archive, query.series)
            return list_request(query, query.event.request_ids, exporter)
        return list_records(query, jsoc, args.source)


def tell(found: Found) -> None:
    """Log what was found, and what is odd about it."""
    records, facts = found.records, found.facts
    lacking = (records["status"] != "").sum()
    log.info("%d records, %d of them without an image", len(records), lacking)
    for remark in facts.remarks:
        log.info("note: %s", remark)
    if facts.accepted:
        log.info("taken as it is (accept_pages): %s", facts.accepted)
    if facts.edges:
        log.info("warning: %s; the window's edges count as without records", facts.edges)


if __name__ == "__main__":
    sys.exit(exit_status(main))
