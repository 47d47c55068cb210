"""All known flares, from a flares.csv: an image may show any of them.

Imports only the standard library: every job that Snakemake starts reads the table.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from flareset.campaign.cells import read_cells, refuse
from flareset.campaign.events import Event
from flareset.sdo.flares import Flare, class_flux
from flareset.sdo.matching import match
from flareset.sdo.times import parse_utc

_REQUIRED = ("flare_id", "start", "peak", "end", "goes_class")
# Separates the sources' intervals, each written as `source start/end`.
_BETWEEN = " | "


@dataclass(frozen=True)
class KnownFlare:
    """A flare of a list: its times, its class, and its begin and end by each source (UTC)."""

    flare_id: str
    start: datetime
    peak: datetime | None
    end: datetime | None
    goes_class: str
    intervals: tuple[tuple[datetime, datetime], ...]

    @property
    def begin(self) -> datetime:
        """The earliest begin that any source gives."""
        return min(begin for begin, _ in self.intervals)


class KnownFlares:
    """The flares of a list, sorted by their begin."""

    def __init__(self, flares: Iterable[KnownFlare]) -> None:
        self._flares = sorted(flares, key=lambda flare: (flare.begin, flare.flare_id))
        self._begins = [flare.begin for flare in self._flares]
        spans = (end - flare.begin for flare in self._flares for _, end in flare.intervals)
        self._longest = max(spans, default=timedelta())

    def in_window(self, event: Event) -> list[KnownFlare]:
        """Return the flares with an interval that overlaps an event's window."""
        low = bisect_left(self._begins, event.window_start - self._longest)
        high = bisect_right(self._begins, event.window_end)
        return [
            flare
            for flare in self._flares[low:high]
            if any(
                begin <= event.window_end and end >= event.window_start
                for begin, end in flare.intervals
            )
        ]


def with_known_flares(event: Event, known: KnownFlares, least_class: str) -> Event:
    """Return an event with a list's flares of `least_class` or above in its window.

    The event's own flare is found in the list by its times, whatever its class. Its intervals by
    other sources are added too, so images there count as flare. Flares without a class are left
    out.
    """
    near = known.in_window(event)
    own = match([event.flare], near)
    least = class_flux(least_class) or 0.0
    found = [
        Flare(event.event_id if place in own else flare.flare_id, begin, end)
        for place, flare in enumerate(near)
        if place in own or (class_flux(flare.goes_class) or 0.0) >= least
        for begin, end in flare.intervals
    ]
    more = [flare for flare in dict.fromkeys(found) if not _is_there(flare, event)]
    return replace(event, other_flares=(*event.other_flares, *more))


def _is_there(flare: Flare, event: Event) -> bool:
    """Return whether the event has a flare with the same begin and end already."""
    times = (flare.start, flare.end)
    return times in [(each.start, each.end) for each in (event.flare, *event.other_flares)]


def read_known(path: str | Path) -> KnownFlares:
    """Return the flares of a flares.csv, as `snakemake intake` writes it.

    Raises EventsError that names the lines of all bad rows.
    """
    found: list[KnownFlare] = []
    problems: list[str] = []
    for line, row in read_cells(Path(path), _REQUIRED).rows:
        try:
            found.append(_flare_of(row))
        except ValueError as error:
            problems.append(f"{path}, line {line}: {error}; make it again with `snakemake intake`")
    refuse(problems)
    return KnownFlares(found)


def _flare_of(row: dict[str, str]) -> KnownFlare:
    start = parse_utc(row["start"])
    peak, end = (parse_utc(row[name]) if row[name] else None for name in ("peak", "end"))
    own = (start, end or peak or start)
    intervals = tuple(dict.fromkeys([own, *_intervals(row.get("intervals", ""))]))
    return KnownFlare(row["flare_id"], start, peak, end, row["goes_class"], intervals)


def _intervals(text: str) -> Iterator[tuple[datetime, datetime]]:
    for part in text.split(_BETWEEN) if text else ():
        begin, _, end = part.rpartition(" ")[2].partition("/")
        yield parse_utc(begin), parse_utc(end)
