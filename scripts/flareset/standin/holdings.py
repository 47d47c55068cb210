"""Select the stand-in's records by a recordset, and print their keywords."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from flareset.standin import recordset
from flareset.standin.database import select
from flareset.standin.drmstime import printed, scan, seconds_of
from flareset.standin.frames import Frames
from flareset.standin.madeup import Record
from flareset.standin.recordset import Hull, Subset, UnknownSeries
from flareset.standin.structure import Keyword, Structure

IMAGE_EXISTS = "? drms.image_exists(quality) ?"

# The most records whose keywords are kept in memory.
_MOST_TOLD = 4096


class Catalogue(Protocol):
    """A source of the stand-in's records. `names` are the names of its series."""

    names: Sequence[str]

    def structure(self, name: str) -> Structure | None:
        """Return the series of a name in upper or lower case; None if there is none."""

    def candidates(self, structure: Structure, hull: Hull) -> Sequence[Record]:
        """Return at least the records within bounds, in the order of the prime keys."""

    def stored(self, path: str) -> tuple[Record, str] | None:
        """Return the record and the segment whose file is stored at a path; None if unknown."""


class Holdings:
    """A catalogue's records as recordsets select them, with the keywords that `frames` write."""

    def __init__(self, catalogue: Catalogue, frames: Frames) -> None:
        self.catalogue = catalogue
        self.frames = frames
        self._found = lru_cache(maxsize=64)(self._find)
        # An answer is made column by column: each record is looked up some hundred times.
        self._told: dict[tuple[str, int], Mapping[str, Any]] = {}

    def subsets(self, text: str) -> list[tuple[Subset, Structure]]:
        """Return the subsets of a recordset with their series. Raise BadQuery if there are none."""
        found = []
        for subset in recordset.parse(text):
            structure = self.catalogue.structure(subset.series)
            if structure is None:
                raise UnknownSeries(subset.series)
            found.append((subset, structure))
        return found

    def dataset(self, text: str) -> str:
        """Return a recordset with JSOC's filter for records that have an image."""
        return ",".join(str(_with_image(*found)) for found in self.subsets(text))

    def find(self, text: str, *, images_only: bool = False) -> Sequence[Record]:
        """Return the records of a recordset. Raise BadQuery if it cannot be read.

        With `images_only`, JSOC's filter for records that have an image is added.
        """
        return self._found(text, images_only)

    def _find(self, text: str, images_only: bool) -> Sequence[Record]:
        found: list[Record] = []
        for subset, structure in self.subsets(text):
            asked = _with_image(subset, structure) if images_only else subset
            clause = recordset.clause(asked, structure)
            records = self.catalogue.candidates(structure, clause.hull)
            columns = _Columns(structure, self.frames)
            chosen = select(clause, structure, records, columns.value)
            found += [
                record
                if record.written == subset.series
                else replace(record, written=subset.series)
                for record in chosen
            ]
        return tuple(found)

    def _keywords(self, record: Record) -> Mapping[str, Any]:
        """Return a record's keywords, which are computed once and kept for a while."""
        name = (record.series.name, record.recnum)
        if name not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told[name] = record.keywords(self.frames)
        return self._told[name]

    def column(
        self, records: Sequence[Record], name: str, *, precise: bool = False
    ) -> list[str | int]:
        """Return a keyword of records as jsoc_info prints it."""
        if name == "*recnum*":
            return [record.recnum for record in records]
        if name == "*spec*":
            return [record.query() for record in records]
        if name.startswith("*"):
            found = [record.special(self.frames).get(name) for record in records]
            return ["Invalid KeyLink" if value is None else value for value in found]
        print_of = {
            series: self._printer(series, name.lower(), precise)
            for series in {record.series.name for record in records}
        }
        return [print_of[record.series.name](record) for record in records]

    def _printer(self, series: str, name: str, precise: bool) -> Callable[[Record], str]:
        """Return a function that prints a keyword (in lower case) of a series' records."""
        structure = self.catalogue.structure(series)
        keyword = structure.keywords.get(name) if structure else None
        if keyword is None or structure is None:
            return lambda _: "Invalid KeyLink"
        if keyword.scope == "constant":
            return lambda _: keyword.default
        if keyword.scope == "index":
            columns = _Columns(structure, self.frames)
            return lambda record: str(columns.value(record, name))
        return lambda record: _printed(
            self._keywords(record).get(keyword.name), keyword, precise=precise
        )


class _Columns:
    """The columns of a series' records by their names in lower case."""

    def __init__(self, structure: Structure, frames: Frames) -> None:
        self._structure = structure
        self._frames = frames
        self._slots = structure.slots("T_REC")

    def value(self, record: Record, name: str) -> Any:
        """Return a column of a record: a number, or a text."""
        if name == "recnum":
            return record.recnum
        if name == "t_rec_index" and self._slots:
            return self._slots.index(seconds_of(record.t_rec))
        keyword = self._structure.columns[name]
        value = record.quick().get(keyword.name)
        if value is None:
            value = record.keywords(self._frames).get(keyword.name)
        if keyword.type == "time":
            return (scan(str(value)) or (None, 0))[0]
        if keyword.type in ("int", "short") and value is not None:
            word = int(str(value), 0)
            return word - (1 << 32) if word >= 1 << 31 else word
        return value


def _with_image(subset: Subset, structure: Structure) -> Subset:
    """Return a subset with JSOC's filter, unless the subset itself names QUALITY, `^` or `$`."""
    conditions = [body for body in subset.filters if body.startswith("?")]
    named = any("quality" in condition.lower() for condition in conditions)
    extreme = any(body.lstrip(":#") in ("^", "$") for body in subset.filters)
    if named or extreme or "quality" not in structure.keywords:
        return subset
    return replace(subset, filters=(*subset.filters, IMAGE_EXISTS))


def _printed(value: Any, keyword: Keyword, *, precise: bool) -> str:
    """Return a keyword's value as DRMS prints it, or `MISSING`."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "MISSING"
    if keyword.type == "time":
        found = scan(str(value))
        if found is None:
            return "MISSING"
        return printed(found[0], keyword.unit, 6 if precise else keyword.decimals)
    if keyword.hexadecimal:
        return f"0x{int(str(value), 0) & 0xFFFFFFFF:08x}"
    if keyword.type in ("float", "double"):
        number = float(value)
        if keyword.type == "float":
            (number,) = struct.unpack("f", struct.pack("f", number))
        digits = ".9g" if keyword.type == "float" else ".17g"
        return format(number, digits if precise else "f")
    return str(value)
