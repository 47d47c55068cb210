"""Links to the files of wanted records, and the reasons why records have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flareset.tables.rows import Row, of_records, records_in
from flareset.tables.status import Status


@dataclass(frozen=True)
class Missing:
    """The reason why a wanted record has no link, and its status in the ledger."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Links:
    """The links of wanted records: a row per file, and a reason for each record without a file.

    The rows are those of a listing.
    """

    rows: Sequence[Row]
    missing: Mapping[str, Missing] = field(default_factory=dict)


class Source(Protocol):
    """A source of records' files."""

    def find(self, wanted: Sequence[Row], needed: Sequence[Row], /) -> Links:
        """Return the links of wanted records (rows of records.csv).

        `needed` are the wanted records and those whose files the store has already.
        """

    def renew(self, wanted: Sequence[Row]) -> Links:
        """Return links of records whose links are gone from the archive (404, 410)."""


class Listed:
    """The files of a listing: a saved page, or an export that the user made."""

    def __init__(self, files: Sequence[Row], name: str) -> None:
        self._listing = files
        self._name = name

    def find(self, wanted: Sequence[Row], _needed: Sequence[Row], /) -> Links:
        """Return the listed files of wanted records."""
        names = set(records_in(wanted))
        rows = of_records(self._listing, names)
        lacking = names - set(records_in(rows))
        why = (
            f"not in {self._name}; if that was made of other times than the window's, say which in"
            " the row's recordset"
        )
        return Links(rows, mark_failed(sorted(lacking), why))

    def renew(self, wanted: Sequence[Row]) -> Links:
        """Return no links: only the user can make the listing again."""
        why = f"{self._name} lists it, and the archive has it no more: export again"
        return Links([], mark_failed(records_in(wanted), why))


def mark_failed(records: Iterable[str], reason: str) -> dict[str, Missing]:
    """Return records that could not be had as `failed`, all with the same reason."""
    return {record: Missing(Status.FAILED, reason) for record in records}


def join(first: Links, second: Links) -> Links:
    """Return the links of both."""
    return Links([*first.rows, *second.rows], {**first.missing, **second.missing})
