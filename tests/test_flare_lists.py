"""Flare lists: every form is recognised by its content and read, or refused with a message."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from flareset.errors import IntakeError
from flareset.intake.cleaning import Report, clean
from flareset.intake.reading import read_list
from flareset.intake.values import (
    flux_class,
    on_scale,
    read_class,
    read_day,
    read_place,
    read_region,
    read_satellite,
    read_time,
    same_class,
)
from flareset.sdo.flares import class_flux

CSV = "event_starttime,event_peaktime,event_endtime,fl_goescls\n"
ROW = "2014-01-07 18:04:00,2014-01-07 18:32:00,2014-01-07 18:58:00,X1.2\n"
LONGEST = timedelta(hours=12)


def reports(given: Path | bytes, name: str = "list.csv") -> list[Report]:
    """Return the flares of a list, cleaned."""
    rows = read_list(given, "" if isinstance(given, Path) else name).rows
    return [report for row in rows if (report := clean(row, LONGEST)[0]) is not None]


def rules(given: bytes) -> list[str]:
    """Return the rules that fire on a list, in order."""
    return [
        note.rule for row in read_list(given, "list.csv").rows for note in clean(row, LONGEST)[1]
    ]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Tables


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_a_bom_and_comments(separator: str) -> None:
    text = f"# from my notebook\n{CSV}\n{ROW}".replace(",", separator)
    (found,) = reports(text.encode("utf-8-sig"))
    assert (found.start, found.flare.goes_class) == (utc("2014-01-07T18:04"), "X1.2")
    assert found.row.line == 4


def test_decimal_commas() -> None:
    text = "start;end;class;hpc_x;hpc_y\n2014-01-07 18:04;2014-01-07 18:58;C9,9;577,14;-391,8\n"
    (found,) = reports(text.encode())
    assert (found.flare.goes_class, found.flare.hpc_x, found.flare.hpc_y) == ("C9.9", 577.1, -391.8)


@pytest.mark.parametrize(
    "names",
    [
        "Start,Peak,Stop,GOES Class",
        "tstart,tpeak,tend,fclass_full_",
        "start_time,peak_time,end_time,class",
        "START_TIME,MAX_TIME,END_TIME,GOES_CLASS",
        "time_start,time_peak,time_end,xray_class",
        "beginTime,peakTime,endTime,classType",
    ],
)
def test_other_names_of_columns(names: str) -> None:
    (found,) = reports(f"{names}\n{ROW}".encode())
    assert (found.start, found.peak, found.end) == tuple(
        utc(f"2014-01-07T18:{minute}") for minute in ("04", "32", "58")
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (CSV.encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04 and so on", "spreadsheet"),
        (b"\x1f\x8b and so on", "gzip"),
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (CSV.encode(), "no flare below"),
        (b"name,size\nA,1\n", "no column for the start and the end.*Its columns are: name, size"),
        (b"<html><body>Service unavailable</body></html>", "web page without flares"),
        (b'{"error": "down"}', "no list `result`"),
        (b'[{"name": "A"}]', "row 1: no key for the start"),
        (b"CDF\x01 and so on", "classic netCDF"),
        (b"\x89HDF\r\n\x1a\n cut", "flare summar"),
    ],
)
def test_what_is_no_list_is_refused_by_name(text: bytes, what: str) -> None:
    with pytest.raises(IntakeError, match=f"x.dat.*{what}"):
        read_list(text, "x.dat")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{CSV}{ROW}2014-01-08 01:00:00,2014\n".encode(), 3),
        (f'{CSV}{ROW}"2014-01-08 01:00:00,2014\n'.encode(), 3),
        (f"{CSV}{ROW}caf\xe9,,,\n".encode("latin-1"), 3),
        (b'{"result": [\n{"event_starttime": "2014-01-', 2),
        (b":Date: 2015 03 01\n#Event    Begin\n4190       1711   1713      1716  HO\n", 3),
        (f"31777140107  1804 1858 1832 {'X 12':>35}    G15\n31777140108  03".encode(), 2),
    ],
)  # fmt: skip
def test_a_list_that_is_half_read_is_refused_with_the_line(text: bytes, line: int) -> None:
    with pytest.raises(IntakeError, match=f"x.dat, line {line}: "):
        read_list(text, "x.dat")


def test_an_index_column_without_a_name() -> None:
    """As pandas writes it, with and without a comma in the header."""
    for header in (CSV, f",{CSV}"):
        text = f"{header}0,{ROW}1,{ROW}".encode()
        assert [report.flare.goes_class for report in reports(text)] == ["X1.2", "X1.2"]
        assert rules(text) == ["table.unnamed_index"] * 2


def test_blank_cells_behind_the_last_column_are_a_spreadsheets() -> None:
    text = f"{CSV}{ROW[:-1]},,\n{ROW}".encode()
    assert len(reports(text)) == 2
    assert rules(text) == []


def test_rows_of_two_widths_are_refused() -> None:
    """An index column in some rows only: 50 lines at most, and no row is taken shifted."""
    text = CSV + ROW + "".join(f"{n},{ROW}" for n in range(99)) + f"7,{ROW}".replace("X1.2", "")
    with pytest.raises(IntakeError) as refused:
        read_list(text.encode(), "x.csv")
    assert len(str(refused.value).splitlines()) == 51
    assert "x.csv, line 3: 5 cells, but the header has 4" in str(refused.value)


def test_a_long_header_is_not_echoed() -> None:
    with pytest.raises(IntakeError) as refused:
        read_list(("some_name," * 20_000).encode(), "x.csv")
    assert len(str(refused.value)) < 1000


def test_votable() -> None:
    text = """<?xml version="1.0"?>
