"""The audit: it passes the split's results, and finds everything that two splits must not share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.factories import at
from support.flare_lists import HOUR, a_flare, flare_lists, images_of, spread, table_of

from flareset.audit import audit, read_images, read_splits, refuse_breaches, to_markdown
from flareset.campaign.events import Event
from flareset.errors import AuditError
from flareset.split import Division, Rules, divide, split_at_random, write_splits
from flareset.tables.csv import write_table

DAY = timedelta(days=1)


def audited(images: pd.DataFrame, splits: pd.DataFrame, buffer: timedelta = DAY) -> dict[str, Any]:
    return audit(images.reset_index(drop=True), splits, buffer, ["noaa_ar"])


@given(flare_lists(), st.sampled_from([timedelta(), DAY, 9 * DAY]), st.sampled_from([0, 2, 3]))
@settings(max_examples=15)
def test_every_split_passes(events: list[Event], buffer: timedelta, folds: int) -> None:
    divided = divide(events, Rules(buffer=buffer, folds=folds), 1)
    images = images_of(events, divided)
    found = audited(images, table_of(divided), buffer)
    assert found["breaches"] == []
    checked = any(row.split or row.fold for row in divided.rows)
    assert found["verdict"] == ("passed" if checked else "no split")
    shuffled = audited(images.sample(frac=1, random_state=1), table_of(divided), buffer)
    assert shuffled["breaches"] == []
    for name in ("splits", "folds", "nearest_hours"):
        assert shuffled[name] == found[name]


@given(flare_lists(least=3), st.lists(st.integers(1, 364), min_size=2, max_size=2, unique=True))
@settings(max_examples=15)
def test_every_split_by_time_passes(events: list[Event], days: list[int]) -> None:
    boundaries = tuple(at(day * 24 * HOUR) for day in sorted(days))
    divided = divide(events, Rules(method="time", boundaries=boundaries), 1)
    assert audited(images_of(events, divided), table_of(divided))["breaches"] == []


@given(flare_lists(least=8), st.integers(1, 30))
@settings(max_examples=15)
def test_every_frozen_split_passes(events: list[Event], known: int) -> None:
    before = divide(events[:known], Rules(), 1)
    frozen = {row.event_id: row.split for row in before.rows}
    # Rows that have changed since, too.
    changed = [
        a_flare(e.event_id, (e.flare_start - at(0)).total_seconds() + 40 * HOUR, **e.columns)
        for e in events[:known:3]
    ]
    kept = [event for event in events if event.event_id not in {e.event_id for e in changed}]
    divided = divide([*kept, *changed], Rules(), 1, frozen)
    assert audited(images_of([*kept, *changed], divided), table_of(divided))["breaches"] == []


@pytest.fixture
def set_of_40() -> tuple[pd.DataFrame, pd.DataFrame, list[Event]]:
    """Forty flares, each in a region of its own, ten days apart; two folds."""
    events = [
        a_flare(f"f{n:02}", 240 * HOUR * n, noaa_ar=str(11900 + n), goes_class="M1")
        for n in range(40)
    ]
    divided = divide(events, Rules(folds=2), 1)
    return images_of(events, divided), table_of(divided), events


def of(images: pd.DataFrame, split: str) -> str:
    """Return the first event of a split."""
    return images.loc[images["split"] == split, "event_id"].iloc[0]


def an_image_copied(images: pd.DataFrame, _: pd.DataFrame) -> None:
    one, other = (
        images[images["split"] == "train"].index[3],
        images[images["split"] == "test"].index[7],
    )
    images.loc[other, "sha256"] = images.loc[one, "sha256"]


def a_record_twice(images: pd.DataFrame, _: pd.DataFrame) -> None:
    one, other = (
        images[images["split"] == "train"].index[3],
        images[images["split"] == "validation"].index[2],
    )
    images.loc[other, "record"] = images.loc[one, "record"]


def an_image_moved(images: pd.DataFrame, _: pd.DataFrame) -> None:
    images.loc[images[images["split"] == "train"].index[5], "split"] = "test"


def an_event_that_splits_csv_has_elsewhere(images: pd.DataFrame, _: pd.DataFrame) -> None:
    images.loc[images["event_id"] == of(images, "train"), "split"] = "test"


def an_event_without_a_row(images: pd.DataFrame, splits: pd.DataFrame) -> None:
    splits.loc[splits["event_id"] == of(images, "test"), "event_id"] = "another"


def a_region_changed(images: pd.DataFrame, _: pd.DataFrame) -> None:
    of_train = images.loc[images["event_id"] == of(images, "train"), "noaa_ar"].iloc[0]
    # As another list writes it.
    images.loc[images["event_id"] == of(images, "test"), "noaa_ar"] = f"AR {of_train[1:]}"


def a_window_widened(images: pd.DataFrame, _: pd.DataFrame) -> None:
    times = images.loc[images["event_id"] == of(images, "train"), "time"]
    last = images[images["event_id"] == of(images, "test")].index[-1]
    images.loc[last, "time"] = times.max() + timedelta(hours=23)


def a_split_without_flares(images: pd.DataFrame, _: pd.DataFrame) -> None:
    images.loc[images["split"] == "validation", "label"] = 0


def a_split_without_images(images: pd.DataFrame, _: pd.DataFrame) -> None:
    images.loc[images["split"] == "test", "split"] = ""


def an_event_of_two_rows(_: pd.DataFrame, splits: pd.DataFrame) -> None:
    splits.loc[splits.index[-1] + 1] = splits.iloc[0]


def a_fold_that_shares_a_region(images: pd.DataFrame, splits: pd.DataFrame) -> None:
    train = splits[splits["split"] == "train"]
    one, other = (train.loc[train["fold"] == fold, "event_id"].iloc[0] for fold in "01")
    images.loc[images["event_id"].isin([one, other]), "noaa_ar"] = "12192"


def a_group_in_two_folds(images: pd.DataFrame, splits: pd.DataFrame) -> None:
    train = splits[splits["split"] == "train"]
    one, other = (train[train["fold"] == fold].iloc[0] for fold in "01")
    splits.loc[splits["event_id"] == other["event_id"], "group"] = one["group"]
    images.loc[images["event_id"] == other["event_id"], "group"] = one["group"]


@pytest.mark.parametrize(
    ("mutate", "sentence"),
    [
        (an_image_copied, r"image \w+: aia\[.*\] of event f\d\d is in train, aia\[.* in test"),
        (a_record_twice, r"record aia\[.* is in (train, .* in validation|validation, .* in train)"),
        (an_image_moved, r"event f\d\d: aia\[.* is in (train|test), aia\[.* in (test|train)"),
        (an_event_that_splits_csv_has_elsewhere, r"f\d\d: split and group are \['test'"),
        (an_event_without_a_row, "has images and is not in splits.csv"),
        (a_region_changed, r"noaa_ar 119\d\d: aia\[.* of event f\d\d is in"),
        (a_window_widened, r"buffer of 1 days.* are 0 days 23:00:00 apart"),
        (a_split_without_flares, "class: validation has no image with label 1"),
        (a_split_without_images, "class: test has no image with label 0"),
        (an_event_of_two_rows, "event f00: is in splits.csv twice"),
        (a_fold_that_shares_a_region, r"noaa_ar 12192: .* is in fold [01], .* in fold [01]"),
        (a_group_in_two_folds, r"group f\d\d: event f\d\d is in fold 0, event f\d\d is in fold 1"),
    ],
)  # fmt: skip
def test_every_breach_is_found(set_of_40: tuple, mutate: Any, sentence: str) -> None:
    images, splits, _ = set_of_40
    assert audited(images, splits)["breaches"] == []
    mutate(images, splits)
    found = audited(images, splits)
    assert found["verdict"] == "breached"
    with pytest.raises(AuditError, match=sentence):
        refuse_breaches(found)


@given(flare_lists(least=8), st.data())
@settings(max_examples=15)
def test_mutations_of_random_lists_are_found(events: list[Event], data: st.DataObject) -> None:
    divided = divide(events, Rules(), 1)
    assume(not divided.lack)
    images, splits = images_of(events, divided), table_of(divided)
    splits_of_groups = splits.groupby("group")["event_id"].agg(list)
    several = [members for members in splits_of_groups if len(members) > 1]
    what = data.draw(st.sampled_from(["region", "window", "image", "buffer", "event"]))
    one, other = of(images, "train"), of(images, "test")
    buffer = DAY
    if what == "region":
        images.loc[images["event_id"].isin([one, other]), "noaa_ar"] = "13000"
    elif what == "window":
        nearest = images.loc[images["event_id"] == one, "time"].iloc[0] - timedelta(hours=20)
        images.loc[images[images["event_id"] == other].index[0], "time"] = nearest
    elif what == "image":
        copy = images[images["event_id"] == one].iloc[[0]].assign(event_id=other, split="test")
        images = pd.concat(
            [images, copy.assign(group=images.loc[images["event_id"] == other, "group"].iloc[0])]
        )
    elif what == "buffer":
        hours = min(audited(images, splits)["nearest_hours"].values())
        buffer = timedelta(hours=hours + 1)
    else:
        assume(several)
        moved = data.draw(st.sampled_from(data.draw(st.sampled_from(several))))
        now = splits.loc[splits["event_id"] == moved, "split"].iloc[0]
        elsewhere = {"train": "test"}.get(now, "train")
        for table in (images, splits):
            table.loc[table["event_id"] == moved, "split"] = elsewhere
    assert audited(images, splits, buffer)["breaches"]


def test_what_time_alone_tells() -> None:
    """Nothing where events are held out, nearly all where images are: here one image a minute."""
    events = spread(20)
    divided = divide(events, Rules(folds=4), 1)
    images = pd.concat(
        [
            images_of(events, divided).drop_duplicates("event_id").assign(
                time=lambda table, n=n: table["time"] + timedelta(minutes=n),
                label=int(60 <= n <= 120),
                record=lambda table, n=n: table["event_id"] + f"[{n}]",
                sha256=lambda table, n=n: table["event_id"] + f"{n}",
            )
            for n in range(180)
        ]
    )  # fmt: skip
    images["split_leaky"] = split_at_random(images["record"], 7, Rules().shares)
    found = audited(images, table_of(divided))["nearest_in_time"]
    assert abs(found["split"]["tss"]) < 0.01
    assert found["split_leaky"]["tss"] > 0.95
    assert abs(found["folds"]["tss"]) < 0.01
    assert found["folds"]["images"] == 20 * 180


def test_what_is_reported(set_of_40: tuple) -> None:
    images, splits, _ = set_of_40
    images["exposure"] = ["short" if label else "normal" for label in images["label"]]
    found = audited(images, splits)
    test = found["splits"]["test"]
    assert (test["events"], test["groups"], test["images"]) == (6, 6, 36)
    assert (test["flare"], test["no_flare"]) == (12, 24)
    assert test["events_by_class"] == {"M": 6}
    assert test["images_by_exposure"] == {"normal": 24, "short": 12}
    # From 2014-01-07 23:50 on, ten days apart.
    assert sum(found["splits"]["train"]["events_by_year"].values()) == 28
    assert min(found["nearest_hours"].values()) == 240 - 3
    assert found["notes"] == []
    text = to_markdown(found)
    assert "Verdict: **passed**." in text
    assert "| test" in text


def test_notes() -> None:
    events = spread(5)
    divided = divide(events, Rules(), 1)
    notes = audited(images_of(events, divided), table_of(divided))["notes"]
    assert notes[0].startswith("only 5 groups: a test on so few says little; splits: {folds: 5}")
    assert notes[-1] == "there is no column noaa_ar: no event is linked by it"
    folded = divide(events, Rules(folds=5), 1)
    notes = audited(images_of(events, folded), table_of(folded))["notes"]
    assert notes[0] == "only 5 groups: a test on so few says little"
    few = divide([a_flare("a", 0, noaa_ar="0"), a_flare("b", 999 * HOUR, noaa_ar="1")], Rules(), 1)
    events = [a_flare("a", 0, noaa_ar="0"), a_flare("b", 999 * HOUR, noaa_ar="1")]
    notes = audited(images_of(events, few), table_of(few))["notes"]
    assert notes[0].startswith("only 2 groups: a test on so few says little; splits: {folds: 2}")
    assert notes[1].startswith("in no split: 2 events (a, b): test would be empty with 2 groups")
    assert notes[2] == "1 events have no noaa_ar: a"


def test_two_flares_in_folds_are_told_of_their_folds() -> None:
    events = spread(2)
    divided = divide(events, Rules(folds=2), 1)
    found = audited(images_of(events, divided), table_of(divided))
    assert found["verdict"] == "passed"
    assert found["notes"][0] == "only 2 groups: a test on so few says little"
    assert {row.reason for row in divided.rows} == {
        "test would be empty with 2 groups of events for 3 splits: use the folds, fewer splits (a"
        " fraction of 0), or more flares"
    }


def test_what_is_written_is_what_is_audited(set_of_40: tuple, tmp_path: Path) -> None:
    """Read back from files as the run writes them; nothing else is looked at."""
    images, splits, events = set_of_40
    expected = audited(images, splits)
    texts = images["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    write_table(images.assign(time=texts, filename="x"), tmp_path / "images.csv")
    write_splits(divide(events, Rules(folds=2), 1).rows, tmp_path / "splits.csv")
    read = read_images(tmp_path / "images.csv", ["noaa_ar"]), read_splits(tmp_path / "splits.csv")
    assert audit(*read, DAY, ["noaa_ar"]) == expected


def test_a_set_without_images_is_audited(tmp_path: Path) -> None:
    """As from pictures, of which none is drawn."""
    events = spread(2)
    divided: Division = divide(events, Rules(), 1)
    images = images_of(events, divided).iloc[:0].assign(time="")
    write_table(images, tmp_path / "images.csv")
    found = audit(read_images(tmp_path / "images.csv", []), table_of(divided), DAY, [])
    assert found["verdict"] == "no split"
    assert to_markdown(found)
