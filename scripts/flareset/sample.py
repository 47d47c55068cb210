"""The final result of the draw: the sample, the sampling log, and the bins with too few images."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pandas as pd

from flareset.campaign.events import Event
from flareset.candidates import ACCEPTED, REJECTED
from flareset.phases import bins_of
from flareset.sdo.times import iso_column
from flareset.tables.status import Status


def find_shortages(chosen: pd.DataFrame, event: Event, most: Mapping[str, int]) -> pd.DataFrame:
    """Return the bins from which fewer images could be drawn than wanted.

    The columns are phase, bin, begin (the bin's first second), wanted and drawn. A flare that ends
    on second 00 has that second alone in its last minute: no image there is no shortage.
    """
    wanted = pd.DataFrame(
        [(phase.name, name, begin, most[phase.name]) for phase, name, begin in bins_of(event)],
        columns=["phase", "bin", "begin", "wanted"],
    )
    drawn = chosen.groupby(["phase", "bin"]).size().rename("drawn").reset_index()
    table = wanted.merge(drawn, how="left", on=["phase", "bin"]).fillna({"drawn": 0})
    table["drawn"] = table["drawn"].astype(int)
    one_second = (table["begin"] == pd.Timestamp(event.flare_end)) & (table["drawn"] == 0)
    return table[(table["drawn"] < table["wanted"]) & ~one_second].reset_index(drop=True)


def sample_table(
    chosen: pd.DataFrame, manifest: pd.DataFrame, event_id: str, wavelength: int
) -> pd.DataFrame:
    """Return the sample of an event and channel: the drawn images with the manifest's columns."""
    known = manifest[manifest["status"] == Status.VERIFIED]
    known = known.drop(columns=["kind", "status", "reason", "tries", "requestid"])
    table = chosen[["phase", "record", "slot", "time"]].merge(
        known, on="record", how="left", validate="one_to_one"
    )
    table["time"] = iso_column(table["time"])
    table.insert(0, "event_id", event_id)
    table.insert(1, "wavelength", wavelength)
    return table


def sampling_log(
    candidates: pd.DataFrame, chosen: pd.DataFrame, names: Mapping[str, str]
) -> pd.DataFrame:
    """Return the sampling log: a row per bin and choice.

    Its columns are `hhmm,count,place,chosen_index,chosen_file`. A phase that is one bin is left
    out. `hhmm` is the bin's begin. `count` is the number of listed images in the bin, `place` the
    list of their indices. Indices count all listed images in time order from 0. `names` maps a
    record to its file. A bin without a choice has empty cells.
    """
    listed = candidates["verdict"].isin([ACCEPTED, REJECTED]) & (candidates["bin"] != "")
    binned = candidates[listed].sort_values(["time", "record"], kind="stable")
    index_of = {record: index for index, record in enumerate(binned["record"])}
    picks: dict[tuple[str, str], list[str]] = {}
    for *key, record in zip(*(chosen[c] for c in ("phase", "bin", "record")), strict=True):
        picks.setdefault(tuple(key), []).append(record)
    bins = list(zip(binned["phase"], binned["bin"], strict=True))
    starts = [n for n, key in enumerate(bins) if not n or key != bins[n - 1]]
    rows = []
    for start, end in pairwise([*starts, len(bins)]):
        _, name = bins[start]
        head = (name[11:16].replace(":", ""), end - start, str(list(range(start, end))))
        rows += [(*head, index_of[r], names[r]) for r in picks.get(bins[start], [])] or [
            (*head, "", "")
        ]
    return pd.DataFrame(rows, columns=["hhmm", "count", "place", "chosen_index", "chosen_file"])