<VOTABLE version="1.3"><RESOURCE><TABLE>
<FIELD name="time_start" datatype="char" arraysize="*"/>
<FIELD name="time_end" datatype="char" arraysize="*"/>
<FIELD name="xray_class" datatype="char" arraysize="*"/><FIELD name="nar" datatype="int"/>
<DATA><TABLEDATA>
<TR><TD>2012-01-01T07:24:00</TD><TD>2012-01-01T07:44:00</TD><TD>C3.2</TD><TD>11389</TD></TR>
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
    (found,) = reports(text.encode(), "hec.xml")
    assert (found.flare.goes_class, found.flare.noaa_ar) == ("C3.2", 11389)
    with pytest.raises(IntakeError, match="VOTable that cannot be read"):
        read_list(text[:-200].encode(), "hec.xml")


def test_ssw_page() -> None:
    cells = "<td>1</td><td><a>gev_20251102_1233</a></td><td>2025/11/02 12:33:00</td>"
    cells += "<td>12:56:00</td><td>12:46:00</td><td>C8.2</td><td>N00W60 ( 4267 )</td>"
    page = f"<html><table><tr><th>Event#</th></tr><tr>{cells}</tr></table></html>"
    (found,) = reports(page.encode(), "last_events.html")
    assert (found.peak, found.end) == (utc("2025-11-02T12:46"), utc("2025-11-02T12:56"))
    assert (found.source, found.flare.noaa_ar) == ("ssw", 14267)
    with pytest.raises(IntakeError, match="cut"):
        read_list(page[:-12].encode(), "last_events.html")


def test_donki() -> None:
    record = {
        "flrID": "2014-01-07T18:04:00-FLR-001", "beginTime": "2014-01-07T18:04Z",
        "peakTime": "2014-01-07T18:32Z", "endTime": "2014-01-07T18:58Z", "classType": "X1.2",
        "sourceLocation": "S15W11", "activeRegionNum": 11943,
    }  # fmt: skip
    (found,) = reports(json.dumps([record]).encode(), "donki.json")
    assert (found.source, found.flare.noaa_ar, found.flare.position) == ("donki", 11943, (11, -15))


# The archives' own forms, from real files


def test_swpc_daily_report(real: Path) -> None:
    found = reports(real / "flares/text/20150301events.txt")
    assert [report.flare.goes_class for report in found] == ["C1.0", "C3.7", "B7.4", "C6.8"]
    assert {report.flare.noaa_ar for report in found} == {12290}
    assert {report.flare.satellite for report in found} == {"G15"}
    assert found[3].flare.integrated_flux == 1.3e-2
    assert found[3].start == utc("2015-03-01T15:33")


