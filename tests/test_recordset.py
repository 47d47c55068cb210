from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_windows import number_of

from flareset.archive.exports import parts_needed
from flareset.errors import ExportError
from flareset.sdo.recordset import (
    Recordset,
    Times,
    jsoc_time,
    parse_time,
    recnum_recordsets,
    refusals,
    split,
    window_recordset,
)
from flareset.sdo.series import SERIES, Series
from flareset.sdo.times import iso, to_tai

EUV = SERIES["aia.lev1_euv_12s"]
# JSOC's own help, requests that were recorded in public, and answers to them.
REAL = {
    "hmi.m_45s[2013.12.09_03:00:00_TAI-2013.12.11_08:00:00_TAI]": (
        "2013-12-09T02:59:25Z", "2013-12-11T07:59:25Z", True, 0,
    ),
    "aia.lev1_euv_12s[2015.10.17_04:33:30/300m@84s][171,193,94,304]{image}": (
        "2015-10-17T04:33:30Z", "2015-10-17T09:33:30Z", False, 84,
    ),
    "hmi.sharp_cea_720s[377][2011.02.15_02:12:00_TAI]{Br}": (
        "2011-02-15T02:11:26Z", "2011-02-15T02:11:26Z", True, 0,
    ),
    "aia.lev1_euv_12s[2014-02-20T08:18:01Z][131]{image}": (
        "2014-02-20T08:18:01Z", "2014-02-20T08:18:01Z", True, 0,
    ),
    "aia.lev1_euv_12s[2014-02-20T08:18:01Z][131]": (
        "2014-02-20T08:18:01Z", "2014-02-20T08:18:01Z", True, 0,
    ),
    "aia.lev1_euv_12s[2014-01-07T15:07:00Z/459m][131]{image}": (
        "2014-01-07T15:07:00Z", "2014-01-07T22:46:00Z", False, 0,
    ),
    "hmi.M_45s[2010.05.01/1d]": ("2010-05-01T00:00:00Z", "2010-05-02T00:00:00Z", False, 0),
    "hmi.M_720s[2020.01.01_00:00:35_TAI-2020.01.02_00:00:35_TAI@300.0s]": (
        "2019-12-31T23:59:58Z", "2020-01-01T23:59:58Z", True, 300,
    ),
    "aia.lev1[2014-02-05T08:00:00Z-2014-02-05T16:00:00Z][? WAVELNTH=304 ?]{image_lev1}": (
        "2014-02-05T08:00:00Z", "2014-02-05T16:00:00Z", True, 0,
    ),
    "aia.lev1_euv_12s[][131][? QUALITY >= 0 ?]": None,
    "aia.lev1[:#123,#124]": None,
    "su_rsb.NOAA_ActiveRegions[][11158]": None,
    "hmi.M_45s[$]": None,
    "hmi.M_45s": None,
}  # fmt: skip


@pytest.mark.parametrize("text", REAL)
def test_queries_of_the_field_are_read_and_written_back(text: str) -> None:
    found = Recordset.parse(text)
    assert str(found) == text
    assert Recordset.parse(str(found)) == found
    times = found.times
    if REAL[text] is None:
        assert times is None
        return
    assert times is not None
    begin, end, inclusive, cadence = REAL[text]
    assert (iso(times[1].begin), iso(times[1].end)) == (begin, end)
    assert (times[1].inclusive, times[1].cadence) == (inclusive, cadence)
    assert found.at("X").filters[times[0]] == "X"


