"""Campaigns whose listings come from JSOC's CGI: RequestIDs, and exports that are asked for."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from astropy.io import fits
from support.exporting import EMAIL, asked, looked_up, recnums, windows, with_requests
from support.project import ROOT, Project
from support.stages import in_process

from flareset.errors import ExportError, IncompleteError
from flareset.standin.server import Fault, StandIn

A, B = "2014-01-07T180534", "2014-02-24T235710"
CUT_OUT = {"im_patch": {"center": "event", "size": [400, 300], "size_units": "arcsec"}}
PLACED = """event_starttime,event_endtime,event_peaktime,hpc_x,hpc_y,noaa_ar
2014-01-07 18:05:34,2014-01-07 18:09:58,2014-01-07T18:07:00,268.8,-115.2,11944
2014-01-07 18:08:10,2014-01-07 18:12:30,,-300,200,
"""
ONE = "\n".join(PLACED.splitlines()[:2]) + "\n"


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSOC_EMAIL", EMAIL)


@pytest.fixture
def site(tmp_path: Path, serve: Callable[..., StandIn]) -> Callable[..., tuple[Project, StandIn]]:
    """Return a campaign of exports against a server of its own."""

    def make(*faults: Fault, **config: Any) -> tuple[Project, StandIn]:
        project = Project(tmp_path / "project")
        server = serve(
            faults=list(faults),
            state=tmp_path / "state.json",
            clock=lambda: time.time() + server.days * 86400,
        )
        server.days = 0
        project.configure(
            source="export",
            archive={"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url},
        )
        project.configure(**config)
        return project, server

    return make


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def no_address(project: Project) -> None:
    """No file of a run has the address, in any spelling."""
    for folder in ("results", "logs", ".snakemake", "store"):
        for path in files_of(project.path(folder)):
            content = path.read_bytes()
            assert b"jane.doe" not in content, path


def records(project: Project, event: str = A, wavelength: int = 131) -> list[dict[str, str]]:
    return project.table(f"results/events/{event}/{wavelength}/records.csv")


def ledger(project: Project, event: str = A, wavelength: int = 131) -> list[dict[str, str]]:
    return project.table(f"results/ledger/{event}.{wavelength}.csv")


def test_all_sources_give_one_data_set(
    finished: Project,
    tmp_path: Path,
    serve: Callable[..., StandIn],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flareset")
    rehearsal = finished.copy(tmp_path / "rehearsal")
    expected = rehearsal.data_set()
    drawn = [row["record"] for row in rehearsal.table("results/data_selection/images.csv")]
    rehearsal.configure(source="export", results="results-export", store="store-export")
    in_process(rehearsal, monkeypatch)
    assert len(re.findall(r"JSOC_\d{8}_00[12]: accepted, 1[56] records", caplog.text)) == 2
    assert rehearsal.data_set() == expected

    # The same from a server at two base URLs, and from RequestIDs that somebody got on the page.
    flares = [event.flare for event in rehearsal.read_events()]
    server = serve(flares=flares)
    urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
    export = Project(tmp_path / "export", {"source": "export", "archive": urls})
    in_process(export, monkeypatch)
    assert export.data_set() == expected
    # Asked for are the drawn records alone, by number.
    assert len(server.created) == len(asked(server)) == 2
    assert sum(len(recnums(text)) for text in asked(server)) == len(drawn) == 31
    assert all(recnums(text) == sorted(recnums(text)) for text in asked(server))
    history = json.loads(export.path("results/provenance.json").read_text())
    assert history["request_ids"] == sorted(server.created)
    assert all("{image}" in text for text in history["recordsets"])

    by_id = Project(tmp_path / "by id", {"source": "request_id", "archive": urls})
    ids = with_requests(by_id, server)
    in_process(by_id, monkeypatch)
    assert by_id.data_set() == expected
    assert len(server.created) == 4, "nothing is asked for but by hand"
    history = json.loads(by_id.path("results/provenance.json").read_text())
    assert history["request_ids"] == sorted(ids)
    no_address(export)
    no_address(by_id)


def test_a_source_of_its_own_for_each_row(tmp_path: Path, serve: Callable[..., StandIn]) -> None:
    project = Project(tmp_path / "mixed")
    server = serve(flares=[event.flare for event in project.read_events()])
    project.use(server)
    project.configure(archive={"cgi_url": server.cgi_url})
    first, second = project.path("config/events.csv").read_text().splitlines()[1:]
    header = "event_starttime,event_endtime,event_peaktime,goes_class,hpc_x,hpc_y,source"
    project.events(f"{header}\n{first},export\n{second},\n")
    project.run()
    assert len(server.created) == 1
    assert f"{server.created[0]}: accepted" in project.log("download", A)
    assert "JSOC_" not in project.log("list", A)
    assert f"{B}.html" in project.log("list", B)
    assert project.table(f"results/events/{A}/131/listing.csv") == []
    assert len(project.table(f"results/events/{B}/131/listing.csv")) > 100


@pytest.mark.parametrize(
    "config",
    [
        {"export": {"method": "url-tar"}},
        {"export": {"protocol": "FITS,**NONE**"}},
        {"export": {"protocol": "as-is"}, "series": "aia.lev1"},
        {"export": {"method": "url_quick", "protocol": "as-is"}},
        {"export": {"filename_format": "mine.{T_OBS:A}.{FSN}.{segment}"}},
    ],
    ids=["tar", "uncompressed", "as-is", "quick", "names"],
)
def test_ways_to_deliver(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
) -> None:
    project, server = site(**config)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert len(rows) == 31
    assert {row["QUALITY"] for row in rows} == {"0"}
    assert all(0.2 < float(row["EXPTIME"]) < 3 for row in rows)
    assert {row["AECTYPE"] for row in rows} <= {"0", "2"}
    export = config["export"]
    forms = [form for _, form in server.calls if form.get("op") == "exp_request"]
    assert {form["method"] for form in forms} == {export.get("method", "url")}
    if "filename_format" not in export:
        series = config.get("series", "aia.lev1_euv_12s")
        assert all(row["filename"].startswith(f"{series}.2014-") for row in rows)
    assert len(server.created) == (0 if export.get("method") == "url_quick" else 2)
    assert not list(project.path("store").rglob("*.part*"))
    assert not list(project.path("store").rglob("*.tar*"))
    no_address(project)


def test_cut_outs_of_two_events_from_one_record(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = site(export={"processing": [CUT_OUT]}, other_flares="allow")
    project.events(PLACED)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert len({row["filename"] for row in rows}) == len(rows) == 30
    records = [row["record"] for row in rows]
    assert len(set(records)) < len(records), "the same record was drawn for both"
    assert all(record.startswith("aia.lev1_euv_12s[2014-01-07T18:") for record in records)
    for row in rows:
        path = project.path(f"results/data_selection/fits/raw/{row['filename']}")
        header = fits.getheader(path, 1)
        assert (header["NAXIS1"], header["NAXIS2"]) == (21, 16)
        assert header["DRMS_ID"].startswith("aia.lev1_euv_12s_mod:")
    history = json.loads(project.path("results/provenance.json").read_text())
    for entry in history["events"]:
        assert entry["export"]["process"].startswith("n=0|im_patch,t_start=2014-01-07T18:0")
    assert "t=0,r=0,c=0,cadence=12s,locunits=arcsec" in history["events"][0]["export"]["process"]
    # A campaign of full frames from the same store takes none of them.
    full = Project(project.folder / "full", {**project.config, "store": "../store"})
    full.configure(export={"processing": []})
    full.events(PLACED)
    in_process(full, monkeypatch)
    for path in files_of(full.path("results/data_selection/fits")):
        assert fits.getheader(path, 1)["NAXIS1"] == 128


def test_full_frames_in_place_of_cut_outs_are_refused(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(
        Fault("unprocessed"),
        export={"processing": [CUT_OUT]},
        completeness={"allow_missing": 99},
    )
    project.events(ONE)
    refusal = "15 of 15 images could not be had"
    with pytest.raises(IncompleteError, match=refusal) as error:
        in_process(project, monkeypatch)
    # Sound files of another making: no second try, and no next in the draw.
    tries = [count for path, count in server.log.items() if path.endswith(".fits")]
    assert tries == [1] * 15
    assert "it is not processed: its DRMS_ID is aia.lev1_euv_12s:" in str(error.value)
    assert not project.stored()


@pytest.mark.parametrize(
    ("series", "segment", "wavelengths", "window"),
    [
        ("aia.lev1", "image", [171, 304], "4m"),
        ("aia.lev1_uv_24s", "image", [1600, 1700], "4m"),
        ("aia.lev1_vis_1h", "image", [4500], "3h"),
        ("hmi.M_45s", "magnetogram", [6173], "10m"),
        ("hmi.m_720s", "magnetogram", [6173], "1h"),
        ("hmi.sharp_cea_720s", "Br", [6173], "1h"),
    ],
)
def test_series(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    series: str,
    segment: str,
    wavelengths: list[int],
    window: str,
) -> None:
    project, server = site(
        series=series,
        segment=segment,
        wavelengths=wavelengths,
        window={"pre": window, "post": window},
    )
    project.events(ONE)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert {int(row["wavelength"]) for row in rows} == set(wavelengths)
    assert {row["phase"] for row in rows} >= {"pre", "post"}
    statuses = {row["status"] for row in ledger(project, A, wavelengths[0])}
    assert "failed" not in statuses
    assert "verified" in statuses
    assert all(recnums(text) for text in asked(server))
    question = next(text for text in looked_up(server) if ":#" not in text)
    if series == "aia.lev1":
        assert question.startswith("aia.lev1[2014-01-07T18:01:00Z-2014-01-07T18:13:00Z][? WAVE")
    if series.startswith("hmi"):
        assert "_TAI-2014.01.07_" in question
    if "sharp" in series:
        assert '[? NOAA_ARS ~ "11944" ?]' in question


def test_pictures(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(export={"protocol": "JPEG,CT=aia_131.lut,scaling=LOG,size=4"})
    project.events(ONE)
    in_process(project, monkeypatch)
    assert_products(project, "pictures", 62)
    assert asked(server) == [windows(project)[0]], "pictures are wanted of the whole window"
    assert "62 files are what their manifests say" in project.run("verify").text


@pytest.mark.parametrize("protocol", ["mpg", "MP4"])
def test_movies(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    project, server = site(export={"protocol": protocol})
    project.events(ONE)
    in_process(project, monkeypatch)
    assert_products(project, "movies", 1)
    assert asked(server) == [windows(project)[0]], "a movie is of all records"


def assert_products(project: Project, folder: str, files: int) -> None:
    """There are so many files of an export that has no FITS files, and nothing is drawn."""
    there = files_of(project.path(f"results/final_fits/{A}/131/{folder}"))
    assert len(there) == files
    assert project.table("results/data_selection/image_labels.csv") == []
    kept = [row for row in ledger(project) if row["filename"]]
    assert {row["status"] for row in kept} == {"verified"}
    assert len(kept) == files


def test_what_an_export_leaves_out(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One record lost for good, one for a moment, one without a data file, one without a name.
    project, server = site(
        Fault("missing", r"18:05:37Z\]"),
        Fault("missing", r"18:04:37Z\]", times=1),
        Fault("nodata", r"18:03:37Z\]"),
        Fault("noname", r"18:06:37Z\]", times=1),
        fetch="all",
    )
    project.events(ONE)
    lost = "aia.lev1_euv_12s[2014-01-07T18:05:37Z][131]"
    with pytest.raises(IncompleteError, match="1 of 60 images could not be had") as error:
        in_process(project, monkeypatch)
    assert f"{lost}: asked for, but not in JSOC_" in str(error.value)
    by_record = {row["record"]: row for row in ledger(project) if row["record"]}
    assert by_record[lost]["status"] == "failed"
    bare = by_record["aia.lev1_euv_12s[2014-01-07T18:03:37Z][131]"]
    assert (bare["status"], bare["reason"][:10]) == ("no_image", "NoDataFile")
    for second in ("18:04:37Z", "18:06:37Z"):
        assert by_record[f"aia.lev1_euv_12s[2014-01-07T{second}][131]"]["status"] == "verified"
    assert len(server.created) == 2
    whole, again = asked(server)
    assert whole == windows(project)[0]
    assert len(recnums(again)) == 3, "what is missing, and no more"
    # The next run asks again, for what is missing alone.
    server.faults.clear()
    in_process(project, monkeypatch)
    assert len(server.created) == 3
    assert len(recnums(asked(server)[2])) == 1
    assert {row["status"] for row in ledger(project)} <= {
        "verified", "not_needed", "outside", "no_image", "no_record"
    }  # fmt: skip


def test_a_record_that_an_export_lacks_lets_the_next_in_the_draw_in(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site()
    project.events(ONE)
    in_process(project, monkeypatch)
    before = project.table("results/data_selection/images.csv")
    lost = next(row for row in before if row["phase"] == "flare")
    minute = lost["slot"][:16]
    # What is not wanted may be lacking: nobody asks for it.
    others = [
        row["record"]
        for row in project.table(f"results/events/{A}/candidates.csv")
        if row["record"] not in {row["record"] for row in before}
    ]
    unwanted = "|".join(re.escape(record) for record in others if minute not in record)
    server.faults[:] = [Fault("missing", f"{re.escape(lost['record'])}|{unwanted}")]
    # By then JSOC has forgotten that it was asked for the same.
    server.days = 2
    other = Project(project.folder / "other", {**project.config, "store": "store"})
    other.events(ONE)
    with pytest.raises(IncompleteError, match="1 of 16 images could not be had"):
        in_process(other, monkeypatch)
    other.configure(completeness={"allow_missing": 1})
    in_process(other, monkeypatch)
    after = other.table("results/data_selection/images.csv")
    assert len(after) == len(before)
    (new,) = [row for row in after if row["record"] not in {row["record"] for row in before}]
    assert {row["record"] for row in before} - {row["record"] for row in after} == {lost["record"]}
    assert (new["phase"], new["time"][:16]) == ("flare", lost["time"][:16])
    (row,) = [row for row in ledger(other) if row["record"] == lost["record"]]
    assert row["status"] == "failed"
    assert row["reason"].startswith("asked for, but not in JSOC_")


def test_what_a_request_id_lacks_is_no_fact_about_the_archive(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Fault("missing", r"T18:0[5-9]:\d\dZ\]")
    project, server = site(lacking, source="request_id", completeness={"allow_missing": 99})
    project.events(ONE)
    (requestid,) = with_requests(project, server)
    in_process(project, monkeypatch)
    assert {row["status"] for row in records(project)} == {""}
    assert len(records(project)) == 62
    failed = [row for row in ledger(project) if row["status"] == "failed"]
    assert {row["reason"].partition(";")[0] for row in failed} == {f"not in {requestid}"}
    assert {row["phase"] for row in project.table("results/data_selection/images.csv")} == {
        "pre",
        "post",
    }


def test_no_record_and_no_image_are_what_jsoc_says(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in has no image of 18:13:49, and no record of 18:45:01.
    project, _ = site(window={"post": "40m"})
    project.events(ONE)
    in_process(project, monkeypatch)
    rows = ledger(project)
    bare = [row for row in rows if row["status"] == "no_record"]
    assert bare
    assert {row["reason"] for row in bare} == {"JSOC has no record here"}
    dark = [row for row in rows if row["reason"].startswith("QUALITY 0x80000000")]
    assert dark
    assert {row["status"] for row in dark} == {"no_image"}
    assert all(row["record"].startswith("aia.lev1_euv_12s[2014-01-0") for row in dark + bare)


def test_an_export_that_expired_before_all_of_it_was_fetched(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flareset")
    # The files of the pre phase cannot be had for now.
    project, server = site(Fault("status", r"T180[0-4]..Z.*fits", code=403))
    project.events(ONE)
    with pytest.raises(IncompleteError, match="HTTP 403"):
        in_process(project, monkeypatch)
    server.faults.clear()
    server.days = 8
    before = len(asked(server))
    in_process(project, monkeypatch)
    (left,) = re.findall(r"(\d+) files are no longer there; asking for them again", caplog.text)
    assert 0 < int(left) < 15
    assert [len(recnums(text)) for text in asked(server)[before:]] == [int(left)]
    assert len(project.table("results/data_selection/images.csv")) == 15
    history = json.loads(project.path("results/provenance.json").read_text())
    assert history["request_ids"] == sorted({server.created[0], server.created[-1]}), "both"


def test_repair_after_the_export_expired(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site()
    project.events(ONE)
    in_process(project, monkeypatch)
    made = len(server.created)
    server.days = 8
    victim = next(project.path("store").rglob("*.fits"))
    for path in files_of(project.path("results")):
        if path.name == victim.name:
            path.unlink()
    victim.unlink()
    project.run("repair")
    assert victim.exists()
    assert len(server.created) == made + 1
    assert len(recnums(asked(server)[-1])) == 1


@pytest.mark.parametrize("delay", [0.3, 0.9, 1.6])
def test_killed_while_it_waits(tmp_path: Path, serve: Callable[..., StandIn], delay: float) -> None:
    server = serve(delay=0.6)
    urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
    project = Project(tmp_path / "killed", {"source": "export", "archive": urls})
    project.events(ONE)
    project.run("--until", "draw")
    process = subprocess.Popen(
        project.command(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not server.created and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    project.run("--unlock")
    project.run()
    assert len(server.created) == 1
    assert len(project.table("results/data_selection/images.csv")) == 15


def test_plan_asks_for_nothing(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(export={"processing": [CUT_OUT]})
    project.events(ONE)
    text = project.run("plan").text
    exports = project.path("results/plan.exports.txt")
    assert f"exports that JSOC would be asked for: 1, each in results/{exports.name}" in text
    (order,) = re.findall(
        rf"^{A} 131: (\S+)  n=0\|im_patch,\S+  \(url, FITS", exports.read_text(), re.M
    )
    assert re.search(rf"{A} +131 +1 +62 +60 +{len(recnums(order))} +0 +0\.\d\d", text)
    assert server.created == asked(server) == []
    # What was planned is what is asked for, once.
    in_process(project, monkeypatch)
    assert asked(server) == [order]
    assert re.search(rf"{A} +131 +0 +62 +60 +15 +15 +0\.0", project.run("plan").text)
    project.configure(sample={"pre": 8})
    assert re.search(rf"{A} +131 +1 +62 +60 +18 +15 +0\.0", project.run("plan").text)
    assert len(server.created) == 1


def test_a_place_that_only_a_row_can_tell(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(export={"processing": [CUT_OUT]})
    project.events(PLACED.replace(",-300,200,", ",,,"))
    said = "im_patch has center: event, but its row has no hpc_x and hpc_y"
    with pytest.raises(ExportError, match=said):
        in_process(project, monkeypatch)
    assert len(server.created) == 1, "the first row has a place"


@pytest.mark.parametrize(
    ("address", "message"),
    [("", "set JSOC_EMAIL"), ("unregistered@example.org", "is not registered with JSOC")],
)
def test_an_address_that_will_not_do(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    message: str,
) -> None:
    monkeypatch.setenv("JSOC_EMAIL", address)
    project, server = site()
    project.events(ONE)
    with pytest.raises(ExportError, match=message):
        in_process(project, monkeypatch)
    assert server.created == asked(server) == []


@pytest.mark.parametrize("way", ["config", "command line"])
def test_the_address_is_in_no_file(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.delenv("JSOC_EMAIL")
    busy = Fault("jsoc", "exp_request", times=1, code=7, text=f"User {EMAIL} has 1 pending ()")
    project, server = site(
        busy, Fault("status", "exp_status", times=2), Fault("missing", r"T18:07:..Z\]")
    )
    project.events(ONE)
    if way == "config":
        project.configure(archive={"email": EMAIL})
        text = project.run("-p", fails=True).text
    else:
        text = project.run("-p", "--config", f"archive={{email: {EMAIL}}}", fails=True).text
    assert "User <address> has 1 pending" in project.log("download", A)
    assert {form["notify"] for _, form in server.calls if "notify" in form} == {EMAIL}
    assert EMAIL not in text
    project.run("--summary")
    no_address(project)


def test_names_with_fields_that_the_series_lacks(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(export={"filename_format": "x.{T_REC:A}.{WAVELENGTH}.{segment}"})
    project.events(ONE)
    with pytest.raises(ExportError, match="has no keyword WAVELENGTH"):
        in_process(project, monkeypatch)
    assert server.created == []


def test_a_tar_is_resumed_and_a_bad_member_fetched_once_more(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(
        Fault("cut", r"\.tar$", times=3), Fault("flip", r"\.tar$", times=1, skip=3),
        export={"method": "url-tar"}, fetch="all",
    )  # fmt: skip
    project.events(ONE)
    in_process(project, monkeypatch)
    begins = [int(text[6:-1]) for text in server.ranges if text]
    assert len(begins) >= 3
    assert begins == sorted(begins)
    assert begins[0] > 0
    rows = project.table(f"results/events/{A}/131/manifest.csv")
    assert {row["status"] for row in rows} == {"verified"}
    assert not list(project.path("store").rglob("*.tar*"))


def test_offline_records_are_told_one_by_one(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(completeness={"allow_missing": 2})
    project.events(ONE)
    in_process(project, monkeypatch)
    before = project.table("results/data_selection/images.csv")
    (order,) = asked(server)
    lost = [recnums(order)[2], recnums(order)[9]]
    # JSOC refuses a whole request for one record that is offline.
    server.faults[:] = [Fault("offline", rf"#{number}\b", code=25) for number in lost]
    server.days = 2
    other = Project(project.folder / "other", project.config)
    other.events(ONE)
    in_process(other, monkeypatch)
    rows = [row for row in ledger(other) if row["status"] == "failed"]
    assert [row["reason"] for row in rows] == ["JSOC has it offline (status 25)"] * 2
    numbers = {row["record"]: int(row["recnum"]) for row in records(other)}
    assert sorted(numbers[row["record"]] for row in rows) == lost
    after = other.table("results/data_selection/images.csv")
    assert len(after) == len(before) == 15
    assert len({row["record"] for row in after} - {row["record"] for row in before}) == 2
    # The order is halved until the offline records are alone.
    orders = [recnums(text) for text in asked(server)[1:]]
    assert orders[0] == recnums(order)
    assert [number for number in lost if [number] not in orders] == []
    assert len(orders) < 2 * 15
    refused = [numbers for numbers in orders if set(numbers) & set(lost)]
    assert len(server.created) == 1 + len(orders) - len(refused)


def test_records_that_are_all_offline(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "One or more data files are offline; please send a request for help"
    project, server = site(Fault("jsoc", "exp_request", code=25, text=text))
    project.events(ONE)
    with pytest.raises(IncompleteError, match="60 of 60 images could not be had"):
        in_process(project, monkeypatch)
    rows = [row for row in ledger(project) if row["status"] == "failed"]
    assert len(rows) == 60
    assert all(row["record"] and "offline (status 25)" in row["reason"] for row in rows)
    server.faults.clear()
    in_process(project, monkeypatch)
    assert len(project.table("results/data_selection/images.csv")) == 15


def test_what_aia_scale_loses_is_told(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(export={"processing": [{"aia_scale": {}}]}, fetch="all")
    project.events(ONE)
    # Only exposures that a flare shortens are so late.
    server.frames.flares += [event.flare for event in project.read_events()]
    in_process(project, monkeypatch)
    # The slots' middles are 4, 16, 28, ... s past a minute of TAI, which was 35 s ahead of UTC: 5,
    # 17, 29, ... of UTC. Of two exposures with one nearest middle, the later stays.
    nearest: dict[int, list[str]] = {}
    for row in records(project):
        observed = datetime.fromisoformat(row["t_obs"]).timestamp()
        nearest.setdefault(int((observed - 5 + 6) // 12), []).append(row["record"])
    lost = {record for hidden in nearest.values() for record in hidden[:-1]}
    assert len(lost) > 3
    by_record = {row["record"]: row for row in ledger(project) if row["record"]}
    gone = {r: row["reason"] for r, row in by_record.items() if row["status"] == "no_image"}
    assert set(gone) == {r for r in lost if by_record[r]["status"] != "outside"}
    assert all("JSOC's aia_scale puts it into the slot of" in why for why in gone.values())
    statuses = Counter(row["status"] for row in by_record.values())
    assert "failed" not in statuses
    assert statuses["verified"] + statuses["no_image"] == 60
    text = project.run("plan").text
    assert f"{A} 131: note: JSOC's aia_scale loses {len(lost)} of 62 images" in text


def test_direct_has_an_export_of_what_is_offline(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of one minute of flare, of which one image is drawn.
    project, server = site(Fault("offline", r"T18:06:\d\dZ\]\[131\]"), source="direct")
    project.events(ONE)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert len(rows) == 15
    (exported,) = [row for row in rows if row["proof"] == "datasum"]
    assert exported["slot"].startswith("2014-01-07T18:06:")
    assert {row["proof"] for row in rows if row is not exported} == {"pixels"}
    (order,) = asked(server)
    numbers = {row["record"]: int(row["recnum"]) for row in records(project)}
    assert recnums(order) == [numbers[exported["record"]]]
    # The names, and with them the labels, are those of a campaign without exports.
    names = {row["filename"] for row in rows}
    server.faults.clear()
    whole = Project(project.folder / "whole", project.config)
    whole.events(ONE)
    in_process(whole, monkeypatch)
    assert {r["filename"] for r in whole.table("results/data_selection/images.csv")} == names
    assert len(server.created) == 1


def test_direct_without_an_address_names_what_is_offline(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(Fault("offline", r"T18:06:\d\dZ\]\[131\]"), source="direct")
    project.events(ONE)
    monkeypatch.delenv("JSOC_EMAIL")
    reason = r"5 of 19 images could not be had(?s:.*)offline: set JSOC_EMAIL to an address"
    with pytest.raises(IncompleteError, match=reason):
        in_process(project, monkeypatch)
    assert {row["status"] for row in ledger(project) if "18:06:" in row["record"]} == {"failed"}
    assert server.created == []
    # They are asked about again.
    server.faults.clear()
    monkeypatch.delenv("JSOC_EMAIL")
    in_process(project, monkeypatch)
    assert {row["proof"] for row in project.table("results/data_selection/images.csv")} == {
        "pixels"
    }


def test_a_stored_file_that_is_not_where_jsoc_says_is_exported(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(Fault("status", r"^image_lev1\.fits$", code=404), source="direct")
    project.events(ONE)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert [row["proof"] for row in rows] == ["datasum"] * 15
    assert [len(recnums(text)) for text in asked(server)] == [15]


def test_names_without_wavelength_are_kept_apart(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "{seriesname}.{T_REC:A}.{CAMERA}.{segment}"
    project, _ = site(
        wavelengths=[131, 335], fetch="all", sample={"pre": 30, "post": 30, "per_minute": 6},
        export={"filename_format": names, "processing": [CUT_OUT]},
    )  # fmt: skip
    project.events(ONE)
    in_process(project, monkeypatch)
    rows = project.table("results/data_selection/images.csv")
    assert len({row["filename"] for row in rows}) == len(rows) > 100
    for row in rows:
        path = project.path(f"results/data_selection/fits/raw/{row['filename']}")
        header = fits.getheader(path, 1)
        assert header["WAVELNTH"] == int(row["wavelength"])
        assert header["T_REC"][:19] in row["record"]


def test_the_shipped_campaign_for_the_real_archive(
    tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    shipped = yaml.safe_load((ROOT / "config/jsoc.yaml").read_text())
    assert shipped["archive"]["kind"] == "jsoc"
    server = serve()
    project = Project(tmp_path / "jsoc", {"source": "direct", **shipped})
    project.configure(archive={"data_url": server.url, "cgi_url": server.cgi_url})
    project.run()
    assert not server.created, "no export is needed, and no address"
    assert project.path("results-jsoc/data_selection/image_labels.csv").exists()


def test_another_way_to_deliver_asks_nothing_where_the_files_are_there(
    site: Callable[..., tuple[Project, StandIn]],
) -> None:
    project, server = site()
    project.events(ONE)
    project.run()
    calls = len(server.calls)
    assert re.search(rf"{A} +131 +0 +62 +60 +15 +15 ", project.run("plan").text)
    project.configure(export={"method": "url-tar"})
    assert re.search(rf"{A} +131 +0 +62 +60 +15 +15 ", project.run("plan").text)
    assert project.run().jobs["download"] == 1
    assert len(server.calls) == calls


@pytest.mark.parametrize(
    ("box", "left", "reason"),
    [
        ({"cadence": "24s"}, 30, "not asked for: im_patch's cadence is 24s"),
        (
            {"t_start": "2014-01-07T18:03:00", "t_stop": "2014-01-07 18:11"},
            40,
            "not asked for: beyond im_patch's t_start and t_stop",
        ),
    ],
)
def test_what_a_cut_out_leaves_out_is_not_missed(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    box: dict[str, str],
    left: int,
    reason: str,
) -> None:
    step = {"im_patch": {**CUT_OUT["im_patch"], **box}}
    project, server = site(export={"processing": [step]}, fetch="all")
    project.events(ONE)
    in_process(project, monkeypatch)
    assert asked(server) == [windows(project)[0]]
    rows = ledger(project)
    files = [row for row in rows if row["filename"]]
    assert len(files) == left
    assert {row["status"] for row in files} == {"verified"}
    spared = [row for row in rows if row["reason"].startswith("not asked for")]
    assert {(row["status"], row["reason"]) for row in spared} == {("not_needed", reason)}
    # One image lies outside of the window.
    assert 60 <= len(files) + len(spared) <= 61
    # Of the wanted alone, JSOC takes the same.
    expected = project.data_set()
    project.configure(fetch="sampled", store="another store", results="other results")
    in_process(project, monkeypatch)
    assert project.data_set() == expected
    assert len(server.created) == len(asked(server)) == 2


def test_a_tar_serves_every_round_of_the_draw_and_repair(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(
        source="request_id", archive={"max_file_size": "60kB"}, completeness={"allow_missing": 99}
    )
    project.events(ONE)
    with_requests(project, server, method="url-tar")
    in_process(project, monkeypatch)
    (tar,) = [path for path in server.log if path.endswith(".tar")]
    assert server.log[tar] == 1
    drawn = [row["filename"] for row in project.table("results/data_selection/images.csv")]
    # Of three images the tar has junk: the draw needs another round.
    server.faults[:] = [Fault("flip", f"{'|'.join(map(re.escape, drawn[:3]))}")]
    other = Project(project.folder / "other", project.config)
    other.events(project.path("config/events.csv").read_text())
    in_process(other, monkeypatch)
    assert len(other.table("results/data_selection/images.csv")) == 15
    assert server.log[tar] <= 3, "once, and once more for the bad members"
    server.faults.clear()
    gets = server.log[tar]
    for folder in ("store", "results"):
        for path in other.path(folder).rglob(drawn[5]):
            path.unlink()
    other.run("repair")
    assert server.log[tar] == gets + 1
    assert not list(other.path("store").rglob("tars"))


def test_movies_are_repaired_and_renewed(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(Fault("status", "mp4", code=403), export={"protocol": "mp4"})
    project.events(ONE)
    with pytest.raises(IncompleteError, match="HTTP 403"):
        in_process(project, monkeypatch)
    server.faults.clear()
    server.days = 8
    in_process(project, monkeypatch)
    assert len(server.created) == 2
    assert "1 files are what their manifests say" in project.run("verify").text
    (movie,) = project.path("store").rglob("*.mp4")
    movie.chmod(0o644)
    movie.write_bytes(b"damaged")
    project.run("repair")
    assert movie.stat().st_size > 1000


@pytest.mark.parametrize(
    ("recordset", "reason"),
    [
        ("[2014-01-07T18:00:48Z/733s@24s][131]", "between the steps of the row's recordset"),
        ("[2014-01-07T18:03:00Z/7m]", "beyond the row's recordset"),
    ],
)
def test_the_ledger_of_a_row_with_its_own_recordset(
    site: Callable[..., tuple[Project, StandIn]],
    monkeypatch: pytest.MonkeyPatch,
    recordset: str,
    reason: str,
) -> None:
    project, server = site()
    head, row, _ = PLACED.splitlines()
    project.events(f'{head},recordset\n{row},"aia.lev1_euv_12s{recordset}"\n')
    in_process(project, monkeypatch)
    assert looked_up(server) == [f"aia.lev1_euv_12s{recordset.partition(']')[0]}][131]"]
    rows = [row for row in ledger(project) if row["reason"].startswith("not asked for")]
    assert len(rows) > 20
    assert {row["status"] for row in rows} == {"not_needed"}
    assert {row["reason"] for row in rows} == {f"not asked for: {reason}"}


def test_lev1_of_two_wavelengths_in_one_recordset(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = site(series="aia.lev1", wavelengths=[131, 171])
    head, row, _ = PLACED.splitlines()
    wanted = "aia.lev1[2014-01-07T18:01:00Z-2014-01-07T18:13:00Z][? WAVELNTH in (131,171) ?]"
    project.events(f'{head},recordset\n{row},"{wanted}"\n')
    in_process(project, monkeypatch)
    for wavelength in (131, 171):
        assert 55 < len(records(project, A, wavelength)) < 65
        assert {row["status"] for row in ledger(project, A, wavelength)} <= {
            "verified", "not_needed", "no_record", "no_image"
        }  # fmt: skip


def test_what_one_server_gave_is_nothing_to_another(
    site: Callable[..., tuple[Project, StandIn]],
    serve: Callable[..., StandIn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project, server = site()
    in_process(project, monkeypatch)
    other = serve()
    second = Project(project.folder / "second", {**project.config, "store": "../store"})
    second.configure(archive={"data_url": other.url, "cgi_url": other.cgi_url})
    in_process(second, monkeypatch)
    # What is in the store is asked for nowhere.
    assert (len(server.created), len(other.created)) == (2, 0)
    second.configure(sample={"seed": 8})
    in_process(second, monkeypatch)
    assert (len(server.created), len(other.created)) == (2, 2)
    # Made-up images never stand among those of the real archive.
    assert {path.name for path in project.path("store").glob("[!.]*/")} == {"local"}


def test_the_next_in_the_draw_is_taken_where_all_of_a_round_are_gone(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(
        sample={"per_minute": 1, "pre": 1, "post": 1}, completeness={"allow_missing": 99}
    )
    project.events(ONE)
    in_process(project, monkeypatch)
    drawn = {row["filename"] for row in project.table("results/data_selection/images.csv")}
    gone = "|".join(re.escape(name) for name in drawn)
    for fetch in ("sampled", "all"):
        other = Project(project.folder / fetch)
        other.config = {**project.config, "fetch": fetch}
        other.configure()
        other.events(ONE)
        server.faults[:] = [Fault("status", gone, code=403)]
        in_process(other, monkeypatch)
        names = {row["filename"] for row in other.table("results/data_selection/images.csv")}
        assert len(names) == len(drawn) == 7
        assert not names & drawn


def test_a_part_of_a_tar_is_kept_for_the_next_run(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site(
        Fault("cut", r"\.tar$", times=2), Fault("status", r"\.tar$", skip=2),
        export={"method": "url-tar"}, fetch="all", archive={"patience": "2s"},
    )  # fmt: skip
    project.events(ONE)
    with pytest.raises(IncompleteError, match=r"its tar: .*HTTP 503"):
        in_process(project, monkeypatch)
    (part,) = project.path("store").rglob("*.tar.part")
    arrived = part.stat().st_size
    assert arrived > 100_000
    server.faults.clear()
    project.run()
    assert [text for text in server.ranges if text][-1] == f"bytes={arrived}-"


def test_a_row_that_asks_for_another_channel_is_refused(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, server = site()
    head, row, _ = PLACED.splitlines()
    wanted = "aia.lev1_euv_12s[2014-01-07T18:00:48Z/733s][193]"
    project.events(f'{head},recordset\n{row},"{wanted}"\n')
    with pytest.raises(ExportError, match=r"its recordset asks for \[193\], not for 131"):
        in_process(project, monkeypatch)
    assert server.created == []


def test_spikes_beside_the_images_as_stored(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = site(export={"method": "url_quick", "protocol": "as-is"})
    head, row, _ = PLACED.splitlines()
    wanted = "aia.lev1_euv_12s[2014-01-07T18:00:48Z/733s][131]{image,spikes}"
    project.events(f'{head},recordset\n{row},"{wanted}"\n')
    in_process(project, monkeypatch)
    assert len(project.table("results/data_selection/images.csv")) == 15


@pytest.mark.parametrize("source", ["page", "export", "direct"])
def test_an_archive_that_is_down_fails_the_job_whatever_may_be_missing(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    project, server = site(
        Fault("status", r"\.fits$"),
        completeness={"allow_missing": 10**6},
        archive={"patience": "1s"},
    )
    project.events(ONE)
    if source == "page":
        project.use(server)
    project.configure(source=source)
    with pytest.raises(IncompleteError, match=r"archive\.patience"):
        in_process(project, monkeypatch)
    assert not project.path(f"results/events/{A}/131/manifest.csv").exists()
    assert {row["status"] for row in ledger(project)} >= {"failed", "not_needed"}
    assert len(server.log) < 30, "no other image is tried"
    server.faults.clear()
    in_process(project, monkeypatch)
    assert len(project.table("results/data_selection/images.csv")) == 15


@pytest.mark.parametrize("endpoint", ["jsoc_info", "jsoc_fetch"])
def test_a_jsoc_that_is_down_fails_the_job(
    site: Callable[..., tuple[Project, StandIn]], monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    project, _ = site(
        Fault("status", endpoint),
        completeness={"allow_missing": 10**6},
        archive={"patience": "1s"},
    )
    project.events(ONE)
    with pytest.raises(ExportError, match=rf"{endpoint} .*archive.patience"):
        in_process(project, monkeypatch)
