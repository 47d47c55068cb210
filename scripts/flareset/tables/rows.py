"""The rows of a table as plain Python: a stage that needs no more starts without pandas."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

# A row: its values by the names of the columns. Times are in UTC.
Row = dict[str, Any]
R = TypeVar("R", bound=Mapping[str, Any])
V = TypeVar("V", bound=Hashable)
T = TypeVar("T")


def in_order(rows: Iterable[R], *by: str) -> list[R]:
    """Return rows in ascending order of some columns; equal rows keep their order."""
    return sorted(rows, key=itemgetter(*by))


def records_in(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the record of each row."""
    return [row["record"] for row in rows]


def of_records(rows: Iterable[R], records: Container[str]) -> list[R]:
    """Return the rows of these records."""
    return [row for row in rows if row["record"] in records]


def but_records(rows: Iterable[R], records: Container[str]) -> list[R]:
    """Return the rows of all other records."""
    return [row for row in rows if row["record"] not in records]


def find_double(values: Iterable[V]) -> V | None:
    """Return the first value that equals an earlier one; None if all differ."""
    seen: set[V] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def each(function: Callable[[V], T], values: Sequence[V]) -> list[T]:
    """Return the function's result for each value; it is called once for equal values."""
    results = {value: function(value) for value in set(values)}
    return [results[value] for value in values]
