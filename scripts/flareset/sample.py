"""The final result of the draw: the sample, the sampling log, and the bins with too few images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from flareset.campaign.events import Event
from flareset.candidates import ACCEPTED, REJECTED
from flareset.draw import choose
from flareset.phases import bins_of
from flareset.tables.csv import write_rows
from flareset.tables.manifest import COLUMNS as MANIFEST
from flareset.tables.rows import Row, in_order, records_in
from flareset.tables.status import Status

_OF_DRAW = ["phase", "record", "slot", "time"]
# What tells how a file came, and no property of the image.
_LEFT_OUT = ("kind", "status", "reason", "tries", "requestid")
_OF_FILE = [name for name in MANIFEST if name not in (*_LEFT_OUT, "record")]
COLUMNS = ["event_id", "wavelength", *_OF_DRAW, *_OF_FILE]
LOG_COLUMNS = ["hhmm", "count", "place", "chosen_index", "chosen_file"]


def final_draw(
    candidates: Iterable[Row], event: Event, unusable: Set[str], most: Mapping[str, int]
) -> tuple[list[Row], list[Row]]:
    """Return the images that are drawn without `unusable` records, and the bins with too few."""
    chosen = choose(candidates, unusable, most)
    return chosen, find_shortages(chosen, event, most)


def count_lacking(shortages: Iterable[Row]) -> int:
    """Return how many images fewer than wanted can be drawn."""
    return sum(bin_["wanted"] - bin_["drawn"] for bin_ in shortages)


def find_shortages(chosen: Iterable[Row], event: Event, most: Mapping[str, int]) -> list[Row]:
    """Return the bins from which fewer images could be drawn than wanted.

    The columns are phase, bin, begin (the bin's first second), wanted and drawn. A flare that ends
    on second 00 has that second alone in its last minute: no image there is no shortage.
    """
    drawn = Counter((row["phase"], row["bin"]) for row in chosen)
    bins = [
        {
            "phase": phase.name,
            "bin": name,
            "begin": begin,
            "wanted": most[phase.name],
            "drawn": drawn[phase.name, name],
        }
        for phase, name, begin in bins_of(event)
    ]
    return [
        each
        for each in bins
        if each["drawn"] < each["wanted"] and (each["drawn"] or each["begin"] != event.flare_end)
    ]


def verified_files(manifest: Iterable[Row]) -> dict[str, Row]:
    """Return the row of a manifest of each record whose file is verified."""
    return {row["record"]: row for row in manifest if row["status"] == Status.VERIFIED}


def sample_rows(
    chosen: Iterable[Row], files: Mapping[str, Row], event_id: str, wavelength: int
) -> list[Row]:
    """Return the sample of an event and channel: the drawn images, each with its verified file."""
    return [
        {
            "event_id": event_id,
            "wavelength": wavelength,
            **{name: row[name] for name in _OF_DRAW},
            **{name: files[row["record"]][name] for name in _OF_FILE},
        }
        for row in chosen
    ]


def write_sample(sample: Iterable[Row], path: str | Path) -> None:
    """Write a sample as CSV."""
    write_rows(sample, COLUMNS, path, ["time"])


def sampling_log(
    candidates: Iterable[Row], chosen: Iterable[Row], files: Mapping[str, Row]
) -> list[Row]:
    """Return the sampling log: a row per bin and choice.

    Its columns are `hhmm,count,place,chosen_index,chosen_file`. A phase that is one bin is left
    out. `hhmm` is the bin's begin. `count` is the number of listed images in the bin, `place` the
    list of their indices. Indices count all listed images in time order from 0. `files` are the
    verified ones. A bin without a choice has empty cells.
    """
    listed = [row for row in candidates if row["verdict"] in (ACCEPTED, REJECTED) and row["bin"]]
    binned = in_order(listed, "time", "record")
    index_of = {record: index for index, record in enumerate(records_in(binned))}
    picks: dict[tuple[str, str], list[str]] = {}
    for row in chosen:
        picks.setdefault((row["phase"], row["bin"]), []).append(row["record"])
    log = []
    for (phase, name), group in groupby(binned, key=itemgetter("phase", "bin")):
        indices = [index_of[record] for record in records_in(group)]
        head = {
            "hhmm": name[11:16].replace(":", ""),
            "count": len(indices),
            "place": str(indices),
            "chosen_index": "",
            "chosen_file": "",
        }
        log += [
            {**head, "chosen_index": index_of[record], "chosen_file": files[record]["filename"]}
            for record in picks.get((phase, name), [])
        ] or [head]
    return log
