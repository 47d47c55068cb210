"""A flare as the stand-in and the workflow know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
