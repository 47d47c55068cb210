"""Windows and cuts against an independent model of JSOC's slots: nothing is lost, nothing doubled.

The model is written from recorded answers: times become slot numbers, ranges include both ends.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import an_event, rejecting

from flareset.candidates import candidates_of
from flareset.sdo.recordset import (
    Recordset,
    recnum_recordsets,
    refusals,
    split,
    window_recordset,
)
from flareset.sdo.series import SERIES, Series
from flareset.sources.records import expected_records

# TAI - UTC was 35 s from 2012-07 to 2015-06.
TAI = timedelta(seconds=35)
BEGIN = datetime(2014, 1, 7, 15, tzinfo=UTC)
# Seconds of the slots' epoch behind 1993-01-01 TAI, and how long before a slot's centre T_REC is.
GRIDS = {
    "aia.lev1_euv_12s": (4, 4),
    "aia.lev1_uv_24s": (4, 4),
    "hmi.M_45s": (0, 0),
    "hmi.M_720s": (0, 0),
}
EPOCH = datetime(1993, 1, 1, tzinfo=UTC)


def number_of(series: Series, when: datetime) -> int:
    """Return the number of the slot nearest a UTC time."""
    shift = GRIDS[series.name][0]
    step = series.cadence
    seconds = (when + TAI - EPOCH).total_seconds() - shift
    return int((seconds + step / 2) // step)


def t_rec_of(series: Series, number: int) -> datetime:
    """Return the T_REC (UTC) of a slot."""
    shift, early = GRIDS[series.name]
    return EPOCH + timedelta(seconds=number * series.cadence + shift - early) - TAI


def slots_of(series: Series, text: str) -> list[int]:
    """Return the slots that JSOC gives for an inclusive range with zones."""
    span = re.search(r"\[([\d.T:_-]+?)(Z|_TAI)-([\d.T:_-]+?)(Z|_TAI)\]", text)
    assert span, text
    ends = []
    for time, zone in ((span[1], span[2]), (span[3], span[4])):
        when = datetime.fromisoformat(time.replace(".", "-", 2).replace("_", "T")).replace(
            tzinfo=UTC
        )
        ends.append(number_of(series, when - TAI if zone == "_TAI" else when))
    return list(range(ends[0], ends[1] + 1))


MOMENTS = st.integers(0, 86_400 * 1000).map(lambda ms: BEGIN + timedelta(milliseconds=ms))


@given(
    st.sampled_from(sorted(GRIDS)),
    MOMENTS,
    st.integers(1, 4 * 3_600_000),
    st.integers(0, 13_400),
)
def test_no_image_of_a_window_is_lost(
    name: str, begin: datetime, milliseconds: int, late: int
) -> None:
    """An AIA image's T_OBS comes up to 13.4 s after its T_REC; HMI's time is T_REC."""
    series = SERIES[name]
    end = begin + timedelta(milliseconds=milliseconds)
    behind = timedelta(milliseconds=late * (series.cadence / 12) if series.zone == "UTC" else 0)
    asked = set(
        slots_of(series, str(window_recordset(series, begin, end, [series.wavelengths[0]])))
    )
    first, last = number_of(series, begin) - 4, number_of(series, end) + 4
    for number in range(first, last):
        if begin <= t_rec_of(series, number) + behind <= end:
            assert number in asked


def told(series: Series, number: int, behind: timedelta) -> dict[str, str]:
    """Return jsoc_info's answer for a slot's record that was observed `behind` its T_REC."""
    t_rec = t_rec_of(series, number)
    t_obs = t_rec + behind
    known = {"WAVELNTH": str(series.wavelengths[0]), "CAMERA": "2", "QUALITY": "0x00000000"}
    if series.zone == "TAI":
        return {**known, "T_REC": f"{t_rec + TAI:%Y.%m.%d_%H:%M:%S_TAI}", "*recnum*": str(number)}
    observed = f"{t_obs:%Y-%m-%dT%H:%M:%S}.{t_obs.microsecond // 1000:03d}Z"
    shown = f"{t_rec:%Y-%m-%dT%H:%M:%SZ}"
    return {**known, "T_REC": shown, "T_OBS": observed, "*recnum*": str(number)}


def time_of(series: Series, number: int, behind: timedelta) -> datetime:
    """Return the time of a slot's image: T_OBS to the nearest second, or T_REC of HMI."""
    if series.zone == "TAI":
        return t_rec_of(series, number)
    milliseconds = (t_rec_of(series, number) + behind - EPOCH) // timedelta(milliseconds=1)
    return EPOCH + timedelta(seconds=(milliseconds + 500) // 1000)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(GRIDS)),
    MOMENTS,
    st.integers(0, 300_000),
    st.integers(0, 13_400),
)
def test_what_may_be_drawn_is_what_lies_in_the_window(
    name: str, begin: datetime, length: int, late: int
) -> None:
    """From the window to the verdict: no image in it is missed, and none beside it is accepted."""
    series = SERIES[name]
    scale = series.cadence / 12
    end = begin + timedelta(milliseconds=round(length * scale))
    behind = timedelta(milliseconds=round(late * scale))
    recordset = str(window_recordset(series, begin, end, [series.wavelengths[0]]))
    rows = [told(series, number, behind) for number in slots_of(series, recordset)]
    records = expected_records(rows, recordset, series, series.wavelengths[0])
    event = an_event((begin, end), (begin, end))
    candidates = candidates_of(records, event, rejecting())
    accepted = {row["slot"] for row in candidates if row["verdict"] == "accepted"}
    around = range(number_of(series, begin) - 4, number_of(series, end) + 4)
    inside = [n for n in around if begin <= time_of(series, n, behind) <= end]
    assert accepted == {f"{t_rec_of(series, n):%Y-%m-%dT%H:%M:%SZ}" for n in inside}


