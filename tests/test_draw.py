"""Candidates and draw: verdicts, the formula, channels together, and the images from a bin."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import an_event, at, records_at, rejecting, some_candidates
from support.rows import cells, column
from support.strategies import events

from flareset.campaign.events import Event
from flareset.candidates import (
    ACCEPTED,
    COLUMNS,
    SHOWS_NOTHING,
    candidates_of,
    judge,
    read_candidates,
    write_candidates,
)
from flareset.draw import bind_channels, choose, draw, rank
from flareset.sdo.flares import Flare
from flareset.tables.rows import Row

RULES = rejecting("dark")
MOST = {"pre": 3, "flare": 1, "post": 2}
SLOTS = st.lists(st.integers(-10, 350), max_size=80, unique=True)


def of_channel(rows: list[Row], wavelength: int) -> list[Row]:
    return [row for row in rows if row["wavelength"] == wavelength]


@given(events(), SLOTS, st.data())
@settings(max_examples=60)
def test_the_draw_is_the_formula(event: Event, slots: list[int], data: st.DataObject) -> None:
    dark = data.draw(st.sets(st.sampled_from(slots))) if slots else set()
    found = some_candidates(
        event, [12 * slot for slot in slots], seed=7, late=9, dark={12 * slot for slot in dark}
    )
    gone = data.draw(st.sets(st.sampled_from(slots))) if slots else set()
    chosen = choose(found, {f"aia[{12 * slot}][131]" for slot in gone}, MOST)

    # The same by hand, from the words of the design.
    bins: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for slot in slots:
        t_rec, time = at(12 * slot), at(12 * slot + 9)
        if event.window_start <= time < event.flare_start:
            phase, bin_ = "pre", ""
        elif event.flare_start <= time <= event.flare_end:
            phase, bin_ = "flare", time.strftime("%Y-%m-%dT%H:%M")
        elif event.flare_end < time <= event.window_end:
            phase, bin_ = "post", ""
        else:
            continue
        masked = phase != "flare" and any(f.start <= time <= f.end for f in event.other_flares)
        if masked or slot in dark or slot in gone:
            continue
        text = f"7|e|{phase}|{bin_}|{t_rec.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        key = hashlib.sha256(text.encode()).hexdigest()
        bins.setdefault((phase, bin_), []).append((key, slot))
    expected = {
        f"aia[{12 * slot}][131]"
        for (phase, _), members in bins.items()
        for _, slot in sorted(members)[: MOST[phase]]
    }
    assert set(column(chosen, "record")) == expected
    assert column(chosen, "time") == sorted(column(chosen, "time"))


@given(events(), SLOTS, SLOTS, st.integers(0, 11), st.integers(0, 11))
@settings(max_examples=60)
def test_channels_together_draw_the_same_slots(
    event: Event, first: list[int], second: list[int], late: int, later: int
) -> None:
    """Each channel is exposed at seconds of its own, so that a slot may lie in two minutes."""
    both = [
        row
        for wave, slots, behind in ((131, first, late), (171, second, later))
        for row in candidates_of(
            records_at([12 * n for n in slots], wave, late=behind), event, RULES
        )
    ]
    waves = set(column(both, "wavelength"))
    found = rank(bind_channels(both), "e", 7)
    drawn = {
        wave: set(column(choose(of_channel(found, wave), set(), MOST), "slot")) for wave in waves
    }
    assert len({frozenset(slots) for slots in drawn.values()}) <= 1 or set(drawn) != {131, 171}
    # What both channels accept in the same place stays, and nothing else.
    if waves == {131, 171}:
        one, other = (
            {
                (row["slot"], row["phase"], row["bin"])
                for row in of_channel(both, wave)
                if row["verdict"] == ACCEPTED
            }
            for wave in (131, 171)
        )
        kept = {row["slot"] for row in found if row["verdict"] == ACCEPTED}
        assert kept == {slot for slot, _, _ in one & other}
    said = ("no accepted image at", "the channels see it")
    assert {row["verdict"] for row in found if row["reason"].startswith(said)} <= {"rejected"}


def test_a_slot_that_lies_in_two_minutes_is_drawn_in_none() -> None:
    event = an_event((600, 1200), (0, 1800))
    both = [
        row
        for wave, late in ((131, 9), (171, 13))
        for row in candidates_of(records_at([636, 648, 1188, 1200], wave, late=late), event, RULES)
    ]
    found = bind_channels(both)
    said = "the channels see it in 2 phases or minutes"
    for wave in (131, 171):
        assert cells(of_channel(found, wave), "verdict", "reason") == [
            ["accepted", ""],
            ["rejected", said],  # 00:00:57 and 00:01:01
            ["rejected", said],  # the flare ends at 00:10:00
            ["accepted", ""],
        ]


def test_an_image_that_cannot_be_had_in_one_channel_lets_that_channel_go_on_alone() -> None:
    event = an_event((600, 700), (0, 1200))
    both = [
        row
        for wave in (131, 171)
        for row in candidates_of(records_at(range(0, 1200, 12), wave, late=9), event, RULES)
    ]
    found = rank(bind_channels(both), "e", 1)
    one, other = (of_channel(found, wave) for wave in (131, 171))
    before = choose(one, set(), MOST)
    lost = before[0]["record"]
    after = choose(one, {lost}, MOST)
    assert len(after) == len(before)
    assert set(column(before, "record")) - {lost} < set(column(after, "record"))
    assert set(column(choose(other, set(), MOST), "slot")) == set(column(before, "slot"))


def test_no_order_of_rows_plays_a_part() -> None:
    event = an_event((600, 700), (0, 1200))
    table = records_at(range(0, 1200, 12), late=9)
    turned = random.Random(3).sample(table, len(table))
    assert turned != table
    first, second = (
        choose(rank(candidates_of(t, event, RULES), "e", "s"), set(), MOST) for t in (table, turned)
    )
    assert column(first, "record") == column(second, "record")


def test_other_flares_may_be_allowed() -> None:
    other = Flare("other", at(100), at(200))
    event = an_event((300, 400), (0, 500), other_flares=(other,))
    most = dict.fromkeys(MOST, 9)
    names = {}
    for mode in ("exclude", "allow"):
        found = some_candidates(event, [50, 150, 350], rules=rejecting(other_flares=mode))
        assert column(found, "other_flare") == ["", "other", ""]
        names[mode] = column(choose(found, set(), most), "record")
    assert names["allow"] == ["aia[50][131]", "aia[150][131]", "aia[350][131]"]
    assert names["exclude"] == ["aia[50][131]", "aia[350][131]"]
    reasons = cells(some_candidates(event, [50, 150, 350]), "verdict", "reason")
    assert reasons[1] == ["rejected", "in the flare of event other"]


def test_another_flare_lasts_from_its_first_second_to_its_last() -> None:
    others = (Flare("other", at(100), at(200)), Flare("later", at(150), at(250)))
    event = an_event((300, 400), (0, 500), other_flares=others)
    found = some_candidates(event, [99, 100, 150, 200, 201, 250, 251])
    # Of two flares at once the first in the list is named.
    assert column(found, "other_flare") == [
        "", "other", "other", "other", "later", "later", ""
    ]  # fmt: skip


def test_without_a_guard_the_second_before_a_flare_is_drawn_from() -> None:
    event = an_event((300, 400), (0, 500))
    seconds = [299, 300, 401]
    assert set(column(some_candidates(event, seconds), "verdict")) == {"accepted"}
    found = some_candidates(event, seconds, rules=rejecting(guard=timedelta(seconds=2)))
    assert column(found, "verdict") == ["rejected", "accepted", "rejected"]


def test_nothing_has_a_rank_before_the_draw() -> None:
    event = an_event((300, 400), (0, 500))
    found = candidates_of(records_at([0, 12, 600]), event, RULES)
    assert column(found, "rank") == [-1, -1, -1]
    assert [list(row) for row in found] == [COLUMNS] * 3


def test_channels_are_drawn_together_or_apart() -> None:
    event = an_event((300, 400), (0, 500))
    tables = [records_at([0, 12, 24], 131), records_at([0, 12, 36], 171)]
    drawn = {
        channels: draw(tables, event, RULES, seed=1, channels=channels)
        for channels in ("together", "apart")
    }
    assert column(drawn["together"], "verdict") == [
        *("accepted", "accepted", "rejected"), *("accepted", "accepted", "rejected")
    ]  # fmt: skip
    assert set(column(drawn["together"], "reason")) == {
        "", "no accepted image at 131", "no accepted image at 171"
    }  # fmt: skip
    assert set(column(drawn["apart"], "verdict")) == {"accepted"}
    for wave in (131, 171):
        assert sorted(column(of_channel(drawn["apart"], wave), "rank")) == [0, 1, 2]


def test_losing_one_image_changes_its_bin_only() -> None:
    event = an_event((600, 1200), (0, 1800))
    most = {"pre": 20, "flare": 1, "post": 20}
    candidates = some_candidates(event, range(0, 1800, 12), seed=3)
    before = choose(candidates, set(), most)
    lost = [row for row in before if row["phase"] == "flare"][4]
    after = choose(candidates, {lost["record"]}, most)
    changed = set(column(before, "record")) ^ set(column(after, "record"))
    assert len(changed) == 2
    assert lost["record"] in changed
    (new,) = [row for row in after if row["record"] in changed]
    assert new["bin"] == lost["bin"]


def test_a_record_without_an_image_and_one_outside_are_never_drawn() -> None:
    event = an_event((300, 400), (100, 500))
    table = records_at([0, 150, 160, 350, 501])
    table[1] |= {"status": "no_image", "reason": "QUALITY 0x80000000"}
    found = rank(candidates_of(table, event, RULES), "e", 1)
    assert column(found, "verdict") == ["outside", "no_image", "accepted", "accepted", "outside"]
    assert column(found, "reason") == [
        "outside the event's window", "QUALITY 0x80000000", "", "", "outside the event's window"
    ]  # fmt: skip
    assert column(found, "rank") == [-1, -1, 0, 0, -1]
    assert column(choose(found, set(), dict.fromkeys(MOST, 9)), "record") == [
        "aia[160][131]", "aia[350][131]"
    ]  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    event = an_event((300, 400), (0, 500))
    both = [
        row
        for wave in (131, 171)
        for row in some_candidates(event, [50, 150, 350], wavelength=wave)
    ]
    write_candidates(both, tmp_path / "candidates.csv")
    for wave in (131, 171):
        assert read_candidates(tmp_path / "candidates.csv", wave) == of_channel(both, wave)
    assert read_candidates(tmp_path / "candidates.csv", 94) == []


def test_a_keyword_that_is_not_known_rejects_nothing() -> None:
    normal = rejecting("dark", exposure="normal")
    for rules in (RULES, normal):
        assert judge({}, 131, rules) == ""
        assert judge({"QUALITY": "", "EXPTIME": "", "AIMGSHCE": ""}, 131, rules) == ""
        assert judge({"QUALITY": 0x10000}, 131, rules) == "QUALITY 0x00010000: dark"
    no_image = judge({"QUALITY": -2147483648}, 131, rejecting("no_image"))
    assert no_image == "QUALITY 0x80000000: no_image"
    # A file whose pixels are all the same shows nothing.
    for bits, why in ((("blank",), SHOWS_NOTHING), (("dark",), "")):
        assert judge({"blank": "1"}, 131, rejecting(*bits)) == why
        assert judge({"blank": ""}, 131, rejecting(*bits)) == ""
    # The magnetogram of HMI is of no exposure.
    assert judge({"EXPTIME": "0.1"}, 6173, normal) == ""