def test_swpc_qualifiers_and_a_day_without_events() -> None:
    report = ":Date: 2015 03 01\n#Event    Begin\n"
    event = "4080      B2358  U0010     A0032  G15  5   XRA  1-8A      C1.0    1.9E-03   2290\n"
    (found,) = reports((report + event).encode(), "events.txt")
    assert (found.start, found.peak) == (utc("2015-03-01T23:58"), utc("2015-03-02T00:10"))
    assert "time.qualifier" in found.flare.flags
    assert reports((report + "NO EVENT REPORTS.\n").encode(), "events.txt") == []


def test_ncei_yearly_report(real: Path) -> None:
    """Start, END, maximum; classes in tenths."""
    found = reports(real / "flares/text/goes-xrs-report_2014.lines.txt")
    x12 = found[3].flare
    assert (x12.start, x12.peak, x12.end) == tuple(
        utc(f"2014-01-07T18:{minute}") for minute in ("04", "32", "58")
    )
    assert (x12.goes_class, x12.noaa_ar, x12.position) == ("X1.2", None, None)
    m99 = found[2].flare
    assert (m99.goes_class, m99.peak_flux, m99.scale) == ("M9.9", 9.9e-5, "operational")
    assert flux_class(on_scale(9.9e-5, "operational", "science")) == "X1.4"
    assert (m99.noaa_ar, m99.position) == (11936, (47, -14))


def test_swpc_json(real: Path) -> None:
    (edited,) = reports(real / "flares/text/edited_events.one.json")
    assert (edited.flare.goes_class, edited.flare.noaa_ar) == ("C4.1", 13697)
    (recent,) = reports(real / "flares/text/xray-flares-7-day.one.json")
    assert (recent.flare.goes_class, recent.flare.scale) == ("C4.7", "science")
    assert {edited.source, recent.source} == {"swpc"}


def test_hek(real: Path) -> None:
    found = reports(real / "flares/arccnet/hek_result_20120101_20120103.derived.json")
    assert [r.source for r in found] == ["swpc"] * 12 + ["ssw"] * 13
    assert sum(r.flare.position is None for r in found) == 9
    assert {r.flare.noaa_ar for r in found if r.source == "ssw"} == {11384, 11389, 11391, None}


def test_hek_as_helioviewer_wraps_it(real: Path) -> None:
    answer = json.loads(
        (real / "flares/arccnet/hek_result_20120101_20120103.derived.json").read_text()
    )
    wrapped = [{"name": "Flare", "pin": "FL", "groups": [{"name": "", "data": answer["result"]}]}]
    text = json.dumps(wrapped).encode()
    plain = reports(json.dumps(answer).encode(), "a.json")
    assert [r.flare for r in reports(text, "a.json")] == [r.flare for r in plain]


def test_what_hek_calls_no_flare_is_dropped_by_name() -> None:
    text = CSV.replace("fl_goescls", "fl_goescls,event_type") + ROW[:-1] + ",AR\n"
    assert reports(text.encode()) == []
    assert rules(text.encode()) == ["event.no_flare"]


def test_hek_with_broken_characters_mixed_units_and_nulls() -> None:
    """What sunpy's parser stops at."""
    rows = [
        {"event_starttime": f"2014-01-07T1{n}:00:00", "event_endtime": f"2014-01-07T1{n}:30:00",
         "frm_name": "Flare Detective - Trigger Module", "obs_channelid": "131",
         "fl_peakflux": 3000 + n, "fl_peakfluxunit": unit, "event_coord1": None, "hpc_x": None,
         "hpc_y": None}
        for n, unit in enumerate(("DN/sec/pixel", "erg/cm/cm/s"))
    ]  # fmt: skip
    text = json.dumps({"result": rows, "overmax": True}).encode()
    text = text.replace(b'"frm_name"', b'"frm_contact": "caf\xc5", "frm_name"')
    listed = read_list(text, "hek.json")
    found = [clean(row, LONGEST)[0] for row in listed.rows]
    assert [r.flare.fl_peakfluxunit for r in found] == ["DN/sec/pixel", "erg/cm/cm/s"]
    assert {r.source for r in found} == {"aia_131"}
    assert not any(r.flare.has_position for r in found)
    assert "more pages" in listed.remarks[0]


