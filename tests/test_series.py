"""The table of series, and the slots of T_REC, against what JSOC says in other places."""

from datetime import UTC, datetime, timedelta

import pytest

from flareset.sdo.exposure import LIMITS
from flareset.sdo.series import SERIES, Series, find_series
from flareset.sdo.times import parse_duration

AIA = [series for series in SERIES.values() if series.instrument == "aia"]


@pytest.mark.parametrize("name", [name for name in SERIES if name != "aia.lev1"])
def test_a_series_name_says_its_cadence(name: str) -> None:
    cadence = parse_duration(name.rpartition("_")[2])
    assert timedelta(seconds=SERIES[name].cadence) == cadence


def test_aia_s_channels_are_those_that_jsoc_s_slotting_knows() -> None:
    assert sorted(SERIES["aia.lev1"].wavelengths) == sorted(LIMITS)
    assert SERIES["aia.lev1"].cadence == SERIES["aia.lev1_euv_12s"].cadence
    for name, least, most in (("euv_12s", 10, 400), ("uv_24s", 400, 3000), ("vis_1h", 3000, 9000)):
        known = [wavelength for wavelength in LIMITS if least < wavelength < most]
        assert sorted(SERIES[f"aia.lev1_{name}"].wavelengths) == known
    hmi = {series.wavelengths for series in SERIES.values() if series.instrument == "hmi"}
    assert hmi == {(6173,)}


def test_a_record_of_lev1_is_a_single_exposure_and_no_link() -> None:
    assert [s.name for s in SERIES.values() if not s.shares_slots] == ["aia.lev1"]
    assert [s.name for s in SERIES.values() if s.linked] == [s.name for s in AIA if not s.step]
    assert find_series("HMI.m_45S") is SERIES["hmi.M_45s"]
    assert find_series("hmi.m_46s") is None


def test_an_image_of_aia_is_of_its_observation_to_the_nearest_second() -> None:
    slot = datetime(2014, 1, 7, 15, 7, 1, tzinfo=UTC)
    euv, hmi = SERIES["aia.lev1_euv_12s"], SERIES["hmi.M_45s"]
    for late, seconds in ((9.499, 9), (9.5, 10), (9.999, 10), (10.2, 10)):
        observed = slot + timedelta(seconds=late)
        assert euv.image_time(slot, observed) == slot + timedelta(seconds=seconds)
        assert hmi.image_time(slot, observed) == slot
    assert euv.image_time(slot, None) == slot


@pytest.mark.parametrize("series", AIA, ids=lambda series: series.name)
def test_slots_have_their_centres_where_real_headers_count_from(series: Series) -> None:
    # aia_scale writes the slot centres, counted from TRECEPOC, 1993.01.01_00:00:04_TAI.
    epoch = datetime(1993, 1, 1, 0, 0, 4, tzinfo=UTC)
    length = timedelta(seconds=series.step or series.cadence)
    when = datetime(2014, 1, 7, 15, 7, 10, 340000, tzinfo=UTC)
    tai = timedelta(seconds=35)
    found = series.centre(when)
    assert abs(found - when) <= length / 2
    assert (found + tai - epoch) % length == timedelta(0)
    # T_REC itself is the slot's begin; slots are counted from the begin of a year (TAI).
    begin = series.slot(when)
    assert timedelta(0) <= when - begin < length
    assert (begin + tai - datetime(1993, 1, 1, tzinfo=UTC)) % length == timedelta(0)
