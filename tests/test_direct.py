"""Read what JSOC's database holds about records, from recorded answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flareset.errors import ListingError
from flareset.sdo.drms import (
    Keyword,
    Record,
    Segment,
    Structure,
    default_name,
    keyword_requests,
    parse_records,
    parse_structure,
    value_of,
)
from flareset.sdo.recordset import LONGEST_EXPORT

SERIES = "aia.lev1_euv_12s"


@pytest.fixture
def recorded(real: Path) -> Path:
    """Return the folder of what JSOC's software answered."""
    return real / "jsoc" / "recorded"


@pytest.fixture
def structure(recorded: Path) -> Structure:
    """AIA's series of 12 s."""
    return parse_structure(json.loads((recorded / "direct" / "series_struct.json").read_text()))


def answered(recorded: Path, **wanted: str) -> dict[str, Any]:
    """Return the recorded answer to the request that has these arguments and no others but `ds`."""
    for row in json.loads((recorded / "info_ops.json").read_text()):
        arguments = {name: value for name, value in row["request"].items() if name != "ds"}
        if arguments == wanted:
            return row["real"]["json"]
    raise AssertionError(wanted)


WITH_NUMBERS = "T_REC,WAVELNTH,T_OBS,QUALITY,EXPTIME,AECTYPE,FSN,*recnum*,*online*,*size*"


def test_the_structure_of_a_series(structure: Structure) -> None:
    assert structure.keys == ("T_REC", "WAVELNTH")
    assert structure.segments == (Segment("image", linked=True), Segment("spikes", linked=True))
    assert structure.number("spikes") == 1
    assert structure.keywords[0] == Keyword(
        "T_REC", "time", "ISO", "Slotted observation time", "ts_eq"
    )
    assert structure.keywords[-1].scope == "index"
    with pytest.raises(ListingError, match="no segment magnetogram, only image, spikes"):
        structure.number("magnetogram")


def test_a_series_that_jsoc_does_not_have(recorded: Path) -> None:
    rows = json.loads((recorded / "info_ops.json").read_text())
    (answer,) = [r["real"]["json"] for r in rows if r["request"].get("ds") == "aia.nosuch"]
    with pytest.raises(ListingError, match="no structure of the series: series not found"):
        parse_structure(answer)


def test_records_and_the_paths_of_their_files(recorded: Path) -> None:
    answer = answered(recorded, op="rs_list", key=WITH_NUMBERS, seg="image")
    first, second = parse_records(answer)
    assert (first.recnum, second.recnum) == (1157589351, 1157589361)
    assert first.path == "/SUM79/D299054708752/S00000/image_lev1.fits"
    assert first.keywords["T_OBS"] == "2014-01-07T15:07:10.21Z"
    assert "*recnum*" not in first.keywords


def test_a_file_that_is_not_online_has_no_path(recorded: Path) -> None:
    answer = answered(recorded, op="rs_list", key=WITH_NUMBERS, seg="image")
    answer["segments"][0]["values"][0] = "NoDataDirectory"
    assert next(record.path for record in parse_records(answer)) == ""
    without = parse_records(answered(recorded, op="rs_list", key=WITH_NUMBERS))
    assert [record.path for record in without] == ["", ""]


def test_a_keyword_that_a_record_has_not_is_left_out(recorded: Path) -> None:
    answer = answered(recorded, op="rs_list", key="T_REC,FOO")
    answer["keywords"].append({"name": "*recnum*", "values": [1, 2]})
    assert [set(record.keywords) for record in parse_records(answer)] == [{"T_REC"}] * 2


def test_no_records_are_none() -> None:
    assert parse_records({"count": 0, "runtime": 0.1, "status": 0}) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": 1, "error": "series not found"}, "jsoc_info refuses: series not found"),
        ({"status": -1}, "jsoc_info refuses: no reason given"),
        ({"count": 3}, "announces 3 records, but has not as many values of T_REC"),
        ({"segments": [{"name": "image", "values": ["/SUM1/x"]}]}, "their numbers or files"),
        ({"keywords": []}, "their numbers or files"),
    ],
)
def test_an_answer_that_is_not_whole(recorded: Path, change: dict[str, Any], what: str) -> None:
    answer = answered(recorded, op="rs_list", key=WITH_NUMBERS, seg="image")
    with pytest.raises(ListingError, match=what):
        parse_records({**answer, **change})


@given(st.sets(st.integers(1, 9_999_999_999), max_size=1200))
def test_requests_are_short_enough_and_ask_for_each_record_once(recnums: set[int]) -> None:
    requests = keyword_requests("hmi.sharp_cea_720s", recnums, "magnetogram")
    asked = []
    for request in requests:
        assert len(request["ds"]) <= LONGEST_EXPORT
        assert request["ds"].startswith("hmi.sharp_cea_720s[:#")
        asked += [int(n) for n in request["ds"][:-1].partition(":#")[2].split(",#")]
        assert (request["op"], request["seg"], request["M"]) == ("rs_list", "magnetogram", "1")
    assert asked == sorted(recnums)


