"""The flares of a campaign: rows of events.csv, checked all at once.

Only the standard library is imported here: Snakemake reads the rows in every job it starts.
"""

from __future__ import annotations

import csv
import io
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flareset.errors import EventsError, ExportError
from flareset.sdo.flares import Flare
from flareset.sdo.recordset import Recordset, refusals
from flareset.sdo.series import Series
from flareset.sdo.times import floor_minute, iso, parse_utc

REQUIRED = ("event_starttime", "event_endtime")
SOURCES = ("page", "request_id", "export", "direct")
_REQUEST_IDS = re.compile(r"JSOC_\d{8}_\d+(_[A-Z]+)*([\s;,]+JSOC_\d{8}_\d+(_[A-Z]+)*)*")
EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
_MOST_ROWS_SHOWN = 50


@dataclass(frozen=True)
class Event:
    """One flare: its times (UTC), window, position (helioprojective arcsec) and own columns."""

    event_id: str
    flare_start: datetime
    flare_end: datetime
    flare_peak: datetime | None
    window_start: datetime
    window_end: datetime
    wavelengths: tuple[int, ...]
    hpc_x: float | None = None
    hpc_y: float | None = None
    row: dict[str, str] = field(default_factory=dict)
    other_flares: tuple[Flare, ...] = ()
    source: str = "page"

    @property
    def request_ids(self) -> list[str]:
        """The RequestIDs in the event's row."""
        parts = re.split(r"[\s;,]+", self.row.get("request_id", ""))
        return list(dict.fromkeys(filter(None, parts)))

    @property
    def flare(self) -> Flare:
        """The event's own flare."""
        return Flare(
            self.event_id, self.flare_start, self.flare_end, self.flare_peak, self.hpc_x, self.hpc_y
        )

    @property
    def sky(self) -> str:
        """The flares in the event's window, its own first, as one text."""
        return json.dumps([_flare_json(flare) for flare in (self.flare, *self.other_flares)])

    def to_json(self) -> str:
        """All that shapes the event's files, as one sorted text.

        Wavelengths are left out, so that one more wavelength leaves the others' files alone, and
        so is the source, which matters to the listing alone.
        """
        record = {
            "event_id": self.event_id,
            "flare_start": iso(self.flare_start),
            "flare_peak": iso(self.flare_peak) if self.flare_peak else None,
            "flare_end": iso(self.flare_end),
            "window_start": iso(self.window_start),
            "window_end": iso(self.window_end),
            "hpc_x": self.hpc_x,
            "hpc_y": self.hpc_y,
            "row": {k: v for k, v in self.row.items() if k not in ("wavelengths", "source")},
            "other_flares": [_flare_json(flare) for flare in self.other_flares],
        }
        return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Event:
        """The event that `to_json` wrote."""
        record = json.loads(text)
        times = ("flare_start", "flare_peak", "flare_end", "window_start", "window_end")
        for key in times:
            record[key] = parse_utc(record[key]) if record[key] else None
        record["other_flares"] = tuple(_flare_from_json(flare) for flare in record["other_flares"])
        return cls(wavelengths=(), **record)


def _flare_json(flare: Flare) -> dict[str, Any]:
    record = {key: value for key, value in vars(flare).items() if value is not None}
    return {k: iso(v) if isinstance(v, datetime) else v for k, v in record.items()}


def _flare_from_json(record: dict[str, Any]) -> Flare:
    times = {key: parse_utc(record[key]) for key in ("start", "peak", "end") if key in record}
    return Flare(**{**record, **times})


def read_event(path: str | Path) -> Event:
    """The event in an event.json."""
    return Event.from_json(Path(path).read_text(encoding="utf-8"))


def read_events(
    path: str | Path,
    *,
    series: Series,
    wavelengths: list[int],
    pre: timedelta,
    post: timedelta,
    source: str = "page",
) -> list[Event]:
    """The events of a CSV (UTF-8, with or without BOM), each with the other flares in its window.

    `wavelengths`, `pre`, `post` and `source` hold where a row has no `wavelengths`, `jsoc_*` times
    or `source`.
    Raises EventsError that names file, line, column and value of every bad row at once.
    """
    rows = _read_rows(Path(path))
    problems: list[str] = []
    events: list[Event] = []
    lines: list[int] = []
    for line, row in rows:
        reader = _Row(f"{path}, line {line}", row, problems)
        event = reader.event(series, wavelengths, pre, post, source)
        if event is not None:
            events.append(event)
            lines.append(line)
    seen: dict[str, int] = {}
    for event, line in zip(events, lines, strict=True):
        # A file system may not tell upper from lower case.
        first = seen.setdefault(event.event_id.casefold(), line)
        if first != line:
            problems.append(
                f"{path}, line {line}: event_id {event.event_id!r} is that of line {first} too;"
                " give the two rows an event_id of their own"
            )
    if problems:
        rest = len(problems) - _MOST_ROWS_SHOWN
        more = [f"... and {rest} more"] if rest > 0 else []
        raise EventsError("\n".join(["", *problems[:_MOST_ROWS_SHOWN], *more]).lstrip("\n"))
    return _with_other_flares(events)


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV, each with the number of the line that it begins on."""
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    header: list[str] = []
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    try:
        for line, cells in _filled_lines(reader):
            # Spreadsheets write empty columns behind the last one.
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            if not header:
                _check_header(path, line, cells)
                header = cells
            elif len(cells) != len(header):
                problems.append(
                    f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}"
                )
            else:
                rows.append((line, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        problems.append(f"{path}, line {reader.line_num}: not CSV: {error}")
    if problems:
        raise EventsError("\n".join(problems))
    if not header:
        raise EventsError(f"{path}: the file is empty; it needs the columns {', '.join(REQUIRED)}")
    if not rows:
        raise EventsError(f"{path}: there is a header but no flare below it")
    return rows


def _read_text(path: Path) -> str:
    """Return the text of a file (UTF-8, with or without BOM). Raises EventsError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise EventsError(f"{path}: no such file; set `events` in the config") from None
    except OSError as error:
        raise EventsError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EventsError(
            f"{path}, line {line}: byte {raw[error.start]:#04x} is not UTF-8;"
            " save the table as UTF-8 CSV"
        ) from None


