"""JSOC's recordset queries: write them for a window, and read them as JSOC does.

Source: RecordSetHelp and JsocTimes (JSOC wiki), drms_names_priv.h. `[a/span]` is half-open,
`[a-b]` includes both ends, a time without zone is UTC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flareset.errors import ExportError
from flareset.sdo.series import Series
from flareset.sdo.times import from_tai, iso, to_tai

_SERIES = re.compile(r"\s*([A-Za-z_]\w*\.\w+)")
_SEGMENTS = re.compile(r"\{\s*(\w+(?:\s*,\s*\w+)*)\s*\}")
_TIME = re.compile(
    r"(?P<date>\d{4}[.-]\d{1,2}[.-]\d{1,2})"
    r"(?:[_T](?P<h>\d{2})(?::(?P<m>\d{2})(?::(?P<s>\d{2}(?:\.\d+)?))?)?)?"
    r"(?P<zone>Z|_UTC|_UT|_TAI|)"
)
# The unit of slots (`u`) is left out: its length depends on the series.
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBERS = re.compile(r"\d+(?:,\d+)*")
_RECNUMS = re.compile(r":\s*#\d+(\s*,\s*#\d+)*")
# Keywords that are columns in every series. Others of AIA's slotted series are links.
_COLUMNS = {
    "T_REC", "T_REC_INDEX", "T_OBS", "WAVELNTH", "DATE", "FSN", "EXPTIME", "QUALITY", "RECNUM"
}  # fmt: skip
_SQL_WORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "LIKE", "TRUE", "FALSE"}
# JSOC's export takes recordsets of fewer than 4096 characters. Its automatic filter on QUALITY
# takes 33 of them (jsoc_export_manage.c).
LONGEST_EXPORT = 4000 - 33


@dataclass(frozen=True)
class Recordset:
    """A recordset: series, filters (the text between their brackets) and segments."""

    series: str
    filters: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()

    def __str__(self) -> str:
        segments = f"{{{','.join(self.segments)}}}" if self.segments else ""
        return self.series + "".join(f"[{text}]" for text in self.filters) + segments

    @classmethod
    def parse(cls, text: str) -> Recordset:
        """Parse a recordset. Raise ExportError if the text is not one; the message says where."""
        match = _SERIES.match(text)
        if not match:
            raise ExportError(f"{text!r} is not a recordset: it does not begin with a series")
        filters: list[str] = []
        position = match.end()
        while text[position : position + 1] == "[":
            mark = text[position + 1 : position + 2]
            closing = f"{mark}]" if mark in ("?", "!") else "]"
            end = text.find(closing, position + 2 if mark in ("?", "!") else position + 1)
            if end < 0:
                raise ExportError(f"{text!r} is not a recordset: no {closing} closes [ {position}")
            end += len(closing)
            filters.append(text[position + 1 : end - 1].strip())
            position = end
        rest = text[position:].strip()
        segments = _SEGMENTS.fullmatch(rest)
        if rest and not segments:
            raise ExportError(f"{text!r} is not a recordset: {rest!r} cannot be read")
        names = re.split(r"\s*,\s*", segments[1]) if segments else []
        return cls(match[1], tuple(filters), tuple(names))

    @property
    def times(self) -> tuple[int, Times] | None:
        """The first filter on time, with its index among the filters; None if there is none."""
        for place, text in enumerate(self.filters):
            if (times := Times.parse(text)) is not None:
                return place, times
        return None

    @property
    def sql(self) -> str:
        """The conditions between `[?` and `?]`, joined by AND."""
        conditions = [t.strip("? ") for t in self.filters if t.startswith("?")]
        return " AND ".join(f"({condition})" for condition in conditions)

    @property
    def numbers(self) -> list[list[int]]:
        """The filters that are lists of whole numbers (wavelengths, HARPs), in order."""
        return [
            [int(part) for part in text.split(",")]
            for text in (t.replace(" ", "") for t in self.filters)
            if _NUMBERS.fullmatch(text)
        ]

    @property
    def recnums(self) -> list[int]:
        """The record numbers in `[:#n,…]`; empty if the recordset does not name records so."""
        if len(self.filters) != 1 or not _RECNUMS.fullmatch(self.filters[0]):
            return []
        return [int(number) for number in re.findall(r"\d+", self.filters[0])]

    def at(self, times: str) -> Recordset:
        """Return the recordset with `times` as the text of its time filter.

        Raises ExportError if it has no time filter.
        """
        found = self.times
        if found is None:
            raise ExportError(f"{self} has no filter on time")
        filters = [*self.filters]
        filters[found[0]] = times
        return replace(self, filters=tuple(filters))


@dataclass(frozen=True)
class Times:
    """A filter on time: begin to end (UTC), or a list of values; `cadence` in seconds or 0.

    `inclusive`: the end belongs to the filter.
    """

    begin: datetime
    end: datetime
    inclusive: bool = False
    cadence: float = 0.0
    values: tuple[datetime, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Times | None:
        """Parse a filter's text; None if it is not a filter on time."""
        body, _, step = text.partition("@")
        cadence = _seconds(step) if step else 0.0
        body = body.strip()
        first = _TIME.match(body)
        if first is None or cadence is None:
            return None
        rest = body[first.end() :].strip()
        try:
            begin = parse_time(first[0])
            if not rest or rest.startswith(","):
                values = tuple(sorted(parse_time(part) for part in body.split(",")))
                return cls(values[0], values[-1], True, cadence, values)
            if rest.startswith("/") and (span := _seconds(rest[1:])) is not None:
                end = from_tai(to_tai(begin) + timedelta(seconds=span))
                return cls(begin, end, False, cadence)
            if rest.startswith("-"):
                return cls(begin, parse_time(rest[1:]), True, cadence)
        except (ValueError, OverflowError):
            return None  # a list of spans, or a day that no calendar has
        return None

    def hold(self, when: datetime) -> bool:
        """Return whether a T_REC lies in the filter. The cadence is not looked at."""
        if self.values:
            return when in self.values
        return self.begin <= when < self.end or (self.inclusive and when == self.end)


