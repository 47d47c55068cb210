"""The phases of an event's window, and the bins of the draw in each.

Loads neither pandas nor numpy, so that a stage that needs neither starts fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from flareset.campaign.events import Event

OUTSIDE = "outside"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Phase:
    """A part of an event's window, and how its images are drawn and labelled.

    `interval` returns the first and the last moment (UTC); `closed` says which of them belong to
    the phase. The draw takes images from each bin of length `bin`; None makes the whole phase one
    bin. `quota` is the key under `sample` in the config with the number of images per bin. `label`
    is 1 if the Sun flares in the phase.
    """

    name: str
    interval: Callable[[Event], tuple[datetime, datetime]]
    closed: Literal["left", "right", "both"]
    label: int
    bin: timedelta | None
    quota: str


# All that differs between the phases, in the order of time. No two may overlap.
PHASES = (
    Phase(
        "pre",
        lambda event: (event.window_start, event.flare_start),
        closed="left",
        label=0,
        bin=None,
        quota="pre",
    ),
    Phase(
        "flare",
        lambda event: (event.flare_start, event.flare_end),
        closed="both",
        label=1,
        bin=timedelta(minutes=1),
        quota="per_minute",
    ),
    Phase(
        "post",
        lambda event: (event.flare_end, event.window_end),
        closed="right",
        label=0,
        bin=None,
        quota="post",
    ),
)


def quota_by_phase(quotas: Mapping[str, int]) -> dict[str, int]:
    """Return the number of images per bin, by phase, from the keys under `sample`."""
    return {phase.name: quotas[phase.quota] for phase in PHASES}


def find_phase(time: datetime, event: Event) -> Phase | None:
    """Return the phase that contains a time (UTC); None if the time is outside the window."""
    for phase in PHASES:
        begin, end = phase.interval(event)
        begun = time > begin if phase.closed == "right" else time >= begin
        if begun and (time < end if phase.closed == "left" else time <= end):
            return phase
    return None


class Bin(NamedTuple):
    """A bin of the draw: its phase, its name as in the column `bin`, and its first second."""

    phase: Phase
    name: str
    begin: datetime


def bins_of(event: Event) -> list[Bin]:
    """Return every bin of an event in the order of time, bins without an image included."""
    bins = []
    for phase in PHASES:
        begin, end = phase.interval(event)
        if phase.closed == "right":
            begin += timedelta(seconds=1)
        if phase.bin is None:
            bins.append(Bin(phase, "", begin))
            continue
        start = bin_start(begin, phase.bin)
        while start < end or (start == end and phase.closed != "left"):
            bins.append(Bin(phase, bin_name(start, phase.bin), max(begin, start)))
            start += phase.bin
    return bins


def bin_start(time: datetime, length: timedelta) -> datetime:
    """Return the start of the bin that contains a time (UTC)."""
    return time - (time - _EPOCH) % length


def bin_name(start: datetime, length: timedelta) -> str:
    """Return the name of a bin by its start (UTC), like `2014-01-07T18:05`."""
    whole_minutes = not length % timedelta(minutes=1)
    return start.strftime("%Y-%m-%dT%H:%M" if whole_minutes else "%Y-%m-%dT%H:%M:%S")
