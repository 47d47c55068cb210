"""List the archive's records of one event and channel, and links that are known already."""

import argparse
import logging
import sys
from pathlib import Path

from flareset.campaign import environment
from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import SOURCES, read_event
from flareset.campaign.run import alone
from flareset.campaign.settings import Settings
from flareset.listing import Found, Where, find
from flareset.sources.query import Query
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log
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
        help="all of the campaign: a saved page may list several (default:"
        f" {environment.WAVELENGTHS} in the environment, else this one)",
    )
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default="page",
        help="where files come from: a saved page, the row's RequestIDs, exports, or the stored"
        " files (default: %(default)s)",
    )
    parser.add_argument("--page", nargs="?", help="the saved export page")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="use the page even if its number of rows differs from its own count",
    )
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", default="store", help="where JSOC's answers are kept")
    parser.add_argument("--settings", required=True, help="<results>/settings/list.*.json")
    parser.add_argument("--records", required=True, help="output: CSV, a row per record")
    parser.add_argument("--listing", required=True, help="output: CSV, the links that are known")
    parser.add_argument("--facts", required=True, help="output: JSON, the export's summary")
    add_terminal(parser)
    add_flags(parser)
    args = parser.parse_args()

    event, settings = read_event(args.event), Settings.read(args.settings)
    access = Access.of(args, settings.origin)
    wavelengths = args.wavelengths or environment.wavelengths() or [args.wavelength]
    query = Query.of(event, args.wavelength, wavelengths, settings)
    name = f"list {event.event_id} {args.wavelength}"
    with job_log(name, args.terminal), alone(Path(args.listing).parent):
        if args.source == "page":
            print(args.page or f"the stand-in's page of {query.recordset}")
        where = Where(access, settings.archive_of(event), Path(args.store), args.pages)
        found = find(query, args.source, where, page=args.page, accept=args.accept)
        write_records(found.records, args.records)
        write_listing(found.listing, args.listing)
        write_facts(found.facts, Path(args.facts))
        tell(found)


def tell(found: Found) -> None:
    """Log the number of records, remarks, and oddities of a saved page."""
    records, facts = found.records, found.facts
    lacking = sum(bool(row["status"]) for row in records)
    log.info("%d records%s", len(records), f", {lacking} without an image" if lacking else "")
    for remark in facts.remarks:
        log.info("note: %s", remark)
    if facts.accepted:
        log.info("taken as it is (accept_pages): %s", facts.accepted)
    if facts.edges:
        log.info("warning: %s; the window's edges count as without records", facts.edges)


if __name__ == "__main__":
    sys.exit(exit_status(main))
