"""What JSOC's database holds of a series and its records, as `jsoc_info` tells it.

`op=series_struct` gives the keywords of a series with type, unit and note, `op=rs_list` the values
of a record. Values are text; `M=1` asks for all their digits: 9 of a float, 17 of a double,
microseconds of a time.

Source: jsoc_info.c and drms_keyword.c of JSOC's drms, and answers of that software.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from flareset.errors import ListingError
from flareset.sdo.numbers import integer
from flareset.sdo.recordset import recnum_recordsets
from flareset.sdo.times import parse_jsoc_time

Value = str | int | float | None

MISSING = "MISSING"
# Says that a record has no such keyword, or that the record it is linked from is gone.
_NO_KEYWORD = "Invalid KeyLink"
_RECNUM = "*recnum*"
_BITS = {"char": 8, "short": 16, "int": 32, "longlong": 64}
_FLOATS = ("float", "double")
# The time 0 of DRMS' Julian dates, which stands for a missing one.
_NO_TIME = "-4712.01.01_11:59:28"


@dataclass(frozen=True)
class Keyword:
    """A keyword of a series; `scope` says of what it is one: `variable`, `constant`, `segment`."""

    name: str
    type: str
    unit: str
    note: str
    scope: str


@dataclass(frozen=True)
class Segment:
    """A segment of a series; a linked one lies in the record of another series."""

    name: str
    linked: bool


@dataclass(frozen=True)
class Structure:
    """The keywords of a series in JSOC's order, its prime keys, and its segments by number."""

    keywords: tuple[Keyword, ...]
    keys: tuple[str, ...]
    segments: tuple[Segment, ...]

    def number(self, segment: str) -> int:
        """Return the number of a segment; ListingError where the series has none of that name."""
        for number, one in enumerate(self.segments):
            if one.name.lower() == segment.lower():
                return number
        names = ", ".join(one.name for one in self.segments)
        raise ListingError(f"the series has no segment {segment}, only {names}")


@dataclass(frozen=True)
class Record:
    """A record: its number, its keywords as text, and the path of its stored file.

    `keywords` leaves out what JSOC cannot look up; `path` is empty where JSOC has no file online.
    """

    recnum: int
    keywords: dict[str, str]
    path: str = ""


def parse_structure(answer: dict[str, Any]) -> Structure:
    """Return the structure in an answer to `series_struct`; ListingError where it is none."""
    try:
        keywords = tuple(
            Keyword(
                name=str(one["name"]),
                type=str(one["type"]),
                unit=str(one["units"] or ""),
                note=str(one["note"] or ""),
                scope=str(one["recscope"]),
            )
            for one in answer["keywords"]
        )
        segments = tuple(
            Segment(str(one["name"]), str(one["protocol"]).startswith("link"))
            for one in answer["segments"]
        )
        keys = tuple(str(key) for key in answer["primekeys"] if key)
    except (KeyError, TypeError, AttributeError) as error:
        problem = answer.get("error") or f"{type(error).__name__}: {error}"
        raise ListingError(f"jsoc_info tells no structure of the series: {problem}") from None
    return Structure(keywords, keys, segments)


def keyword_requests(series: str, recnums: Iterable[int], segment: str) -> list[dict[str, str]]:
    """Return the arguments of the `jsoc_info` requests that tell all keywords of some records.

    The requests are to be sent by POST: a recordset is longer than what a URL holds.
    """
    return [
        {"op": "rs_list", "ds": text, "key": f"**ALL**,{_RECNUM}", "seg": segment, "M": "1"}
        for text in recnum_recordsets(series, recnums)
    ]


def parse_records(answer: dict[str, Any]) -> list[Record]:
    """Return the records in an answer to `rs_list`; ListingError where it is none.

    The answer has `*recnum*` among its keywords and may have one segment.
    """
    if str(answer.get("status", "0")) != "0":
        raise ListingError(f"jsoc_info refuses: {answer.get('error') or 'no reason given'}")
    try:
        count = int(answer["count"])
        columns, paths = _columns(answer, count)
        recnums = [integer(str(number)) for number in columns.pop(_RECNUM, [])]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ListingError(f"jsoc_info tells no records: {error!r}") from None
    return [
        Record(
            recnums[row],
            {name: values[row] for name, values in columns.items() if values[row] != _NO_KEYWORD},
            paths[row] if paths[row].startswith("/") else "",
        )
        for row in range(count)
    ]


def _columns(answer: dict[str, Any], count: int) -> tuple[dict[str, list[str]], list[str]]:
    """Return the values of each keyword and the path of each record.

    Raises ListingError where they are not as many as the records.
    """
    columns = {
        str(one["name"]): [str(value) for value in one["values"]]
        for one in answer.get("keywords") or []
    }
    segments = answer.get("segments") or []
    paths = [str(path) for path in segments[0]["values"]] if segments else [""] * count
    uneven = [name for name, values in columns.items() if len(values) != count]
    if uneven or len(paths) != count or (count and _RECNUM not in columns):
        raise ListingError(
            f"jsoc_info tells of {count} records, but not that often of"
            f" {', '.join(uneven) or 'their numbers or files'}"
        )
    return columns, paths


def value_of(keyword: Keyword, text: str) -> Value:
    """Return the value of a keyword's text, a time as text; None where JSOC has none.

    ListingError where the text is no value of the keyword's type.
    """
    if text in (MISSING, ""):
        return None
    try:
        if keyword.type in _BITS:
            return _integer(text, _BITS[keyword.type])
        if keyword.type in _FLOATS:
            number = float(text)
            return number if math.isfinite(number) else None
    except ValueError:
        raise ListingError(f"{keyword.name} is {text!r}, which is no {keyword.type}") from None
    if keyword.type == "time" and text.startswith(_NO_TIME):
        return None
    return text


def _integer(text: str, bits: int) -> int | None:
    """Return a signed integer written in decimals or, as QUALITY, in hexadecimal digits."""
    number = integer(text)
    if number >= 1 << (bits - 1):
        number -= 1 << bits
    return None if number == -(1 << (bits - 1)) else number


def default_name(series: str, structure: Structure, record: Record, segment: str) -> str:
    """Return the file name that JSOC's default format gives to an exported image.

    A linked image's time is that of the record which holds it: T_OBS to the nearest second.
    ListingError where the record lacks a key or its time.
    """
    linked = structure.segments[structure.number(segment)].linked
    parts = []
    try:
        for key in structure.keys:
            text = record.keywords[key]
            if key == "T_REC":
                text = _stamp(record.keywords["T_OBS"] if linked else text)
            parts.append(text)
    except (KeyError, ValueError) as error:
        raise ListingError(f"record {record.recnum} of {series} gives no name: {error}") from None
    return ".".join([series, *parts, PurePosixPath(record.path).name])


def _stamp(text: str) -> str:
    """Return a time as file names have it: whole seconds, no dots and colons."""
    # Of a TAI time the rounded second is looked for in TAI, so its zone is put back afterwards.
    zone = "_TAI" if text.endswith("_TAI") else ""
    when = parse_jsoc_time(text.removesuffix("_TAI")) + timedelta(seconds=0.5)
    return f"{when:%Y%m%d_%H%M%S}_TAI" if zone else f"{when:%Y-%m-%dT%H%M%SZ}"
