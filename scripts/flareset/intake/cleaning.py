"""Clean the rows of flare lists by named rules: one row in, one flare out, and what was done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath

from flareset.intake.flares import Interval, ListedFlare, from_own
from flareset.intake.rows import Note, Row
from flareset.intake.rules import RULES
from flareset.intake.values import (
    LETTERS,
    flux_class,
    is_missing,
    number,
    read_class,
    read_day,
    read_place,
    read_region,
    read_satellite,
    read_time,
    scale_of,
)
from flareset.sdo.flares import class_flux
from flareset.sdo.geometry import arcsec_to_stonyhurst, solar_radius_arcsec, stonyhurst_to_arcsec
from flareset.sdo.times import iso

OWN = "flareset"
SDO_BEGINS = datetime(2010, 5, 13, tzinfo=UTC)
_SIX_HOURS = timedelta(hours=6)
_DAY = timedelta(days=1)
_POLAR = 45.0
# The corona that AIA shows ends at some 1.4 radii on the axes, 1.8 in the corners.
_OFF_SUN = 1.7
# Within three weeks of these days (month, day) SDO passes the Earth's shadow about 06 to 08 UT.
_EQUINOXES = ((3, 20), (9, 22))
_SEASON = 21
_LABEL = re.compile(r"'GOES Class': '([^']*)'")
_POINT = re.compile(r"POINT\(\s*(\S+)\s+(\S+)\s*\)")
_QUALIFIED = re.compile(r"([ABU])(?=\d)")


@dataclass(frozen=True)
class Report:
    """A flare as one row of a list reports it, cleaned; `rank` is the list's place among all."""

    flare: ListedFlare
    row: Row
    rank: int

    @property
    def source(self) -> str:
        """Who reports it."""
        return self.row.source

    # As flareset.sdo.matching asks for it.
    @property
    def start(self) -> datetime:
        """The flare's start."""
        return self.flare.start

    @property
    def peak(self) -> datetime | None:
        """The flare's peak, where the row has one."""
        return self.flare.peak

    @property
    def end(self) -> datetime | None:
        """The flare's end, where the row has one that can be used."""
        return self.flare.end


@dataclass(frozen=True)
class Change:
    """What a rule did to a row, or on a flare's account."""

    row: Row
    note: Note
    flare_id: str = ""


def clean(row: Row, longest: timedelta, rank: int = 0) -> tuple[Report | None, list[Note]]:
    """Return the flare of a row, None where it has no start, and what was changed.

    A row of a table of our own is taken as it is.
    """
    if row.source == OWN:
        return Report(from_own(row.cells), row, rank), []
    work = _Work(row, longest, list(row.notes))
    flare = work.flare()
    return (Report(flare, row, rank) if flare is not None else None), work.notes


def join_parts(rows: Iterable[Row]) -> tuple[list[Row], list[Change]]:
    """Return rows with the halves of flares joined that two daily files have, and what was done.

    They have one satellite and one number. The whole has the name and place of its first half.
    """
    kept: list[Row] = []
    parts: dict[str, list[Row]] = {}
    for row in rows:
        if row.source == "flsum" and not {"start", "peak", "end"} <= row.cells.keys():
            parts.setdefault(row.key, []).append(row)
        else:
            kept.append(row)
    changes = []
    for halves in parts.values():
        halves.sort(key=lambda half: min(half.cells[n] for n in half.cells if n in _TIMES))
        first, *others = halves
        cells = {name: text for half in reversed(halves) for name, text in half.cells.items()}
        kept.append(replace(first, cells=cells, whole=repr(sorted(cells.items()))))
        note = Note("parts.joined", "", first.key, first.where)
        changes += [Change(half, note) for half in others]
    return kept, changes


_TIMES = ("start", "peak", "end")
_BOX = ("box_left", "box_right", "box_bottom", "box_top")