def _seconds(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def parse_time(text: str) -> datetime:
    """Return the UTC of a time in a query, which may lack minutes, seconds or the time of day.

    Raises ValueError if the text is not such a time.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time as JSOC reads it")
    year, month, day = (int(part) for part in re.split(r"[.-]", match["date"]))
    minute = datetime(year, month, day, int(match["h"] or 0), int(match["m"] or 0), tzinfo=UTC)
    seconds = float(match["s"] or 0)
    if seconds >= 61:
        raise ValueError(f"{text!r} has no such second")
    when = minute + timedelta(seconds=seconds)
    return from_tai(when) if match["zone"] == "_TAI" else when


def jsoc_time(series: Series, when: datetime) -> str:
    """Return a T_REC as JSOC prints it for a series: `…Z`, or `…_TAI` for HMI."""
    if series.zone == "TAI":
        return to_tai(when).strftime("%Y.%m.%d_%H:%M:%S_TAI")
    return iso(when)


def window_recordset(
    series: Series,
    begin: datetime,
    end: datetime,
    wavelengths: list[int],
    segment: str = "",
    noaa_ar: int | None = None,
) -> Recordset:
    """Return the recordset of all images observed in [begin, end].

    Its time filter is an inclusive range with zones. JSOC turns times into slot numbers: a span of
    seconds would lose its last slot (recorded: window_recordset_on_real.json). JSOC compares
    T_REC, but an AIA image's T_OBS may be a cadence later: the range begins a cadence earlier.
    `noaa_ar` selects the SHARPs that contain this active region.
    """
    if series.instrument == "aia" and series.step != 1:
        begin -= timedelta(seconds=series.cadence)
    first, last = begin.replace(microsecond=0), end.replace(microsecond=0)
    if last < end:
        last += timedelta(seconds=1)
    span = f"{jsoc_time(series, first)}-{jsoc_time(series, last)}"
    segments = (segment,) if segment else ()
    if series.name == "aia.lev1":
        # The wavelength is no prime key of aia.lev1.
        asked = ", ".join(str(w) for w in wavelengths)
        condition = f"WAVELNTH={asked}" if len(wavelengths) == 1 else f"WAVELNTH in ({asked})"
        return Recordset(series.name, (span, f"? {condition} ?"), segments)
    if series.keys[0] == "HARPNUM":
        # NOAA_AR has only the first region of a patch; NOAA_ARS has all regions, as text.
        return Recordset(series.name, ("", span, f'? NOAA_ARS ~ "{noaa_ar}" ?'), segments)
    if series.keys[-1] == "WAVELNTH":
        return Recordset(series.name, (span, ",".join(str(w) for w in wavelengths)), segments)
    return Recordset(series.name, (span,), segments)


def refusals(text: str, series: Series) -> list[str]:
    """Return the reasons why JSOC would refuse, misread or fail on a recordset.

    Recorded: info_recordsets.json, fetch_requests.json (jsoc-protocol.md, 11).
    """
    why = []
    if ";" in text:
        why.append("has a semicolon, which JSOC refuses")
    if text.count("'") % 2 or text.count('"') % 2:
        why.append("has a quote that is not closed, which JSOC refuses")
    if len(text) > LONGEST_EXPORT:
        why.append(f"has {len(text)} characters: JSOC takes {LONGEST_EXPORT}")
    try:
        found = Recordset.parse(text)
    except ExportError as error:
        return [*why, f"cannot be read: {error}"]
    linked = sorted(_names_in(found.sql) - _COLUMNS - {key.upper() for key in series.keys})
    if series.linked and linked:
        why.append(
            f"filters on {', '.join(linked)}: {series.name} links to it and has no such column;"
            " leave the filter out"
        )
    if (times := found.times) is not None and _ambiguous(found.filters[times[0]]):
        why.append("has a range of times without zones: JSOC finds nothing; write Z behind both")
    return why


def _names_in(sql: str) -> set[str]:
    """Return the names of columns in an SQL condition, in upper case."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|\$\([^)]*\)|[A-Za-z_.]+\s*\(", " ", sql)
    return {name.upper() for name in re.findall(r"[A-Za-z_]\w*", bare)} - _SQL_WORDS


