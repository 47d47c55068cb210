from datetime import UTC, datetime, timedelta

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from flareset.sdo.series import SERIES
from flareset.sdo.times import (
    duration_text,
    floor_minute,
    from_tai,
    iso,
    iso_column,
    name_time,
    parse_duration,
    parse_jsoc_time,
    parse_utc,
    read_iso,
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2014-01-07 18:05:34",
        "2014-01-07T18:05:34",
        "2014-01-07T18:05:34Z",
        "2014-01-07T18:05:34.000Z",
        "2014-01-07 19:05:34+01:00",
        " 2014-01-07 18:05:34 ",
    ],
)
def test_forms_of_a_users_time(text: str) -> None:
    assert parse_utc(text) == utc(2014, 1, 7, 18, 5, 34)


@pytest.mark.parametrize("text", ["", "2014-01-07", "20140107", "07/01/2014 18:05", "18:05:34"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat"):
        parse_utc(text)


def test_jsoc_times() -> None:
    assert parse_jsoc_time("2014-01-07T15:07:01Z") == utc(2014, 1, 7, 15, 7, 1)
    assert parse_jsoc_time("2014-01-07T15:07:10.340") == utc(2014, 1, 7, 15, 7, 10, 340000)
    assert parse_jsoc_time("2014-01-07T15:07:60.00Z") == utc(2014, 1, 7, 15, 8)
    assert parse_jsoc_time("2011.02.14_02:00:00_TAI") == utc(2011, 2, 14, 1, 59, 26)


def test_times_in_names() -> None:
    name = "aia.lev1_euv_12s.2014-01-07T150710Z.131.image_lev1.fits"
    assert name_time(name) == utc(2014, 1, 7, 15, 7, 10)
    assert name_time("hmi.m_720s.20140101_000000_TAI.magnetogram.fits") == utc(
        2013, 12, 31, 23, 59, 25
    )
    assert name_time("image_lev1.fits") is None


def test_tai_around_a_leap_second() -> None:
    # TAI-UTC went from 35 to 36 s at the end of June 2015.
    assert from_tai(utc(2015, 7, 1, 0, 0, 34)) == utc(2015, 6, 30, 23, 59, 59)
    assert from_tai(utc(2015, 7, 1, 0, 0, 37)) == utc(2015, 7, 1, 0, 0, 1)


def test_slots_lie_on_the_grid_of_real_pages() -> None:
    series = SERIES["aia.lev1_euv_12s"]
    assert series.slot(utc(2014, 1, 7, 15, 7, 10)) == utc(2014, 1, 7, 15, 7, 1)
    assert series.slot(utc(2014, 9, 10, 17, 47, 0)) == utc(2014, 9, 10, 17, 46, 49)
    assert series.slot(utc(2017, 6, 1, 12, 0, 0)) == utc(2017, 6, 1, 11, 59, 59)


def test_durations() -> None:
    assert parse_duration("178m") == timedelta(minutes=178)
    assert parse_duration("1.5 h") == timedelta(minutes=90)
    assert parse_duration("12s") == timedelta(seconds=12)
    assert parse_duration("2d") == timedelta(days=2)
    with pytest.raises(ValueError, match="178m"):
        parse_duration("178")


@pytest.mark.parametrize("midnight", ["2012-07-01", "2015-07-01", "2017-01-01"])
def test_tai_around_leap_seconds_is_astropys(midnight: str) -> None:
    for second in range(90):
        reading = datetime.fromisoformat(midnight).replace(tzinfo=UTC) + timedelta(seconds=second)
        told = Time(reading.replace(tzinfo=None), scale="tai").utc.isot
        assert from_tai(reading) == parse_utc(told), told


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30)), st.integers(0, 6))
def test_both_ways_to_read_a_utc_time_agree(when: datetime, digits: int) -> None:
    text = f"{when:%Y-%m-%dT%H:%M:%S.%f}"[: 20 + digits].removesuffix(".")
    read = parse_jsoc_time(f"{text}Z")
    assert read == parse_jsoc_time(f"{text}_UTC")
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=178), "178m"),
        (timedelta(hours=36), "36h"),
        (timedelta(days=2), "2d"),
    ],
)
def test_a_duration_is_written_in_its_largest_unit(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text
    assert parse_duration(text) == duration


def test_a_second_60_and_a_day_s_last_midnight_belong_to_what_follows() -> None:
    assert parse_utc("2016-12-31 23:59:60") == utc(2017, 1, 1)
    assert parse_utc("2014-01-07T24:00:00Z") == utc(2014, 1, 8)
    assert parse_utc("2014/1/7 24:00") == utc(2014, 1, 8)
    assert parse_jsoc_time("2014-01-07T15:07:60.99Z") == utc(2014, 1, 7, 15, 8, 0, 990000)
    with pytest.raises(ValueError, match="a second above 60"):
        parse_jsoc_time("2014-01-07T15:07:61Z")
    with pytest.raises(ValueError, match="end of the calendar"):
        parse_jsoc_time("9999.12.31_23:59:60_UTC")


def test_a_column_of_times_has_fractions_where_any_time_has_one() -> None:
    whole = [utc(2014, 1, 7, 15, 7, 1), None, utc(2014, 1, 8)]
    assert iso_column(whole) == ["2014-01-07T15:07:01Z", "", "2014-01-08T00:00:00Z"]
    mixed = [utc(2014, 1, 7), utc(2014, 1, 7, 0, 0, 0, 340000)]
    assert iso_column(mixed) == ["2014-01-07T00:00:00.000000Z", "2014-01-07T00:00:00.340000Z"]
    assert [parse_utc(text) for text in iso_column(mixed)] == mixed
    for times in (whole, mixed):
        assert [read_iso(text) for text in iso_column(times)] == times
    assert floor_minute(utc(2014, 1, 7, 15, 7, 10, 340000)) == utc(2014, 1, 7, 15, 7)
    assert iso(utc(2014, 1, 7, 15, 7, 10, 340000)) == "2014-01-07T15:07:10.340000Z"
