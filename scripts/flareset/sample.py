"""The draw: which images of each bin are taken, decided by a seed and the records alone."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd

from flareset.events import Event
from flareset.partition import OUTSIDE, flare_minutes


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
    `other_flares` is `allow`. Adds `key`, the hex digest that orders a bin.
    """
    may = images["phase"] != OUTSIDE
    if quota.other_flares == "exclude":
        may &= images["other_flare"] == ""
    candidates = images[may]
    head = f"{quota.seed}|{event_id}|{wavelength}|"
    keys = [
        sha256(f"{head}{phase}|{bin_}|{record}".encode()).hexdigest()
        for phase, bin_, record in zip(
            candidates["phase"], candidates["bin"], candidates["record"], strict=True
        )
    ]
    return candidates.assign(key=keys).sort_values(["phase", "bin", "key"], kind="stable")


def choose(candidates: pd.DataFrame, usable: pd.Series, quota: Quota) -> pd.DataFrame:
    """The first usable candidates of each bin, as many as the quota says, in time order.

    `candidates` as from `draw`; `usable` is a Boolean Series on their index.
    """
    left = candidates[usable.reindex(candidates.index, fill_value=False)]
    rank = left.groupby(["phase", "bin"], sort=False).cumcount()
    most = left["phase"].map({"pre": quota.pre, "flare": quota.per_minute, "post": quota.post})
    return left[rank < most].sort_values(["time", "filename"], kind="stable")


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
    known = manifest.drop(columns=["record", "status", "reason", "tries"])
    table = chosen[["phase", "filename", "record", "time"]].merge(
        known, on="filename", how="left", validate="one_to_one"
    )
    table["time"] = table["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.insert(0, "event_id", event_id)
    table.insert(1, "wavelength", wavelength)
    return table


def sampling_log(images: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The sampling log: `hhmm,count,place,chosen_index,chosen_file`, a row per minute and choice.

    `images` are all listed images, partitioned. `count` and `place` (the list of indices) count
    the listed flare images in time order from 0; a minute with no choice has empty cells.
    """
    flare = images[images["phase"] == "flare"].sort_values(["time", "filename"], kind="stable")
    flare = flare.assign(index=np.arange(len(flare)))
    index_of = flare.set_index("filename")["index"]
    picks = chosen[chosen["phase"] == "flare"].groupby("bin")["filename"].apply(list)
    rows = []
    for minute, group in flare.groupby("bin", sort=True):
        place = group["index"].tolist()
        head = (minute[-5:].replace(":", ""), len(place), str(place))
        names = picks.get(minute, [])
        rows += [(*head, index_of[name], name) for name in names] or [(*head, "", "")]
    return pd.DataFrame(rows, columns=["hhmm", "count", "place", "chosen_index", "chosen_file"])