def test_ecsv(real: Path) -> None:
    for name, source, rows in (
        ("hek_swpc_20120101-20120103", "swpc", 12),
        ("hek_ssw_latest_20120101-20120103", "ssw", 13),
        ("hec_goes_20120101-20120103", "hec_goes", 12),
        ("hec_gevloc_20120101-20120103", "hec_gevloc", 12),
    ):
        found = reports(real / f"flares/arccnet/{name}.ecsv")
        assert [r.source for r in found] == [source] * rows


def test_goes_flare_summary(real: Path) -> None:
    needs.module("h5py")
    found = reports(real / "flares/flsum/sci_xrsf-l2-flsum_g15_d20101016_v1-0-0.nc")
    assert [r.flare.goes_class for r in found] == ["B3.6", "B1.8", "C1.0", "M4.5"]
    last = found[3].flare
    assert (last.start, last.peak, last.end) == tuple(
        utc(f"2010-10-16T19:{minute}") for minute in ("06", "12", "16")
    )
    assert (last.scale, last.satellite) == ("science", "G15")


def test_without_h5py_the_extra_is_named(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(IntakeError, match=r"needs h5py: .*pip install"):
        read_list(real / "flares/flsum/sci_xrsf-l2-flsum_g15_d20101016_v1-0-0.nc")


def test_what_has_no_flares_is_refused(real: Path) -> None:
    for name in ("flares/srs/20150101SRS.txt",
                 "original/flare_summary_final/noaa_flare_peaks_2010_and_above.csv"):  # fmt: skip
        with pytest.raises(IntakeError, match="no flare list that is known"):
            read_list(real / name)


def test_lists_are_told_by_content_not_by_name(real: Path) -> None:
    raw = (real / "flares/text/20150301events.txt").read_bytes()
    assert read_list(raw, "flares.json").form == "SWPC daily report"


# Rules


def row(start: str, peak: str, end: str, more: str = "") -> bytes:
    names = "start,peak,end" + (f",{more.partition('=')[0]}" if more else "")
    value = f',"{more.partition("=")[2]}"' if more else ""
    return f"{names}\n{start},{peak},{end}{value}\n".encode()


def test_over_midnight() -> None:
    text = b"date,start_time,max_time,end_time\n20210808,2346,0004,0017\n"
    (found,) = reports(text)
    assert found.start == utc("2021-08-08T23:46")
    assert (found.peak, found.end) == (utc("2021-08-09T00:04"), utc("2021-08-09T00:17"))
    assert rules(text) == ["time.next_day", "time.next_day"]


def test_an_error_of_minutes_is_no_midnight() -> None:
    text = row("2014-01-07 18:04", "2014-01-07 18:00", "2014-01-07 17:58")
    assert rules(text) == ["end.not_after_start", "peak.outside"]


@pytest.mark.parametrize(
    ("peak", "end", "rule"),
    [
        ("2014-01-07 19:30", "2014-01-07 18:58", "peak.outside"),
        ("2014-01-07 18:58", "2014-01-07 18:58", "end.is_peak"),
        ("2014-01-07 18:32", "2014-01-08 18:58", "end.too_late"),
        ("2014-01-07 18:32", "", "end.missing"),
        ("////", "2014-01-07 18:58", "peak.missing"),
        ("1/7/2014 18:32", "2014-01-07 18:58", "time.unreadable"),
        ("18:32:00", "2014-01-07 18:58", "time.clock_only"),
    ],
)
def test_times_that_cannot_be(peak: str, end: str, rule: str) -> None:
    text = row("2014-01-07 18:04", peak, end)
    (found,) = reports(text)
    assert rules(text) == [rule]
    assert (found.peak is None) == (rule in ("peak.outside", "peak.missing", "time.unreadable"))
    assert (found.end is None) == rule.startswith("end.")


def test_an_end_of_ssw_with_seconds_is_a_time_stamp() -> None:
    header = "event_starttime,event_peaktime,event_endtime,frm_name\n"
    text = f"{header}2025-05-27T10:02:00,2025-05-27T10:10:00,2025-05-27T10:40:28,%s\n"
    assert rules((text % "SSW Latest Events").encode()) == ["end.too_late"]
    assert rules((text % "Flare Detective - Trigger Module").encode()) == []


def test_a_start_that_cannot_be_read_drops_the_row() -> None:
    text = row("soon", "2014-01-07 18:32", "2014-01-07 18:58")
    assert reports(text) == []
    assert rules(text) == ["start.unreadable"]


@pytest.mark.parametrize(
    ("text", "expected", "rule"),
    [
        ("X1.2", "X1.2", ""),
        ("C9  ", "C9.0", "class.no_decimal"),
        ("C9,9", "C9.9", "class.decimal_comma"),
        ("X17.", "X17.0", "class.cut"),
        ("X20 ", "X20.0", "class.cut"),
        ("C   ", "C", "class.letter_only"),
        ("M10.0", "", "class.unreadable"),
        ("SF", "", "class.unreadable"),
        ("X17.2", "X17.2", ""),
    ],
)
def test_classes(text: str, expected: str, rule: str) -> None:
    assert read_class(text) == (expected, rule)


def test_classes_compare_as_fluxes() -> None:
    fluxes = [class_flux(name) for name in ("X10.0", "X9.3", "X2.0", "M9.9", "C1.0", "B7.4")]
    assert fluxes == sorted(fluxes, reverse=True)
    assert class_flux("C") is None
    assert (class_flux("A2.0"), class_flux("B7.4")) == (2e-8, 7.4e-7)
    assert class_flux("M4.9") == 4.9e-05


@given(st.sampled_from("ABCM"), st.integers(10, 99))
def test_a_class_of_a_flux_and_back(letter: str, tenths: int) -> None:
    name = f"{letter}{tenths / 10}"
    assert flux_class(class_flux(name)) == name


@given(st.floats(1e-8, 1e-3), st.sampled_from(["operational", "science"]))
def test_scales(flux: float, scale: str) -> None:
    other = "science" if scale == "operational" else "operational"
    assert on_scale(on_scale(flux, scale, other), other, scale) == pytest.approx(flux)
    assert on_scale(flux, "science", "operational") == pytest.approx(0.7 * flux)


def test_same_class() -> None:
    assert same_class("C1.8", "C1.9")
    assert same_class("C1.8", "C2.0")
    assert not same_class("C8.3", "C7.1")
    assert not same_class("C9.9", "M1.0")


@pytest.mark.parametrize(
    ("text", "day", "region"),
    [
        ("1944", "2014-01-07", 11944),
        ("9393", "2001-04-02", 9393),
        ("9991", "2002-06-17", 9991),
        ("9991", "2002-08-21", 19991),
        ("10001", "2002-06-14", 10001),
        ("4267", "2025-11-02", 14267),
        ("3256", "2023-03-29", 13256),
        ("0", "2014-01-07", None),
        ("     ", "2014-01-07", None),
        ("?", "2014-01-07", None),
        ("////", "2014-01-07", None),
        ("none yet", "2014-01-07", None),
    ],
)
def test_regions(text: str, day: str, region: int | None) -> None:
    assert read_region(text, utc(day))[0] == region


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("S26W41", (41, -26)),
        ("N13E84", (-84, 13)),
        ("S05W120", (120, -5)),
        ("S29W37SF ", (37, -29)),
        ("S32W481F", (48, -32)),
        ("S30W521N", (52, -30)),
        ("S**E**", None),
        ("", None),
    ],
)
def test_places(text: str, place: tuple[float, float] | None) -> None:
    assert read_place(text) == place


