"""Write a table as CSV: the same bytes on every system. Read its rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flareset.sdo.times import iso_column
from flareset.system.files import replaced, writing

if TYPE_CHECKING:
    import pandas as pd


def write_table(table: pd.DataFrame, path: str | Path, separator: str = ",") -> None:
    """Write a table atomically, without its index. Lines end with a line feed."""
    with writing(path), replaced(path) as new:
        table.to_csv(new, index=False, lineterminator="\n", sep=separator)


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    path: str | Path,
    times: Sequence[str] = (),
) -> None:
    """Write rows atomically, with these columns. Lines end with a line feed.

    The columns `times` have times, written in ISO 8601 with Z. A value that is None or missing is
    an empty cell.
    """
    rows = list(rows)
    written = [iso_column(row[name] for row in rows) for name in times]
    with (
        writing(path),
        replaced(path) as new,
        open(new, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row, *texts in zip(rows, *written, strict=True):
            writer.writerow({**row, **dict(zip(times, texts, strict=True))})


def read_rows(path: str | Path, columns: Iterable[str] = ()) -> list[dict[str, str]]:
    """Return the rows of a table that this module wrote; every value is text.

    Those of `columns` that a table of an earlier version lacks are empty. Pandas takes longer to
    load than such a table to read.
    """
    empty = dict.fromkeys(columns, "")
    with open(path, encoding="utf-8", newline="") as file:
        return [{**empty, **row} for row in csv.DictReader(file)]
