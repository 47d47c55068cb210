"""Candidates and draw: verdicts, the formula, channels together, and what a bin gives."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import at, events

from flareset.campaign.events import Event
from flareset.candidates import ACCEPTED, Rules, candidates_of, judge
from flareset.draw import choose, rank, together

RULES = Rules(("dark",))
MOST = {"pre": 3, "flare": 1, "post": 2}
SLOTS = st.lists(st.integers(-10, 350), max_size=80, unique=True)


def records(
    slots: list[int], wavelength: int = 131, dark: frozenset[int] = frozenset()
) -> pd.DataFrame:
    """Return made-up records: slots of 12 s, observed 9 s after T_REC."""
    t_rec = [at(12 * slot) for slot in slots]
    return pd.DataFrame(
        {
            "record": [f"aia[{12 * slot}][{wavelength}]" for slot in slots],
            "t_rec": pd.to_datetime(pd.Series(t_rec, dtype="object"), utc=True),
            "time": pd.to_datetime(
                pd.Series([t + timedelta(seconds=9) for t in t_rec], dtype="object"), utc=True
            ),
            "wavelength": wavelength,
            "QUALITY": ["0x00010000" if slot in dark else "0x00000000" for slot in slots],
            "status": "",
            "reason": "",
        }
    )


@given(events(), SLOTS, st.data())
@settings(max_examples=60, deadline=None)
def test_the_draw_is_the_formula(event: Event, slots: list[int], data: st.DataObject) -> None:
    dark = frozenset(data.draw(st.sets(st.sampled_from(slots))) if slots else ())
    found = rank(candidates_of(records(slots, dark=dark), event, RULES), "e", 7)
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
    assert set(chosen["record"]) == expected
    assert chosen["time"].is_monotonic_increasing


@given(events(), SLOTS, SLOTS)
@settings(max_examples=40, deadline=None)
def test_channels_together_draw_the_same_slots(
    event: Event, first: list[int], second: list[int]
) -> None:
    both = pd.concat(
        [
            candidates_of(records(first, 131), event, RULES),
            candidates_of(records(second, 171), event, RULES),
        ],
        ignore_index=True,
    )
    found = rank(together(both), "e", 7)
    drawn = {
        wave: set(choose(table, set(), MOST)["slot"]) for wave, table in found.groupby("wavelength")
    }
    assert len({frozenset(slots) for slots in drawn.values()}) <= 1 or set(drawn) != {131, 171}
    alone = found[found["reason"].str.startswith("no accepted image at")]
    assert set(alone["verdict"]) <= {"rejected"}
    assert not set(alone["slot"]) & set(found.loc[found["verdict"] == ACCEPTED, "slot"])


def test_an_image_that_cannot_be_had_in_one_channel_lets_that_channel_go_on_alone() -> None:
    event = Event("e", at(600), at(700), None, at(0), at(1200), (131, 171))
    both = pd.concat(
        [candidates_of(records(list(range(100)), wave), event, RULES) for wave in (131, 171)],
        ignore_index=True,
    )
    found = rank(together(both), "e", 1)
    one, other = (found[found["wavelength"] == wave] for wave in (131, 171))
    before = choose(one, set(), MOST)
    lost = before["record"].iloc[0]
    after = choose(one, {lost}, MOST)
    assert len(after) == len(before)
    assert set(before["record"]) - {lost} < set(after["record"])
    assert set(choose(other, set(), MOST)["slot"]) == set(before["slot"])


def test_no_order_of_rows_plays_a_part() -> None:
    event = Event("e", at(600), at(700), None, at(0), at(1200), (131,))
    table = records(list(range(100)))
    turned = table.sample(frac=1, random_state=3)
    first, second = (
        choose(rank(candidates_of(t, event, RULES), "e", "s"), set(), MOST) for t in (table, turned)
    )
    assert first["record"].tolist() == second["record"].tolist()


def test_a_keyword_that_is_not_known_rejects_nothing() -> None:
    assert judge({}, RULES) == ""
    assert judge({"QUALITY": ""}, RULES) == ""
    assert judge({"QUALITY": 0x10000}, RULES) == "QUALITY 0x00010000: dark"
    assert judge({"QUALITY": -2147483648}, Rules(("no_image",))) == "QUALITY 0x80000000: no_image"