@dataclass
class _Work:
    """A row while it is cleaned."""

    row: Row
    longest: timedelta
    notes: list[Note]

    def flare(self) -> ListedFlare | None:
        if self._cell("event_type") not in ("", "FL"):
            self._note("event.no_flare", "event_type")
            return None
        times = self._times()
        if times is None:
            return None
        start, peak, end = times
        satellite = read_satellite(self._cell("satellite"))
        goes_class, flux = self._class()
        scale = scale_of(self.row.source, satellite, start) if goes_class else ""
        position = self._position(peak or start)
        region = self._region(start)
        self._season(start)
        name = PurePath(self.row.file).name
        origin = f"{self.row.source}:{name}:{self.row.key or iso(start)}"
        flare = ListedFlare(
            flare_id="",
            start=start,
            peak=peak,
            end=end,
            precision="s" if any(t and (t.second or t.microsecond) for t in times) else "min",
            goes_class=goes_class,
            peak_flux=flux,
            scale=scale,
            background_flux=self._number("background_flux"),
            integrated_flux=self._number("integrated_flux"),
            satellite=satellite,
            noaa_ar=region,
            fl_peakflux=self._number("fl_peakflux"),
            fl_peakfluxunit=self._cell("fl_peakfluxunit").replace("0.0", ""),
            sources=(self.row.source,),
            flags=frozenset(note.rule for note in self.notes if RULES[note.rule].flags),
            reports=(origin,),
            intervals=(Interval(self.row.source, start, end),) if end else (),
        )
        return _with_origin(replace(flare, **position), origin)

    def _cell(self, name: str) -> str:
        return self.row.cells.get(name, "").strip()

    def _number(self, name: str) -> float | None:
        found = number(self._cell(name))
        return None if found is None or (found == 0 and name == "fl_peakflux") else found

    def _note(self, rule: str, column: str, after: str = "", before: str | None = None) -> None:
        given = self.row.cells.get(column, "") if before is None else before
        self.notes.append(Note(rule, column, given, after))

    # Times

    def _times(self) -> tuple[datetime, datetime | None, datetime | None] | None:
        """Return start, peak and end (UTC), or None where there is no start."""
        day = self._day()
        start = self._time("start", day, None)
        if start is None:
            if not any(note.rule == "start.unreadable" for note in self.notes):
                self._note("start.unreadable", "start")
            return None
        peak = self._time("peak", day, start)
        end = self._time("end", day, start)
        end = self._usable_end(start, peak, end)
        if peak is not None and (peak < start or (end is not None and peak > end)):
            self._note("peak.outside", "peak")
            peak = None
        return start, peak, end

    def _day(self) -> date | None:
        try:
            return read_day(self._cell("date")) if self._cell("date") else None
        except ValueError:
            return None

    def _time(self, name: str, day: date | None, start: datetime | None) -> datetime | None:
        """Return a time; a clock alone is of the day given, else of the start's."""
        text = self._cell(name)
        if is_missing(text):
            self._missing(name)
            return None
        if match := _QUALIFIED.match(text):
            text = text[1:]
            self._note("time.qualifier", name, text, match[1] + text)
        try:
            when, clock_only = read_time(text, day or (start and start.date()))
        except ValueError:
            self._note("time.unreadable" if start else "start.unreadable", name)
            return None
        if start is None:
            return when
        if clock_only and day is None:
            self._note("time.clock_only", name, iso(when))
        if when.date() == start.date() and start - when > _SIX_HOURS:
            when += _DAY
            self._note("time.next_day", name, iso(when))
        return when

    def _missing(self, name: str) -> None:
        """Note a peak or an end that is missing; a list need not have peaks at all."""
        if name == "end" or (name == "peak" and name in self.row.cells):
            self._note(f"{name}.missing", name)

    def _usable_end(
        self, start: datetime, peak: datetime | None, end: datetime | None
    ) -> datetime | None:
        """Return an end that can be one, else None."""
        if end is None:
            return None
        if end <= start:
            rule = "end.not_after_start"
        elif end == peak:
            rule = "end.is_peak"
        elif end - start > self.longest or (self.row.source == "ssw" and end.second):
            rule = "end.too_late"
        else:
            return end
        self._note(rule, "end")
        return None

    def _season(self, start: datetime) -> None:
        if start < SDO_BEGINS:
            self._note("before_sdo", "start", after=self.row.cells.get("start", ""))
        elif 360 <= start.hour * 60 + start.minute <= 460 and _in_season(start):
            self._note("eclipse_season", "start", after=self.row.cells.get("start", ""))

    # Class and region

    def _class(self) -> tuple[str, float | None]:
        """Return the class, and the peak flux (W m-2)."""
        text = self.row.cells.get("goes_class", "")
        label = _LABEL.search(self._cell("label"))
        if is_missing(text) and label:
            text = label[1]
            self._note("class.from_label", "label", text)
        given = self._number("peak_flux")
        if is_missing(text) or text.strip() == "0.0":
            return (flux_class(given), given) if given and 1e-9 < given < 1 else ("", None)
        goes_class, rule = read_class(text)
        if rule:
            self._note(rule, "goes_class", goes_class, text)
        flux = class_flux(goes_class)
        if given is None or flux is None:
            return goes_class, flux
        if abs(given - flux) > 0.1001 * LETTERS[goes_class[0]]:
            self._note("class.flux_mismatch", "peak_flux")
            return goes_class, flux
        return goes_class, flux if abs(given - flux) < 1e-6 * flux else given

    def _region(self, start: datetime) -> int | None:
        text = self.row.cells.get("noaa_ar")
        if text is None:
            return None
        region, rule = read_region(text, start)
        if rule:
            self._note(rule, "noaa_ar", str(region or ""))
        return region

    # Position

    def _position(self, when: datetime) -> dict[str, float]:
        """Return where the flare is, on the Sun (degrees) and as it is seen (arcsec)."""
        cells = self.row.cells
        if not {"place", "hgs_lat", "hpc_x", "hpc_coord"} & cells.keys():
            return {}
        if why := self._no_position():
            self._note("position.none", why)
            return {}
        hgs = read_place(cells.get("place", "")) or self._pair("hgs_lon", "hgs_lat")
        hpc = self._pair("hpc_x", "hpc_y") or self._point()
        if refused := self._refused_position(hgs, hpc, when):
            rule, before = refused
            self._note(rule, self._position_column(), before=before)
            return {}
        found = {}
        if lon_lat := hgs or _seen_at(hpc, when):
            found |= {"hgs_lon": round(lon_lat[0], 2), "hgs_lat": round(lon_lat[1], 2)}
        if seen := hpc or _seen(hgs, when):
            found |= {"hpc_x": round(seen[0], 1), "hpc_y": round(seen[1], 1)}
        return found

    def _refused_position(
        self, hgs: tuple[float, float] | None, hpc: tuple[float, float] | None, when: datetime
    ) -> tuple[str, str] | None:
        """Return the rule that leaves a position out, and what it was, or None."""
        if hgs is None and hpc is None:
            text = self._cell(self._position_column())
            missing = is_missing(re.sub(r"[NSEW]", "", text))
            return ("position.none" if missing else "position.unreadable"), text
        if hgs is not None and abs(hgs[1]) > _POLAR:
            return "position.polar", f"{hgs[0]:g} {hgs[1]:g}"
        if hpc is not None and max(map(abs, hpc)) > _OFF_SUN * solar_radius_arcsec(when):
            return "position.off_sun", f"{hpc[0]:g} {hpc[1]:g}"
        return None

    def _position_column(self) -> str:
        names = ("place", "hgs_lat", "hpc_coord", "hpc_x")
        filled = (name for name in names if self._cell(name))
        return next(filled, next(name for name in names if name in self.row.cells))

    def _no_position(self) -> str | None:
        """Return the column that says that there is no position, or None."""
        if self._cell("noposition").lower() == "true":
            return "noposition"
        box = [number(self._cell(name)) for name in _BOX]
        if None not in box and _whole_disk(*box):
            return "box_left"
        for x, y in (("hgs_lon", "hgs_lat"), ("hpc_x", "hpc_y")):
            if self._pair(x, y) == (0.0, 0.0) and not read_place(self._cell("place")):
                return x
        return None

    def _pair(self, x: str, y: str) -> tuple[float, float] | None:
        first, second = number(self._cell(x)), number(self._cell(y))
        return None if first is None or second is None else (first, second)

    def _point(self) -> tuple[float, float] | None:
        match = _POINT.fullmatch(self._cell("hpc_coord"))
        if not match:
            return None
        x, y = number(match[1]), number(match[2])
        return None if x is None or y is None else (x, y)


