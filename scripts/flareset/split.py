"""Train, validation and test: groups of events that share nothing, dealt out in a seeded order.

A split depends only on the rows and the settings, so it is known before any image. Imports only
the standard library: Snakemake computes the split before its first job.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate, combinations
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple

from flareset.campaign.events import Event
from flareset.errors import ConfigError
from flareset.sdo.times import duration_text, iso
from flareset.tables.csv import write_rows

CLASSES = "ABCMX"
# The default share of the events in each split, in the order of time.
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
# Our columns that HEK names otherwise.
SYNONYMS = {"noaa_ar": "ar_noaanum", "goes_class": "fl_goescls"}
# NOAA's numbers have five digits since 2002; some lists give only the last four.
_FIVE_DIGITS = 10_000


@dataclass(frozen=True)
class Rules:
    """The rules for splitting events. config/README.md explains each key of `splits`."""

    method: Literal["groups", "time", "none"] = "groups"
    shares: Mapping[str, float] = field(default_factory=SHARES.copy)
    buffer: timedelta = timedelta(days=1)
    group_by: tuple[str, ...] = ("noaa_ar",)
    stratify: str = "goes_class"
    boundaries: tuple[datetime, ...] = ()
    folds: int = 0

    @property
    def names(self) -> list[str]:
        """The names of the splits with a share above 0, in the order of time."""
        return [name for name, share in self.shares.items() if share]


class Row(NamedTuple):
    """A row of splits.csv. `split`, `fold` and `group` may be empty; `reason` says why."""

    event_id: str
    group: str = ""
    split: str = ""
    fold: str = ""
    stratum: str = ""
    reason: str = ""


class Division(NamedTuple):
    """The events in the order of time, each with its split, and a message if the split failed.

    `lack` says which splits or folds are empty; then no event has a split. `lack` itself is empty
    if the split succeeded, or if there are folds instead.
    """

    rows: list[Row]
    lack: str


class _Group(NamedTuple):
    """Linked events: their ids, their indices in the order of time, and their stratum."""

    ids: list[str]
    members: list[int]
    stratum: str


def divide(
    events: Iterable[Event],
    rules: Rules,
    seed: int | str,
    frozen: Mapping[str, str] | None = None,
) -> Division:
    """Return the split of each event. `frozen` has the splits of an earlier release."""
    ordered = sorted(events, key=lambda event: (event.flare_start, event.event_id))
    links = list(_links(ordered, rules))
    parted = {"groups": _by_groups, "time": _by_time, "none": _undivided}[rules.method]
    found, lost = parted(ordered, links, rules, seed, frozen or {})
    groups = _groups(ordered, links, rules, set(lost))
    lack = _lack(groups, rules, set(found.values()))
    if lack:
        found, lost = {}, dict.fromkeys(range(len(ordered)), lack)
    folds = _folds(groups, rules, seed)
    rows = {
        place: Row(
            ordered[place].event_id,
            group.ids[0],
            found.get(place, ""),
            folds.get(place, ""),
            group.stratum,
            lost.get(place, ""),
        )
        for group in groups
        for place in group.members
    }
    return Division(
        [
            rows.get(place) or Row(event.event_id, reason=lost[place])
            for place, event in enumerate(ordered)
        ],
        # With folds, few groups are enough: a missing split is no failure.
        "" if folds else lack,
    )


def _lack(groups: list[_Group], rules: Rules, filled: set[str]) -> str:
    """Return which splits are empty, or that folds would be, and what to do; else empty."""
    if rules.method == "none":
        return ""
    number = f"{len(groups)} group{'s' * (len(groups) != 1)} of events"
    if len(groups) < rules.folds:
        return f"{number} cannot be {rules.folds} folds: set splits.folds to {len(groups)} or less"
    empty = [name for name in rules.names if name not in filled]
    if not empty:
        return ""
    of_all = f"{number} for {len(rules.names)} splits"
    sentence = f"{' and '.join(empty)} would be empty with {of_all}"
    if rules.method == "time":
        return f"{sentence}: set other splits.boundaries"
    held_out = f"splits.folds: {len(groups)}, which holds out each group once, " * (len(groups) > 1)
    instead = "the folds, " if rules.folds else held_out
    return f"{sentence}: use {instead}fewer splits (a fraction of 0), or more flares"


# Links


def values_of(event: Event, column: str) -> set[str]:
    """Return the values of a column that link an event to others: its regions, or its text."""
    text = _text_of(event, column)
    return regions_of(text) if column == "noaa_ar" else {text} - {""}


def _text_of(event: Event, column: str) -> str:
    return (event.columns.get(column) or event.columns.get(SYNONYMS.get(column, ""), "")).strip()


def regions_of(text: str) -> set[str]:
    """Return the NOAA active regions in a text. 0 is no region; 1944 means 11944."""
    numbers = {int(digits) for digits in re.findall(r"(?<![\d.])\d+", text)} - {0}
    return {str(n if n >= _FIVE_DIGITS else n + _FIVE_DIGITS) for n in numbers}


def _links(events: Sequence[Event], rules: Rules) -> Iterator[tuple[int, int]]:
    """Yield the indices of every two linked events, the earlier event first."""
    sharing: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        for column in rules.group_by:
            for value in values_of(event, column):
                sharing[column, value].append(place)
    for places in sharing.values():
        yield from combinations(places, 2)
    by_window = sorted(range(len(events)), key=lambda place: events[place].window_start)
    starts = [events[place].window_start for place in by_window]
    for n, place in enumerate(by_window):
        # Windows that touch share an image.
        end = events[place].window_end
        beyond = max(bisect_left(starts, end + rules.buffer), bisect_right(starts, end))
        for other in by_window[n + 1 : beyond]:
            yield min(place, other), max(place, other)


def _components(places: set[int], links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components of `places`, each sorted, in the order of their first."""
    parent = {place: place for place in places}

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for one, other in links:
        if one in places and other in places:
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    found: dict[int, list[int]] = {}
    for place in sorted(places):
        found.setdefault(root(place), []).append(place)
    return list(found.values())


