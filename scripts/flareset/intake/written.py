"""Write what the intake found; a file that somebody edited stays as it is."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sized
from pathlib import Path

from flareset.intake.cleaning import Change
from flareset.intake.outcome import Outcome, rows_by_rule
from flareset.intake.rules import RULES
from flareset.intake.selection import Verdict, reasons
from flareset.system.files import make_folder, write_text, writing

_MOST_SHOWN = 20
_SUM = re.compile(r"^\| (?P<name>.+) \| (?P<rows>\d+) \| (?P<sum>[0-9a-f]{64}) \|$", re.MULTILINE)


def report_text(outcome: Outcome, written: Mapping[str, tuple[str, str]]) -> str:
    """Return intake.md; `written` has the rows and the sha256 of each table, by its file's name."""
    parts = ["# Flare intake", _counts(outcome), "## Lists", _sources(outcome)]
    parts += ["## Rules that fired", _rules(outcome), "## Flares", _flares(outcome)]
    parts += ["## Selection", _selection(outcome), "## Files", _FILES]
    sums = [(name, *told) for name, told in sorted(written.items())]
    parts.append(_table(sums, ["file", "rows", "sha256"]))
    return "\n\n".join(parts) + "\n"


_FILES = (
    "As they were written last. The next intake writes a file anew only where it still is so: one"
    " that was edited stays, and the intake says what it would change."
)


def _counts(outcome: Outcome) -> str:
    rows = sum(source.rows for source in outcome.sources)
    lists, flares = _number(outcome.sources, "list"), _number(outcome.flares, "flare")
    return (
        f"{rows} rows in {lists} are {flares}; "
        f"{len(outcome.selected)} are selected. changes.csv has a line for each thing that was"
        f" done: {len(outcome.changes)}."
    )


def _sources(outcome: Outcome) -> str:
    rows = [(s.file, s.form, s.rows, s.sha256[:12], "; ".join(s.remarks)) for s in outcome.sources]
    return _table(rows, ["list", "form", "rows", "sha256", "remarks"])


def _rules(outcome: Outcome) -> str:
    found = rows_by_rule(outcome.changes)
    if not found:
        return "None: nothing was changed."
    rows = [(rule, len(found[rule]), RULES[rule].does, RULES[rule].advice) for rule in found]
    table = _table(rows, ["rule", "rows", "what it does", "what to do"])
    examples = [f"- {rule}: {'; '.join(map(_example, found[rule][:3]))}" for rule in found]
    return "\n\n".join([table, "The first examples of each, as file:line:", "\n".join(examples)])


def _example(change: Change) -> str:
    row, note = change.row, change.note
    became = f" → {_shown(note.after)}" if note.after != note.before else ""
    return f"{row.file}:{row.line} {_shown(note.before)}{became}"