def test_filters_and_segments_apart() -> None:
    found = Recordset.parse(" aia.lev1_euv_12s[][171, 193][? a[1] > 2 ?][? b ?]{image , spikes} ")
    assert found.numbers == [[171, 193]]
    assert found.sql == "(a[1] > 2) AND (b)"
    assert Recordset.parse("hmi.M_45s[??][1]").filters == ("??", "1")
    assert found.segments == ("image", "spikes")
    with pytest.raises(ExportError, match="has no filter on time"):
        found.at("2014.01.01/1d")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with a series"),
        ("aia[2014.01.01/1d]", "does not begin with a series"),
        ("hmi.M_45s[2014.01.01/1d", "no ] closes"),
        ("hmi.M_45s[? a > 1 ]", r"no \?\] closes"),
        ("hmi.M_45s[]{image", "'{image' cannot be read"),
        ("hmi.M_45s[]{}", "'{}' cannot be read"),
        ("hmi.M_45s[],hmi.M_45s[]", "cannot be read"),
        ("hmi.M_45s[] x", "'x' cannot be read"),
    ],
)
def test_no_recordsets(text: str, why: str) -> None:
    with pytest.raises(ExportError, match=why):
        Recordset.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "131", "1600,1700", "377", "2014", "2014.13.01", "2014.01.32/1d", "2014.01.01/1",
        "2014.01.01_25:00/1d", "2014.01.01_00:61:00", "2014.01.01_00:00:61", "2014.01.01/10u",
        "2014.01.01/1d@2u", "2014.01.01-", "2014.01.01-x", "2014.01.01/1d,2014.02.01/1d",
        "2014.01.01,x", "? T_REC > 1 ?", "#5-#7", "^", "2014.01.01/99999999d",
    ],
)  # fmt: skip
def test_what_is_no_filter_on_time(text: str) -> None:
    assert Times.parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014.02.05_08:00:00_TAI", "2014-02-05T07:59:25Z"),
        ("2014.02.05_08:00_UTC", "2014-02-05T08:00:00Z"),
        ("2014.02.05_08_UT", "2014-02-05T08:00:00Z"),
        ("2014.02.05", "2014-02-05T00:00:00Z"),
        ("2014.2.5_TAI", "2014-02-04T23:59:25Z"),
        ("2014-02-05T08:00:00.250Z", "2014-02-05T08:00:00.250000Z"),
        ("2014-02-05T08:00:00", "2014-02-05T08:00:00Z"),
        ("2016.12.31_23:59:60_UTC", "2017-01-01T00:00:00Z"),
        ("2016.12.31_23:59:59_TAI", "2016-12-31T23:59:23Z"),
        ("2017.01.01_00:00:37_TAI", "2017-01-01T00:00:00Z"),
    ],
)
def test_times_and_zones(text: str, expected: str) -> None:
    assert iso(parse_time(text)) == expected


def test_a_span_leaves_its_end_out_and_a_range_holds_both() -> None:
    begin, end = datetime(2014, 1, 7, 15, tzinfo=UTC), datetime(2014, 1, 7, 15, 30, tzinfo=UTC)
    span = Times.parse("2014.01.07_15:00/30m")
    between = Times.parse("2014.01.07_15:00-2014.01.07_15:30")
    values = Times.parse("2014.01.07_15:30, 2014.01.07_15:00")
    assert span is not None
    assert between is not None
    assert values is not None
    second = timedelta(seconds=1)
    for when, expected in (
        (begin - second, (False, False, False)),
        (begin, (True, True, True)),
        (begin + second, (True, True, False)),
        (end - second, (True, True, False)),
        (end, (False, True, True)),
        (end + second, (False, False, False)),
    ):
        assert (span.hold(when), between.hold(when), values.hold(when)) == expected


def test_spans_count_leap_seconds() -> None:
    span = Times.parse("2016-12-31T23:59:00Z/61s")
    assert span is not None
    assert iso(span.end) == "2017-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("1d", 86400)]
)
def test_units_of_a_span(text: str, seconds: float) -> None:
    begin = datetime(2014, 1, 7, 15, tzinfo=UTC)
    span = Times.parse(f"2014.01.07_15:00/{text}")
    assert span == Times(begin, begin + timedelta(seconds=seconds))
    assert not span.inclusive
    assert span.cadence == 0
    every = Times.parse(f"2014.01.07_15:00/2d@{text}")
    assert every is not None
    assert every.cadence == seconds


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_are_closed(quote: str) -> None:
    text = "hmi.M_45s[2014.01.01/1d][? DATE > {}2014{} ?]"
    assert refusals(text.format(quote, quote), SERIES["hmi.M_45s"]) == []
    for wrong in (text.format(quote, ""), text.format(quote, 2 * quote)):
        assert refusals(wrong, SERIES["hmi.M_45s"]) == [
            "has a quote that is not closed, which JSOC refuses"
        ]


def test_a_range_of_iso_times_needs_zones() -> None:
    whole = "hmi.M_45s[{}-{}]"
    why = "has a range of times without zones: JSOC finds nothing; write Z behind both"
    for first, last, reasons in (
        ("2014-01-07T15:00:00", "2014-01-07T16:00:00", [why]),
        ("2014-01-07T15:00:00Z", "2014-01-07T16:00:00Z", []),
        # With dots the dash is no part of the date.
        ("2014.01.07_15:00:00", "2014.01.07_16:00:00", []),
    ):
        assert refusals(whole.format(first, last), SERIES["hmi.M_45s"]) == reasons
    assert refusals("hmi.M_45s[2014-01-07T15:00:00/1h]", SERIES["hmi.M_45s"]) == []


