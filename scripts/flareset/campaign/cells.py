"""The cells of a CSV file, by row; each row with the number of its first line.

Imports only the standard library: every job that Snakemake starts reads events.csv.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flareset.errors import EventsError
from flareset.sdo.flares import MADE_UP

_MOST_SHOWN = 50
_LONGEST_SHOWN = 100
# Excel may declare the separator so, in a line before the header.
_SEPARATOR = "sep="


@dataclass
class Cells:
    """The table in a CSV: its rows with their line numbers, and warnings about oddities."""

    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_cells(path: Path, required: Iterable[str]) -> Cells:
    """Return the rows of a CSV (UTF-8, with or without BOM), as maps from column name to cell.

    A column without a name (pandas writes its index so) is left out with a warning. Raises
    EventsError with a sentence for every line that cannot be read.
    """
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    header: list[str] = []
    found = Cells()
    problems: list[str] = []
    try:
        for line, cells in _filled_lines(path, reader):
            # Spreadsheets write empty columns behind the last one.
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            if not header:
                _check_header(path, line, cells, required)
                header = cells
            elif len(cells) != len(header):
                problems.append(
                    f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}"
                )
            else:
                row = dict(zip(header, cells, strict=True))
                row.pop("", None)
                found.rows.append((line, row))
    except csv.Error as error:
        problems.append(f"{path}, line {reader.line_num}: not CSV: {error}")
    refuse(problems)
    if not header:
        raise EventsError(f"{path}: the file is empty; it needs the columns {', '.join(required)}")
    if not found.rows:
        raise EventsError(f"{path}: there is a header but no flare below it")
    if "" in header:
        which = ", ".join(str(place) for place, name in enumerate(header, 1) if not name)
        found.warnings.append(
            f"{path}: column {which} has no name (an index that pandas wrote?) and is left out"
        )
    return found


def made_up_line(path: Path) -> int | None:
    """Return the first line with a flare that the stand-in made up; None if there is none."""
    try:
        raw = path.read_bytes()
    except OSError:  # what reads the table says so
        return None
    place = raw.find(MADE_UP.encode())
    return None if place < 0 else raw.count(b"\n", 0, place) + 1


def refuse(problems: list[str]) -> None:
    """Raise EventsError with the first 50 problems, if there are any."""
    if problems:
        rest = len(problems) - _MOST_SHOWN
        more = [f"... and {rest} more"] if rest > 0 else []
        raise EventsError("\n".join([*problems[:_MOST_SHOWN], *more]))


def shown(text: str) -> str:
    """Return a cell in quotes, cut after 100 characters."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def _read_text(path: Path) -> str:
    """Return the text of a file (UTF-8, with or without BOM). Raises EventsError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise EventsError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise EventsError(f"{path}: cannot be read: {error}") from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise EventsError(f"{path}: it is UTF-16; save the table as UTF-8 CSV")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EventsError(
            f"{path}, line {line}: byte {raw[error.start]:#04x} is not UTF-8;"
            " save the table as UTF-8 CSV"
        ) from None


def _filled_lines(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the stripped cells of each row that is not empty.

    Excel's line `sep=,` is skipped. Raises EventsError if it names another separator.
    """
    begin = 1
    for row in reader:
        line, begin = begin, reader.line_num + 1
        cells = [cell.strip() for cell in row]
        if line == 1 and cells and cells[0].startswith(_SEPARATOR):
            if other := cells[0].removeprefix(_SEPARATOR):
                raise EventsError(
                    f"{path}, line 1: the separator is {other!r}; save the table with commas"
                )
            continue
        if any(cells):
            yield line, cells


def _check_header(path: Path, line: int, header: list[str], required: Iterable[str]) -> None:
    if missing := [name for name in required if name not in header]:
        raise EventsError(
            f"{path}, line {line}: no column {' and no column '.join(missing)};"
            f" the columns are {shown(', '.join(header))}"
            + ("; is the separator a comma?" if len(header) == 1 else "")
        )
    if double := sorted({name for name in header if name and header.count(name) > 1}):
        raise EventsError(f"{path}, line {line}: there are two columns {shown(', '.join(double))}")
