"""Write a table as CSV: the same bytes on every system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flareset.system.files import replaced, writing

if TYPE_CHECKING:
    import pandas as pd


def write_table(table: pd.DataFrame, path: str | Path, separator: str = ",") -> None:
    """Write a table atomically, without its index. Lines end with a line feed."""
    with writing(path), replaced(path) as new:
        table.to_csv(new, index=False, lineterminator="\n", sep=separator)
