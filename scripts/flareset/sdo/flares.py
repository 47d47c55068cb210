"""A flare: what the workflow and the stand-in both know of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

# How the names of all flares begin that the stand-in makes up as HEK.
MADE_UP = "ivo://flareset-stand-in/"


@dataclass(frozen=True)
class Flare:
    """A flare that overlaps an event's window: the event's own or another. Position in arcsec."""

    event_id: str
    start: datetime
    end: datetime
    peak: datetime | None = None
    hpc_x: float | None = None
    hpc_y: float | None = None
    noaa_ar: int | None = None


def five_digits(noaa_ar: int) -> int:
    """Return a NOAA active region's number with five digits.

    In 2002 the numbers reached 9999, and lists went on with 0000.

    Source: JSOC's export page adds 10000 to numbers below 7000 (processing.js).
    """
    return noaa_ar + 10_000 if noaa_ar < 7_000 else noaa_ar


@cache
def class_flux(goes_class: str) -> float | None:
    """Return the peak flux of a GOES class (W m-2); None if it is empty or a letter alone."""
    if len(goes_class) < 2:
        return None
    # A product would be rounded: M4.9 shall be 4.9e-05 exactly, as tables write it.
    exponent = {"A": -8, "B": -7, "C": -6, "M": -5, "X": -4}[goes_class[0]]
    return float(f"{goes_class[1:]}e{exponent}")
