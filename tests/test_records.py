from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.rows import column

from flareset.errors import ExportError
from flareset.sdo.keywords import STATISTICS
from flareset.sdo.processing import Step
from flareset.sdo.quality import quality_of
from flareset.sdo.series import SERIES, Series
from flareset.sdo.times import parse_utc
from flareset.sources.records import (
    expected_records,
    keys_of,
    mark_left_out,
    match_rows,
    observed_second,
)
from flareset.tables.records import COLUMNS, read_records, write_records
from flareset.tables.rows import Row

EUV, LEV1, HMI = (SERIES[name] for name in ("aia.lev1_euv_12s", "aia.lev1", "hmi.M_45s"))
SHARP = SERIES["hmi.sharp_cea_720s"]
ROW = {
    "T_REC": "2014-01-07T18:05:01Z",
    "T_OBS": "2014-01-07T18:05:10.570Z",
    "WAVELNTH": "131",
    "QUALITY": "0x00000000",
    "EXPTIME": "2.900000",
    "AIMGSHCE": "2902",
    "AECTYPE": "0",
    "FSN": "70000001",
    "DATAVALS": "16777216",
    "DATAMIN": "-7",
    "DATAMAX": "16383",
    "DATAMEDN": "5",
    "DATAMEAN": "14.350000",
    "DATARMS": "61.120000",
    "DATASKEW": "60.250000",
    "DATAKURT": "nan",
    "NSPIKES": "1234",
    "NSATPIX": "3",
    "DATAP99": "61.000000",
    "CAMERA": "2",
    "HARPNUM": "377",
    "*recnum*": "123",
    "*online*": "Y",
    "*size*": "8478870",
}


def table(*rows: dict[str, str], series: Series = EUV, wavelength: int = 131) -> list[Row]:
    return expected_records([{**ROW, **row} for row in rows], "x[y]", series, wavelength)


def test_a_record() -> None:
    (record,) = table({})
    assert record == {
        "record": "aia.lev1_euv_12s[2014-01-07T18:05:01Z][131]",
        "t_rec": parse_utc("2014-01-07T18:05:01Z"),
        "t_obs": parse_utc("2014-01-07T18:05:10.570Z"),
        "time": parse_utc("2014-01-07T18:05:11Z"),
        "wavelength": 131,
        "QUALITY": "0x00000000",
        "EXPTIME": "2.900000",
        "AIMGSHCE": "2902",
        "AECTYPE": "0",
        "FSN": "70000001",
        "DATAVALS": "16777216",
        "DATAMIN": "-7",
        "DATAMAX": "16383",
        "DATAMEDN": "5",
        "DATAMEAN": "14.350000",
        "DATARMS": "61.120000",
        "DATASKEW": "60.250000",
        "DATAKURT": "",
        "NSPIKES": "1234",
        "NSATPIX": "3",
        "DATAP99": "61.000000",
        "recnum": "123",
        "online": "Y",
        "path": "",
        "bytes": 8478870,
        "status": "",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("series", "t_rec", "name", "utc"),
    [
        (LEV1, "2014-02-05T08:00:07Z", "[2014-02-05T08:00:07Z][70000001]", "08:00:07"),
        (HMI, "2014.02.05_08:00:45_TAI", "[2014.02.05_08:00:45_TAI][2]", "08:00:10"),
        (SHARP, "2014.02.05_08:00:00_TAI", "[377][2014.02.05_08:00:00_TAI]", "07:59:25"),
    ],
)
def test_records_of_other_series(series: Series, t_rec: str, name: str, utc: str) -> None:
    wavelength = "304" if series is LEV1 else "6173.3"
    found = table(
        {"T_REC": t_rec, "WAVELNTH": wavelength}, series=series, wavelength=int(float(wavelength))
    )
    assert found[0]["record"] == series.name + name
    assert f"{found[0]['t_rec']:%H:%M:%S}" == utc
    assert {*series.keys, *STATISTICS} <= set(keys_of(series, STATISTICS))


