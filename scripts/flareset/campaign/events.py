"""An event: the part of a row of events.csv that shapes the flare's files.

Imports only the standard library: every job that Snakemake starts reads the events.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flareset.sdo.flares import Flare
from flareset.sdo.times import iso, parse_utc

SOURCES = ("page", "request_id", "export", "direct")


@dataclass(frozen=True)
class Event:
    """One flare: its times (UTC), window, position (helioprojective arcsec) and own columns.

    `noaa_ar` has five digits, or is None if the row names no active region. `columns` are the
    row's columns without `wavelengths` and `source`: a new wavelength must not make the files of
    the others stale, and the source matters only to the listing.
    """

    event_id: str
    flare_start: datetime
    flare_end: datetime
    flare_peak: datetime | None
    window_start: datetime
    window_end: datetime
    hpc_x: float | None = None
    hpc_y: float | None = None
    noaa_ar: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    other_flares: tuple[Flare, ...] = ()

    @property
    def request_ids(self) -> list[str]:
        """The RequestIDs in the event's row."""
        parts = re.split(r"[\s;,]+", self.columns.get("request_id", ""))
        return list(dict.fromkeys(filter(None, parts)))

    @property
    def flare(self) -> Flare:
        """The event's own flare."""
        span = self.flare_start, self.flare_end, self.flare_peak
        return Flare(self.event_id, *span, self.hpc_x, self.hpc_y, self.noaa_ar)

    @property
    def flares(self) -> list[Flare]:
        """The flares in the event's window, its own first, each once.

        What other sources have of its own is left out: it has neither peak nor place.
        """
        others = (flare for flare in self.other_flares if flare.event_id != self.event_id)
        return [self.flare, *others]

    @property
    def sky(self) -> str:
        """The flares in the event's window as JSON."""
        return json.dumps([_flare_json(flare) for flare in self.flares])

    def to_json(self) -> str:
        """Return the event as sorted JSON in ASCII, which passes a shell of any locale."""
        record = {
            "event_id": self.event_id,
            "flare_start": iso(self.flare_start),
            "flare_peak": iso(self.flare_peak) if self.flare_peak else None,
            "flare_end": iso(self.flare_end),
            "window_start": iso(self.window_start),
            "window_end": iso(self.window_end),
            "hpc_x": self.hpc_x,
            "hpc_y": self.hpc_y,
            "noaa_ar": self.noaa_ar,
            "columns": self.columns,
            "other_flares": [_flare_json(flare) for flare in self.other_flares],
        }
        return json.dumps(record, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Return the event in a text that `to_json` wrote."""
        record = json.loads(text)
        times = ("flare_start", "flare_peak", "flare_end", "window_start", "window_end")
        for key in times:
            record[key] = parse_utc(record[key]) if record[key] else None
        record["other_flares"] = tuple(_flare_from_json(flare) for flare in record["other_flares"])
        return cls(**record)


def _flare_json(flare: Flare) -> dict[str, Any]:
    record = {key: value for key, value in vars(flare).items() if value is not None}
    return {k: iso(v) if isinstance(v, datetime) else v for k, v in record.items()}


def _flare_from_json(record: dict[str, Any]) -> Flare:
    times = {key: parse_utc(record[key]) for key in ("start", "peak", "end") if key in record}
    return Flare(**{**record, **times})


def read_event(path: str | Path) -> Event:
    """Return the event in an event.json."""
    return Event.from_json(Path(path).read_text(encoding="utf-8"))
