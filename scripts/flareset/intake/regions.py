"""Compare positions of flares with those of the other flares of their active region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

from flareset.intake.flares import ListedFlare

# No region is wider (degrees); places further apart are of two regions.
APART = 15.0
# How far the Sun turns as the Earth sees it (degrees a day).
_TURN = 13.2
_DAY = timedelta(days=1)


def off_region(flares: Sequence[ListedFlare]) -> set[int]:
    """Return the places of flares that lie far from all others of their region on that day.

    Two alone that lie apart are both off: which of them is wrong is not known.
    """
    members: dict[tuple[int, date], list[int]] = {}
    for place, flare in enumerate(flares):
        if flare.noaa_ar is not None and flare.position is not None:
            members.setdefault((flare.noaa_ar, flare.start.date()), []).append(place)
    found = set()
    for places in (places for places in members.values() if len(places) > 1):
        seen = {place: _at_midnight(flares[place]) for place in places}
        found |= {place for place in places if _is_alone(place, seen)}
    return found


def _is_alone(place: int, seen: dict[int, tuple[float, float]]) -> bool:
    others = (where for other, where in seen.items() if other != place)
    return all(degrees_apart(seen[place], where) > APART for where in others)


def degrees_apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the angle between two places, longitude and latitude (degrees)."""
    north, other_north = math.radians(a[1]), math.radians(b[1])
    along = math.cos(math.radians(a[0] - b[0]))
    cosine = math.sin(north) * math.sin(other_north)
    cosine += math.cos(north) * math.cos(other_north) * along
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def _at_midnight(flare: ListedFlare) -> tuple[float, float]:
    """Return where a flare's place was at the beginning of the day."""
    midnight = flare.start.replace(hour=0, minute=0, second=0, microsecond=0)
    turned = _TURN * (((flare.peak or flare.start) - midnight) / _DAY)
    longitude, latitude = flare.position or (0.0, 0.0)
    return longitude - turned, latitude