@pytest.mark.parametrize(
    ("t_obs", "time"),
    [
        ("2014-01-07T18:05:10.499Z", "18:05:10"),
        ("2014-01-07T18:05:10.500Z", "18:05:11"),
        ("2014-01-07T18:59:59.840Z", "19:00:00"),
    ],
)
def test_an_image_s_time_is_that_in_jsoc_s_file_name(t_obs: str, time: str) -> None:
    assert f"{table({'T_OBS': t_obs})[0]['time']:%H:%M:%S}" == time
    # For HMI it is T_REC, whatever was observed when.
    hmi = {"T_REC": "2014.02.05_08:00:45_TAI", "WAVELNTH": "6173.3", "T_OBS": t_obs}
    assert f"{table(hmi, series=HMI, wavelength=6173)[0]['time']:%H:%M:%S}" == "08:00:10"


@pytest.mark.parametrize(
    ("text", "status", "word"),
    [
        ("0x00000000", "", 0),
        ("0", "", 0),
        ("0x80000000", "no_image", 0x80000000),
        ("0xC0000100", "no_image", 0xC0000100),
        ("2147483648", "no_image", 0x80000000),
        ("-2147483648", "no_image", 0x80000000),
        ("-2147483392", "no_image", 0x80000100),
        ("0x00000100", "", 256),
        ("256", "", 256),
        ("", "", None),
        ("Invalid KeyLink", "", None),
        ("MISSING", "", None),
    ],
)
def test_quality(text: str, status: str, word: int | None) -> None:
    (record,) = table({"QUALITY": text})
    assert record["status"] == status
    assert ("the record has no image" in record["reason"]) == bool(status)
    assert quality_of(record["QUALITY"]) == word


@pytest.mark.parametrize("text", ["", "MISSING", "nan", "Invalid KeyLink", "-4712.01.01_12:00:00"])
def test_what_jsoc_does_not_know(text: str, tmp_path: Path) -> None:
    found = table({"T_OBS": text, "EXPTIME": text, "*size*": text, "*recnum*": text})
    assert found[0]["t_obs"] is None
    assert (found[0]["EXPTIME"], found[0]["recnum"], found[0]["bytes"]) == ("", "", 12_000_000)
    # T_REC stands in for T_OBS.
    assert found[0]["time"] == parse_utc("2014-01-07T18:05:01Z")
    write_records(found, tmp_path / "r.csv")
    assert read_records(tmp_path / "r.csv") == found


def test_other_wavelengths_are_left_out_and_times_put_in_order() -> None:
    found = table({"T_REC": "2014-01-07T18:05:13Z"}, {"WAVELNTH": "171"}, {})
    assert [row["t_rec"].second for row in found] == [1, 13]
    with pytest.raises(ExportError, match=r"no record of x\[y\] at 335: check the window"):
        table({}, wavelength=335)
    with pytest.raises(ExportError, match="a record without a T_REC"):
        table({"T_REC": "Invalid KeyLink"})


def test_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    found = table({}, {"T_REC": "2014-01-07T18:05:13Z", "T_OBS": "2014-01-07T18:05:21Z"})
    assert [set(row) for row in found] == [set(COLUMNS)] * 2
    for records in (found, []):
        write_records(records, path)
        assert path.read_text().partition("\n")[0] == ",".join(COLUMNS)
        back = read_records(path)
        assert back == records
        write_records(back, tmp_path / "again.csv")
        assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
    assert "2014-01-07T18:05:01Z,2014-01-07T18:05:10.570Z" in (
        write_records(found[:1], path) or path.read_text()
    ).replace("000Z", "Z")