def _number(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _shown(text: str) -> str:
    """Return a value of a list as a cell of a table, blanks visible."""
    text = text.replace("|", "/").replace("\n", " ")
    return f"`{text}`" if text.strip() else "nothing"


def _flares(outcome: Outcome) -> str:
    letters = ["X", "M", "C", "B", "A", ""]
    known = Counter((f.start.year, f.goes_class[:1]) for f in outcome.flares)
    years = sorted({year for year, _ in known})
    rows = [(y, *(known[y, letter] for letter in letters)) for y in years]
    scales = Counter(flare.scale or "no class" for flare in outcome.flares)
    told = ", ".join(f"{name} {n}" for name, n in sorted(scales.items()))
    note = f"Scales of the classes: {told}."
    if len(scales.keys() - {"no class"}) > 1:
        note += (
            " Operational classes of GOES-8 to 15 are 0.7 of science classes: for a threshold"
            " they are converted to `intake.scale`; a listed class is never changed."
        )
    return _table(rows, ["year", "X", "M", "C", "B", "A", "no class"]) + "\n\n" + note


def _selection(outcome: Outcome) -> str:
    parts = []
    why = reasons(outcome.verdicts)
    rows = [("selected", len(outcome.selected)), *sorted(why.items(), key=lambda p: (-p[1], p[0]))]
    parts.append(_table(rows, ["reason", "flares"]))
    if outcome.selected:
        parts.append(f"The first {_MOST_SHOWN} that are selected:")
        parts.append(_some([v for v in outcome.verdicts if not v.reason]))
    missed = sorted(
        (v for v in outcome.verdicts if v.missed), key=lambda v: (v.missed, v.flare.flare_id)
    )
    if missed:
        parts.append(f"What just missed, the first {_MOST_SHOWN}:")
        parts.append(_some(missed))
    if tied := [v.flare.flare_id for v in outcome.verdicts if v.tied]:
        parts.append(
            "Of equal strength at the cut, so that the earlier peak decided: "
            + ", ".join(tied[:_MOST_SHOWN])
            + "."
        )
    return "\n\n".join(parts)


def _some(verdicts: list[Verdict]) -> str:
    rows = [
        (
            v.flare.flare_id, v.flare.goes_class, v.flare.fl_peakflux or "", v.flare.noaa_ar or "",
            " ".join(v.flare.sources), v.reason,
        )
        for v in verdicts[:_MOST_SHOWN]
    ]  # fmt: skip
    return _table(rows, ["flare", "class", "fl_peakflux", "region", "sources", "why not"])


def _table(rows: list[tuple], headers: list[str]) -> str:
    """Return a table for GitHub, without blanks that only align it."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write(texts: Mapping[Path, str], report: Path, outcome: Outcome) -> list[str]:
    """Write tables and report; return a sentence for each file that somebody edited.

    Such a file is left as it is. A file counts as unedited when it is as the intake wrote it last,
    of which the report keeps the sha256.
    """
    written = _written_before(report)
    kept: list[str] = []
    for path, text in texts.items():
        with writing(path):
            make_folder(path.parent)
        if path.exists():
            there = path.read_bytes()
            if there != text.encode() and _sum(there) != written.get(path.name, ("", ""))[1]:
                kept.append(_difference(path, there, text))
                continue
        write_text(text, path)
        written[path.name] = (str(text.count("\n") - 1), _sum(text.encode()))
    write_text(report_text(outcome, written), report)
    return kept


def _written_before(report: Path) -> dict[str, tuple[str, str]]:
    """Return rows and sha256 of each file as a report says that it was written."""
    if not report.exists():
        return {}
    text = report.read_text(encoding="utf-8", errors="replace")
    return {match["name"]: (match["rows"], match["sum"]) for match in _SUM.finditer(text)}


def _difference(path: Path, there: bytes, text: str) -> str:
    """Return what a new text would change in a table that is there, by rows and columns."""
    old = _rows(there.decode("utf-8-sig", errors="replace"))
    new = _rows(text)
    added = [name for name in new if name not in old]
    gone = [name for name in old if name not in new]
    other = [
        f"{name}: {', '.join(_columns_that_differ(old[name], new[name]))}"
        for name in new
        if name in old and new[name] != old[name]
    ]
    told = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for what, names in (("added", added), ("gone", gone), ("changed", other))
        if names
    ]
    return (
        f"{path}: was not written by the intake, or was edited since: it stays. A new one would"
        f" have {'; '.join(told) or 'the same rows in another form'}. Move it away to have the new"
        " one"
    )


def _columns_that_differ(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [name for name in {**new, **old} if old.get(name) != new.get(name)]


def _rows(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table by their names: the id, or the start, or the first cell."""
    try:
        rows = list(csv.DictReader(text.splitlines(), strict=False))
    except csv.Error:
        return {}
    found = {}
    for row in rows:
        values = {key: str(value or "") for key, value in row.items() if key}
        names = (values.get(n, "") for n in ("event_id", "flare_id", "event_starttime"))
        name = next((n for n in names if n), next(iter(values.values()), ""))
        if "rule" in values:
            name = f"{values.get('file', '')}:{values.get('line', '')} {values['rule']}"
        found[name] = values
    return found


def _sum(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
