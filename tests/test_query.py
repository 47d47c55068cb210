"""What JSOC is asked for an event and channel, and what is made of the records that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.factories import SHORT, a_query, an_event
from support.rows import cells, column

from flareset.archive.responses import Answer
from flareset.campaign.access import Access
from flareset.campaign.config import Archive, ProcessingStep
from flareset.errors import ExportError, ListingError
from flareset.listing import Found, Where, find, list_records, list_request
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso
from flareset.sources.query import check_name_format, find_records, find_region, steps_of
from flareset.standin import catalogue
from flareset.tables.records import UNSAID
from flareset.tables.status import Status

SHARP = SERIES["hmi.sharp_cea_720s"]
SPAN = "2014-01-07T18:00:00Z/10m"
FIRST = datetime(2014, 1, 7, 18, 5, 1, tzinfo=UTC)


class Jsoc:
    """JSOC as far as a query asks it: it has a record in each of so many slots."""

    def __init__(self, count: int = 3, rows: Iterable[dict[str, str]] = (), **over: str) -> None:
        self.asked: list[tuple[str, list[str], str]] = []
        self.regions: list[dict[str, str]] | None = []
        self.rows = [*rows] or [
            {
                "T_REC": iso(FIRST + timedelta(seconds=12 * n)),
                "T_OBS": iso(FIRST + timedelta(seconds=12 * n + 9)),
                "WAVELNTH": "131",
                "QUALITY": "0x00000000",
                "*recnum*": f"{900 + n}",
                **over,
            }
            for n in range(count)
        ]

    def records(self, recordset: str, keys: list[str], segment: str = "") -> list[dict[str, str]]:
        self.asked.append((recordset, keys, segment))
        if recordset.startswith("su_rsb"):
            if self.regions is None:
                raise ExportError("no such series")
            return self.regions
        return self.rows if len(self.asked) == 1 else []

    def series_keywords(self, _series: str) -> set[str]:
        return {"T_REC", "WAVELNTH", "EXPTIME"}


def steps(*given: dict[str, Any]) -> tuple[ProcessingStep, ...]:
    return tuple(ProcessingStep.model_validate(each) for each in given)


# What is asked


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (f"[{SPAN}]", f"[{SPAN}][131]"),
        (f"[{SPAN}][131]", f"[{SPAN}][131]"),
        (f"[{SPAN}][171, 131]", f"[{SPAN}][131]"),
        (f"[{SPAN}][]", f"[{SPAN}][131]"),
        (f"[{SPAN}][? EXPTIME > 1 ?]", f"[{SPAN}][131][? EXPTIME > 1 ?]"),
        (f"[{SPAN}][! n = 1 !]", f"[{SPAN}][131][! n = 1 !]"),
        (f"[{SPAN}][][? A ?][? B ?]", f"[{SPAN}][131][? A ?][? B ?]"),
        (f"[{SPAN}][? A ?][? B ?]", f"[{SPAN}][131][? A ?][? B ?]"),
        (f"[{SPAN}][131][? A ?]", f"[{SPAN}][131][? A ?]"),
    ],
)
@pytest.mark.parametrize("segments", ["", "{image}"])
def test_a_row_s_own_recordset_is_narrowed_to_the_channel(
    given: str, asked: str, segments: str
) -> None:
    event = replace(SHORT, columns={"recordset": f"AIA.lev1_euv_12s{given}{segments}"})
    query = a_query(event, wavelengths=[131, 171])
    assert query.recordset == f"aia.lev1_euv_12s{asked}{{image}}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"hmi.M_45s[{SPAN}]", "is of series hmi.M_45s, the campaign of aia.lev1_euv_12s"),
        ("aia.lev1_euv_12s[][131]", "has no filter on time"),
        (f"aia.lev1_euv_12s[{SPAN}][171]", r"asks for \[171\], not for 131"),
        (f"aia.lev1_euv_12s[{SPAN}][1310]", r"asks for \[1310\], not for 131"),
        (f"aia.lev1_euv_12s[{SPAN}]{{spikes}}", "has segment spikes, the campaign uses image"),
    ],
)
def test_a_recordset_of_something_else_is_refused(text: str, why: str) -> None:
    query = a_query(replace(SHORT, columns={"recordset": text}))
    with pytest.raises(ExportError, match=f"event test: its recordset.* {why}"):
        query.recordset  # noqa: B018 - it is computed


def test_a_recordset_of_hmi_has_no_channel() -> None:
    text = f"hmi.B_720s[{SPAN}][? A ?]"
    event = replace(SHORT, columns={"recordset": text})
    query = a_query(event, series=SERIES["hmi.B_720s"], segment="field", wavelength=6173)
    assert query.recordset == f"{text}{{field}}"
    both = replace(SHORT, columns={"recordset": f"{text}{{field,azimuth}}"})
    assert a_query(both, series=SERIES["hmi.B_720s"], segment="field").recordset == (
        f"{text}{{field,azimuth}}"
    )


def test_a_patch_is_that_of_an_active_region() -> None:
    of_patches = {"series": SHARP, "segment": "Br", "wavelength": 6173}
    query = a_query(replace(SHORT, noaa_ar=11944), **of_patches)
    assert query.recordset.endswith('[? NOAA_ARS ~ "11944" ?]{Br}')
    with pytest.raises(ExportError, match="needs to know whose patch: fill in noaa_ar"):
        a_query(SHORT, **of_patches).recordset  # noqa: B018
    for series in ("hmi.M_45s", "hmi.B_720s", "aia.lev1_euv_12s"):
        assert a_query(SHORT, series=SERIES[series]).recordset.startswith(f"{series}[2014")


def test_names_and_protocols_as_jsoc_spells_them() -> None:
    assert a_query(SHORT).name_format == "aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}"
    query = a_query(SHORT, series=SERIES["hmi.M_45s"], filename_format="")
    assert query.name_format == "hmi.M_45s.{T_REC:A}.{CAMERA}.{segment}"
    assert a_query(SHORT, filename_format="{T_REC}.x").name_format == "{T_REC}.x"
    for given, spelled in (
        ("FITS,compress Rice", "FITS,compress Rice"),
        ("JPEG,CT=grey.sao", "jpg,CT=grey.sao"),
        ("jpeg", "jpg"),
        ("mp4,size=2", "mp4,size=2"),
    ):
        assert a_query(SHORT, protocol=given).wire_protocol == spelled


@pytest.mark.parametrize(
    ("times", "questions"),
    [("/120000s", 1), ("/120012s", 2), ("/240000s@24s", 1), ("/240024s@24s", 2), ("/12s", 1)],
)
def test_a_question_is_about_10_000_records_at_most(times: str, questions: int) -> None:
    text = f"aia.lev1_euv_12s[2014-01-01T00:00:00Z{times}][131]"
    jsoc = Jsoc()
    found = find_records(a_query(replace(SHORT, columns={"recordset": text})), jsoc)
    assert len(jsoc.asked) == questions
    assert len(found) == 3
    spans = [Recordset.parse(asked).times[1] for asked, _, _ in jsoc.asked]
    assert all(a.end == b.begin for a, b in pairwise(spans))
    # Segments are asked for apart from the recordset.
    assert {(asked.partition("]")[2], segment) for asked, _, segment in jsoc.asked} == {
        ("[131]", "image")
    }


def test_files_as_stored_need_what_their_headers_lack() -> None:
    for protocol, more in (("as-is", True), ("FITS", False)):
        jsoc = Jsoc()
        find_records(a_query(SHORT, protocol=protocol), jsoc)
        ((_, keys, _),) = jsoc.asked
        assert (set(UNSAID) <= set(keys)) == more


def test_a_field_of_a_file_name_is_a_keyword_of_the_series() -> None:
    jsoc = Jsoc()
    for known in ("{T_REC:A}.{wavelnth}.{segment}", "{seriesname}.{recnum}.{#}", ""):
        check_name_format(a_query(SHORT, filename_format=known), jsoc)
    query = a_query(SHORT, filename_format="{T_REC}.{CAMERA}.{HARPNUM}.{segment}")
    with pytest.raises(ExportError, match=r"aia.lev1_euv_12s has no keyword CAMERA, HARPNUM$"):
        check_name_format(query, jsoc)


# Active regions


def region(days: float, longitude: str, latitude: str = "-20") -> dict[str, str]:
    when = FIRST + timedelta(days=days)
    return {"ObservationTime": iso(when), "LongitudeCM": longitude, "LatitudeHG": latitude}


@pytest.mark.parametrize(
    ("rows", "longitude"),
    [
        ([region(0, "40"), region(3, "-5"), region(2, "12")], -5),
        ([region(27, "180"), region(-27, "-170")], -170),
        ([region(27.9, "-180", "90")], -180),
        ([region(0, "180", "-90")], 180),
        ([region(28, "1"), region(-27.1, "2")], None),
        ([region(0, "180.5"), region(0, "-180.5"), region(0, "1", "90.5")], None),
        ([region(0, "1", "-90.5"), region(0, "MISSING"), {"LongitudeCM": "1"}], None),
        ([], None),
        (None, None),
    ],
)
def test_a_region_is_looked_up_nearest_to_the_meridian_within_a_rotation(
    rows: list[dict[str, str]] | None, longitude: float | None
) -> None:
    jsoc = Jsoc()
    jsoc.regions = rows
    found = find_region(jsoc, 11944, FIRST)
    assert (found and found.longitude) == longitude
    assert jsoc.asked[0][0] == "su_rsb.NOAA_ActiveRegions[][11944]"


def test_steps_are_those_of_the_event_s_own_recordset() -> None:
    assert steps_of(a_query(SHORT), None) == ([], [])
    cut = {"center": "event", "size": [100, 100], "size_units": "arcsec"}
    own = {"recordset": f"aia.lev1_euv_12s[{SPAN}@24s][131]"}
    event = replace(SHORT, hpc_x=10.0, hpc_y=-20.0, noaa_ar=11944, columns=own)
    (step,), remarks = steps_of(a_query(event, processing=steps({"im_patch": cut})), None)
    assert (step.args["t_start"], step.args["t_stop"]) == (
        "2014-01-07T18:00:00Z", "2014-01-07T18:10:00Z"
    )  # fmt: skip
    assert step.args["cadence"] == "24s"
    assert not remarks
    by_region = {"noaa_ar": "event", "size": [100, 100], "size_units": "arcsec"}
    query = a_query(event, processing=steps({"im_patch": by_region}))
    jsoc = Jsoc()
    jsoc.regions = [region(0, "-30")]
    (step,), remarks = steps_of(query, jsoc)
    assert (step.args["x"], step.args["y"]) == ("-30", "-20")
    # Without JSOC, as from a saved page, the event's position counts.
    (step,), remarks = steps_of(query, None)
    assert (step.args["x"], step.args["y"]) == ("10", "-20")
    assert remarks == ["JSOC knows no NOAA AR 11944; used (10.0, -20.0) arcsec"]


# What is found


def test_records_are_listed_without_links() -> None:
    found = list_records(a_query(SHORT, protocol="JPEG"), Jsoc(), "direct")
    assert len(found.records) == 3
    assert found.listing == []
    facts = found.facts
    assert (facts.requestid, facts.count, facts.rows, facts.process) == ("", 0, 0, "")
    assert (facts.method, facts.protocol, facts.source) == ("url", "jpg", "direct")
    assert facts.recordset == a_query(SHORT).recordset
    assert facts.remarks == []
    with pytest.raises(ExportError, match=r"none of the 3 records of .* has an image: QUALITY 0x8"):
        list_records(a_query(SHORT), Jsoc(QUALITY="0x80000000"), "export")
    with pytest.raises(ExportError, match="has no keyword CAMERA"):
        list_records(a_query(SHORT, filename_format="{CAMERA}"), Jsoc(), "export")


def test_images_that_aia_scale_loses_are_told() -> None:
    # Two exposures of one slot; the last record has no image at all.
    rows = [
        {"T_REC": iso(FIRST + timedelta(seconds=12 * n)), "WAVELNTH": "131", "T_OBS": iso(t_obs)}
        for n, t_obs in enumerate(FIRST + timedelta(seconds=s) for s in (9, 20, 21, 45, 57))
    ]
    rows[-1]["QUALITY"] = "0x80000000"
    query = a_query(SHORT, processing=steps({"aia_scale": {}}))
    found = list_records(query, Jsoc(rows=rows), "export")
    assert found.facts.remarks == ["JSOC's aia_scale loses 1 of 4 images: see config/README.md"]
    assert Counter(column(found.records, "status")) == {"": 3, Status.NO_IMAGE: 2}
    assert found.facts.process == "n=0|aia_scale_aialev1"


def test_how_patches_were_selected_is_told() -> None:
    row = {"T_REC": "2014.01.07_18:12:00_TAI", "HARPNUM": "3563", "QUALITY": "0x00000000"}

    def remarks(series: str = SHARP.name, **event: Any) -> list[str]:
        over = {"series": SERIES[series], "wavelength": 6173, "wavelengths": [6173]}
        query = a_query(replace(SHORT, **event), **over, segment="magnetogram")
        return list_records(query, Jsoc(rows=[{**row, "CAMERA": "2"}]), "export").facts.remarks

    own = {"recordset": f"{SHARP.name}[3563][2014.01.07_18:12:00_TAI]"}
    assert remarks(noaa_ar=11944) == [
        "the patches of which NOAA_ARS has 11944, be it as one of several regions"
    ]
    assert remarks(noaa_ar=11944, columns=own) == []
    assert remarks("hmi.M_45s", noaa_ar=11944) == []


class Desk:
    """An export that a user made: it has the records at these places."""

    def __init__(self, jsoc: Jsoc, places: Iterable[int], **over: Any) -> None:
        self.jsoc = jsoc
        self._places = places
        self._over = over

    def wait_for(self, requestid: str) -> Answer:
        times = [FIRST + timedelta(seconds=12 * n) for n in self._places]
        data = [
            (
                f"aia.lev1_euv_12s[{iso(time)}][131]{{image}}",
                f"aia.lev1_euv_12s.{time + timedelta(seconds=9):%Y-%m-%dT%H%M%SZ}.131.image.fits",
            )
            for time in times
        ]
        usual = {"method": "url", "protocol": "FITS", "count": len(data), "size": 4, "data": data}
        return Answer(0, requestid, folder="/SUM1/D1", **{**usual, **self._over})


def requested(*places: int, ids: tuple[str, ...] = ("A",), count: int = 60, **over: Any) -> Found:
    return list_request(a_query(SHORT), [*ids], Desk(Jsoc(count), places, **over))


def test_links_of_an_export_that_the_user_made() -> None:
    found = requested(*range(40), ids=("A", "B"), exptime="x")
    assert len(found.listing) == 40
    assert set(column(found.records, "status")) == {""}
    facts = found.facts
    assert (facts.requestid, facts.count, facts.rows, facts.megabytes) == ("A B", 80, 40, 8)
    assert (facts.source, facts.exptime, facts.process) == ("request_id", "x", "")
    # Two minutes and a slot may lack at the window's begin: here they are four.
    assert facts.edges == (
        "the page's records span 2014-01-07T18:05:01Z to 2014-01-07T18:12:49Z only"
    )
    for bad in ([], [200]):
        with pytest.raises(ListingError, match=r"^A: .*; check request_id in the row$"):
            requested(*bad)


def test_a_record_without_a_file_has_no_image_in_an_export() -> None:
    bare = "aia.lev1_euv_12s[2014-01-07T18:05:13Z][131]"
    data = [
        (f"{bare}{{image}}", "NoDataFile"),
        ("aia.lev1_euv_12s[2014-01-07T18:05:25Z][131]{image}", ""),
        (
            "aia.lev1_euv_12s[2014-01-07T18:12:49Z][131]{image}",
            "aia.lev1_euv_12s.2014-01-07T181258Z.131.image.fits",
        ),
    ]
    found = requested(data=data)
    # Without a name it may have a file all the same: it is asked for, if it is drawn.
    lacking = [row for row in found.records if row["status"]]
    assert cells(lacking, "record", "status", "reason") == [
        [bare, Status.NO_IMAGE, "NoDataFile (A)"]
    ]
    # What JSOC's list said before stays.
    jsoc = Jsoc(60)
    jsoc.rows[1]["QUALITY"] = "0x80000000"
    again = list_request(a_query(SHORT), ["A"], Desk(jsoc, (), data=data))
    assert again.records[1]["reason"] == "QUALITY 0x80000000: the record has no image"
    assert sum(bool(row["status"]) for row in again.records) == 1


def test_a_movie_has_no_edges() -> None:
    data = [("aia.lev1_euv_12s[2014-01-07T18:05:01Z][131]{image}", "movie.mpg")]
    found = requested(data=data, protocol="mpg")
    assert found.facts.edges == ""
    assert len(found.listing) == 1


# Where is looked


@pytest.fixture
def where(tmp_path: Path) -> Callable[..., Where]:
    def make(**archive: Any) -> Where:
        return Where(Access(archive=Archive(**archive)), "name", tmp_path, "pages")

    return make


def test_a_rehearsal_makes_pages_of_unprocessed_images_only(where: Callable[..., Where]) -> None:
    found = find(a_query(SHORT), "page", where(frame_size=128))
    assert found.facts.source == "page"
    assert len(found.listing) > 60
    rebinned = a_query(SHORT, processing=steps({"rebin": {}}))
    with pytest.raises(ListingError, match="a rehearsal makes only pages of unprocessed images"):
        find(rebinned, "page", where())


def test_without_a_saved_page_it_is_said_what_to_save(
    where: Callable[..., Where], tmp_path: Path
) -> None:
    real = where(kind="jsoc")
    for query in (a_query(SHORT), a_query(SHORT, processing=steps({"rebin": {}}))):
        with pytest.raises(ListingError, match="pages: no saved export page for event test"):
            find(query, "page", real)
    (tmp_path / "page.html").write_text("no page")
    with pytest.raises(ListingError, match=r"page.html: this is not a listing"):
        find(a_query(SHORT), "page", real, page=tmp_path / "page.html")


def test_an_incomplete_page_is_used_only_where_it_is_accepted(
    where: Callable[..., Where], tmp_path: Path
) -> None:
    wanted = a_query(SHORT).recordset.partition("{")[0]
    page = catalogue.listing_page(catalogue.export(wanted, 128))
    row = next(line for line in page.splitlines(keepends=True) if line.startswith("<tr><td>aia"))
    (tmp_path / "page.html").write_text(page.replace(row, ""))
    given = {"page": tmp_path / "page.html"}
    with pytest.raises(ListingError, match="accept_pages"):
        find(a_query(SHORT), "page", where(kind="jsoc"), **given)
    assert find(a_query(SHORT), "page", where(kind="jsoc"), **given, accept=True).facts.accepted


@pytest.mark.parametrize("source", ["export", "direct"])
def test_a_rehearsal_asks_its_own_archive(where: Callable[..., Where], source: str) -> None:
    found = find(a_query(SHORT), source, where(frame_size=128))
    assert found.facts.source == source
    assert len(found.records) > 60
    assert found.listing == []
    event = an_event(columns={"request_id": "JSOC_20260101_999999"})
    with pytest.raises((ExportError, ListingError), match="JSOC_20260101_999999"):
        find(a_query(event), "request_id", where(frame_size=128))
