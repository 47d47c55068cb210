"""A flare as the stand-in and the workflow know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache


@dataclass(frozen=True)
class Flare:
    """Another row's flare that overlaps an event's window; position in arcsec or None."""

    event_id: str
    start: datetime
    end: datetime
    peak: datetime | None = None
    hpc_x: float | None = None
    hpc_y: float | None = None


def five_digits(noaa_ar: int) -> int:
    """Return the number of a NOAA active region in full: lists go on with 0000 after 9999 in 2002.

    Source: JSOC's export page adds 10000 to numbers below 7000 (processing.js).
    """
    return noaa_ar + 10_000 if noaa_ar < 7_000 else noaa_ar


@cache
def class_flux(goes_class: str) -> float | None:
    """Return the peak flux of a class (W m-2), None of an empty one or a letter alone."""
    if len(goes_class) < 2:
        return None
    # Written as a decimal exponent, so that M4.9 is 4.9e-05 exactly as it is written elsewhere.
    exponent = {"A": -8, "B": -7, "C": -6, "M": -5, "X": -4}[goes_class[0]]
    return float(f"{goes_class[1:]}e{exponent}")