def _groups(
    events: Sequence[Event],
    links: Iterable[tuple[int, int]],
    rules: Rules,
    without: set[int],
) -> list[_Group]:
    """Return the groups of all events except those at the indices `without`."""
    return [
        _Group(
            [events[place].event_id for place in members],
            members,
            _stratum([events[place] for place in members], rules.stratify),
        )
        for members in _components(set(range(len(events))) - without, links)
    ]


def _stratum(events: Sequence[Event], column: str) -> str:
    """Return a group's stratum: its highest class letter, or another column's commonest value."""
    texts = [
        event.columns.get(column) or event.columns.get(SYNONYMS.get(column, ""), "")
        for event in events
    ]
    values = [text.strip() for text in texts if text.strip()]
    if column == "goes_class":
        return max((v[0].upper() for v in values if v[0].upper() in CLASSES), default="")
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value), default="")


# Dealing


def _by_groups(
    events: Sequence[Event],
    links: list[tuple[int, int]],
    rules: Rules,
    seed: int | str,
    frozen: Mapping[str, str],
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the split of each event by index, and the reasons of events without a split."""
    known = {n: frozen[e.event_id] for n, e in enumerate(events) if frozen.get(e.event_id)}
    kept, lost = _kept(events, links, known)
    groups = _groups(events, links, rules, set(lost))
    least = ceil(1 / min(Fraction(str(share)) for share in rules.shares.values() if share))
    names, ends = list(rules.shares), _ends(rules.shares.values())
    found = {}
    for pool in _pools(groups, least):
        dealt = _deal(pool, ends, f"{seed}|split", lambda group: len(group.members))
        for group, share in dealt:
            fixed = {kept[place] for place in group.members if place in kept}
            split = fixed.pop() if fixed else names[share]
            found.update(dict.fromkeys(group.members, split))
    return found, lost


def _kept(
    events: Sequence[Event], links: list[tuple[int, int]], known: dict[int, str]
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the frozen splits that can be kept, and the reasons of events without a split."""
    lost = {
        place: f"{known[place]} before, but links {_told(events, known, other)}"
        for place, other in _contradicting(links, known).items()
    }
    kept = {place: split for place, split in known.items() if place not in lost}
    beside: dict[int, list[int]] = defaultdict(list)
    for one, other in links:
        beside[one] += [other] * (other in kept)
        beside[other] += [one] * (one in kept)
    new = set(range(len(events))) - set(known)
    for members in _components(new, links):
        touched = {kept[n]: n for m in members for n in sorted(beside[m], reverse=True)}
        if len(touched) > 1:
            told = " and ".join(_told(events, known, n) for n in sorted(touched.values()))
            lost.update(dict.fromkeys(members, f"links {told}"))
    return kept, lost


def _contradicting(links: list[tuple[int, int]], known: dict[int, str]) -> dict[int, int]:
    """Return the frozen events that cannot keep their split, each with an event that contradicts.

    Two frozen events contradict each other if they are linked but in different splits. The event
    with most contradictions (of equal ones the later) loses its split, until none is left.
    """
    against: dict[int, set[int]] = defaultdict(set)
    for one, other in links:
        if known.get(one, "") != known.get(other, "") and one in known and other in known:
            against[one].add(other)
            against[other].add(one)
    found = {}
    while against:
        worst = max(against, key=lambda place: (len(against[place]), place))
        others = against.pop(worst)
        found[worst] = min(others)
        for place in others:
            against[place].discard(worst)
            if not against[place]:
                del against[place]
    return found


def _told(events: Sequence[Event], known: Mapping[int, str], place: int) -> str:
    return f"{events[place].event_id} ({known[place]})"


def _pools(groups: list[_Group], least: int) -> list[list[_Group]]:
    """Return the groups in pools that are dealt out one after the other, the highest class first.

    A pool is a stratum. A stratum of fewer than `least` groups joins the next one: it could not
    give each share a group.
    """
    strata: dict[str, list[_Group]] = {}
    for group in sorted(groups, key=lambda group: group.stratum, reverse=True):
        strata.setdefault(group.stratum, []).append(group)
    pools: list[list[_Group]] = []
    waiting: list[_Group] = []
    for stratum in strata.values():
        waiting = waiting + stratum
        if len(waiting) >= least:
            pools.append(waiting)
            waiting = []
    if waiting and pools:
        pools[-1] = pools[-1] + waiting
    elif waiting:
        pools.append(waiting)
    return pools


def _deal(
    groups: list[_Group],
    ends: Sequence[Fraction],
    text: str,
    weight: Callable[[_Group], int],
) -> Iterator[tuple[_Group, int]]:
    """Yield each group with the index of its share. `ends` are the ends of the shares.

    Groups are sorted by the least sha256("{text}|{event_id}"), hex, of their events: so a group
    mostly keeps its place if an event is dropped. The weights of the groups are laid end to end. A
    group belongs to the share that contains the middle of its weight.
    """

    def rank(group: _Group) -> str:
        return min(sha256(f"{text}|{event_id}".encode()).hexdigest() for event_id in group.ids)

    total, before = sum(map(weight, groups)), 0
    for group in sorted(groups, key=rank):
        middle = Fraction(2 * before + weight(group), 2 * total)
        before += weight(group)
        yield group, bisect_right(ends, middle)


def _folds(groups: list[_Group], rules: Rules, seed: int | str) -> dict[int, str]:
    """Return the fold (from 0) of each event by index. Folds have equal numbers of groups."""
    if not rules.folds or len(groups) < rules.folds:
        return {}
    ends = [Fraction(number, rules.folds) for number in range(1, rules.folds)]
    return {
        place: str(fold)
        for pool in _pools(groups, rules.folds)
        for group, fold in _deal(pool, ends, f"{seed}|fold", lambda _: 1)
        for place in group.members
    }


def _by_time(
    events: Sequence[Event],
    links: list[tuple[int, int]],
    rules: Rules,
    _seed: int | str,
    _frozen: Mapping[str, str],
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the split of each event by the boundaries, and the reasons of those without."""
    found = {
        place: rules.names[bisect_right(rules.boundaries, event.window_start)]
        for place, event in enumerate(events)
    }
    within = f"within {duration_text(rules.buffer)} of" if rules.buffer else "on"
    lost = {
        place: f"{within} the boundary {iso(boundary)}"
        for place, event in enumerate(events)
        for boundary in rules.boundaries
        if _is_near(event, boundary, rules.buffer)
    }
    crossing = [
        (one, other)
        for one, other in links
        if not {one, other} & lost.keys() and found[one] != found[other]
    ]
    for one, other in crossing:
        shared = "; ".join(
            f"{column} {value}"
            for column in rules.group_by
            for value in sorted(values_of(events[one], column) & values_of(events[other], column))
        )
        lost |= dict.fromkeys((one, other), f"{shared} is on both sides of a boundary")
    return {place: split for place, split in found.items() if place not in lost}, lost


def _is_near(event: Event, boundary: datetime, buffer: timedelta) -> bool:
    away = max(event.window_start - boundary, boundary - event.window_end)
    return away < buffer or away <= timedelta(0)


def _undivided(*_: object) -> tuple[dict[int, str], dict[int, str]]:
    return {}, {}


# Images


def split_at_random(
    records: Iterable[str], seed: int | str, shares: Mapping[str, float]
) -> list[str]:
    """Return a random split of each record, which ignores groups: a baseline that leaks.

    sha256("{seed}|leaky|{record}"), read as a number between 0 and 1, decides.
    """
    ends = [float(end) for end in _ends(shares.values())]
    names = list(shares)
    digests = (sha256(f"{seed}|leaky|{record}".encode()).hexdigest() for record in records)
    return [names[bisect_right(ends, int(digest[:13], 16) / 16**13)] for digest in digests]


def _ends(shares: Iterable[float]) -> list[Fraction]:
    """Return the end of each share but the last, between 0 and 1, as exact fractions."""
    return list(accumulate(Fraction(str(share)) for share in shares))[:-1]


# Files


def read_splits(path: str | Path) -> list[Row]:
    """Return the rows of a splits.csv. Raise ConfigError if the file is not one."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not rows or not {"event_id", "split"} <= set(rows[0]):
        raise ConfigError(f"{path}: is no splits.csv: it has no rows with event_id and split")
    return [Row(**{name: row.get(name) or "" for name in Row._fields}) for row in rows]


def write_splits(rows: Iterable[Row], path: str | Path) -> None:
    """Write the rows as splits.csv."""
    write_rows((row._asdict() for row in rows), Row._fields, path)


def frozen_splits(path: str, names: Sequence[str]) -> dict[str, str]:
    """Return the splits of an earlier release's events; none if `path` is empty.

    Raises ConfigError if the campaign has no such split, or an event is in two splits.
    """
    if not path:
        return {}
    found: dict[str, str] = {}
    for row in read_splits(path):
        if row.split and row.split not in names:
            raise ConfigError(
                f"{path}: event {row.event_id} is in {row.split}, which has no fraction here:"
                f" the splits are {', '.join(names)}"
            )
        if found.setdefault(row.event_id, row.split) != row.split:
            raise ConfigError(f"{path}: event {row.event_id} is in two splits")
    return found
