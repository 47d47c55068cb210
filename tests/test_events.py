import csv
from datetime import timedelta
from pathlib import Path

import pytest

from flareset.campaign.events import Event, read_events
from flareset.errors import EventsError
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso, parse_utc

EUV = SERIES["aia.lev1_euv_12s"]


def read(path: Path, text: str | bytes, minutes: int = 178) -> list[Event]:
    path = path / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    span = timedelta(minutes=minutes)
    return read_events(path, series=EUV, wavelengths=[131], pre=span, post=span)


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
    assert Event.from_json(event.to_json()).to_json() == event.to_json()


def test_the_published_list_as_it_is(real: Path) -> None:
    path = real / "original/flare_summary_final/flare_selection"
    path /= "strongest_flares_2014_SDO_AIA_131.csv"
    span = timedelta(minutes=178)
    events = read_events(path, series=EUV, wavelengths=[131], pre=span, post=span)
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
        assert event.row["fl_peakflux"] == row["fl_peakflux"]


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
    (event,) = read(
        tmp_path,
        "event_starttime,event_endtime,hpc_x,hpc_y,wavelengths,fl_goescls\n"
        "2014-01-07T18:05:34,2014-01-07T19:48:58,1.5,-2,131;171,X1.2\n",
    )
    assert (event.hpc_x, event.hpc_y, event.wavelengths) == (1.5, -2.0, (131, 171))
    assert event.row["fl_goescls"] == "X1.2"


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
    assert "twice" in refused(tmp_path, "event_starttime,event_endtime,x,x\n1,2,3,4\n")
    latin = "event_starttime,event_endtime,n\n2014-01-07 18:05:34,2014-01-07 19:48:58,é\n"
    assert "line 2: byte 0xe9 is not UTF-8" in refused(tmp_path, latin.encode("latin-1"))
    ragged = "event_starttime,event_endtime\n2014-01-07 18:05:34\n"
    assert "line 2: 1 cells, but the header has 2" in refused(tmp_path, ragged)
    with pytest.raises(EventsError, match="no such file"):
        read_events(
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
