import csv
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import events

from flareset.campaign.events import Event
from flareset.campaign.rows import Row, read_rows
from flareset.errors import EventsError
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso, parse_utc

EUV = SERIES["aia.lev1_euv_12s"]


def rows_of(path: Path, text: str | bytes, minutes: int = 178) -> list[Row]:
    path = path / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    span = timedelta(minutes=minutes)
    return read_rows(path, series=EUV, wavelengths=[131], pre=span, post=span).rows


def read(path: Path, text: str | bytes, minutes: int = 178) -> list[Event]:
    return [row.event for row in rows_of(path, text, minutes)]


def refused(path: Path, text: str | bytes) -> str:
    with pytest.raises(EventsError) as error:
        read(path, text)
    return str(error.value)


def test_window_is_floored_to_the_minute(tmp_path: Path) -> None:
    (event,) = read(
        tmp_path, "event_starttime,event_endtime\n2014-01-07 18:05:34,2014-01-07 19:48:58\n"
    )
    assert event.event_id == "2014-01-07T180534"
    assert iso(event.window_start) == "2014-01-07T15:07:00Z"
    assert iso(event.window_end) == "2014-01-07T22:46:00Z"


def test_the_published_list_as_it_is(real: Path) -> None:
    path = real / "original/flare_summary_final/flare_selection"
    path /= "strongest_flares_2014_SDO_AIA_131.csv"
    span = timedelta(minutes=178)
    found = read_rows(path, series=EUV, wavelengths=[131], pre=span, post=span)
    events = [row.event for row in found.rows]
    assert [e.event_id for e in events] == [
        "2014-01-07T180534",
        "2014-02-20T072358",
        "2014-02-25T004158",
        "2014-04-18T123422",
        "2014-09-10T165810",
    ]
    # Its own windows are those that the default makes.
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for event, row in zip(events, rows, strict=True):
        assert iso(event.window_start) == row["jsoc_start_time"].replace(" ", "T") + "Z"
        assert event.columns["fl_peakflux"] == row["fl_peakflux"]


def test_mixed_times_midnight_long_events_and_two_flares_a_day(tmp_path: Path) -> None:
    events = read(
        tmp_path,
        "event_id,event_starttime,event_endtime\n"
        ",2014-02-24T23:50:00Z,2014-02-25 00:20:00\n"
        "long,2014-03-01 00:00:00.5,2014-03-02T06:00:00Z\n"
        ",2014-02-24 10:00:00,2014-02-24 10:10:00\n",
    )
    assert [e.event_id for e in events] == ["2014-02-24T100000", "2014-02-24T235000", "long"]
    assert events[2].flare_end - events[2].flare_start > timedelta(hours=29)


def test_other_flares_are_those_that_overlap_the_window(tmp_path: Path) -> None:
    a, b, c = read(
        tmp_path,
        "event_id,event_starttime,event_endtime\n"
        "a,2014-01-01 00:00:00,2014-01-01 12:00:00\n"
        "b,2014-01-01 13:00:00,2014-01-01 13:10:00\n"
        "c,2014-01-02 13:00:00,2014-01-02 13:10:00\n",
        minutes=61,
    )
    assert [f.event_id for f in a.other_flares] == ["b"]
    assert [f.event_id for f in b.other_flares] == ["a"]
    assert c.other_flares == ()


def test_hek_columns_and_wavelengths(tmp_path: Path) -> None:
    (row,) = rows_of(
        tmp_path,
        "event_starttime,event_endtime,hpc_x,hpc_y,wavelengths,fl_goescls\n"
        "2014-01-07T18:05:34,2014-01-07T19:48:58,1.5,-2,131;171,X1.2\n",
    )
    assert (row.event.hpc_x, row.event.hpc_y, row.wavelengths) == (1.5, -2.0, (131, 171))
    assert row.event.columns["fl_goescls"] == "X1.2"


