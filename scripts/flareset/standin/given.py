"""Records that are given to the stand-in as plain data, in the form of jsoc_info's answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flareset.sdo.series import find_series
from flareset.standin.drmstime import moment, scan, seconds_of
from flareset.standin.frames import Frames
from flareset.standin.madeup import Record, number_key
from flareset.standin.recordset import Hull
from flareset.standin.structure import Structure


@dataclass(frozen=True)
class Held(Record):
    """A given record.

    `row` has its keywords by name, and jsoc_info's keys with asterisks. Its `segments` and `links`
    are like `{"image": {"path": ..., "dims": ...}}` and `{"lev1": "aia.lev1[:#1]"}`. Times are
    texts as DRMS prints them.
    """

    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    is_online: bool = True

    @property
    def recnum(self) -> int:
        """The record's number in its series."""
        return self.row["*recnum*"]

    @property
    def folder(self) -> str:
        """The storage unit's folder."""
        first = next(iter(self.row["segments"].values()))
        return first["path"].rpartition("/")[0]

    @property
    def online(self) -> bool:
        """Whether the record's files are on disk."""
        return self.is_online

    def keywords(self, frames: Frames) -> Mapping[str, Any]:  # noqa: ARG002 - those are given
        """Return the keywords by their DRMS names."""
        return self.row

    def quick(self) -> Mapping[str, Any]:
        """Return the keywords that need no computation: all of a given record."""
        return self.row

    def special(self, frames: Frames) -> dict[str, Any]:  # noqa: ARG002
        """Return jsoc_info's keys with asterisks, except `*recnum*` and `*spec*`."""
        return {key: value for key, value in self.row.items() if key.startswith("*")}

    def links(self) -> dict[str, str]:
        """Return the records that the record's links lead to, by the links' names."""
        return self.row.get("links", {})

    def path(self, segment: str) -> str:
        """Return the path of a segment's stored file, even if there is none."""
        return self.row["segments"][segment]["path"]

    def dimensions(self, segment: str, frames: Frames) -> str:  # noqa: ARG002
        """Return a segment's dimensions as jsoc_info prints them."""
        return self.row["segments"][segment]["dims"]


class Given:
    """A catalogue of given series and records.

    `holdings` has for each series its `name`, `struct` (series_struct's answer) and `records`.
    """

    def __init__(self, holdings: Sequence[Mapping[str, Any]]) -> None:
        self.names: Sequence[str] = [entry["name"] for entry in holdings]
        self._structures: dict[str, Structure] = {}
        self._records: dict[str, list[Held]] = {}
        self._slots: dict[str, list[int]] = {}
        self._paths: dict[str, tuple[Record, str]] = {}
        offline = {
            f"{entry['name']}[:#{row['*recnum*']}]"
            for entry in holdings
            for row in entry["records"]
            if row.get("*online*") == "N"
        }
        for entry in holdings:
            self._add(entry, offline)

    def _add(self, entry: Mapping[str, Any], offline: set[str]) -> None:
        structure = Structure(entry["name"], entry["struct"])
        slots = structure.slots("T_REC")
        records = sorted(
            (_held(structure, row, offline) for row in entry["records"]),
            key=lambda record: [_order(record.row[key]) for key in structure.primes],
        )
        self._structures[structure.name.lower()] = structure
        self._records[structure.name] = records
        if slots:
            self._slots[structure.name] = [slots.index(seconds_of(r.t_rec)) for r in records]
        for record in records:
            for segment in record.row.get("segments", {}):
                self._paths[record.path(segment)] = record, segment

    def structure(self, name: str) -> Structure | None:
        """Return the series of a name in upper or lower case; None if there is none."""
        return self._structures.get(name.lower())

    def candidates(self, structure: Structure, hull: Hull) -> Sequence[Record]:
        """Return at least the records within bounds, in the order of the prime keys."""
        records = self._records[structure.name]
        if hull.recnums is not None:
            ranges = hull.recnums
            single = {low for low, high in ranges if low == high}
            wide = [(low, high) for low, high in ranges if low != high]
            return [
                record
                for record in records
                if record.recnum in single or any(a <= record.recnum <= b for a, b in wide)
            ]
        if hull.slots is not None:
            low, high = hull.slots
            places = self._slots[structure.name]
            return [r for r, place in zip(records, places, strict=True) if low <= place <= high]
        return records

    def stored(self, path: str) -> tuple[Record, str] | None:
        """Return the record and the segment whose file is stored at a path; None if unknown."""
        return self._paths.get(path)


def _held(structure: Structure, row: Mapping[str, Any], offline: set[str]) -> Held:
    series = find_series(structure.name)
    t_rec = scan(row["T_REC"])
    if series is None or t_rec is None:
        raise ValueError(f"a record of {structure.name} at {row.get('T_REC')}")
    observed = scan(str(row.get("T_OBS", ""))) if series.instrument == "aia" else None
    time = moment(math.floor(observed[0] + 0.5) if observed else t_rec[0])
    number = int(row.get(number_key(series), 0))
    quality = row.get("QUALITY", 0)
    has_image = not int(str(quality), 0) & 0x80000000
    names = {f"{structure.name}[:#{row['*recnum*']}]", *row.get("links", {}).values()}
    return Held(
        series,
        structure.name,
        moment(t_rec[0]),
        time,
        number,
        has_image,
        row,
        not names & offline,
    )


def _order(value: Any) -> float:
    """Return the number by which a prime key's value is sorted."""
    found = scan(value) if isinstance(value, str) and re.match(r"\d{4}[-.]", value) else None
    return found[0] if found else float(value)
