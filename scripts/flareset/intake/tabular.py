"""Read a table of flares: CSV in its many manners, ECSV, VOTable, and SSW's page of events."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from flareset.errors import IntakeError
from flareset.intake.columns import NEEDED, make_row, ours, source_of_table
from flareset.intake.rows import FlareList, Note, Row

MOST_SHOWN = 50
_INDEX = "table.unnamed_index"
Line = tuple[int, list[str]]


def read_table(text: str, file: str) -> FlareList:
    """Return the flares of a CSV with commas, semicolons or tabs. Raises IntakeError."""
    lines, separator = _lines(text, file)
    if not lines:
        raise IntakeError(f"{file}: the file is empty")
    (_, header), body = lines[0], lines[1:]
    header, body, indexed = _without_index([name.strip() for name in header], body)
    _check_header(header, file, lines[0][0], body)
    _check_widths(header, body, file)
    form = {",": "CSV", ";": "CSV with semicolons", "\t": "table with tabs"}[separator]
    own = "times_from" in header and "class_from" in header
    rows = tuple(rows_of(header, body, file, indexed=indexed))
    if not rows:
        raise IntakeError(f"{file}: there is a header but no flare below it")
    return FlareList(file, "flareset's own table" if own else form, rows)


def rows_of(
    header: Sequence[str], body: Iterable[Line], file: str, *, indexed: Iterable[str] | None = None
) -> Iterator[Row]:
    """Yield a row for each line of a table; `indexed` has the cells of a column without a name.

    A table of our own keeps all its columns under their own names.
    """
    source = source_of_table(header, PurePath(file).stem)
    own = "times_from" in header and "class_from" in header
    columns = ours(header)
    indices = iter(indexed or ())
    for line, cells in body:
        whole = "\x1f".join(cell.strip() for cell in cells)
        if own:
            texts = dict(zip(header, cells, strict=False))
            key = texts.get("flare_id") or texts.get("event_id", "")
            yield Row("flareset", file, line, texts, key, whole)
            continue
        index = next(indices, None)
        notes = () if index is None else (Note(_INDEX, "", index, ""),)
        texts = {name: _first_filled(cells, places) for name, places in columns.items()}
        yield make_row(texts, file=file, line=line, otherwise=source, whole=whole, notes=notes)


def _first_filled(cells: Sequence[str], places: Sequence[int]) -> str:
    filled = (cells[place] for place in places if cells[place].strip())
    return next(filled, cells[places[0]])


def _lines(text: str, file: str) -> tuple[list[Line], str]:
    """Return the filled lines of a table that are no comments, and what parts their cells."""
    kept = [
        (number, line)
        for number, line in enumerate(text.splitlines(keepends=True), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not kept:
        return [], ","
    separator = max(",;\t", key=kept[0][1].count)
    reader = csv.reader((line for _, line in kept), delimiter=separator, strict=True)
    lines: list[Line] = []
    begin = 0
    try:
        for cells in reader:
            lines.append((kept[begin][0], cells))
            begin = reader.line_num
    except csv.Error as error:
        line = kept[min(begin, len(kept) - 1)][0]
        raise IntakeError(f"{file}, line {line}: not CSV: {error}; is the file cut?") from None
    return lines, separator


def _without_index(
    header: list[str], body: list[Line]
) -> tuple[list[str], list[Line], list[str] | None]:
    """Return a table without its index column that has no name, and that column's cells.

    pandas writes the index without a name, or with `index_label=False` one cell more in each row
    than in the header. Where some rows only have one more, they are damaged.
    """
    widths = {len(cells) for _, cells in body}
    if widths == {len(header) + 1}:
        # With blank last cells it may be a spreadsheet's: then the columns fit as they are.
        if all(not cells[-1].strip() for _, cells in body) and not _counts(body):
            return header, body, None
    elif not (header and header[0] == "" and widths == {len(header)}):
        return header, body, None
    else:
        header = header[1:]
    return header, [(n, cells[1:]) for n, cells in body], [cells[0] for _, cells in body]


def _counts(body: list[Line]) -> bool:
    """Return whether the first cells are whole numbers, as an index has them."""
    return all(re.fullmatch(r"\d+", cells[0].strip()) for _, cells in body)


def _check_header(header: list[str], file: str, line: int, body: list[Line]) -> None:
    columns = ours(header)
    if missing := [name for name in NEEDED if name not in columns]:
        shown = ", ".join(header)
        shown = shown if len(shown) <= 300 else f"{shown[:300]}…"
        raise IntakeError(
            f"{file}, line {line}: this is no flare list that is known. As a table it has no column"
            f" for the {' and the '.join(missing)} of a flare. Its columns are: {shown}."
            " Looked for: SWPC's and NCEI's reports, HEK's and SWPC's JSON, GOES flare summaries,"
            " SSW's Latest Events, ECSV, VOTable, and tables with columns like event_starttime,"
            " event_endtime"
        )
    if not body:
        raise IntakeError(f"{file}: there is a header but no flare below it")


def _check_widths(header: list[str], body: list[Line], file: str) -> None:
    """Raise IntakeError that names the lines with more or fewer cells than the header."""
    wrong = [
        f"{file}, line {line}: {len(cells)} cells, but the header has {len(header)}"
        for line, cells in body
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :])
    ]
    if wrong:
        rest = len(wrong) - MOST_SHOWN
        more = [f"... and {rest} more"] if rest > 0 else []
        raise IntakeError("\n".join([*wrong[:MOST_SHOWN], *more]))


def read_ecsv(text: str, file: str) -> FlareList:
    """Return the flares of an ECSV. Raises IntakeError. The line is that of the row."""
    from astropy.table import Table

    try:
        table = Table.read(text, format="ascii.ecsv")
    except Exception as error:  # noqa: BLE001 - whatever astropy raises, the file is to blame
        raise IntakeError(f"{file}: an ECSV that cannot be read: {_short(error)}") from None
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line and line[0] != "#") + 1
    return _of_astropy(table, file, "ECSV", first)


def read_votable(raw: bytes, file: str) -> FlareList:
    """Return the flares of a VOTable. Raises IntakeError. The line is the number of the row."""
    import warnings

    from astropy.io.votable import parse_single_table

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = parse_single_table(io.BytesIO(raw)).to_table(use_names_over_ids=True)
    except Exception as error:  # noqa: BLE001 - as above
        raise IntakeError(f"{file}: a VOTable that cannot be read: {_short(error)}") from None
    return _of_astropy(table, file, "VOTable", 1)


def _of_astropy(table: Any, file: str, form: str, first: int) -> FlareList:
    header = list(table.colnames)
    columns = [[_text(value) for value in _values(table[name])] for name in header]
    body = [(first + place, list(cells)) for place, cells in enumerate(zip(*columns, strict=True))]
    _check_header(header, file, first, body)
    return FlareList(file, form, tuple(rows_of(header, body, file)))


def _values(column: Any) -> list[Any]:
    """Return the values of a column, which may be one of times."""
    return list(column.isot) if hasattr(column, "isot") else column.tolist()


def _text(value: object) -> str:
    """Return a value as a list has it; a whole number without a fraction, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return "" if value != value else f"{value:.15g}"
    return str(value)


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def read_page(text: str, file: str) -> FlareList:
    """Return the flares of a page of SSW's Latest Events, seven cells a row. IntakeError."""
    from bs4 import BeautifulSoup

    header = ["number", "EName", "start", "stop", "peak", "goes_class", "derived_position"]
    body = []
    for row in BeautifulSoup(text, "html.parser").find_all("tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.find_all("td", recursive=False)]
        if not any(cell.startswith("gev_") for cell in cells):
            continue
        if len(cells) != len(header):
            raise IntakeError(
                f"{file}, line {row.sourceline}: {len(cells)} cells; a flare of SSW's page has"
                f" {len(header)}"
            )
        body.append((row.sourceline, cells))
    if not body:
        raise IntakeError(
            f"{file}: a web page without flares of SSW's Latest Events; save the list itself"
        )
    if "</html>" not in text.lower():
        raise IntakeError(f"{file}, line {text.count(chr(10)) + 1}: the page is cut")
    return FlareList(file, "SSW Latest Events", tuple(rows_of(header, body, file)))
