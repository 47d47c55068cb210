"""Make events.csv from flare lists: read, clean, merge and select, with every change on record."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.settings import IntakeSettings
from flareset.errors import IntakeError
from flareset.intake.flares import events_text, flares_text
from flareset.intake.outcome import find_lists, rows_by_rule, take_in
from flareset.intake.settings import cleaning_of, wanted_of
from flareset.intake.written import write
from flareset.system.endings import exit_status
from flareset.system.logs import job_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="<results>/settings/intake.*.json")
    parser.add_argument(
        "--lists", nargs="+", metavar="FILE", help="flare lists, instead of those in the settings"
    )
    parser.add_argument(
        "--events",
        required=True,
        type=Path,
        help="output: the selected flares; flares.csv, changes.csv and intake.md are written beside"
        " it. What was edited since the last intake stays",
    )
    args = parser.parse_args()
    settings = IntakeSettings.read(args.settings).intake
    lists = find_lists(args.lists or settings.lists)
    if not lists:
        raise IntakeError("intake.lists is empty: name the flare lists there")

    with job_log():
        outcome = take_in(lists, cleaning_of(settings), wanted_of(settings))
        folder = args.events.parent
        texts = {
            folder / "flares.csv": flares_text(outcome.flares),
            folder / "changes.csv": outcome.changes_text(),
        }
        if outcome.selected:
            texts[args.events] = events_text(outcome.selected)
        kept = write(texts, folder / "intake.md", outcome)
    for source in outcome.sources:
        print(f"{source.file}: {source.form}, {source.rows} rows")
    for rule, changes in rows_by_rule(outcome.changes).items():
        print(f"  {rule}: {len(changes)} rows")
    print(f"{len(outcome.flares)} flares, {len(outcome.selected)} selected: {args.events}")
    print(f"Every rule with examples: {folder / 'intake.md'}; every change: changes.csv beside it")
    if not outcome.selected:
        raise IntakeError(
            f"intake.select: no flare is selected, so {args.events} is not written; intake.md says"
            " what kept them out"
        )
    if kept:
        raise IntakeError("\n".join(kept))


if __name__ == "__main__":
    sys.exit(exit_status(main))
