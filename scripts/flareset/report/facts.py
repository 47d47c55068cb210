"""The facts of a campaign that the page shows, read from its tables without any pixel."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from flareset.campaign.events import Event, read_event
from flareset.campaign.known import KnownFlare, KnownFlares
from flareset.report.goes import GoesFlux, Point
from flareset.sdo.numbers import real

# The column of the GOES class: our name, and HEK's.
_CLASS = ("goes_class", "fl_goescls")


class Image(NamedTuple):
    """A drawn image; `rate` is its pixels' mean divided by its exposure (DN/s), None if unknown.

    `exposure` is `short` or `normal`, or empty if unknown.
    """

    wavelength: int
    phase: str
    time: datetime
    filename: str
    exposure: str
    seconds: float | None
    rate: float | None


class Entry(NamedTuple):
    """A row of the ledger: the status of a slot, a file, or a bin of the draw."""

    wavelength: int
    time: datetime
    phase: str
    status: str
    reason: str


@dataclass(frozen=True)
class FlareFacts:
    """The facts of one flare.

    `counts` are its rows of summary.csv, one for each channel. `flux` is GOES' curve over the
    window in pieces, None if no file of GOES was given.
    """

    event: Event
    goes_class: str
    split: str
    counts: list[dict[str, str]]
    images: list[Image]
    ledger: list[Entry]
    known: list[KnownFlare]
    flux: list[list[Point]] | None

    @property
    def wavelengths(self) -> list[int]:
        """The channels, in the order of summary.csv."""
        return [int(row["wavelength"]) for row in self.counts]


@dataclass(frozen=True)
class CampaignFacts:
    """The facts of the whole campaign: its config, and the tables about its set."""

    config: dict[str, Any]
    summary: list[dict[str, str]]
    total: dict[str, str]
    leaks: list[dict[str, str]]
    audit: dict[str, Any]
    splits: dict[str, dict[str, str]]

    @property
    def phases(self) -> list[str]:
        """The phases, in the order of summary.csv."""
        return [name for name in self.total if f"listed_{name}" in self.total]

    @property
    def event_ids(self) -> list[str]:
        """The events in the order of time."""
        return list(dict.fromkeys(row["event_id"] for row in self.summary))


def read_campaign(results: Path, config: Path) -> CampaignFacts:
    """Return the facts in the tables about the whole set."""
    data = results / "data_selection"
    *summary, total = _rows(results / "summary.csv")
    return CampaignFacts(
        config=_read_json(config),
        summary=summary,
        total=total,
        leaks=list(_rows(data / "leaks.csv")),
        audit=_read_json(data / "audit.json"),
        splits={row["event_id"]: row for row in _rows(data / "splits.csv")},
    )


def read_flares(
    results: Path, campaign: CampaignFacts, known: KnownFlares | None, goes: GoesFlux | None
) -> Iterator[FlareFacts]:
    """Yield the facts of each flare in the order of images.csv: by event_id.

    Only one flare is in memory at a time, so that a large campaign fits. Flares without images are
    yielded as well.
    """
    counts = {name: [] for name in sorted(campaign.event_ids)}
    for row in campaign.summary:
        counts[row["event_id"]].append(row)
    images = groupby(_rows(results / "data_selection" / "images.csv"), itemgetter("event_id"))
    following = next(images, None)
    for event_id, rows in counts.items():
        drawn: list[Image] = []
        if following and following[0] == event_id:
            drawn = [_image(row) for row in following[1]]
            following = next(images, None)
        event = read_event(results / "events" / event_id / "event.json")
        yield FlareFacts(
            event=event,
            goes_class=next((event.columns[n] for n in _CLASS if event.columns.get(n)), ""),
            split=campaign.splits[event_id]["split"],
            counts=rows,
            images=drawn,
            ledger=[
                entry
                for row in rows
                for entry in _ledger(results / "ledger", event_id, int(row["wavelength"]))
            ],
            known=known.in_window(event) if known else [],
            flux=goes.in_window(event.window_start, event.window_end) if goes else None,
        )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _image(row: dict[str, str]) -> Image:
    seconds, mean = _number(row["exposure_seconds"]), _number(row["DATAMEAN"])
    # A magnetogram has a mean but no exposure: its rate is the mean itself.
    rate = mean / (seconds or 1) if mean is not None else None
    return Image(
        int(row["wavelength"]), row["phase"], datetime.fromisoformat(row["time"]),
        row["filename"], row["exposure"], seconds, rate,
    )  # fmt: skip


def _ledger(folder: Path, event_id: str, wavelength: int) -> Iterator[Entry]:
    for row in _rows(folder / f"{event_id}.{wavelength}.csv"):
        time = datetime.fromisoformat(row["time"])
        yield Entry(wavelength, time, row["phase"], row["status"], row["reason"])


def _number(text: str) -> float | None:
    """Return the number that a text states; None if the text is no number."""
    try:
        return real(text)
    except ValueError:
        return None
