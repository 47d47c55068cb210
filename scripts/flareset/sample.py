"""The draw: which images of each bin are taken, decided by a seed and the records alone."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pandas as pd

from flareset.campaign.events import Event
from flareset.partition import OUTSIDE, flare_minutes
from flareset.sdo.times import iso_column


@dataclass(frozen=True)
class Quota:
    """How many images are drawn from each flare minute, and from the pre and post phase."""

    seed: int | str
    per_minute: int
    pre: int
    post: int
    other_flares: str = "exclude"


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
    return candidates.iloc[np.lexsort((*words[::-1], _bin_codes(candidates)))]


def choose(candidates: pd.DataFrame, usable: pd.Series, quota: Quota) -> pd.DataFrame:
    """The first usable candidates of each bin, as many as the quota says, in time order.

    `candidates` as from `draw`; `usable` is a Boolean Series on their index.
    """
    left = candidates[usable.reindex(candidates.index, fill_value=False)]
    rank = left.groupby(_bin_codes(left), sort=False).cumcount()
    most = left["phase"].map({"pre": quota.pre, "flare": quota.per_minute, "post": quota.post})
    return left[rank < most].sort_values(["time", "filename"], kind="stable")


def _bin_codes(images: pd.DataFrame) -> np.ndarray:
    """A number for each image's bin: its minute in the flare, one each for pre and post."""
    minutes = images["time"].dt.tz_convert(None).to_numpy().astype("datetime64[m]").astype("i8")
    return np.select([images["phase"] == "pre", images["phase"] == "post"], [-2, -1], minutes)


def shortages(chosen: pd.DataFrame, event: Event, quota: Quota) -> pd.DataFrame:
    """The bins from which fewer could be drawn than wanted: phase, bin, wanted, drawn."""
    minutes = np.datetime_as_string(
        flare_minutes(event).tz_convert(None).to_numpy().astype("datetime64[m]")
    )
    wanted = pd.DataFrame(
        [("pre", "", quota.pre)]
        + [("flare", minute, quota.per_minute) for minute in minutes]
        + [("post", "", quota.post)],
        columns=["phase", "bin", "wanted"],
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
    """The sampling log: `hhmm,count,place,chosen_index,chosen_file`, a row per minute and choice.

    `images` are all listed images, partitioned. `count` and `place` (the list of indices) count
    the listed flare images in time order from 0; a minute with no choice has empty cells.
    """
    flare = images[images["phase"] == "flare"].sort_values(["time", "filename"], kind="stable")
    index_of = {name: index for index, name in enumerate(flare["filename"])}
    picked = chosen[chosen["phase"] == "flare"]
    picks: dict[str, list[str]] = {}
    for minute, name in zip(picked["bin"], picked["filename"], strict=True):
        picks.setdefault(minute, []).append(name)
    minutes = flare["bin"].to_numpy(dtype=object)
    starts = np.flatnonzero(np.r_[True, minutes[1:] != minutes[:-1]]) if len(minutes) else []
    rows = []
    for start, end in pairwise([*map(int, starts), len(minutes)]):
        minute = minutes[start]
        head = (minute[-5:].replace(":", ""), end - start, str(list(range(start, end))))
        rows += [(*head, index_of[name], name) for name in picks.get(minute, [])] or [
            (*head, "", "")
        ]
    return pd.DataFrame(rows, columns=["hhmm", "count", "place", "chosen_index", "chosen_file"])
