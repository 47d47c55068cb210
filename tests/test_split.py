"""The split: groups by their definition, quotas, stability, freezing, folds, times."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import at
from support.flare_lists import HOUR, a_flare, flare_lists, splits_of, spread

from flareset.campaign.events import Event
from flareset.errors import ConfigError
from flareset.sdo.times import parse_utc
from flareset.split import (
    Rules,
    divide,
    frozen_splits,
    read_splits,
    regions_of,
    split_at_random,
    write_splits,
)

BUFFERS = st.sampled_from([timedelta(), timedelta(hours=5), timedelta(days=1), timedelta(days=9)])
DAY = 24 * HOUR
ONE_STRATUM = Rules(stratify="")


def are_linked(one: Event, other: Event, buffer: timedelta) -> bool:
    """Return whether events are linked: same active region, or windows nearer than the buffer."""
    regions = [int(event.columns.get("noaa_ar", "").strip() or 0) for event in (one, other)]
    regions = [number % 10_000 for number in regions]
    gap = max(one.window_start - other.window_end, other.window_start - one.window_end)
    return (regions[0] == regions[1] != 0) or gap < buffer or gap <= timedelta()


def groups_by_hand(events: list[Event], buffer: timedelta) -> set[frozenset[str]]:
    left, found = list(events), set()
    while left:
        group, grown = [left.pop()], True
        while grown:
            more = [e for e in left if any(are_linked(e, member, buffer) for member in group)]
            left = [event for event in left if event not in more]
            group += more
            grown = bool(more)
        found.add(frozenset(event.event_id for event in group))
    return found


@given(flare_lists(), BUFFERS, st.integers())
@settings(max_examples=60)
def test_groups_are_what_is_linked(events: list[Event], buffer: timedelta, seed: int) -> None:
    rules = Rules(buffer=buffer)
    divided = divide(events, rules, seed)
    groups = defaultdict(set)
    for row in divided.rows:
        groups[row.group].add(row.event_id)
    assert {frozenset(group) for group in groups.values()} == groups_by_hand(events, buffer)
    starts = {event.event_id: (event.flare_start, event.event_id) for event in events}
    assert all(name == min(group, key=starts.get) for name, group in groups.items())
    assert len({(row.group, row.split) for row in divided.rows}) == len(groups)
    # Whatever order the rows are in.
    shuffled = random.Random(seed).sample(events, len(events))
    assert divide(shuffled, rules, seed) == divided


@given(flare_lists(least=3), BUFFERS, st.integers())
@settings(max_examples=60)
def test_quotas_hold_within_the_largest_group(
    events: list[Event], buffer: timedelta, seed: int
) -> None:
    divided = divide(events, Rules(buffer=buffer, stratify=""), seed)
    if divided.lack:
        assert set(splits_of(divided).values()) == {""}
        assert "would be empty" in divided.rows[0].reason
        return
    largest = max(Counter(row.group for row in divided.rows).values())
    found = Counter(splits_of(divided).values())
    for name, share in Rules().shares.items():
        assert abs(found[name] - share * len(events)) <= largest


def test_the_order_is_the_formula() -> None:
    events = spread(20)
    names = [event.event_id for event in events]
    order = sorted(names, key=lambda n: hashlib.sha256(f"s|split|{n}".encode()).hexdigest())
    # The middle of the fourteenth of twenty is 13.5: 0.675. That of the seventeenth is 0.825.
    expected = dict(zip(order, 14 * ["train"] + 3 * ["validation"] + 3 * ["test"], strict=True))
    assert splits_of(divide(events, Rules(), "s")) == expected


def test_each_class_has_its_share() -> None:
    events = [
        a_flare(f"f{n}", 10 * DAY * n, goes_class="X2" if n % 3 == 0 else "M1") for n in range(120)
    ]
    found = Counter((row.stratum, row.split) for row in divide(events, Rules(), 1).rows)
    # 40 and 80, of which 70, 15 and 15 %.
    assert found == {
        ("X", "train"): 28, ("X", "validation"): 6, ("X", "test"): 6,
        ("M", "train"): 56, ("M", "validation"): 12, ("M", "test"): 12,
    }  # fmt: skip


def test_a_class_too_small_for_every_split_is_dealt_out_with_the_next() -> None:
    classes = ["X1.2", "M3.0", "X4.9", "M7.3", "X1.6"]
    events = [a_flare(f"f{n}", 40 * DAY * n, goes_class=text) for n, text in enumerate(classes)]
    for seed in range(20):
        divided = divide(events, Rules(), seed)
        assert Counter(splits_of(divided).values()) == {"train": 3, "validation": 1, "test": 1}


def test_a_group_has_the_highest_class_and_numbers_do_not_count() -> None:
    events = [a_flare("a", 0, goes_class="M9.9"), a_flare("b", HOUR, fl_goescls="X10")]
    assert {row.stratum for row in divide(events, Rules(), 1).rows} == {"X"}
    by_side = [a_flare(f"f{n}", HOUR * n, side=side) for n, side in enumerate("enn")]
    assert {row.stratum for row in divide(by_side, Rules(stratify="side"), 1).rows} == {"n"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("11944", {"11944"}), ("1944", {"11944"}), ("11944.0", {"11944"}), ("0", set()),
        ("", set()), ("AR 12673", {"12673"}), ("11944;11946", {"11944", "11946"}), ("0.0", set()),
    ],
)  # fmt: skip
def test_numbers_of_regions(text: str, found: set[str]) -> None:
    assert regions_of(text) == found


def test_other_columns_link_too() -> None:
    events = [
        a_flare(f"f{n}", 50 * DAY * n, cme=name) for n, name in enumerate(["a", "b", "a", ""])
    ]
    rows = divide(events, Rules(group_by=("cme",)), 1).rows
    assert [row.group for row in rows] == ["f0", "f1", "f0", "f3"]


@pytest.mark.parametrize(("count", "empty"), [(1, "validation and test"), (2, "test"), (3, "test")])
def test_few_groups_are_no_split_and_it_is_said(count: int, empty: str) -> None:
    """The middles are 0.5; 0.25 and 0.75; 1/6, 1/2 and 5/6."""
    divided = divide(spread(count), Rules(), 1)
    group = "group" if count == 1 else "groups"
    sentence = f"{empty} would be empty with {count} {group} of events for 3 splits: use "
    assert divided.lack.startswith(sentence)
    assert {(row.split, row.reason) for row in divided.rows} == {("", divided.lack)}
    assert len({row.group for row in divided.rows}) == count
    if count > 1:
        # Each held out once is what few groups are for.
        assert f"splits.folds: {count}" in divided.lack
        folds = divide(spread(count), Rules(folds=count), 1)
        assert sorted(row.fold for row in folds.rows) == [str(n) for n in range(count)]
        assert not folds.lack
    assert not divide(spread(count), Rules(method="none"), 1).lack


@given(flare_lists(least=2), st.integers(2, 6))
@settings(max_examples=40)
def test_folds_are_of_whole_groups(events: list[Event], folds: int) -> None:
    divided = divide(events, Rules(folds=folds), 3)
    groups = {row.group for row in divided.rows}
    if len(groups) < folds:
        assert f"cannot be {folds} folds: set splits.folds to {len(groups)} or less" in divided.lack
        return
    assert len({(row.group, row.fold) for row in divided.rows}) == len(groups)
    assert {row.fold for row in divided.rows} == {str(n) for n in range(folds)}


@given(flare_lists(least=10), st.data())
@settings(max_examples=60)
def test_frozen_events_do_not_move(events: list[Event], data: st.DataObject) -> None:
    known = events[: data.draw(st.integers(1, len(events)))]
    before = divide(known, Rules(), 7)
    if before.lack:
        return
    frozen = splits_of(before)
    after = divide(events, Rules(), 7, frozen)
    assert not after.lack
    splits = splits_of(after)
    assert {event_id: splits[event_id] for event_id in frozen} == frozen
    for row in after.rows:
        assert row.split or row.reason.startswith("links f")
    kept = [event for event in events if splits[event.event_id]]
    for one in kept:
        for other in kept:
            if splits[one.event_id] != splits[other.event_id]:
                assert not are_linked(one, other, timedelta(days=1))


def test_what_links_two_frozen_splits_is_in_none() -> None:
    old = [a_flare(f"f{n:03}", 10 * DAY * n, noaa_ar=str(11900 + n)) for n in range(20)]
    frozen = splits_of(divide(old, Rules(), 1))
    one = next(event for event in old if frozen[event.event_id] == "train")
    other = next(event for event in old if frozen[event.event_id] == "test")
    # A new flare in the region of one, at the time of the other.
    link = a_flare(
        "new", (other.flare_start - at(0)).total_seconds(), noaa_ar=one.columns["noaa_ar"]
    )
    rows = {row.event_id: row for row in divide([*old, link], Rules(), 1, frozen).rows}
    pair = sorted((one, other), key=lambda event: event.flare_start)
    told = " and ".join(f"{e.event_id} ({frozen[e.event_id]})" for e in pair)
    assert (rows["new"].split, rows["new"].group, rows["new"].reason) == ("", "", f"links {told}")
    # A row that was changed since, so that it links two test events to a third of train.
    old[0].columns["noaa_ar"], old[1].columns["noaa_ar"] = "11950", "11950"
    changed = divide(old, Rules(), 1, {**frozen, "f000": "train", "f001": "test"})
    rows = {row.event_id: row for row in changed.rows}
    assert rows["f001"].reason == "test before, but links f000 (train)"
    assert rows["f000"].split == "train"


def test_a_row_that_contradicts_most_loses_its_split() -> None:
    events = [a_flare(f"f{n}", 40 * DAY * n, noaa_ar="11944") for n in range(6)]
    frozen = {f"f{n}": "test" if n == 2 else "train" for n in range(6)}
    rows = divide(events, Rules(shares={"train": 1.0}), 1, frozen).rows
    assert [row.split for row in rows] == ["train", "train", "", "train", "train", "train"]


@given(flare_lists(least=5), st.lists(st.integers(1, 364), min_size=2, max_size=2, unique=True))
@settings(max_examples=60)
def test_by_time(events: list[Event], days: list[int]) -> None:
    first, second = (at(day * DAY) for day in sorted(days))
    rules = Rules(method="time", boundaries=(first, second))
    divided = divide(events, rules, 1)
    splits, rows = splits_of(divided), {row.event_id: row for row in divided.rows}
    if divided.lack:
        assert "set other splits.boundaries" in divided.lack
        return
    buffer = timedelta(days=1)
    for event in events:
        split = splits[event.event_id]
        if split == "train":
            assert event.window_end + buffer <= first
        elif split == "test":
            assert event.window_start - buffer >= second
        elif split == "validation":
            assert first + buffer <= event.window_start
            assert event.window_end <= second - buffer
        else:
            reason = rows[event.event_id].reason
            assert "within 1d of the boundary" in reason or "noaa_ar 1" in reason
    for one in events:
        for other in events:
            if splits[one.event_id] and splits[other.event_id] and are_linked(one, other, buffer):
                assert splits[one.event_id] == splits[other.event_id]


def test_the_leaky_baseline_is_by_record_alone() -> None:
    records = [f"aia.lev1_euv_12s[{n}][131]" for n in range(4000)]
    found = split_at_random(records, 7, Rules().shares)
    assert split_at_random(records[::-1], 7, Rules().shares) == found[::-1]
    # Within four standard deviations of a draw by lot.
    assert abs(Counter(found)["train"] - 2800) < 4 * (4000 * 0.7 * 0.3) ** 0.5
    number = int(hashlib.sha256(f"7|leaky|{records[0]}".encode()).hexdigest(), 16) / 2**256
    assert found[0] == ("train" if number < 0.7 else "validation" if number < 0.85 else "test")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = divide(spread(20), Rules(folds=3), 1).rows
    write_splits(rows, tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == rows
    frozen = frozen_splits(str(tmp_path / "splits.csv"), Rules().names)
    assert frozen == {row.event_id: row.split for row in rows}
    assert frozen_splits("", Rules().names) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: .*No such file"),
        ("a,b\n1,2\n", "is no splits.csv"),
        ("event_id,split\na,dev\n", "event a is in dev, which has no fraction here"),
        ("event_id,split\na,test\na,train\n", "event a is in two splits"),
    ],
)
def test_a_release_that_cannot_be_frozen(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "splits.csv"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        frozen_splits(str(path), ["train", "test"])


@pytest.fixture(scope="module")
def cycle24(real: Path) -> list[Event]:
    """Return the M and X flares from 2010 to early 2013 of a public list of solar cycle 24."""
    path = real / "flares/hayesla_lists/final_flare_list_sc24.first3000.csv"
    with open(path, newline="") as file:
        header = next(csv.reader(file))
        # The first column has no name.
        rows = [dict(zip(["", *header], row, strict=True)) for row in csv.reader(file)]
    margin, found = timedelta(minutes=178), {}
    for row in rows:
        start, end = (parse_utc(row[f"event_{name}time"]) for name in ("start", "end"))
        if row["goes_class"][0] in "MX":
            # The list does not carry midnight.
            end += timedelta(days=end <= start)
            event_id = f"{start:%Y-%m-%dT%H%M%S}"
            span = {"window_start": start - margin, "window_end": end + margin}
            found[event_id] = Event(event_id, start, end, None, **span, columns=row)
    return list(found.values())


@pytest.mark.parametrize(
    ("days", "groups", "largest"),
    [(0, 71, 46), (1, 60, 46), (3, 46, 47), (7, 34, 47), (13.6, 22, 64), (27.3, 10, 144)],
)
def test_groups_of_a_public_list(
    cycle24: list[Event], days: float, groups: int, largest: int
) -> None:
    """279 flares; their numbers are those of the definition, which is written down above."""
    rules = Rules(buffer=timedelta(days=days))
    sizes = Counter(row.group for row in divide(cycle24, rules, 1).rows)
    assert len(cycle24) == 279
    by_hand = groups_by_hand(cycle24, rules.buffer)
    assert sorted(map(len, by_hand)) == sorted(sizes.values())
    assert (len(sizes), max(sizes.values())) == (groups, largest)


def test_shares_and_stability_on_a_public_list(cycle24: list[Event]) -> None:
    """A dropped row moves events at the borders of splits; from train to test its group alone."""
    moved = []
    before = divide(cycle24, Rules(), 20140107)
    share = Counter(splits_of(before).values())
    largest = max(Counter(row.group for row in before.rows).values())
    for name, wanted in Rules().shares.items():
        assert abs(share[name] - wanted * len(cycle24)) <= 2 * largest
    known = splits_of(before)
    groups = {row.event_id: row.group for row in before.rows}
    for dropped in range(0, len(cycle24), 9):
        left = cycle24[:dropped] + cycle24[dropped + 1 :]
        after = splits_of(divide(left, Rules(), 20140107))
        changed = [event_id for event_id in after if after[event_id] != known[event_id]]
        moved.append(len(changed))
        far = [i for i in changed if {after[i], known[i]} == {"train", "test"}]
        assert {groups[event_id] for event_id in far} <= {groups[cycle24[dropped].event_id]}
        frozen = splits_of(divide(left, Rules(), 20140107, known))
        assert frozen == {event_id: known[event_id] for event_id in frozen}
    assert sorted(moved)[len(moved) // 2] == 0
