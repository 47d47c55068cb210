"""A flare as the intake knows it, and the tables of flares: `flares.csv` and `events.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

from flareset.sdo.flares import class_flux
from flareset.sdo.times import iso, parse_utc


class Interval(NamedTuple):
    """When a source has a flare begin and end."""

    source: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class ListedFlare:
    """A flare with its values, and where each is from (`source:file:name of the flare there`).

    Fluxes in W m-2, `integrated_flux` in J m-2, positions in degrees (west and north positive) and
    arcsec, at the peak. `reports` are the rows that were merged, `intervals` theirs.
    """

    flare_id: str
    start: datetime
    peak: datetime | None = None
    end: datetime | None = None
    precision: str = "min"
    goes_class: str = ""
    peak_flux: float | None = None
    scale: str = ""
    background_flux: float | None = None
    integrated_flux: float | None = None
    satellite: str = ""
    noaa_ar: int | None = None
    hgs_lon: float | None = None
    hgs_lat: float | None = None
    hpc_x: float | None = None
    hpc_y: float | None = None
    fl_peakflux: float | None = None
    fl_peakfluxunit: str = ""
    sources: tuple[str, ...] = ()
    times_from: str = ""
    peak_from: str = ""
    end_from: str = ""
    class_from: str = ""
    ar_from: str = ""
    position_from: str = ""
    flags: frozenset[str] = frozenset()
    reports: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()

    @property
    def flux(self) -> float | None:
        """The peak flux that the class states (W m-2); None of a letter alone, or no class."""
        return class_flux(self.goes_class)

    @property
    def position(self) -> tuple[float, float] | None:
        """Stonyhurst longitude and latitude (degrees), where known."""
        if self.hgs_lon is None or self.hgs_lat is None:
            return None
        return self.hgs_lon, self.hgs_lat

    @property
    def has_position(self) -> bool:
        """Whether a place on the Sun is known."""
        return self.hgs_lon is not None or self.hpc_x is not None


COLUMNS = tuple(field.name for field in fields(ListedFlare))
# What events.csv has: HEK's names for the times.
_RENAMED = {
    "flare_id": "event_id",
    "start": "event_starttime",
    "peak": "event_peaktime",
    "end": "event_endtime",
}
EVENT_COLUMNS = (
    "flare_id", "start", "peak", "end", "goes_class", "scale", "noaa_ar", "hgs_lon", "hgs_lat",
    "hpc_x", "hpc_y", "fl_peakflux", "fl_peakfluxunit", "times_from", "class_from",
    "ar_from", "position_from", "flags",
)  # fmt: skip
_TIMES = {"start", "peak", "end"}
_NUMBERS = {
    "peak_flux", "background_flux", "integrated_flux", "hgs_lon", "hgs_lat", "hpc_x", "hpc_y",
    "fl_peakflux",
}  # fmt: skip
# The names of flares of a source hold colons and slashes, but none of these.
_BETWEEN = " | "


def order(flare: ListedFlare) -> tuple[Any, ...]:
    """Return what flares are sorted by: their content, whatever list they come from."""
    return (
        flare.start,
        flare.peak or flare.start,
        flare.end or flare.start,
        flare.goes_class,
        flare.hpc_x or 0,
        flare.hpc_y or 0,
        flare.fl_peakflux or 0,
        flare.reports,
    )


def named(flares: Iterable[ListedFlare]) -> list[ListedFlare]:
    """Return flares in order of time, each named by its start; of equal starts by a number too.

    A flare that has a name keeps it: those of flares.csv and events.csv do.
    """
    found: list[ListedFlare] = []
    ordered = sorted(flares, key=order)
    taken = {flare.flare_id for flare in ordered}
    for flare in ordered:
        if not flare.flare_id:
            start = flare.start.strftime("%Y-%m-%dT%H%M%S")
            names = (start if n == 1 else f"{start}-{n}" for n in count(1))
            flare = replace(flare, flare_id=next(name for name in names if name not in taken))
            taken.add(flare.flare_id)
        found.append(flare)
    return found


def flares_text(flares: Sequence[ListedFlare]) -> str:
    """Return flares.csv."""
    return table_text(COLUMNS, ([_text(f, name) for name in COLUMNS] for f in flares))


def events_text(flares: Sequence[ListedFlare]) -> str:
    """Return events.csv."""
    header = [_RENAMED.get(name, name) for name in EVENT_COLUMNS]
    return table_text(header, ([_text(f, name) for name in EVENT_COLUMNS] for f in flares))


def table_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a CSV: the same bytes on every system."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def from_own(cells: Mapping[str, str]) -> ListedFlare:
    """Return the flare of a row of flares.csv or events.csv. ValueError: it was damaged."""
    theirs = {new: old for old, new in _RENAMED.items()}
    given = {theirs.get(name, name): text for name, text in cells.items()}
    values = {name: _value(name, given[name]) for name in COLUMNS if given.get(name)}
    values["end"] = values.get("end")
    return ListedFlare(**{"flare_id": "", **values})


def _text(flare: ListedFlare, name: str) -> str:
    value = getattr(flare, name)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if name == "intervals":
        return _BETWEEN.join(f"{i.source} {iso(i.start)}/{iso(i.end)}" for i in value)
    if name == "flags":
        return " ".join(sorted(value))
    if isinstance(value, tuple):
        return _BETWEEN.join(value)
    return str(value)


def _value(name: str, text: str) -> Any:
    if name in _TIMES:
        return parse_utc(text)
    if name in _NUMBERS:
        return float(text)
    if name == "noaa_ar":
        return int(text)
    if name == "flags":
        return frozenset(text.split())
    if name == "intervals":
        return tuple(map(_interval, text.split(_BETWEEN)))
    return tuple(text.split(_BETWEEN)) if name in ("sources", "reports") else text


def _interval(text: str) -> Interval:
    source, _, times = text.partition(" ")
    start, _, end = times.partition("/")
    return Interval(source, parse_utc(start), parse_utc(end))
