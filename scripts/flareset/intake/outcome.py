"""Take flare lists in: read, clean, merge, select; what came of it as texts of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from flareset.errors import IntakeError
from flareset.intake.cleaning import OWN, Change, Report, clean, join_parts
from flareset.intake.flares import ListedFlare, table_text
from flareset.intake.merging import Preferences, merge
from flareset.intake.rows import FlareList, Note, Row
from flareset.intake.rules import RULES, UNREADABLE
from flareset.intake.selection import Verdict, Wanted, misfit, select

_CHANGES = ("file", "line", "flare_id", "rule", "column", "before", "after")


@dataclass(frozen=True)
class Source:
    """A list that was taken in: its file, form and remarks, how many rows, its sha256."""

    file: str
    form: str
    rows: int
    sha256: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """All flares, all changes, and what was selected."""

    sources: list[Source]
    flares: list[ListedFlare]
    changes: list[Change]
    verdicts: list[Verdict]

    @property
    def selected(self) -> list[ListedFlare]:
        """The flares of the campaign, in order of time."""
        return [verdict.flare for verdict in self.verdicts if not verdict.reason]

    def changes_text(self) -> str:
        """Return changes.csv."""
        return table_text(
            _CHANGES,
            (
                (c.row.file, str(c.row.line), c.flare_id, c.note.rule, *_texts(c))
                for c in self.changes
            ),
        )


def _texts(change: Change) -> tuple[str, str, str]:
    note = change.note
    return note.column, note.before, note.after


@dataclass(frozen=True)
class Cleaning:
    """How rows are cleaned and merged.

    `longest`: a flare's longest duration. `at_most_dropped`: the part of a list's rows that may be
    unreadable. `sources`: those that count, or all.
    """

    longest: timedelta = timedelta(hours=12)
    at_most_dropped: float = 0.02
    sources: tuple[str, ...] = ()
    preferences: Preferences = field(default_factory=Preferences)


def find_list(pattern: str) -> list[Path]:
    """Return the files of a pattern by name. Raises IntakeError."""
    path = Path(pattern)
    parent = Path(path.anchor) if path.is_absolute() else Path()
    files = [path] if path.is_file() else sorted(parent.glob(str(path.relative_to(parent))))
    files = [file for file in files if file.is_file()]
    if not files:
        raise IntakeError(f"intake.lists: {pattern}: there is no such file")
    return files


def take_in(
    lists: Sequence[Sequence[FlareList]],
    how: Cleaning,
    wanted: Wanted,
    filters: Mapping[str, Wanted] | None = None,
) -> Outcome:
    """Return what comes of flare lists, the first with the highest rank; those of one lie together.

    `filters` say, by the name of a list, which of its rows count. Raises IntakeError where too much
    of a list is unreadable.
    """
    everything = [one for members in lists for one in members]
    reports, changes, left_out = _clean_all(lists, how, filters or {})
    _check_readable(everything, changes, how.at_most_dropped)
    if not reports:
        _refuse(everything)
    merged = merge(reports, how.preferences)
    every = [
        Change(c.row, c.note, merged.flare_of.get((c.row.file, c.row.line), ""))
        for c in (*changes, *merged.changes)
    ]
    every.sort(key=lambda c: (c.row.file, c.row.line, c.note))
    sources = [
        Source(one.file, one.form, len(one.rows), one.sha256, _remarks(one, left_out[one.file]))
        for one in everything
    ]
    return Outcome(sources, merged.flares, every, select(merged.flares, wanted))


def _clean_all(
    lists: Sequence[Sequence[FlareList]], how: Cleaning, filters: Mapping[str, Wanted]
) -> tuple[list[Report], list[Change], Counter[str]]:
    """Return the cleaned rows, what was changed, and how many rows of a list a filter left out."""
    reports: list[Report] = []
    changes: list[Change] = []
    left_out: Counter[str] = Counter()
    for rank, members in enumerate(lists):
        named = {(row.file, row.line): one.file for one in members for row in one.rows}
        rows, joined = join_parts(row for one in members for row in one.rows)
        changes += joined
        for row in (row for row in rows if _counts(row, how.sources)):
            report, notes = _cleaned(row, how.longest, rank)
            name = named[row.file, row.line]
            asked = filters.get(name)
            if report is not None and asked is not None and misfit(report.flare, asked):
                left_out[name] += 1
                continue
            changes += [Change(row, note) for note in notes]
            reports += [report] if report is not None else []
    return reports, changes, left_out


def _remarks(one: FlareList, left_out: int) -> tuple[str, ...]:
    told = (f"{left_out} rows are not what the query asks for",) if left_out else ()
    return (*one.remarks, *told)


def _counts(row: Row, sources: Sequence[str]) -> bool:
    """Return whether a row is of a source that counts; our own tables always do."""
    return not sources or row.source in (*sources, OWN)


def _refuse(lists: Iterable[FlareList]) -> NoReturn:
    found = sorted({row.source for one in lists for row in one.rows})
    raise IntakeError(
        "intake: no row of any list can be used; the sources in the lists are"
        f" {', '.join(found) or 'none'}; see intake.sources"
    )


def _cleaned(row: Row, longest: timedelta, rank: int) -> tuple[Report | None, list[Note]]:
    try:
        return clean(row, longest, rank)
    except (ValueError, OverflowError) as error:
        raise IntakeError(f"{row.where}: this row cannot be read: {error}") from None


def _check_readable(lists: Iterable[FlareList], changes: Sequence[Change], most: float) -> None:
    """Raise IntakeError where so many rows are unreadable that the reader must be wrong."""
    found = {(c.row.file, c.row.line): c for c in changes if c.note.rule in UNREADABLE}
    for one in lists:
        wrong = [found[row.file, row.line] for row in one.rows if (row.file, row.line) in found]
        if wrong and len(wrong) > max(1, most * len(one.rows)):
            row, note = wrong[0].row, wrong[0].note
            raise IntakeError(
                f"{one.file}: {len(wrong)} of {len(one.rows)} rows cannot be read, more than"
                f" intake.at_most_dropped ({most:g}); the first is {row.where}:"
                f" {note.rule}, {note.before!r} as {note.column}"
            )


def rows_by_rule(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Return for each rule that fired one change of each of its rows, by file and line."""
    found: dict[str, dict[tuple[str, int], Change]] = {}
    for change in changes:
        place = (change.row.file, change.row.line)
        found.setdefault(change.note.rule, {}).setdefault(place, change)
    return {rule: list(found[rule].values()) for rule in RULES if rule in found}
