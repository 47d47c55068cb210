"""The rows of a table, looked at by columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd


def column(rows: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    """Return the values of a column."""
    return [row[name] for row in rows]


def cells(rows: Iterable[Mapping[str, Any]], *names: str) -> list[list[Any]]:
    """Return the values of some columns, row by row."""
    return [[row[name] for name in names] for row in rows]


def frame(rows: Iterable[Mapping[str, Any]], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Return rows as a table of pandas, which counts and groups them by itself."""
    return pd.DataFrame(list(rows), columns=list(columns) or None)
