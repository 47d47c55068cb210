"""JSOC's recordset queries: written for a window, and read as JSOC reads them.

Source: RecordSetHelp and JsocTimes (JSOC wiki), drms_names_priv.h. `[a/span]` is half-open,
`[a-b]` includes both ends, a zone left out is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

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
# Slots (`u`) are left out: how long they are, the series knows alone.
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBERS = re.compile(r"\d+(?:,\d+)*")


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
        """The recordset of a text; ExportError says where it stops being one."""
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
        """The first filter that is one on time, with its place; None where there is none."""
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

    def at(self, times: str) -> Recordset:
        """The same query at other times: the text of its time filter is replaced."""
        found = self.times
        if found is None:
            raise ExportError(f"{self} has no filter on time")
        filters = [*self.filters]
        filters[found[0]] = times
        return replace(self, filters=tuple(filters))


@dataclass(frozen=True)
class Times:
    """A filter on time: begin to end (UTC), or a list of values; `cadence` in seconds or 0.

    `inclusive` where the end itself belongs to it.
    """

    begin: datetime
    end: datetime
    inclusive: bool = False
    cadence: float = 0.0
    values: tuple[datetime, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Times | None:
        """The times of a filter's text, or None where it is no filter on time."""
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
        """Whether a T_REC lies in the filter (the cadence apart)."""
        if self.values:
            return when in self.values
        return self.begin <= when < self.end or (self.inclusive and when == self.end)


def _seconds(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def parse_time(text: str) -> datetime:
    """The UTC of a time as queries may write it, trailing parts left out; ValueError if none."""
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
    """A T_REC as JSOC prints it in the records of a series: `…Z`, or `…_TAI` for HMI."""
    if series.zone == "TAI":
        return to_tai(when).strftime("%Y.%m.%d_%H:%M:%S_TAI")
    return iso(when)


def window_recordset(
    series: Series,
    begin: datetime,
    end: datetime,
    wavelengths: list[int],
    segment: str = "",
    noaa_ar: str = "",
) -> Recordset:
    """The recordset of all images observed in [begin, end], that end included.

    T_REC is what a query compares, and an AIA image's T_OBS comes up to a cadence after it: the
    query begins that much earlier. `noaa_ar` selects the SHARPs that hold an active region.
    """
    early = timedelta(0)
    if series.instrument == "aia" and series.step != 1:
        early = timedelta(seconds=series.cadence)
    begin -= early
    segments = (segment,) if segment else ()
    if series.name == "aia.lev1":
        # Of its slots of 1 s most are empty: spans and cadences do not work on it.
        asked = ", ".join(str(w) for w in wavelengths)
        condition = f"WAVELNTH={asked}" if len(wavelengths) == 1 else f"WAVELNTH in ({asked})"
        filters = [f"{iso(begin)}-{iso(end)}", f"? {condition} ?"]
        return Recordset(series.name, tuple(filters), segments)
    # One second more than the half-open span needs for the end itself; in TAI for leap seconds.
    begin = begin.replace(microsecond=0)
    seconds = int((to_tai(end) - to_tai(begin)).total_seconds()) + 1
    span = f"{jsoc_time(series, begin)}/{seconds}s"
    if series.keys[0] == "HARPNUM":
        return Recordset(series.name, ("", span, f"? NOAA_AR = {noaa_ar} ?"), segments)
    if series.keys[-1] == "WAVELNTH":
        return Recordset(series.name, (span, ",".join(str(w) for w in wavelengths)), segments)
    return Recordset(series.name, (span,), segments)


def moment(text: str) -> datetime:
    """The UTC of a time in the settings, as users or JSOC write it; ValueError if it is none."""
    return parse_time(text.strip().replace(" ", "T"))
