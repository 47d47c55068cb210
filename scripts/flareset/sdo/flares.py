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