def _ambiguous(text: str) -> bool:
    """Return whether a range of ISO times lacks a zone: JSOC reads its dash as one of the date."""
    body = text.partition("@")[0]
    first = _TIME.match(body)
    rest = body[first.end() :].strip() if first else ""
    iso_time = first is not None and "-" in first["date"]
    return iso_time and rest.startswith("-") and not (first and first["zone"])


def recnum_recordsets(
    series: str, recnums: Iterable[int], segment: str = "", longest: int = LONGEST_EXPORT
) -> list[str]:
    """Return recordsets that name records by their numbers, each at most `longest` characters.

    The numbers are sorted: JSOC recognises a repeated request only if their order is the same.
    """
    head, tail = f"{series}[:", f"]{{{segment}}}" if segment else "]"
    room = longest - len(head) - len(tail)
    lists: list[list[str]] = []
    used = 0
    for name in (f"#{number}" for number in sorted(set(recnums))):
        if not lists or used + len(",") + len(name) > room:
            lists.append([])
            used = -len(",")
        lists[-1].append(name)
        used += len(",") + len(name)
    return [head + ",".join(names) + tail for names in lists]


def split(text: str, parts: int, series: Series) -> list[str]:
    """Cut a recordset into parts without overlap or gap, by record number or by time.

    Raises ExportError if the recordset cannot be cut.
    """
    if parts == 1:
        return [text]
    whole = Recordset.parse(text)
    if recnums := whole.recnums:
        cut = [f":{','.join(f'#{n}' for n in part)}" for part in _chunks(recnums, parts)]
        pieces = [replace(whole, filters=(part,)) for part in cut]
    elif (found := whole.times) is not None:
        pieces = [whole.at(part) for part in _time_filters(whole, found, parts, series)]
    else:
        raise ExportError(f"{text} is too much for one request and has no filter on time to cut")
    if len(pieces) < 2:
        raise ExportError(f"{text}: JSOC calls it too large, and one record cannot be split")
    return [str(piece) for piece in pieces]


def _chunks(values: list[Any], parts: int) -> list[list[Any]]:
    size = -(-len(values) // parts)
    return [values[i : i + size] for i in range(0, len(values), size)]


def _time_filters(
    whole: Recordset, found: tuple[int, Times], parts: int, series: Series
) -> list[str]:
    """Return the time filters of the parts of a recordset."""
    place, times = found
    if times.values:
        values = [part.strip() for part in whole.filters[place].split(",")]
        return [",".join(part) for part in _chunks(values, parts)]
    return _spans(times, parts, series)


def _spans(times: Times, parts: int, series: Series) -> list[str]:
    """Return the filters of a span or range cut into equal parts, counted in TAI as JSOC does.

    JSOC's ranges include the slots at both ends: a part ends one slot before the next begins
    (recorded: split_on_real.json).
    """
    step = times.cadence or series.cadence
    slot = series.step or series.cadence
    begin = to_tai(times.begin)
    total = (to_tai(times.end) - begin).total_seconds()
    size = math.ceil((total + times.inclusive) / parts / step) * step
    suffix = f"@{times.cadence:.10g}s" if times.cadence else ""
    cut = []
    offset = 0.0
    while offset < total + times.inclusive:
        first = jsoc_time(series, from_tai(begin + timedelta(seconds=offset)))
        if times.inclusive:
            seconds = total if offset + size > total else offset + size - slot
            last = jsoc_time(series, from_tai(begin + timedelta(seconds=seconds)))
            cut.append(f"{first}-{last}{suffix}")
        else:
            cut.append(f"{first}/{min(size, total - offset):.10g}s{suffix}")
        offset += size
    return cut


def moment(text: str) -> datetime:
    """Return the UTC of a time in the settings, as users or JSOC write it.

    Raises ValueError if the text is not a time.
    """
    return parse_time(text.strip().replace(" ", "T"))