def test_a_polar_position_is_left_out() -> None:
    text = row("2014-03-16 06:37", "2014-03-16 06:46", "2014-03-16 06:50", "position_hgs=S82E14")
    (found,) = reports(text)
    assert not found.flare.has_position
    assert found.flare.flags == {"position.polar", "eclipse_season"}


def test_a_position_behind_the_limb_is_kept_but_not_seen() -> None:
    (found,) = reports(row("2014-03-16 09:37", "", "2014-03-16 09:50", "position_hgs=S05W120"))
    assert found.flare.position == (120, -5)
    assert found.flare.hpc_x is None


@pytest.mark.parametrize(
    ("columns", "values", "rule"),
    [
        ("hpc_x,hpc_y", "0,0", "position.none"),
        ("hpc_x,hpc_y", "-9999,-9999", "position.none"),
        ("hpc_x,hpc_y", "nan,nan", "position.none"),
        ("hpc_x,hpc_y", "5000,0", "position.off_sun"),
        ("hgs_x,hgs_y,noposition", "0,0,true", "position.none"),
        ("hpc_coord,boundbox_c1ll,boundbox_c1ur,boundbox_c2ll,boundbox_c2ur",
         "POINT(0 64.4),-90,90,-90,90", "position.none"),
        ("hpc_coord,boundbox_c1ll,boundbox_c1ur,boundbox_c2ll,boundbox_c2ur",
         "POINT(-1 1),-1377,1374,-1227,1229", "position.none"),
        ("position_hgs", "S**E**", "position.none"),
        ("position_hgs", "west limb", "position.unreadable"),
    ],
)  # fmt: skip
def test_positions_that_are_none(columns: str, values: str, rule: str) -> None:
    text = f"start,end,{columns}\n2014-01-07 18:04,2014-01-07 18:58,{values}\n".encode()
    assert rules(text) == [rule]
    assert not reports(text)[0].flare.has_position


