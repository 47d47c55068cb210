"""Make events.csv from flare lists: read, clean, merge and select, with every change on record."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from flareset.archive.endpoints import reached
from flareset.archive.pins import Pins
from flareset.campaign.access import Access, add_flags
from flareset.campaign.settings import IntakeSettings
from flareset.errors import IntakeError
from flareset.intake.asking import Asker, is_url
from flareset.intake.flares import events_text, flares_text
from flareset.intake.outcome import Outcome, find_list, rows_by_rule, take_in
from flareset.intake.reading import read_list
from flareset.intake.rows import FlareList
from flareset.intake.selection import Wanted
from flareset.intake.settings import cleaning_of, fitting, wanted_of
from flareset.intake.written import write
from flareset.store.store import PINS
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="<results>/settings/intake.*.json")
    parser.add_argument(
        "--lists", nargs="+", metavar="FILE", help="flare lists, instead of those in the settings"
    )
    parser.add_argument(
        "--store", default="store", type=Path, help="where the answers of servers are kept"
    )
    parser.add_argument(
        "--refresh", action="store_true", help="ask again for what is kept of servers"
    )
    parser.add_argument(
        "--events",
        required=True,
        type=Path,
        help="output: the selected flares; flares.csv, changes.csv and intake.md are written beside"
        " it. What was edited since the last intake stays",
    )
    add_flags(parser)
    args = parser.parse_args()
    settings = IntakeSettings.read(args.settings)
    access = Access.of(args, settings.origin)

    with job_log(), ExitStack() as opened:
        site = cache(lambda: opened.enter_context(reached(access, [], args.store)))
        asker = Asker(Pins(args.store / PINS), site, args.refresh)
        outcome = taken(args.lists, settings, asker, rehearses=access.archive.rehearses)
    folder = args.events.parent
    texts = {
        folder / "flares.csv": flares_text(outcome.flares),
        folder / "changes.csv": outcome.changes_text(),
    }
    if outcome.selected:
        texts[args.events] = events_text(outcome.selected)
    kept = write(texts, folder / "intake.md", outcome)
    tell(outcome, args.events)
    if not outcome.selected:
        raise IntakeError(
            f"intake.select: no flare is selected, so {args.events} is not written; intake.md says"
            " what kept them out"
        )
    if kept:
        raise IntakeError("\n".join(kept))


def taken(
    lists: list[str] | None, settings: IntakeSettings, asker: Asker, *, rehearses: bool
) -> Outcome:
    """Return what comes of lists, or of those in the settings and of its queries."""
    intake = settings.intake
    queries = () if lists else intake.queries
    found = [read(name, asker.file) for name in lists or intake.lists]
    filters: dict[str, Wanted] = {}
    for query in queries:
        one = asker.hek(query.begin, query.end, intake.hek_url, rehearses=rehearses)
        filters[one.file] = fitting(query, intake.scale)
        found.append([one])
    if not found:
        raise IntakeError("intake: name flare lists in `lists`, or what to ask HEK in `queries`")
    return take_in(found, cleaning_of(intake), wanted_of(intake), filters)


def read(name: str, fetch: Callable[[str], FlareList]) -> list[FlareList]:
    """Return the lists of a URL, a file, or a pattern of files."""
    return [fetch(name)] if is_url(name) else [read_list(path) for path in find_list(name)]


def tell(outcome: Outcome, events: Path) -> None:
    """Print what came of the lists, and where more stands."""
    for source in outcome.sources:
        remarks = "".join(f"; {remark}" for remark in source.remarks)
        print(f"{source.file}: {source.form}, {source.rows} rows{remarks}")
    for rule, changes in rows_by_rule(outcome.changes).items():
        print(f"  {rule}: {len(changes)} rows")
    print(f"{len(outcome.flares)} flares, {len(outcome.selected)} selected: {events}")
    print(
        f"Every rule with examples: {events.parent / 'intake.md'}; every change: changes.csv beside"
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