def test_channels_and_source_are_the_rows_and_shape_no_file(tmp_path: Path) -> None:
    head = "event_starttime,event_endtime,goes_class,wavelengths,source\n"
    times = "2014-01-07T18:05:34,2014-01-07T19:48:58"
    (plain,) = rows_of(tmp_path, f"{head}{times},X1.2,,\n")
    (own,) = rows_of(tmp_path, f"{head}{times},X1.2,131 171,export\n")
    (other,) = rows_of(tmp_path, f"{head}{times},X1.3,,\n")
    assert (plain.wavelengths, plain.source) == ((131,), "page")
    assert (own.wavelengths, own.source) == ((131, 171), "export")
    assert own.event == plain.event
    assert other.event != plain.event


@given(events(), st.integers(0, 999_999), st.booleans(), st.dictionaries(st.text(), st.text()))
def test_an_event_that_is_read_back_is_the_one_that_was_written(
    event: Event, microseconds: int, peak: bool, columns: dict[str, str]
) -> None:
    event = replace(
        event,
        flare_start=event.flare_start + timedelta(microseconds=microseconds),
        flare_peak=event.flare_start if peak else None,
        hpc_x=microseconds / 7 if peak else None,
        columns=columns,
    )
    assert Event.from_json(event.to_json()) == event


def test_an_event_is_written_a_line_per_key_in_their_order(tmp_path: Path) -> None:
    (event,) = read(
        tmp_path, "event_starttime,event_endtime\n2014-01-07 18:05:34,2014-01-07 19:48:58\n"
    )
    lines = event.to_json().splitlines()
    assert lines[1].startswith(' "columns"')
    keys = re.findall(r'^ "(\w+)"', event.to_json(), re.MULTILINE)
    assert keys == sorted(vars(event))
    # The flares of the window are the event's own first, and each once.
    other = replace(event.flare, event_id="other", peak=None)
    crowd = replace(event, other_flares=(event.flare, other))
    assert [flare.event_id for flare in crowd.flares] == [event.event_id, "other"]
    assert json.loads(crowd.sky)[1] == {
        "event_id": "other", "start": "2014-01-07T18:05:34Z", "end": "2014-01-07T19:48:58Z"
    }  # fmt: skip


