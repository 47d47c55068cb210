"""Fetch the tables of calibration that `arrays` needs from JSOC; they are asked for once."""

import argparse
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from flareset.archive.endpoints import reached
from flareset.archive.pins import Pins
from flareset.arrays.degradation import pinned
from flareset.arrays.origin import keep
from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import read_event
from flareset.campaign.settings import ArraysSettings, Settings
from flareset.fetch_tables import Fetched, Fetching
from flareset.store.store import PINS
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", required=True, nargs="+", help="event.json of every event")
    parser.add_argument("--settings", required=True, help="<results>/settings/list.*.json")
    parser.add_argument("--arrays", required=True, help="<results>/settings/arrays.*.json")
    parser.add_argument("--store", required=True, type=Path, help="where JSOC's answers are kept")
    parser.add_argument("--refresh", action="store_true", help="ask again for what is kept")
    add_flags(parser)
    args = parser.parse_args()
    tables = ArraysSettings.read(args.arrays).arrays.tables
    access = Access.of(args, Settings.read(args.settings).origin)
    server = "rehearsal" if access.archive.rehearses else access.archive.cgi_url

    with job_log(), ExitStack() as opened:
        site = cache(lambda: opened.enter_context(reached(access, [], args.store)))
        fetching = Fetching(Pins(args.store / PINS), site, server, args.refresh)
        if tables.response:
            path = Path(tables.response)
            put(path, fetching.responses())
            pinned(path, tables.version, tables.sha256)
        if tables.pointing:
            events = [read_event(path) for path in args.events]
            windows = [(event.window_start, event.window_end) for event in events]
            put(Path(tables.pointing), fetching.pointings(windows))


def put(table: Path, found: Fetched) -> None:
    """Keep a table, and print when it was asked for."""
    keep(table, found.text, found.origin)
    print(f"{table}: asked {found.origin['answers'][-1]['asked']}, {len(found.text)} bytes")


if __name__ == "__main__":
    sys.exit(exit_status(main))