def records_at(late: list[float]) -> list[Row]:
    """Return records of slots of 12 s, each exposed so many seconds after its slot began."""
    begin = datetime(2014, 1, 7, 18, 5, 1, tzinfo=UTC)
    rows = []
    for n, seconds in enumerate(late):
        t_rec = begin + timedelta(seconds=12 * n)
        t_obs = t_rec + timedelta(milliseconds=round(1000 * seconds))
        rows.append(
            {
                "T_REC": f"{t_rec:%Y-%m-%dT%H:%M:%SZ}",
                "T_OBS": f"{t_obs:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            }
        )
    return table(*rows)


lateness = st.lists(
    st.floats(0, 11.9) | st.sampled_from([11.5, 11.9, 0, 0.5]), min_size=1, max_size=20
)


@given(late=lateness, exposure=st.booleans(), order=st.randoms(use_true_random=False))
def test_processed_rows_are_matched_by_the_time_that_they_have(
    late: list[float], exposure: bool, order: object
) -> None:
    records = records_at(late)
    slots = column(records, "t_rec")
    all_times = [observed_second(row["t_obs"]) for row in records] if exposure else slots
    places = [*range(len(records))]
    order.shuffle(places)  # type: ignore[attr-defined]
    times = [all_times[place] for place in places]
    rows = [{"record": f"aia.lev1_euv_12s_mod[{t}][3]", "t_rec": t} for t in times]
    # Of one channel no two exposures begin in one second; on the slots, nothing tells them apart.
    assume(len({*times}) == len(times) and not (exposure and {*times} <= {*slots}))
    assert match_rows(rows, records, EUV) == places


def test_own_records_are_matched_by_name_alone() -> None:
    records = records_at([2.0, 2.0])
    names = [records[1]["record"].upper(), "aia.lev1_euv_12s[2014-01-07T18:05:02Z][131]"]
    names.append("aia.lev1_euv_12s_mod[2014-01-08T00:00:00Z][131]")
    times = [*column(records, "t_rec"), parse_utc("2014-01-08T00:00:00Z")]
    rows = [{"record": name, "t_rec": time} for name, time in zip(names, times, strict=True)]
    assert match_rows(rows, records, EUV) == [1, -1, -1]


def test_a_record_of_another_channel_is_no_match_though_it_has_the_time() -> None:
    records = records_at([2.0])
    name = "aia.lev1_euv_12s[2014-01-07T18:05:01Z][171]"
    assert match_rows([{"record": name, "t_rec": records[0]["t_rec"]}], records, EUV) == [-1]


@pytest.mark.parametrize(("late", "second"), [(2.0, 3), (2.499, 3), (2.5, 4), (2.999, 4)])
def test_an_exposure_is_matched_by_its_nearest_second(late: float, second: int) -> None:
    records = records_at([late, 5.0])
    assert observed_second(records[0]["t_obs"]) == parse_utc(f"2014-01-07T18:05:0{second}Z")
    # A record without T_OBS is matched by neither.
    records[1]["t_obs"] = None
    when = parse_utc(f"2014-01-07T18:05:0{second}Z")
    rows = [{"record": f"aia.lev1_euv_12s_mod[{when}][3]", "t_rec": when}]
    assert match_rows(rows, records, EUV) == [0]


@pytest.mark.parametrize(
    ("told", "channel"),
    [("131", 131), ("6173.3", 6173), ("MISSING", 6173), ("-131", 6173), ("1e7", 6173)],
)
def test_the_channel_of_a_record(told: str, channel: int) -> None:
    assert len(table({"WAVELNTH": told}, wavelength=channel)) == 1
    with pytest.raises(ExportError, match=r"no record of .* at 94: check the window"):
        table({"WAVELNTH": told}, wavelength=94)


def test_a_size_that_jsoc_does_not_tell_is_that_of_a_usual_file() -> None:
    found = table({"*size*": "1"}, {"*size*": "0"}, {"*size*": ""})
    assert column(found, "bytes") == [1, 12_000_000, 12_000_000]


def left_out(records: list[Row], *steps: Step) -> dict[int, tuple[str, str]]:
    """Return status and reason of the records that processing leaves out, by their place."""
    found = mark_left_out(records, steps, EUV)
    return {
        place: (row["status"], row["reason"]) for place, row in enumerate(found) if row["status"]
    }


def test_of_two_exposures_in_one_slot_aia_scale_keeps_the_later() -> None:
    # Slots have their centres 4 s after T_REC: both of the first two are nearest to one of them.
    records = records_at([11, 2, 4, 4, 11, 2])
    scale, other = Step("aia_scale_aialev1"), Step("resize", {"rescale": "0"})
    reason = f"JSOC's aia_scale puts it into the slot of {records[1]['record']}, and keeps that one"
    assert left_out(records, other) == {}
    found = left_out(records, other, scale)
    assert found[0] == ("no_image", f"{reason} alone")
    assert list(found) == [0, 4]
    # What has no T_OBS, or no image, is in no slot.
    records[2]["t_obs"] = records[3]["t_obs"] = None
    records[5] |= {"status": "no_image", "reason": "QUALITY"}
    found = left_out(records, scale)
    assert list(found) == [0, 5]
    assert found[5] == ("no_image", "QUALITY")


def cut_outs(seconds: list[float], cadence: str = "12s", **limits: str) -> dict[int, str]:
    """Return which of records at these seconds im_patch leaves out, and the reason's last word."""
    begin = datetime(2014, 1, 7, 18, 5, tzinfo=UTC)
    times = [begin + timedelta(seconds=second) for second in seconds]
    records = table(*({"T_REC": f"{time:%Y-%m-%dT%H:%M:%SZ}"} for time in times))
    args = {"t_start": "NotSpecified", "t_stop": "NotSpecified", "cadence": cadence, **limits}
    found = left_out(records, Step("im_patch", args))
    assert {status for status, _ in found.values()} <= {"not_needed"}
    return {seconds[place]: reason.rpartition(" ")[2] for place, (_, reason) in found.items()}


def test_a_cut_out_is_made_of_each_record_between_start_and_stop() -> None:
    seconds = [0, 12, 24, 36, 48]
    assert cut_outs(seconds) == {}
    edges = {"t_start": "2014-01-07T18:05:12Z", "t_stop": "2014-01-07T18:05:36Z"}
    assert cut_outs(seconds, **edges) == {0: "t_stop", 48: "t_stop"}
    # A leap second shifts the grid: at the series' own cadence all the same all are taken.
    assert cut_outs([0, 12, 23, 35]) == {}


def test_a_cut_out_is_made_of_the_first_record_at_or_after_each_step() -> None:
    assert cut_outs([0, 12, 24, 36, 48], "24s") == {12: "24s", 36: "24s"}
    # One late for its step is taken, and does not shift the next steps.
    assert cut_outs([0, 12, 36, 48, 60, 72], "24s") == {12: "24s", 60: "24s"}
    assert cut_outs([0, 12, 84, 96, 108, 120], "24s") == {12: "24s", 108: "24s"}
    late = {"t_start": "2014-01-07T18:05:12Z"}
    assert cut_outs([0, 12, 24, 36], "24s", **late) == {0: "t_stop", 24: "24s"}


def test_nothing_is_left_out_of_nothing() -> None:
    assert mark_left_out([], [Step("im_patch", {}), Step("aia_scale_orig")], EUV) == []


def test_exposures_of_one_second_are_in_the_order_of_their_names() -> None:
    rows = [{"T_REC": "2014-02-05T08:00:07Z", "FSN": fsn} for fsn in ("70000002", "70000001")]
    found = table(*rows, series=LEV1)
    assert [row["record"].partition("][")[2] for row in found] == ["70000001]", "70000002]"]


def test_the_path_of_a_file_is_there_if_the_file_is_online() -> None:
    rows = [{"segment:image": "/SUM1/D1/image_lev1.fits"}, {"segment:image": "NoDataFile"}, {}]
    assert column(table(*rows), "path") == ["/SUM1/D1/image_lev1.fits", "", ""]


def test_times_are_utc_though_none_was_observed(tmp_path: Path) -> None:
    write_records(table({"T_OBS": "MISSING"}), tmp_path / "r.csv")
    (record,) = read_records(tmp_path / "r.csv")
    assert [record[name].tzinfo for name in ("t_rec", "time")] == [UTC, UTC]
    assert record["t_obs"] is None
    assert record["time"] == record["t_rec"]