@given(st.sampled_from(sorted(GRIDS)), MOMENTS, st.integers(1, 100_000), st.integers(2, 7))
def test_cuts_share_no_slot_and_lose_none(
    name: str, begin: datetime, seconds: int, parts: int
) -> None:
    series = SERIES[name]
    end = begin + timedelta(seconds=seconds + parts * series.cadence)
    whole = str(window_recordset(series, begin, end, [series.wavelengths[0]]))
    pieces = split(whole, parts, series)
    found = [slot for piece in pieces for slot in slots_of(series, piece)]
    assert found == slots_of(series, whole)


def test_the_model_gives_the_recorded_records(real: Path) -> None:
    """A span has as many slots as whole steps fit, from the slot nearest its begin."""
    rows = json.loads((real / "jsoc/recorded/window_recordset_on_real.json").read_text())
    series = SERIES["aia.lev1_euv_12s"]
    for row in rows:
        asked = re.search(r"\[([^/]+)/(\d+)s\]", row["ds"])
        assert asked
        first = number_of(series, datetime.fromisoformat(asked[1]))
        last = first + int(asked[2]) // series.cadence - 1
        expected = [f"{t_rec_of(series, n):%Y-%m-%dT%H:%M:%SZ}" for n in (first, last)]
        assert [row["first"], row["last"]] == expected, row["ds"]
    assert len(rows) > 30


def test_an_inclusive_range_has_what_the_recorded_windows_lost(real: Path) -> None:
    lost = 0
    for name, series in (
        ("window_recordset_on_real", SERIES["aia.lev1_euv_12s"]),
        ("window_recordset_hmi_on_real", SERIES["hmi.M_45s"]),
    ):
        for row in json.loads((real / f"jsoc/recorded/{name}.json").read_text()):
            begin, end = (datetime.fromisoformat(row[key]) for key in ("begin", "end"))
            asked = slots_of(series, str(window_recordset(series, begin, end, [131])))
            for text in row.get("lost", row.get("lost_131_by_T_OBS", [])):
                assert number_of(series, datetime.fromisoformat(text)) in asked, row["ds"]
                lost += 1
    assert lost > 80


@given(st.sets(st.integers(1, 10**10), min_size=1, max_size=900), st.integers(60, 4000))
def test_record_numbers_are_all_asked_for_within_the_limit(numbers: set[int], longest: int) -> None:
    series = SERIES["aia.lev1_euv_12s"]
    texts = recnum_recordsets(series.name, numbers, "image", longest)
    assert all(len(text) <= longest for text in texts)
    found = [number for text in texts for number in Recordset.parse(text).recnums]
    assert found == sorted(numbers)


def test_a_list_of_record_numbers_is_halved() -> None:
    text = "aia.lev1_euv_12s[:#1,#2,#3]{image}"
    assert split(text, 2, SERIES["aia.lev1_euv_12s"]) == [
        "aia.lev1_euv_12s[:#1,#2]{image}",
        "aia.lev1_euv_12s[:#3]{image}",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aia.lev1_euv_12s[2014-01-07T15:00Z/1h][131][? QUALITY >= 0; drop ?]", "semicolon"),
        ("aia.lev1_euv_12s[2014-01-07T15:00Z/1h][131][? DATE > '2014 ?]", "not closed"),
        ("aia.lev1_euv_12s[2014-01-07T15:00Z/1h][131][? AECTYPE=0 ?]", "AECTYPE"),
        ("aia.lev1_euv_12s[2014-01-07T15:00:00-2014-01-07T16:00:00][131]", "without zones"),
        (f"aia.lev1_euv_12s[2014-01-07T15:00Z/1h][131]{' ' * 4000}", "4043 characters"),
        ("aia.lev1_euv_12s[2014-01-07T15:00Z/1h][131", "cannot be read"),
    ],
)
def test_what_jsoc_would_choke_on_is_refused(text: str, why: str) -> None:
    found = refusals(text, SERIES["aia.lev1_euv_12s"])
    assert any(why in sentence for sentence in found), found


@pytest.mark.parametrize(
    "text",
    [
        "aia.lev1_euv_12s[2014-01-07T15:00:00Z-2014-01-07T16:00:00Z@24s][131]{image}",
        "aia.lev1_euv_12s[2014.01.07_15:00/1h][131][? QUALITY >= 0 AND EXPTIME > 1.5 ?]",
        "aia.lev1_euv_12s[2014.01.07_15:00/1h][131][? WAVELNTH in (131,171) ?]",
        "aia.lev1[2014-01-07T15:00:00Z-2014-01-07T16:00:00Z][? WAVELNTH=131 AND AECTYPE=0 ?]",
    ],
)
def test_what_jsoc_takes_is_not_refused(text: str) -> None:
    assert not refusals(text, SERIES[text.partition("[")[0]])
