"""The rows of events.csv. All faults are reported at once.

Imports only the standard library: every job that Snakemake starts reads the rows.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from flareset.campaign.cells import read_cells, refuse, shown
from flareset.campaign.events import SOURCES, Event
from flareset.errors import ExportError
from flareset.sdo.flares import five_digits
from flareset.sdo.numbers import real, whole
from flareset.sdo.recordset import Recordset, refusals
from flareset.sdo.series import Series
from flareset.sdo.times import floor_minute, iso, parse_utc

REQUIRED = ("event_starttime", "event_endtime")
# Our columns that HEK names otherwise.
_OF_HEK = {"noaa_ar": "ar_noaanum", "goes_class": "fl_goescls"}
_REQUEST_IDS = re.compile(r"JSOC_\d{8}_\d+(_[A-Z]+)*([\s;,]+JSOC_\d{8}_\d+(_[A-Z]+)*)*")
_EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
_GOES_CLASS = re.compile(r"[ABCMX]\d{1,2}(\.\d+)?")
_POINT = re.compile(r"POINT\s*\(\s*(\S+)\s+(\S+)\s*\)")
# Half the side of an AIA frame (arcsec); HMI's is smaller.
_EDGE = 1230.0
_YEARS = range(1900, 2100)
# The first day of regular images.
_SDO = datetime(2010, 5, 1, tzinfo=UTC)
_LONG = timedelta(hours=12)
_NEAR = timedelta(minutes=1)


@dataclass(frozen=True)
class Row:
    """A row of events.csv: its event, its channels, and the source of their files."""

    event: Event
    wavelengths: tuple[int, ...]
    source: str


@dataclass(frozen=True)
class Rows:
    """The rows of an events.csv in the order of their flares, and warnings about oddities."""

    rows: list[Row]
    warnings: list[str]


def read_rows(
    path: str | Path,
    *,
    series: Series,
    wavelengths: list[int],
    pre: timedelta,
    post: timedelta,
    source: str = "page",
) -> Rows:
    """Return the rows of a CSV (UTF-8, with or without BOM) in the order of their flares.

    Each event has the flares of other rows that overlap its window. `wavelengths`, `pre`, `post`
    and `source` are defaults for rows without `wavelengths`, `jsoc_*` times or `source`. Raises
    EventsError that names file, line, column and value of every bad cell at once.
    """
    cells = read_cells(Path(path), REQUIRED)
    problems: list[str] = []
    found: list[tuple[int, Row]] = []
    for line, row in cells.rows:
        reader = _Reader(f"{path}, line {line}", row, problems)
        if (read := reader.row_of(series, wavelengths, pre, post, source)) is not None:
            found.append((line, read))
    refuse([*problems, *_same_ids(path, found)])
    warnings = [*cells.warnings, *_oddities(path, found)]
    return Rows(_with_other_flares([row for _, row in found]), warnings)


def _same_ids(path: str | Path, found: list[tuple[int, Row]]) -> Iterator[str]:
    """Yield a sentence for each row with the event_id of an earlier row."""
    # Event ids become file names, and some filesystems ignore upper and lower case.
    seen: dict[str, tuple[int, Event]] = {}
    for line, row in found:
        event = row.event
        first, other = seen.setdefault(event.event_id.casefold(), (line, event))
        if first == line:
            continue
        if (event.flare_start, event.flare_end) == (other.flare_start, other.flare_end):
            advice = "this is the same flare twice; leave one of the two rows out"
        else:
            advice = "give the two rows an event_id of their own"
        yield (
            f"{path}, line {line}: event_id {shown(event.event_id)} is that of line {first} too;"
            f" {advice}"
        )


def _oddities(path: str | Path, found: list[tuple[int, Row]]) -> Iterator[str]:
    """Yield a warning for each value that is possible, but is probably a mistake."""
    for line, row in found:
        event, where = row.event, f"{path}, line {line}"
        if (length := event.flare_end - event.flare_start) > _LONG:
            yield f"{where}: the flare lasts {length}, over 12 h; check event_endtime"
        if event.flare_start < _SDO:
            yield f"{where}: the flare is of {iso(event.flare_start)}, before SDO had images"
        if event.hpc_x == 0 == event.hpc_y:
            yield f"{where}: the position is (0, 0), which some lists write for an unknown one"
    in_order = sorted(found, key=lambda each: each[1].event.flare_start)
    for (first, before), (line, after) in pairwise(in_order):
        if after.event.flare_start - before.event.flare_start <= _NEAR:
            yield (
                f"{path}, line {line}: it starts within a minute of line {first}; is it the same"
                " flare twice? Each row is drawn for itself"
            )


class _Reader:
    """A row that is being read. Collects a sentence for every cell that cannot be used."""

    def __init__(self, where: str, row: dict[str, str], problems: list[str]) -> None:
        self.where = where
        self.row = row
        self.problems = problems

    def row_of(
        self,
        series: Series,
        wavelengths: list[int],
        pre: timedelta,
        post: timedelta,
        source: str,
    ) -> Row | None:
        """Return the row; None if any of its cells cannot be used."""
        before = len(self.problems)
        flare = self._flare()
        asked = self._time("jsoc_start_time"), self._time("jsoc_end_time")
        own = self._wavelengths(series) or tuple(wavelengths)
        hpc_x, hpc_y = self._position()
        noaa_ar = self._region()
        self._check_class()
        source = self._source(source)
        self._check_recordset(series)
        event_id = self.row.get("event_id", "")
        if event_id and not _EVENT_ID.fullmatch(event_id):
            self._bad(
                "event_id",
                "is not a safe name; use letters, digits and _ . + -, beginning with a letter"
                " or digit, at most 100",
            )
        window = self._window(*flare[:2], asked, pre, post) if flare else None
        if flare is None or window is None or len(self.problems) > before:
            return None
        start, end, peak = flare
        event = Event(
            event_id=event_id or start.strftime("%Y-%m-%dT%H%M%S"),
            flare_start=start,
            flare_end=end,
            flare_peak=peak,
            window_start=window[0],
            window_end=window[1],
            hpc_x=hpc_x,
            hpc_y=hpc_y,
            noaa_ar=noaa_ar,
            columns={k: v for k, v in self.row.items() if k not in ("wavelengths", "source")},
        )
        return Row(event, own, source)

    def _flare(self) -> tuple[datetime, datetime, datetime | None] | None:
        """Return the flare's start, end and peak (None if unknown); None if they are not usable."""
        before = len(self.problems)
        start = self._time("event_starttime", required=True)
        end = self._time("event_endtime", required=True)
        peak = self._time("event_peaktime")
        if start is None or end is None or len(self.problems) > before:
            return None
        if end <= start:
            self._bad("event_endtime", f"is not after event_starttime {iso(start)}")
            return None
        if peak is not None and not start <= peak <= end:
            self._bad(
                "event_peaktime",
                f"is outside the flare, {iso(start)} to {iso(end)}; lists lose the day at midnight",
            )
            return None
        return start, end, peak

    def _window(
        self,
        start: datetime,
        end: datetime,
        asked: tuple[datetime | None, datetime | None],
        pre: timedelta,
        post: timedelta,
    ) -> tuple[datetime, datetime] | None:
        """Return the window: the row's own times, else from `pre` before to `post` after the flare.

        None if the times are not usable.
        """
        window_start, window_end = asked
        try:
            earliest, latest = floor_minute(start - pre), floor_minute(end + post)
        except OverflowError:
            self._bad("event_starttime", "is too near the end of the calendar for its window")
            return None
        if window_start is not None and window_start > start:
            self._bad("jsoc_start_time", f"is after the flare's start {iso(start)}")
        if window_end is not None and window_end < end:
            self._bad("jsoc_end_time", f"is before the flare's end {iso(end)}")
        return window_start or earliest, window_end or max(latest, end)

    def _position(self) -> tuple[float | None, float | None]:
        """Return the flare's position (arcsec) from hpc_x and hpc_y, or from HEK's hpc_coord."""
        if not self.row.get("hpc_x") and not self.row.get("hpc_y"):
            point = self.row.get("hpc_coord", "")
            if not point:
                return None, None
            if match := _POINT.fullmatch(point):
                return self._arcsec("hpc_coord", match[1]), self._arcsec("hpc_coord", match[2])
            self._bad("hpc_coord", "is not a point like POINT(268.8 -115.2), in arcsec")
            return None, None
        x, y = self.row.get("hpc_x", ""), self.row.get("hpc_y", "")
        return self._arcsec("hpc_x", x), self._arcsec("hpc_y", y)

    def _arcsec(self, column: str, text: str) -> float | None:
        if not text:
            return None
        try:
            return real(text, -_EDGE, _EDGE)
        except ValueError:
            self._bad(
                column,
                f"is not a number from {-_EDGE:g} to {_EDGE:g} (arcsec from the Sun's centre);"
                " leave it empty where it is not known",
            )
            return None

    def _region(self) -> int | None:
        """Return the NOAA AR with five digits; None if the row has none (empty, or HEK's 0)."""
        column, text = self._of("noaa_ar")
        try:
            number = whole(text.removesuffix(".0") or "0", 0, 99_999)  # pandas: 11944.0
        except ValueError:
            self._bad(column, "is not the number of a NOAA active region, like 11944")
            return None
        return five_digits(number) if number else None

    def _check_class(self) -> None:
        column, text = self._of("goes_class")
        if text and not _GOES_CLASS.fullmatch(text):
            self._bad(column, "is not a GOES class, like X1.2")

    def _of(self, column: str) -> tuple[str, str]:
        """Return the name and value of a column, or of HEK's column of the same meaning."""
        own, hek = self.row.get(column, ""), self.row.get(_OF_HEK[column], "")
        if own and hek and own != hek:
            self._bad(column, f"differs from {_OF_HEK[column]} {shown(hek)}; leave one out")
        return (column, own) if own or not hek else (_OF_HEK[column], hek)

    def _source(self, default: str) -> str:
        """Return the source of the row's listing: the row's `source`, else the campaign's."""
        requested = self.row.get("request_id", "")
        if requested and not _REQUEST_IDS.fullmatch(requested):
            self._bad("request_id", "is not a RequestID of JSOC, like JSOC_20140107_123")
        own = self.row.get("source", "")
        if own and own not in SOURCES:
            self._bad("source", f"is not one of {', '.join(SOURCES)}")
        source = own or default
        if source == "request_id" and not requested:
            self._bad("request_id", "is empty, but the listing is to come from a RequestID")
        return source

    def _check_recordset(self, series: Series) -> None:
        text = self.row.get("recordset", "")
        if not text:
            return
        for why in refusals(text, series):
            self._bad("recordset", why)
        try:
            found = Recordset.parse(text)
        except ExportError:
            return
        if found.series.lower() != series.name.lower():
            self._bad("recordset", f"is not of the campaign's series {series.name}")
        elif found.times is None:
            self._bad("recordset", "has no filter on time")

    def _bad(self, column: str, why: str) -> None:
        value = shown(self.row.get(column, ""))
        self.problems.append(f"{self.where}, column {column}: {value} {why}")

    def _time(self, column: str, *, required: bool = False) -> datetime | None:
        text = self.row.get(column, "")
        if not text:
            if required:
                self._bad(column, "is empty")
            return None
        try:
            when = parse_utc(text)
        except (ValueError, OverflowError):
            self._bad(column, "is not a time; write YYYY-MM-DD HH:MM:SS (UTC)")
            return None
        if when.year not in _YEARS:
            self._bad(column, f"is not between {_YEARS.start} and {_YEARS.stop}")
            return None
        return when

    def _wavelengths(self, series: Series) -> tuple[int, ...]:
        text = self.row.get("wavelengths", "")
        parts = [part for part in re.split(r"[\s,;|\[\]]+", text) if part]
        known = {str(wavelength): wavelength for wavelength in series.wavelengths}
        if strange := [part for part in parts if part not in known]:
            self._bad("wavelengths", f"has {strange}; {series.name} has {' '.join(known)}")
        return tuple(dict.fromkeys(known[part] for part in parts if part in known))


def _with_other_flares(rows: list[Row]) -> list[Row]:
    """Return the rows sorted by start, each with other rows' flares that overlap its window."""
    rows = sorted(rows, key=lambda row: (row.event.flare_start, row.event.event_id))
    flares = [row.event.flare for row in rows]
    starts = [flare.start for flare in flares]
    longest = max(flare.end - flare.start for flare in flares)
    found = []
    for row in rows:
        event = row.event
        first = bisect_left(starts, event.window_start - longest)
        last = bisect_right(starts, event.window_end)
        others = tuple(
            flare
            for flare in flares[first:last]
            if flare.event_id != event.event_id and flare.end >= event.window_start
        )
        found.append(replace(row, event=replace(event, other_flares=others)))
    return found