def test_460_records_are_two_requests_of_lists_that_jsoc_takes(recorded: Path) -> None:
    numbers = range(1157589351, 1157589351 + 4600, 10)
    requests = keyword_requests(SERIES, numbers, "image")
    assert len(requests) == 2
    limits = json.loads((recorded / "list_limits_jsoc_info.json").read_text())
    (limit,) = [row for row in limits if row["spelling"] == "recnum [:#..]"]
    assert all(len(request["ds"]) < limit["length_of_ds"] for request in requests)


def test_all_digits_are_asked_for_and_read(recorded: Path, structure: Structure) -> None:
    answer = answered(recorded, op="rs_list", key="T_REC,R_SUN,CDELT1,EXPTIME,DSUN_OBS", M="1")
    answer["keywords"].append({"name": "*recnum*", "values": [1, 2]})
    record = parse_records(answer)[0]
    kinds = {keyword.name: keyword for keyword in structure.keywords}
    values = {name: value_of(kinds[name], text) for name, text in record.keywords.items()}
    assert values == {
        "T_REC": "2014-01-07T15:07:01.000000Z",
        "R_SUN": 101.653091,
        "CDELT1": 9.60000038,
        "EXPTIME": 2.899965,
        "DSUN_OBS": 149597870691.0,
    }


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "0x00020000", 131072),
        ("int", "0x80000000", None),
        ("int", "0xC0000000", -1073741824),
        ("int", "-2147483648", None),
        ("int", "131", 131),
        ("short", "-32768", None),
        ("short", "-32767", -32767),
        ("char", "-128", None),
        ("longlong", "-9223372036854775808", None),
        ("float", "nan", None),
        ("float", "-nan", None),
        ("double", "inf", None),
        ("double", "-3.770367", -3.770367),
        ("string", "nan", "nan"),
        ("string", "MISSING", None),
        ("string", "", None),
        ("time", "-4712.01.01_11:59:28.00Z", None),
        ("time", "2014-01-07T18:00:01Z", "2014-01-07T18:00:01Z"),
    ],
)
def test_values(kind: str, text: str, value: object) -> None:
    assert value_of(Keyword("X", kind, "", "", "variable"), text) == value


@pytest.mark.parametrize(("kind", "text"), [("int", "1.5"), ("double", "many")])
def test_a_value_of_another_type(kind: str, text: str) -> None:
    with pytest.raises(ListingError, match=f"X is '{text}', which is no {kind}"):
        value_of(Keyword("X", kind, "", "", "variable"), text)


def test_names_are_those_of_a_recorded_export(recorded: Path, structure: Structure) -> None:
    records = parse_records(answered(recorded, op="rs_list", key=WITH_NUMBERS, seg="image"))
    names = [default_name(SERIES, structure, record, "image") for record in records]
    exported = (recorded / "exports_finished.json").read_text()
    for name, record in zip(names, records, strict=True):
        t_rec = record.keywords["T_REC"]
        assert f'"record": "{SERIES}[{t_rec}][131]", "filename": "{name}"' in exported
    assert names[0] == "aia.lev1_euv_12s.2014-01-07T150710Z.131.image_lev1.fits"


@pytest.mark.parametrize(
    ("t_obs", "second"),
    [
        ("2014-01-07T15:07:10.499999Z", "150710"),
        ("2014-01-07T15:07:10.50Z", "150711"),
        ("2014-01-07T15:59:59.84Z", "160000"),
    ],
)
def test_the_time_in_a_name_is_that_of_the_nearest_second(
    structure: Structure, t_obs: str, second: str
) -> None:
    keywords = {"T_REC": "2014-01-07T15:07:01Z", "T_OBS": t_obs, "WAVELNTH": "131"}
    record = Record(1, keywords, "/SUM1/D1/S00000/image_lev1.fits")
    name = default_name(SERIES, structure, record, "image")
    assert name == f"aia.lev1_euv_12s.2014-01-07T{second}Z.131.image_lev1.fits"


def test_a_name_of_hmi_is_that_of_a_real_file(real: Path) -> None:
    (path,) = (real / "fits" / "hmi_sharp_jsoc_export").glob("*20110215_020000_TAI.Br.fits")
    structure = Structure((), ("HARPNUM", "T_REC"), (Segment("Br", linked=False),))
    keywords = {"HARPNUM": "377", "T_REC": "2011.02.15_02:00:00.000000_TAI"}
    record = Record(1, keywords, "/SUM1/D1/S00000/Br.fits")
    assert default_name("hmi.sharp_cea_720s", structure, record, "Br") == path.name


def test_a_record_without_a_time_has_no_name(structure: Structure) -> None:
    keywords = {"T_REC": "2014-01-07T15:07:01Z", "T_OBS": "MISSING", "WAVELNTH": "131"}
    with pytest.raises(ListingError, match=r"record 7 of aia.lev1_euv_12s gives no name"):
        default_name(SERIES, structure, Record(7, keywords), "image")
