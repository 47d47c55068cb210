"""Links to the files of wanted records, and the reasons why records have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from flareset.tables.listing import COLUMNS as LISTING
from flareset.tables.status import Status

COLUMNS = [*LISTING, "requestid"]


@dataclass(frozen=True)
class Missing:
    """The reason why a wanted record has no link, and its status in the ledger."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Links:
    """The links of wanted records: a row per file, and a reason for each record without a file."""

    rows: pd.DataFrame
    missing: Mapping[str, Missing] = field(default_factory=dict)


class Source(Protocol):
    """A source of records' files."""

    def find(self, wanted: pd.DataFrame, needed: pd.DataFrame, /) -> Links:
        """Return the links of wanted records (rows of records.csv).

        `needed` are the wanted records and those whose files the store has already.
        """

    def renew(self, wanted: pd.DataFrame) -> Links:
        """Return links of records whose links are gone from the archive (404, 410)."""


class Listed:
    """The files of a listing: a saved page, or an export that the user made."""

    def __init__(self, files: pd.DataFrame, name: str) -> None:
        self._listing = files.reindex(columns=COLUMNS, fill_value="")
        self._name = name

    def find(self, wanted: pd.DataFrame, _needed: pd.DataFrame, /) -> Links:
        """Return the listed files of wanted records."""
        rows = self._listing[self._listing["record"].isin(wanted["record"])]
        lacking = set(wanted["record"]) - set(rows["record"])
        why = (
            f"not in {self._name}; if that was made of other times than the window's, say which in"
            " the row's recordset"
        )
        return Links(rows, mark_failed(sorted(lacking), why))

    def renew(self, wanted: pd.DataFrame) -> Links:
        """Return no links: only the user can make the listing again."""
        why = f"{self._name} lists it, and the archive has it no more: export again"
        return Links(self._listing.iloc[:0], mark_failed(wanted["record"], why))


def mark_failed(records: Iterable[str], reason: str) -> dict[str, Missing]:
    """Return records that could not be had as `failed`, all with the same reason."""
    return {record: Missing(Status.FAILED, reason) for record in records}


def join(first: Links, second: Links) -> Links:
    """Return the links of both."""
    tables = [links.rows for links in (first, second) if len(links.rows)] or [first.rows]
    return Links(pd.concat(tables, ignore_index=True), {**first.missing, **second.missing})
