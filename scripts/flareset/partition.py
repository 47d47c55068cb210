"""The place of an image in an event's window: its phase, and its bin of the draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from flareset.campaign.events import Event
from flareset.tables.status import Kind, Status

OUTSIDE = "outside"
_FOLDERS = {Kind.PICTURE: "pictures", Kind.MOVIE: "movies"}


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


class Bin(NamedTuple):
    """A bin of the draw: its phase, its name as in the column `bin`, and its first second."""

    phase: Phase
    name: str
    begin: pd.Timestamp


def phases_of(times: pd.Series, event: Event) -> np.ndarray:
    """Return the name of the phase that contains each UTC time; `outside` if there is none."""
    return np.select(
        [
            times.between(*map(pd.Timestamp, phase.interval(event)), inclusive=phase.closed)
            for phase in PHASES
        ],
        [phase.name for phase in PHASES],
        default=OUTSIDE,
    )


def bins_of(event: Event) -> list[Bin]:
    """Return every bin of an event in the order of time, bins without an image included."""
    bins = []
    for phase in PHASES:
        begin, end = map(pd.Timestamp, phase.interval(event))
        if phase.closed == "right":
            begin += pd.Timedelta(seconds=1)
        if phase.bin is None:
            bins.append(Bin(phase, "", begin))
            continue
        starts = pd.date_range(begin.floor(phase.bin), end, freq=phase.bin)
        if phase.closed == "left":
            starts = starts[starts < end]
        names = _bin_names(pd.Series(starts), phase.bin)
        bins += [
            Bin(phase, name, max(begin, start)) for name, start in zip(names, starts, strict=True)
        ]
    return bins


def _bin_names(times: pd.Series, length: timedelta) -> np.ndarray:
    """Return the start of the bin that contains each UTC time, like `2014-01-07T18:05`."""
    starts = times.dt.tz_convert(None).dt.floor(length).to_numpy()
    return np.datetime_as_string(starts, unit="s" if length % timedelta(minutes=1) else "m")


def other_flare(times: pd.Series, event: Event) -> np.ndarray:
    """Return the id of a listed flare that contains each time; empty if there is none."""
    found = np.full(len(times), "", dtype=object)
    for flare in event.other_flares:
        inside = (times >= pd.Timestamp(flare.start)) & (times <= pd.Timestamp(flare.end))
        found[inside.to_numpy() & (found == "")] = flare.event_id
    return found


def partition(images: pd.DataFrame, event: Event) -> pd.DataFrame:
    """Return the images (with `time`) with their `phase`, `bin` and `other_flare`.

    `bin` is empty if the whole phase is one bin. `other_flare` is set only for images that would
    get the label 0: the id of a listed flare during which the image was taken.
    """
    found = phases_of(images["time"], event)
    bins, others = (np.full(len(images), "", dtype=object) for _ in range(2))
    for phase in PHASES:
        inside = found == phase.name
        times = images["time"][inside]
        if phase.bin is not None:
            bins[inside] = _bin_names(times, phase.bin)
        if not phase.label:
            others[inside] = other_flare(times, event)
    return images.assign(phase=found, bin=bins, other_flare=others)


def select_verified(candidates: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the verified files of a job: `folder` (a phase, pictures or movies), filename, path.

    `candidates` are those of the job's channel.
    """
    verified = manifest[manifest["status"] == Status.VERIFIED]
    phases = candidates.set_index("record")["phase"]
    folders = [
        _FOLDERS.get(kind) or phases[record]
        for record, kind in zip(verified["record"], verified["kind"], strict=True)
    ]
    table = verified[["filename", "path"]].assign(folder=pd.Series(folders, verified.index, "str"))
    return table[table["folder"] != OUTSIDE][["folder", "filename", "path"]]


def links_of(table: pd.DataFrame, store: Path) -> dict[str, dict[str, Path]]:
    """Return the content of each folder of a partition: names and their files in the store.

    Each phase has a folder, even if it is empty.
    """
    links: dict[str, dict[str, Path]] = {phase.name: {} for phase in PHASES}
    for row in table.itertuples():
        links.setdefault(row.folder, {})[row.filename] = store / row.path
    return links
