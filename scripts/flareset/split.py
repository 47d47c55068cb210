"""Train, validation and test: groups of events that share nothing, dealt out in a seeded order.

A split follows from the rows and the settings alone, so that it is known before any image is.
Only the standard library is imported here: Snakemake asks for a split before its first job.
"""

from __future__ import annotations

import csv
import io
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
from flareset.system.files import write_text

CLASSES = "ABCMX"
# The share of the events in each split, where nothing else is asked; in the order of time.
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
# HEK's names of columns that are known here by another.
SYNONYMS = {"noaa_ar": "ar_noaanum", "goes_class": "fl_goescls"}
# NOAA's numbers since 2002, of which lists give the last four digits.
_FIVE_DIGITS = 10_000


@dataclass(frozen=True)
class Rules:
    """How events are split; config/README.md explains each key of `splits`."""

    method: Literal["groups", "time", "none"] = "groups"
    shares: Mapping[str, float] = field(default_factory=SHARES.copy)
    buffer: timedelta = timedelta(days=1)
    group_by: tuple[str, ...] = ("noaa_ar",)
    stratify: str = "goes_class"
    boundaries: tuple[datetime, ...] = ()
    folds: int = 0

    @property
    def names(self) -> list[str]:
        """The splits that there are, in the order of time."""
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
    """The events in the order of time, each with its split, and what is lacking.

    `lack` says which splits or folds came out empty, and is empty where none did or there are
    folds. No event has a split then.
    """

    rows: list[Row]
    lack: str


class _Group(NamedTuple):
    """Events that are linked: their ids, and their places in the order of time."""

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
        # Folds are what few groups are for.
        "" if folds else lack,
    )


def _lack(groups: list[_Group], rules: Rules, filled: set[str]) -> str:
    """Return which splits are empty, or that folds are, and what to do; nothing where none is."""
    if rules.method == "none":
        return ""
    number = f"{len(groups)} group{'s' * (len(groups) != 1)} of events"
    if len(groups) < rules.folds:
        return f"{number} cannot be {rules.folds} folds: set splits.folds to {len(groups)} or less"
    empty = [name for name in rules.names if name not in filled]
    if not empty:
        return ""
    sentence = f"{number} for {len(rules.names)} splits leave {' and '.join(empty)} empty"
    if rules.method == "time":
        return f"{sentence}: set other splits.boundaries"
    held_out = f"splits.folds: {len(groups)}, which holds out each group once, " * (len(groups) > 1)
    return f"{sentence}: use {held_out}fewer splits (a fraction of 0), or more flares"


# Links


def values_of(event: Event, column: str) -> set[str]:
    """Return what of a column links an event to others: the numbers of its regions, or its text."""
    text = _text_of(event, column)
    return regions_of(text) if column == "noaa_ar" else {text} - {""}


def _text_of(event: Event, column: str) -> str:
    return (event.columns.get(column) or event.columns.get(SYNONYMS.get(column, ""), "")).strip()


def regions_of(text: str) -> set[str]:
    """Return the NOAA active regions in a text; four digits mean 10000 more. 0 is none."""
    numbers = {int(digits) for digits in re.findall(r"(?<![\d.])\d+", text)} - {0}
    return {str(n if n >= _FIVE_DIGITS else n + _FIVE_DIGITS) for n in numbers}


def _links(events: Sequence[Event], rules: Rules) -> Iterator[tuple[int, int]]:
    """Yield the places of every two events that are linked, the earlier first."""
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
    """Return the places that are linked, directly or by others of `places`; all in order."""
    above = {place: place for place in places}

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = place = above[above[place]]
        return place

    for one, other in links:
        if one in places and other in places:
            first, second = sorted((top(one), top(other)))
            above[second] = first
    found: dict[int, list[int]] = {}
    for place in sorted(places):
        found.setdefault(top(place), []).append(place)
    return list(found.values())


def _groups(
    events: Sequence[Event],
    links: Iterable[tuple[int, int]],
    rules: Rules,
    without: set[int],
) -> list[_Group]:
    """Return the groups, of which the places `without` are no members."""
    return [
        _Group(
            [events[place].event_id for place in members],
            members,
            _stratum([events[place] for place in members], rules.stratify),
        )
        for members in _components(set(range(len(events))) - without, links)
    ]


def _stratum(events: Sequence[Event], column: str) -> str:
    """Return the highest class letter of a group, or the commonest value of another column."""
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
    """Return the split of each place, and why others have none."""
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
    """Return the frozen splits that can be kept, and why other events have none."""
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
    """Return the frozen events that cannot keep their rules, each with one that it is linked to.

    Of frozen events that are linked across two rules, those that contradict most others lose
    theirs, the later first, until none is left.
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
    """Return the groups by stratum, the highest class first.

    A stratum of fewer than `least` groups, from which not every share could have one, is dealt out
    with the next.
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
    """Yield each group with the number of its share; `ends` says where the shares end.

    Groups are in the order of the least sha256("{text}|{event_id}"), hex, of their events: the
    event that says where a group stands is seldom the one that is dropped. A group belongs to the
    share in which the middle of its own weight lies, counted with that of the groups before it.
    """

    def rank(group: _Group) -> str:
        return min(sha256(f"{text}|{event_id}".encode()).hexdigest() for event_id in group.ids)

    total, before = sum(map(weight, groups)), 0
    for group in sorted(groups, key=rank):
        middle = Fraction(2 * before + weight(group), 2 * total)
        before += weight(group)
        yield group, bisect_right(ends, middle)


def _folds(groups: list[_Group], rules: Rules, seed: int | str) -> dict[int, str]:
    """Return the fold of each place, from 0; equally many groups in each, of every stratum."""
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
    """Return the split of each place by the boundaries, and why others have none."""
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


def leaky(records: Iterable[str], seed: int | str, shares: Mapping[str, float]) -> list[str]:
    """Return the split of each record as drawn by lot: the baseline that leaks, by its name.

    A record goes by sha256("{seed}|leaky|{record}"), read as a number between 0 and 1.
    """
    ends = [float(end) for end in _ends(shares.values())]
    names = list(shares)
    digests = (sha256(f"{seed}|leaky|{record}".encode()).hexdigest() for record in records)
    return [names[bisect_right(ends, int(digest[:13], 16) / 16**13)] for digest in digests]


def _ends(shares: Iterable[float]) -> list[Fraction]:
    """Return where each share but the last ends, of 1; exact, as the decimals are written."""
    return list(accumulate(Fraction(str(share)) for share in shares))[:-1]


# Files


def read_splits(path: str | Path) -> list[Row]:
    """Return the rows of a splits.csv. ConfigError: it cannot be read, or is none."""
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    write_text(text.getvalue(), path)


def frozen_splits(path: str, names: Sequence[str]) -> dict[str, str]:
    """Return the splits of an earlier release's events; none where `path` is empty.

    Raises ConfigError: a split that is not one of this campaign, or an event in two.
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