def test_bom_and_crlf_change_nothing(tmp_path: Path) -> None:
    text = "event_starttime,event_endtime\n2014-01-07 18:05:34,2014-01-07 19:48:58\n"
    (plain,) = read(tmp_path, text)
    (windows,) = read(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert plain == windows


def test_every_bad_row_is_named_at_once(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        "event_id,event_starttime,event_endtime,jsoc_start_time,jsoc_end_time,wavelengths,hpc_x\n"
        "good,2014-01-07 18:05:34,2014-01-07 19:48:58,,,,\n"
        "a,yesterday,2014-01-07 19:48:58,,,,\n"
        "b,2014-01-07 18:05:34,2014-01-07 18:05:34,,,,\n"
        "c,2014-01-07 18:05:34,,,,,\n"
        "d,2014-01-07 18:05:34,2014-01-07 19:48:58,2014-01-07 18:10:00,,,\n"
        "e,2014-01-07 18:05:34,2014-01-07 19:48:58,,2014-01-07 18:10:00,,\n"
        "../f,2014-01-07 18:05:34,2014-01-07 19:48:58,,,,\n"
        "g,2014-01-07 18:05:34,2014-01-07 19:48:58,,,132,\n"
        "h,2014-01-07 18:05:34,2014-01-07 19:48:58,,,,west\n"
        "GOOD,2014-01-08 18:05:34,2014-01-08 19:48:58,,,,\n",
    )
    path = tmp_path / "events.csv"
    for expected in (
        f"{path}, line 3, column event_starttime: 'yesterday' is not a time",
        f"{path}, line 4, column event_endtime: '2014-01-07 18:05:34' is not after",
        f"{path}, line 5, column event_endtime: '' is empty",
        f"{path}, line 6, column jsoc_start_time: '2014-01-07 18:10:00' is after",
        f"{path}, line 7, column jsoc_end_time: '2014-01-07 18:10:00' is before",
        f"{path}, line 8, column event_id: '../f' is not a safe name",
        f"{path}, line 9, column wavelengths: '132' has ['132']",
        f"{path}, line 10, column hpc_x: 'west' is not a number",
        f"{path}, line 11: event_id 'GOOD' is that of line 2 too",
    ):
        assert expected in message
    assert "line 2," not in message


def test_unusable_files(tmp_path: Path) -> None:
    assert "the file is empty" in refused(tmp_path, "")
    assert "no flare below it" in refused(tmp_path, "event_starttime,event_endtime\n\n")
    assert "no column event_endtime" in refused(tmp_path, "event_starttime,x\n1,2\n")
    assert "two columns" in refused(tmp_path, "event_starttime,event_endtime,x,x\n1,2,3,4\n")
    latin = "event_starttime,event_endtime,n\n2014-01-07 18:05:34,2014-01-07 19:48:58,é\n"
    assert "line 2: byte 0xe9 is not UTF-8" in refused(tmp_path, latin.encode("latin-1"))
    ragged = "event_starttime,event_endtime\n2014-01-07 18:05:34\n"
    assert "line 2: 1 cells, but the header has 2" in refused(tmp_path, ragged)
    with pytest.raises(EventsError, match="no such file"):
        read_rows(
            tmp_path / "none.csv",
            series=EUV,
            wavelengths=[131],
            pre=timedelta(0),
            post=timedelta(0),
        )


def test_line_numbers_count_lines_inside_cells(tmp_path: Path) -> None:
    text = (
        'event_starttime,event_endtime,n\n2014-01-07 18:05:34,2014-01-07 19:48:58,"a\nb"\nx,y,z\n'
    )
    assert "line 4, column event_starttime: 'x'" in refused(tmp_path, text)


def test_ten_thousand_rows(tmp_path: Path) -> None:
    first = parse_utc("2014-01-01 00:00:00")
    starts = [first + timedelta(minutes=53 * n) for n in range(10_000)]
    rows = [f"{iso(start)},{iso(start + timedelta(minutes=20))}" for start in starts]
    text = "event_starttime,event_endtime\n" + "\n".join(rows) + "\n"
    events = read(tmp_path, text)
    assert len(events) == 10_000
    assert len(events[5000].other_flares) == 6
    message = refused(tmp_path, text.replace(":00Z\n", ":00Q\n"))
    assert "... and 9950 more" in message
    assert len(message.splitlines()) == 51


HEAD = "event_starttime,event_endtime"
TIMES = "2014-01-07 18:05:34,2014-01-07 19:48:58"


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        ("event_peaktime", "2014-01-07 18:00:00", "is outside the flare"),
        ("event_peaktime", "2014-01-06 18:30:00", "is outside the flare"),
        ("hpc_x", "inf", "is not a number from -1230 to 1230"),
        ("hpc_x", "nan", "leave it empty where it is not known"),
        ("hpc_y", "1e400", "is not a number"),
        ("hpc_y", "-9999", "is not a number"),
        ("hpc_coord", "268.8 -115.2", "is not a point like POINT(268.8 -115.2)"),
        ("hpc_coord", "POINT(9999 1)", "is not a number from"),
        ("noaa_ar", "AR", "is not the number of a NOAA active region"),
        ("noaa_ar", "²", "is not the number of a NOAA active region"),
        ("ar_noaanum", "1e9", "is not the number of a NOAA active region"),
        ("goes_class", "strong", "is not a GOES class, like X1.2"),
        ("fl_goescls", "X", "is not a GOES class"),
        ("wavelengths", "²", "has ['²']"),
        ("wavelengths", "9" * 5000, "aia.lev1_euv_12s has 94 131"),
        ("jsoc_end_time", "9999-12-31 23:00:00", "is not between 1900 and 2100"),
    ],
)
def test_what_cannot_be_is_refused_by_column(
    tmp_path: Path, column: str, text: str, why: str
) -> None:
    message = refused(tmp_path, f"{HEAD},{column}\n{TIMES},{text}\n")
    assert message.startswith(f"{tmp_path / 'events.csv'}, line 2, column {column}: ")
    assert why in message
    assert len(message) < 12_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014/01/07 18:05:34", "2014-01-07T18:05:34Z"),
        ("2014/1/7 18:05:34", "2014-01-07T18:05:34Z"),
        ("2014-01-07 18:05:34 UTC", "2014-01-07T18:05:34Z"),
        ("2014-01-07T18:05:34UTC", "2014-01-07T18:05:34Z"),
        ("2014-01-06 24:00:00", "2014-01-07T00:00:00Z"),
        ("2014-01-06T24:00", "2014-01-07T00:00:00Z"),
        ("2012-06-30 23:59:60", "2012-07-01T00:00:00Z"),
        ("2014-01-07 19:05:34+01:00", "2014-01-07T18:05:34Z"),
    ],
)
def test_times_as_lists_have_them(tmp_path: Path, text: str, expected: str) -> None:
    (event,) = read(tmp_path, f"{HEAD}\n{text},2014-01-07 19:48:58\n")
    assert iso(event.flare_start) == expected


