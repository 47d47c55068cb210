"""The draw: the seeded order of an event's candidates, and the images taken in that order.

Only the seed, the event and the slots decide. Channel, machine and order of files play no part, so
all channels of an event draw the same slots.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import pandas as pd

from flareset.campaign.events import Event
from flareset.candidates import ACCEPTED, REJECTED, Rules, candidates_of
from flareset.tables.rows import in_order, rows_of

# The columns that identify a bin.
BIN = ["wavelength", "phase", "bin"]


def draw(
    tables: Iterable[pd.DataFrame], event: Event, rules: Rules, *, seed: int | str, channels: str
) -> pd.DataFrame:
    """Return the ranked candidates of an event, from the records of each of its channels.

    With `channels="together"`, a slot must be accepted in every channel.
    """
    found = pd.concat([candidates_of(t, event, rules) for t in tables], ignore_index=True)
    bound = bind_channels(found) if channels == "together" else found
    return rank(bound, event.event_id, seed)


def rank(candidates: pd.DataFrame, event_id: str, seed: int | str) -> pd.DataFrame:
    """Return the candidates with `rank`, their place in the order of the draw within their bin.

    The order is ascending by sha256("{seed}|{event_id}|{phase}|{bin}|{slot}"), in hex. Accepted
    candidates are counted from 0; all others have -1.
    """
    rows = rows_of(candidates[[*BIN, "slot", "record", "verdict"]])
    accepted = [
        (sha256(f"{seed}|{event_id}|{phase}|{bin_}|{slot}".encode()).hexdigest(), record, place)
        for place, (_, phase, bin_, slot, record, verdict) in enumerate(rows)
        if verdict == ACCEPTED
    ]
    ranks = [-1] * len(rows)
    taken: Counter[tuple[Any, ...]] = Counter()
    # Two records of one slot differ by their names.
    for _, _, place in sorted(accepted):
        of_bin = rows[place][: len(BIN)]
        ranks[place] = taken[of_bin]
        taken[of_bin] += 1
    return candidates.assign(rank=pd.Series(ranks, candidates.index, "int64"))


def bind_channels(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates of all channels; a slot is rejected unless all channels can draw it.

    Each channel observes at its own seconds of a slot. All must accept the slot, and in the same
    phase and bin.
    """
    channels = set(candidates["wavelength"])
    accepted = candidates["verdict"] == ACCEPTED
    having: dict[str, set[int]] = defaultdict(set)
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for wavelength, phase, bin_, slot in rows_of(candidates[[*BIN, "slot"]][accepted]):
        having[slot].add(wavelength)
        places[slot].add((phase, bin_))
    refused = {
        slot: _refusal(channels - having[slot], len(places[slot]))
        for slot in having
        if having[slot] != channels or len(places[slot]) > 1
    }
    candidates = candidates.copy()
    if not refused:
        return candidates
    alone = accepted & candidates["slot"].isin(refused)
    candidates.loc[alone, "reason"] = candidates.loc[alone, "slot"].map(refused)
    candidates.loc[alone, "verdict"] = REJECTED
    return candidates


def _refusal(lacking: set[int], places: int) -> str:
    """Return why a slot is rejected: channels lack it, or it lies in several phases or bins."""
    if lacking:
        return f"no accepted image at {', '.join(map(str, sorted(lacking)))}"
    return f"the channels see it in {places} phases or minutes"


def choose(candidates: pd.DataFrame, unusable: set[str], most: Mapping[str, int]) -> pd.DataFrame:
    """Return the candidates of one channel that are taken, in time order.

    From each bin, the first in rank are taken, without `unusable` records. `most` is the number of
    images per bin, by phase.
    """
    rows = rows_of(candidates[["rank", "phase", "bin", "record"]])
    ranked = [place for place, row in enumerate(rows) if row[0] >= 0 and row[3] not in unusable]
    taken: Counter[tuple[str, str]] = Counter()
    places = []
    for place in sorted(ranked, key=lambda place: rows[place][0]):
        _, phase, bin_, _ = rows[place]
        if taken[phase, bin_] < most[phase]:
            taken[phase, bin_] += 1
            places.append(place)
    return in_order(candidates.iloc[places], ["time", "record"])