def test_a_window_ends_with_the_second_that_holds_its_end() -> None:
    end = datetime(2014, 1, 7, 16, 0, 0, 1, tzinfo=UTC)
    found = window_recordset(SERIES["hmi.M_45s"], datetime(2014, 1, 7, 15, tzinfo=UTC), end, [6173])
    assert found.filters == ("2014.01.07_15:00:35_TAI-2014.01.07_16:00:36_TAI",)


def test_jsoc_takes_recordsets_that_leave_room_for_its_filter_on_quality() -> None:
    # Fewer than 4000 characters, and it appends `[? QUALITY >= 0 ?]` and the like (33).
    def of_length(length: int) -> str:
        text = "hmi.M_45s[2014.01.01/1d][? CAMERA > 0 ?]"
        return text.replace("0 ?", f"0{' ' * (length - len(text))} ?")

    assert refusals(of_length(3967), SERIES["hmi.M_45s"]) == []
    assert refusals(of_length(3968), SERIES["hmi.M_45s"]) == [
        "has 3968 characters: JSOC takes 3967"
    ]


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=40), st.integers(45, 120), st.booleans()
)
def test_records_by_number_fill_each_recordset(
    numbers: list[int], longest: int, bare: bool
) -> None:
    segment = "" if bare else "image"
    texts = recnum_recordsets("aia.lev1", numbers, segment, longest)
    assert all(len(text) <= longest for text in texts)
    parsed = [Recordset.parse(text) for text in texts]
    assert all(each.segments == (() if bare else ("image",)) for each in parsed)
    assert [number for each in parsed for number in each.recnums] == sorted(set(numbers))
    # Each is as full as can be: the next one's first number has no room in it.
    for text, following in zip(texts, parsed[1:], strict=False):
        assert len(text) + len(f",#{following.recnums[0]}") > longest


BEGIN = datetime(2014, 1, 7, 15, 7, tzinfo=UTC)
END = datetime(2014, 1, 7, 22, 46, tzinfo=UTC)


@pytest.mark.parametrize(
    ("series", "wavelengths", "expected"),
    [
        ("aia.lev1_euv_12s", [131], "[2014-01-07T15:06:48Z-2014-01-07T22:46:00Z][131]{s}"),
        (
            "aia.lev1_uv_24s",
            [1600, 1700],
            "[2014-01-07T15:06:36Z-2014-01-07T22:46:00Z][1600,1700]{s}",
        ),
        ("aia.lev1_vis_1h", [4500], "[2014-01-07T14:07:00Z-2014-01-07T22:46:00Z][4500]{s}"),
        ("aia.lev1", [304], "[2014-01-07T15:07:00Z-2014-01-07T22:46:00Z][? WAVELNTH=304 ?]{s}"),
        (
            "aia.lev1",
            [304, 171],
            "[2014-01-07T15:07:00Z-2014-01-07T22:46:00Z][? WAVELNTH in (304, 171) ?]{s}",
        ),
        ("hmi.M_45s", [6173], "[2014.01.07_15:07:35_TAI-2014.01.07_22:46:35_TAI]{s}"),
        ("hmi.B_720s", [6173], "[2014.01.07_15:07:35_TAI-2014.01.07_22:46:35_TAI]{s}"),
        (
            "hmi.sharp_cea_720s",
            [6173],
            '[][2014.01.07_15:07:35_TAI-2014.01.07_22:46:35_TAI][? NOAA_ARS ~ "11944" ?]{s}',
        ),
    ],
)
def test_the_query_of_a_window(series: str, wavelengths: list[int], expected: str) -> None:
    found = window_recordset(SERIES[series], BEGIN, END, wavelengths, "s", 11944)
    assert str(found) == series + expected
    assert Recordset.parse(str(found)) == found