@pytest.mark.parametrize(
    ("header", "cells", "place", "region"),
    [
        ("noaa_ar", "11944", (None, None), 11944),
        ("noaa_ar", "1944", (None, None), 11944),
        ("ar_noaanum", "11944.0", (None, None), 11944),
        ("ar_noaanum", "0", (None, None), None),
        ("noaa_ar,hpc_coord", ",POINT(268.8 -115.2)", (268.8, -115.2), None),
        ("hpc_x,hpc_y,hpc_coord", "1,2,POINT(268.8 -115.2)", (1, 2), None),
    ],
)
def test_names_of_hek(
    tmp_path: Path,
    header: str,
    cells: str,
    place: tuple[float | None, float | None],
    region: int | None,
) -> None:
    (event,) = read(tmp_path, f"{HEAD},{header}\n{TIMES},{cells}\n")
    assert ((event.hpc_x, event.hpc_y), event.noaa_ar) == (place, region)


def test_two_columns_of_one_meaning_agree(tmp_path: Path) -> None:
    text = f"{HEAD},noaa_ar,ar_noaanum\n{TIMES},11944,11945\n"
    assert "differs from ar_noaanum '11945'" in refused(tmp_path, text)


def warned(path: Path, text: str) -> list[str]:
    (path / "events.csv").write_text(text)
    span = timedelta(minutes=178)
    found = read_rows(path / "events.csv", series=EUV, wavelengths=[131], pre=span, post=span)
    return [warning.removeprefix(f"{path / 'events.csv'}") for warning in found.warnings]


def test_what_is_odd_is_a_warning_with_its_line(tmp_path: Path) -> None:
    rows = [
        TIMES + ",,",
        "2014-02-01 00:00:00,2014-02-01 13:00:00,,",
        "2008-01-01 00:00:00,2008-01-01 01:00:00,,",
        "2014-03-01 00:00:00,2014-03-01 01:00:00,0,0",
        "2014-03-01 00:00:50,2014-03-01 01:00:00,,",
    ]
    long, early, zero, twice = warned(tmp_path, "\n".join([f"{HEAD},hpc_x,hpc_y", *rows]))
    assert long.startswith(", line 3: the flare lasts 13:00:00, over 12 h")
    assert early.startswith(", line 4: the flare is of 2008-01-01T00:00:00Z, before SDO")
    assert zero.startswith(", line 5: the position is (0, 0)")
    assert twice.startswith(", line 6: it starts within a minute of line 5")


def test_a_flare_that_stands_there_twice(tmp_path: Path) -> None:
    message = refused(tmp_path, f"{HEAD}\n{TIMES}\n{TIMES}\n")
    assert "is that of line 2 too; this is the same flare twice" in message


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    text = f",{HEAD},,goes\n0,{TIMES},1,X1.2\n"
    (warning,) = warned(tmp_path, text)
    assert warning.startswith(": column 1, 4 has no name")
    (event,) = read(tmp_path, text)
    assert "" not in event.columns
    assert event.columns["goes"] == "X1.2"


def test_excel_says_what_separates(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"sep=,\n{HEAD}\n{TIMES}\n")) == 1
    assert "line 1: the separator is ';'" in refused(tmp_path, f"sep=;\n{HEAD}\n{TIMES}\n")


def test_a_huge_header_is_not_echoed(tmp_path: Path) -> None:
    message = refused(tmp_path, ",".join(f"column{n}" for n in range(15_000)) + "\n")
    assert "no column event_starttime" in message
    assert len(message) < 400
