"""The draw: the seeded order of an event's candidates, and the images taken in that order.

Only the seed, the event and the slots decide. Channel, machine and order of files play no part, so
all channels of an event draw the same slots.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from hashlib import sha256
from typing import Any

from flareset.campaign.events import Event
from flareset.candidates import ACCEPTED, REJECTED, Rules, candidates_of
from flareset.tables.rows import Row, but_records, in_order


def draw(
    tables: Iterable[Sequence[Row]], event: Event, rules: Rules, *, seed: int | str, channels: str
) -> list[Row]:
    """Return the ranked candidates of an event, from the records of each of its channels.

    With `channels="together"`, a slot must be accepted in every channel.
    """
    found = [row for records in tables for row in candidates_of(records, event, rules)]
    bound = bind_channels(found) if channels == "together" else found
    return rank(bound, event.event_id, seed)


def rank(candidates: Sequence[Row], event_id: str, seed: int | str) -> list[Row]:
    """Return the candidates with `rank`, their place in the order of the draw within their bin.

    The order is ascending by sha256("{seed}|{event_id}|{phase}|{bin}|{slot}"), in hex. Accepted
    candidates are counted from 0; all others have -1.
    """

    def key(row: Row) -> tuple[str, str]:
        text = f"{seed}|{event_id}|{row['phase']}|{row['bin']}|{row['slot']}"
        # Two records of one slot differ by their names.
        return sha256(text.encode()).hexdigest(), row["record"]

    ranked = [{**row, "rank": -1} for row in candidates]
    taken: Counter[tuple[Any, ...]] = Counter()
    for row in sorted((row for row in ranked if row["verdict"] == ACCEPTED), key=key):
        of_bin = row["wavelength"], row["phase"], row["bin"]
        row["rank"] = taken[of_bin]
        taken[of_bin] += 1
    return ranked


def bind_channels(candidates: Sequence[Row]) -> list[Row]:
    """Return the candidates of all channels; a slot is rejected unless all channels can draw it.

    Each channel observes at its own seconds of a slot. All must accept the slot, and in the same
    phase and bin.
    """
    channels = {row["wavelength"] for row in candidates}
    having: dict[str, set[int]] = defaultdict(set)
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in candidates:
        if row["verdict"] == ACCEPTED:
            having[row["slot"]].add(row["wavelength"])
            places[row["slot"]].add((row["phase"], row["bin"]))
    refused = {
        slot: _refusal(channels - having[slot], len(places[slot]))
        for slot in having
        if having[slot] != channels or len(places[slot]) > 1
    }
    return [
        {**row, "verdict": REJECTED, "reason": refused[row["slot"]]}
        if row["verdict"] == ACCEPTED and row["slot"] in refused
        else row
        for row in candidates
    ]


def _refusal(lacking: set[int], places: int) -> str:
    """Return why a slot is rejected: channels lack it, or it lies in several phases or bins."""
    if lacking:
        return f"no accepted image at {', '.join(map(str, sorted(lacking)))}"
    return f"the channels see it in {places} phases or minutes"


def choose(candidates: Iterable[Row], unusable: Set[str], most: Mapping[str, int]) -> list[Row]:
    """Return the candidates of one channel that are taken, in time order.

    From each bin, the first in rank are taken, without `unusable` records. `most` is the number of
    images per bin, by phase.
    """
    usable = [row for row in but_records(candidates, unusable) if row["rank"] >= 0]
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for row in in_order(usable, "rank"):
        phase, of_bin = row["phase"], (row["phase"], row["bin"])
        if taken[of_bin] < most[phase]:
            taken[of_bin] += 1
            chosen.append(row)
    return in_order(chosen, "time", "record")