moments = st.datetimes(datetime(2010, 6, 1), datetime(2025, 1, 1)).map(
    lambda when: when.replace(tzinfo=UTC)
)
# The seconds around the last leap second as often as all others.
moments = moments | st.integers(-120_000_000, 120_000_000).map(
    lambda us: datetime(2017, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)


@given(
    series=st.sampled_from([s for s in SERIES.values() if s.instrument == "aia"]),
    begin=moments,
    length=st.integers(1, 40_000_000_000),
    part=st.floats(0, 1),
)
def test_every_exposure_of_the_window_is_asked_for(
    series: Series, begin: datetime, length: int, part: float
) -> None:
    end = begin + timedelta(microseconds=length)
    t_obs = begin + timedelta(microseconds=round(length * part))
    step = series.step or series.cadence
    # T_REC is the slot of T_OBS or one before: T_REC <= T_OBS < T_REC + cadence, and on the grid.
    t_rec = series.slot(t_obs)
    if series.step:
        t_rec = (t_obs + timedelta(seconds=0.5)).replace(microsecond=0)
        if not begin <= t_rec <= end:
            return  # its file's name has the second of T_REC, which is not in the window
    assert t_obs - t_rec < timedelta(seconds=step)
    asked = window_recordset(series, begin, end, [series.wavelengths[0]]).times
    assert asked is not None
    assert asked[1].hold(t_rec)


@given(begin=moments, length=st.integers(0, 40_000_000_000), part=st.floats(0, 1))
def test_every_slot_of_hmi_in_the_window_is_asked_for(
    begin: datetime, length: int, part: float
) -> None:
    series = SERIES["hmi.M_45s"]
    end = begin + timedelta(microseconds=length)
    t_rec = series.slot(begin + timedelta(microseconds=round(length * part)))
    asked = window_recordset(series, begin, end, [6173]).times
    assert asked is not None
    assert asked[1].hold(t_rec) or not begin <= t_rec <= end


def held(text: str, series: Series) -> list[int]:
    """Return the numbers of the slots that JSOC gives for a recordset, its cadence considered.

    JSOC turns times into slot numbers: a span has as many slots as whole steps fit, a range has
    the slots of both its ends (jsoc-protocol.md, 11; test_windows pins the model by records).
    """
    found = Recordset.parse(text).times
    assert found is not None
    times = found[1]
    if times.values:
        return [number_of(series, when) for when in times.values]
    first = number_of(series, times.begin)
    span = (to_tai(times.end) - to_tai(times.begin)).total_seconds()
    count = number_of(series, times.end) - first + 1 if times.inclusive else span // series.cadence
    every = round((times.cadence or series.cadence) / series.cadence)
    return list(range(first, first + int(count), every))


SERIES_WITH_SPANS = [SERIES[name] for name in ("aia.lev1_euv_12s", "hmi.M_45s", "hmi.M_720s")]


@given(
    series=st.sampled_from(SERIES_WITH_SPANS),
    begin=st.integers(0, 10_000_000),
    slots=st.integers(2, 400),
    more=st.integers(0, 44),
    cadence=st.sampled_from([0, 1, 7]),
    parts=st.integers(2, 9),
    inclusive=st.booleans(),
)
def test_the_parts_of_a_query_hold_the_whole_once(
    series: Series, begin: int, slots: int, more: int, cadence: int, parts: int, inclusive: bool
) -> None:
    start = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(seconds=begin)
    seconds = slots * series.cadence + more
    every = f"@{cadence * series.cadence}s" if cadence else ""
    text = f"{jsoc_time(series, start)}/{seconds}s{every}"
    if inclusive:
        end = jsoc_time(series, start + timedelta(seconds=seconds))
        text = f"{jsoc_time(series, start)}-{end}{every}"
    whole = str(Recordset(series.name, (text, "? X ?"), ("s",)))
    if slots * series.cadence <= (cadence or 1) * series.cadence:
        return
    pieces = split(whole, parts, series)
    assert 2 <= len(pieces) <= parts
    assert [when for piece in pieces for when in held(piece, series)] == held(whole, series)
    assert all(piece.endswith("[? X ?]{s}") for piece in pieces)


@given(count=st.integers(2, 50), parts=st.integers(2, 60))
def test_a_list_of_times_is_cut_into_lists(count: int, parts: int) -> None:
    times = [jsoc_time(EUV, BEGIN + timedelta(seconds=12 * n)) for n in range(count)]
    pieces = split(f"aia.lev1_euv_12s[{','.join(times)}][131]{{image}}", parts, EUV)
    assert 2 <= len(pieces) <= parts
    assert [when for piece in pieces for when in held(piece, EUV)] == [
        number_of(EUV, parse_time(text)) for text in times
    ]


def test_what_cannot_be_cut() -> None:
    one = "aia.lev1_euv_12s[2014-02-20T08:18:01Z][131]"
    assert split(one, 1, EUV) == [one]
    for text in (one, one.replace("01Z", "01Z/12s")):
        with pytest.raises(ExportError, match="one record cannot be split"):
            split(text, 2, EUV)
    with pytest.raises(ExportError, match="has no filter on time to cut"):
        split("aia.lev1_euv_12s[][131]", 2, EUV)


@pytest.mark.parametrize(
    ("records", "megabytes", "protocol", "parts"),
    [
        (1, 1, "FITS", 1),
        (10_000, 90_000, "FITS,compress Rice", 1),
        (10_001, 10, "FITS", 2),
        (2401, 90_001, "FITS", 2),
        (2401, 27_500, "FITS,**NONE**", 4),
    ],
)
def test_requests_needed(records: int, megabytes: float, protocol: str, parts: int) -> None:
    assert parts_needed(records, megabytes, protocol) == parts
