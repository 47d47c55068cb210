"""What JSOC's database holds about a series and its records, read from answers of `jsoc_info`.

`op=series_struct` gives the keywords of a series with type, unit and note. `op=rs_list` gives the
values of records, as text. `M=1` asks for all digits: 9 of a float, 17 of a double, microseconds
of a time.

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
# JSOC's answer if a record lacks the keyword, or the record that the keyword links to is gone.
_NO_KEYWORD = "Invalid KeyLink"
_RECNUM = "*recnum*"
_BITS = {"char": 8, "short": 16, "int": 32, "longlong": 64}
_FLOATS = ("float", "double")
# The time 0 of DRMS' Julian dates, which stands for a missing one.
_NO_TIME = "-4712.01.01_11:59:28"


@dataclass(frozen=True)
class Keyword:
    """A keyword of a series. `scope` is JSOC's word: `variable`, `constant` or `segment`."""

    name: str
    type: str
    unit: str
    note: str
    scope: str


@dataclass(frozen=True)
class Segment:
    """A segment of a series. If `linked`, its file belongs to a record of another series."""

    name: str
    linked: bool


@dataclass(frozen=True)
class Structure:
    """The keywords of a series in JSOC's order, its prime keys, and its segments by number."""

    keywords: tuple[Keyword, ...]
    keys: tuple[str, ...]
    segments: tuple[Segment, ...]

    def number(self, segment: str) -> int:
        """Return the number of a segment. Raise ListingError if the series has no such segment."""
        for number, each in enumerate(self.segments):
            if each.name.lower() == segment.lower():
                return number
        names = ", ".join(each.name for each in self.segments)
        raise ListingError(f"the series has no segment {segment}, only {names}")


@dataclass(frozen=True)
class Record:
    """A record: its number, its keywords as text, and the path of its stored file.

    `keywords` lacks what JSOC cannot look up. `path` is empty if JSOC has no file online.
    """

    recnum: int
    keywords: dict[str, str]
    path: str = ""


def parse_structure(answer: dict[str, Any]) -> Structure:
    """Return the structure in an answer to `series_struct`. Raise ListingError if it has none."""
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
    """Return the arguments of the `jsoc_info` requests for all keywords of these records.

    Send them by POST: a recordset may be too long for a URL.
    """
    return [
        {"op": "rs_list", "ds": text, "key": f"**ALL**,{_RECNUM}", "seg": segment, "M": "1"}
        for text in recnum_recordsets(series, recnums)
    ]


def parse_records(answer: dict[str, Any]) -> list[Record]:
    """Return the records in an answer to `rs_list`. Raise ListingError if the answer is not one.

    The answer has `*recnum*` among its keywords, and at most one segment.
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

    Raises ListingError if their number differs from that of the records.
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
            f"jsoc_info announces {count} records, but has not as many values of"
            f" {', '.join(uneven) or 'their numbers or files'}"
        )
    return columns, paths


def value_of(keyword: Keyword, text: str) -> Value:
    """Return the value of a keyword's text; None if JSOC has no value. A time stays text.

    Raises ListingError if the text does not fit the keyword's type.
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
    """Return a signed integer, None if missing. QUALITY has hexadecimal digits, others decimal."""
    number = integer(text)
    if number >= 1 << (bits - 1):
        number -= 1 << bits
    return None if number == -(1 << (bits - 1)) else number


def default_name(series: str, structure: Structure, record: Record, segment: str) -> str:
    """Return the file name that JSOC's default format gives to an exported image.

    A linked image has the time of the record that holds its file: T_OBS to the nearest second.
    Raises ListingError if the record lacks a key or its time.
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
    """Return a time as it stands in file names: whole seconds, no dots and colons."""
    # A TAI time is rounded in TAI: its zone is taken off first and put back afterwards.
    zone = "_TAI" if text.endswith("_TAI") else ""
    when = parse_jsoc_time(text.removesuffix("_TAI")) + timedelta(seconds=0.5)
    return f"{when:%Y%m%d_%H%M%S}_TAI" if zone else f"{when:%Y-%m-%dT%H%M%SZ}"
