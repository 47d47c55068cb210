"""The draw: which images of each bin are taken, decided by a seed and the records alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd

from flareset.campaign.events import Event
from flareset.partition import OUTSIDE, PHASES, bins_of
from flareset.sdo.times import iso_column


@dataclass(frozen=True)
class Quota:
    """What is drawn: at `most` so many images from each bin of a phase, by the phase's name."""

    seed: int | str
    most: Mapping[str, int]
    other_flares: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return the quota in a stage's settings."""
        most = {phase.name: settings[phase.quota] for phase in PHASES}
        return cls(settings["seed"], most, settings["other_flares"])


def draw(images: pd.DataFrame, event_id: str, wavelength: int, quota: Quota) -> pd.DataFrame:
    """The partitioned images that may be drawn, in the order of the draw within each bin.

    Images outside the window are left out, and those in another event's flare unless
    `other_flares` is `allow`. The order within a bin is that of
    sha256("{seed}|{event_id}|{wavelength}|{phase}|{bin}|{record}"), hex, ascending.
    """
    may = images["phase"] != OUTSIDE
    if quota.other_flares == "exclude":
        may &= images["other_flare"] == ""
    candidates = images[may]
    head = f"{quota.seed}|{event_id}|{wavelength}|"
    columns = (candidates[name].tolist() for name in ("phase", "bin", "record"))
    digests = b"".join(
        sha256(f"{head}{phase}|{bin_}|{record}".encode()).digest()
        for phase, bin_, record in zip(*columns, strict=True)
    )
    # Four big-endian words of 64 bits sort as the 64 hex digits do.
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 4).T.astype("u8")
    return candidates.iloc[np.lexsort((*words[::-1], _bin_numbers(candidates)))]


def choose(candidates: pd.DataFrame, usable: pd.Series, quota: Quota) -> pd.DataFrame:
    """The first usable candidates of each bin, as many as the quota says, in time order.

    `candidates` as from `draw`; `usable` is a Boolean Series on their index.
    """
    left = candidates[usable.reindex(candidates.index, fill_value=False)]
    rank = left.groupby(_bin_numbers(left), sort=False).cumcount()
    taken = left[rank < left["phase"].map(quota.most)]
    return taken.sort_values(["time", "filename"], kind="stable")


def _bin_numbers(images: pd.DataFrame) -> np.ndarray:
    """Return a number for each image's bin, which two images share that are in one bin."""
    return images.groupby(["phase", "bin"], sort=False).ngroup().to_numpy()


def shortages(chosen: pd.DataFrame, event: Event, quota: Quota) -> pd.DataFrame:
    """Return the bins from which fewer could be drawn than wanted.

    The columns are phase, bin, begin (the bin's first second), wanted and drawn.
    """
    wanted = pd.DataFrame(
        [
            (phase.name, name, begin, quota.most[phase.name])
            for phase, name, begin in bins_of(event)
        ],
        columns=["phase", "bin", "begin", "wanted"],
    )
    drawn = chosen.groupby(["phase", "bin"]).size().rename("drawn").reset_index()
    table = wanted.merge(drawn, how="left", on=["phase", "bin"]).fillna({"drawn": 0})
    table["drawn"] = table["drawn"].astype(int)
    return table[table["drawn"] < table["wanted"]].reset_index(drop=True)


def sample_table(
    chosen: pd.DataFrame, manifest: pd.DataFrame, event_id: str, wavelength: int
) -> pd.DataFrame:
    """The sample of an event and wavelength: the drawn images with what the manifest knows."""
    known = manifest.drop(columns=["record", "status", "reason", "tries", "requestid"])
    table = chosen[["phase", "filename", "record", "time"]].merge(
        known, on="filename", how="left", validate="one_to_one"
    )
    table["time"] = iso_column(table["time"])
    table.insert(0, "event_id", event_id)
    table.insert(1, "wavelength", wavelength)
    return table


def sampling_log(images: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the sampling log: a row per bin and choice.

    Its columns are `hhmm,count,place,chosen_index,chosen_file`. `images` are all listed images,
    partitioned; a phase that is one bin is left out. `hhmm` is when the bin begins. `count` and
    `place` (the list of indices) count the listed images in time order from 0. A bin with no choice
    has empty cells.
    """
    binned = images[images["bin"] != ""].sort_values(["time", "filename"], kind="stable")
    index_of = {name: index for index, name in enumerate(binned["filename"])}
    picks: dict[tuple[str, str], list[str]] = {}
    for *key, name in zip(*(chosen[c] for c in ("phase", "bin", "filename")), strict=True):
        picks.setdefault(tuple(key), []).append(name)
    bins = list(zip(binned["phase"], binned["bin"], strict=True))
    starts = [n for n, key in enumerate(bins) if not n or key != bins[n - 1]]
    rows = []
    for start, end in pairwise([*starts, len(bins)]):
        _, name = bins[start]
        head = (name[11:16].replace(":", ""), end - start, str(list(range(start, end))))
        rows += [(*head, index_of[file], file) for file in picks.get(bins[start], [])] or [
            (*head, "", "")
        ]
    return pd.DataFrame(rows, columns=["hhmm", "count", "place", "chosen_index", "chosen_file"])