def _with_origin(flare: ListedFlare, origin: str) -> ListedFlare:
    """Return a flare that says of each value that it has where it is from."""
    return replace(
        flare,
        times_from=origin,
        peak_from=origin if flare.peak else "",
        end_from=origin if flare.end else "",
        class_from=origin if flare.goes_class else "",
        ar_from=origin if flare.noaa_ar else "",
        position_from=origin if flare.has_position else "",
    )


def _whole_disk(left: float, right: float, bottom: float, top: float) -> bool:
    """Return whether a box, in degrees or arcsec, holds the whole disk."""
    in_degrees = max(abs(left), abs(right), abs(bottom), abs(top)) <= 90
    edge = 89 if in_degrees else 900
    return left <= -edge and bottom <= -edge and right >= edge and top >= edge


def _seen(hgs: tuple[float, float] | None, when: datetime) -> tuple[float, float] | None:
    """Return where a place on the Sun is seen (arcsec), None behind the limb."""
    try:
        return stonyhurst_to_arcsec(*hgs, when) if hgs else None
    except ValueError:
        return None


def _seen_at(hpc: tuple[float, float] | None, when: datetime) -> tuple[float, float] | None:
    """Return the place on the Sun that is seen somewhere (degrees), None off the disk."""
    try:
        return arcsec_to_stonyhurst(*hpc, when) if hpc else None
    except ValueError:
        return None


def _in_season(when: datetime) -> bool:
    return any(
        abs((when.date() - date(when.year, month, day)).days) <= _SEASON
        for month, day in _EQUINOXES
    )