def _filled_lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the stripped cells of each row of a csv.reader that has any, and where it begins."""
    begin = 1
    for row in reader:
        line, begin = begin, reader.line_num + 1
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield line, cells


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if missing := [name for name in REQUIRED if name not in header]:
        raise EventsError(
            f"{path}, line {line}: no column {' and no column '.join(missing)};"
            f" the columns are {', '.join(header)}"
            + ("; is the separator a comma?" if len(header) == 1 else "")
        )
    if double := sorted({name for name in header if header.count(name) > 1}):
        raise EventsError(f"{path}, line {line}: column {', '.join(double)} stands there twice")


class _Row:
    """One row while it is read: collects a sentence for every cell that cannot be used."""

    def __init__(self, where: str, row: dict[str, str], problems: list[str]) -> None:
        self.where = where
        self.row = row
        self.problems = problems

    def event(
        self,
        series: Series,
        wavelengths: list[int],
        pre: timedelta,
        post: timedelta,
        source: str,
    ) -> Event | None:
        before = len(self.problems)
        start = self._time("event_starttime", required=True)
        end = self._time("event_endtime", required=True)
        peak = self._time("event_peaktime")
        asked = self._time("jsoc_start_time"), self._time("jsoc_end_time")
        own = self._wavelengths(series) or tuple(wavelengths)
        hpc_x, hpc_y = self._number("hpc_x"), self._number("hpc_y")
        source = self._source(source)
        self._check_recordset(series)
        event_id = self.row.get("event_id", "")
        if event_id and not EVENT_ID.fullmatch(event_id):
            self._bad(
                "event_id",
                "is not a safe name; use letters, digits and _ . + -, beginning with a letter"
                " or digit, at most 100",
            )
        if start is None or end is None or len(self.problems) > before:
            return None
        if end <= start:
            self._bad("event_endtime", f"is not after event_starttime {iso(start)}")
            return None
        window = self._window(start, end, asked, pre, post)
        if window is None or len(self.problems) > before:
            return None
        return Event(
            event_id=event_id or start.strftime("%Y-%m-%dT%H%M%S"),
            flare_start=start,
            flare_end=end,
            flare_peak=peak,
            window_start=window[0],
            window_end=window[1],
            wavelengths=own,
            hpc_x=hpc_x,
            hpc_y=hpc_y,
            row=self.row,
            source=source,
        )

    def _window(
        self,
        start: datetime,
        end: datetime,
        asked: tuple[datetime | None, datetime | None],
        pre: timedelta,
        post: timedelta,
    ) -> tuple[datetime, datetime] | None:
        """Return the window of a flare: as the row asks, else from `pre` before to `post` after."""
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

    def _source(self, default: str) -> str:
        """Where the row's listing comes from: its `source`, else the campaign's."""
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
        value = self.row.get(column, "")
        self.problems.append(f"{self.where}, column {column}: {value!r} {why}")

    def _time(self, column: str, *, required: bool = False) -> datetime | None:
        text = self.row.get(column, "")
        if not text:
            if required:
                self._bad(column, "is empty")
            return None
        try:
            return parse_utc(text)
        except (ValueError, OverflowError):
            self._bad(column, "is not a time; write YYYY-MM-DD HH:MM:SS (UTC)")
            return None

    def _number(self, column: str) -> float | None:
        text = self.row.get(column, "")
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            self._bad(column, "is not a number (arcsec)")
            return None
        return number if number == number else None

    def _wavelengths(self, series: Series) -> tuple[int, ...]:
        text = self.row.get("wavelengths", "")
        parts = [part for part in re.split(r"[\s,;|\[\]]+", text) if part]
        strange = [p for p in parts if not p.isdecimal() or int(p) not in series.wavelengths]
        if strange:
            known = " ".join(str(w) for w in series.wavelengths)
            self._bad("wavelengths", f"has {strange}; {series.name} has {known}")
        return tuple(dict.fromkeys(int(part) for part in parts if part not in strange))


def _with_other_flares(events: list[Event]) -> list[Event]:
    """The events sorted by start, each with the flares of other rows that overlap its window."""
    events = sorted(events, key=lambda event: (event.flare_start, event.event_id))
    flares = [event.flare for event in events]
    starts = [flare.start for flare in flares]
    longest = max(event.flare_end - event.flare_start for event in events)
    found = []
    for event in events:
        first = bisect_left(starts, event.window_start - longest)
        last = bisect_right(starts, event.window_end)
        others = tuple(
            flare
            for flare in flares[first:last]
            if flare.event_id != event.event_id and flare.end >= event.window_start
        )
        found.append(replace(event, other_flares=others))
    return found