def test_places_agree_with_the_lists_own(real: Path) -> None:
    """A list's arcsec (of sunpy) against ours from its degrees: within 1.5 arcsec."""
    path = real / "flares/hayesla_lists/final_flare_list_sc24.first3000.csv"
    checked = 0
    for listed in read_list(path).rows[:300]:
        cells = dict(listed.cells)
        seen = clean(listed, LONGEST)[0].flare
        alone = {name: text for name, text in cells.items() if not name.startswith("hpc")}
        ours = clean(type(listed)(listed.source, "", 1, alone), LONGEST)[0].flare
        if seen.hpc_x is not None and ours.hpc_x is not None:
            checked += 1
            assert abs(seen.hpc_x - ours.hpc_x) < 1.5
            assert abs(seen.hpc_y - ours.hpc_y) < 1.5
    assert checked > 200


def test_class_and_flux_that_disagree() -> None:
    """A list that gives fluxes ten times too large."""
    text = row("2014-01-07 18:04", "", "2014-01-07 18:58", "goes_class=M7.2")
    text = text.replace(b"goes_class", b"goes_class,intensity").replace(b'"M7.2"', b"M7.2,0.00072")
    assert rules(text) == ["peak.missing", "class.flux_mismatch"]
    assert reports(text)[0].flare.peak_flux == 7.2e-5


def test_a_class_in_a_label_alone() -> None:
    text = row(
        "2014-01-07 18:04", "", "2014-01-07 18:58", "hv_labels_formatted={'GOES Class': 'X1.2'}"
    )
    assert "class.from_label" in rules(text)
    assert reports(text)[0].flare.goes_class == "X1.2"


@pytest.mark.parametrize(
    "text",
    [
        "2014-01-07 18:04:00", "2014-01-07T18:04:00Z", "2014/01/07 18:04", "20140107T180400",
        "2014-01-07T18:04:00 UTC", "7-Jan-2014 18:04:00.000", "2014-01-07T19:04:00+01:00",
        "2014.01.07_18:04:00", "2014-01-07 18:04",
    ],
)  # fmt: skip
def test_forms_of_times(text: str) -> None:
    assert read_time(text, None).when == utc("2014-01-07T18:04")


@pytest.mark.parametrize("text", ["1/7/2014 18:04", "2014-01-07", "18:04", "2014-01-07 25:04", ""])
def test_times_that_are_none_or_ambiguous(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_time(text, None)


def test_clocks_of_a_day() -> None:
    day = date(2014, 1, 7)
    for text in ("904", "0904", "09:04", "9:04:00"):
        assert read_time(text, day).when == utc("2014-01-07T09:04")
    assert read_time("2400", day).when == utc("2014-01-08T00:00")
    assert [read_day(text) for text in ("140107", "20140107", "2014-01-07", "990107")] == [
        day, day, day, date(1999, 1, 7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [("G15", "G15"), ("GO8", "G08"), (" 12", "G12"), ("16", "G16"), ("SDO", "SDO")],
)
def test_satellites(text: str, name: str) -> None:
    assert read_satellite(text) == name
