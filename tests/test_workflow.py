"""The workflow as users run it: the results of a run, and what makes which job stale."""

import csv
import json
import random
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from astropy.io import fits
from support.exporting import EMAIL, with_requests
from support.project import ONE_FLARE, ROOT, SMALL, TWO_FLARES, Project
from support.stages import in_process

from flareset.standin.frames import Frame, Frames
from flareset.standin.server import Fault, StandIn, running

# The files of settings: of list, of download, and the config for the summary.
ALL = {
    "event": 2,
    "settings": 3,
    "list": 2,
    "draw": 2,
    "download": 2,
    "partition": 2,
    "sample": 2,
    "split": 1,
    "label": 1,
    "leaks": 1,
    "audit": 1,
    "summary": 1,
}
# From the labels on: what is made of all events together.
SET = dict.fromkeys(("label", "leaks", "audit", "summary"), 1)
ONE = {
    **dict.fromkeys(("event", "list", "draw", "download", "partition", "sample", "split"), 1),
    **SET,
}
A, B = "2014-01-07T180534", "2014-02-24T235710"


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    return finished.copy(tmp_path / "copy")


def test_what_a_run_does(project: Project) -> None:
    assert project.planned() == ALL


def test_what_a_run_leaves(finished: Project) -> None:
    labels = finished.table("results/data_selection/image_labels.csv")
    tabbed = finished.path("results/data_selection/image_labels.txt").read_text()
    assert (
        tabbed.replace("\t", ",")
        == finished.path("results/data_selection/image_labels.csv").read_text()
    )
    names = [row["filename"] for row in labels]
    assert names == sorted(names)
    # Five minutes of flare, then six: 18:05 to 18:09 and 23:57 to 00:02.
    assert [row["label"] for row in labels].count("1") == 5 + 6
    assert [row["label"] for row in labels].count("0") == 4 * 5

    images = finished.table("results/data_selection/images.csv")
    first = images[0]
    of_pixels = ["NSATPIX", "DATAMEAN", "DATAMEDN", "DATAMAX", "DATAP99", "NSPIKES"]
    assert list(first)[:31] == [
        "event_id", "wavelength", "phase", "label", "filename", "record", "slot", "channels",
        "time", "minutes_from_start", "minutes_from_peak", "minutes_from_end",
        "QUALITY", "EXPTIME", "AIMGSHCE", "exposure", "exposure_seconds", "AECTYPE", *of_pixels,
        "proof", "blank", "bytes", "sha256", "split", "split_leaky", "group",
    ]  # fmt: skip
    for row in images:
        path = finished.path(f"results/data_selection/fits/raw/{row['filename']}")
        header = fits.getheader(path, 1)
        assert [float(row[name]) for name in of_pixels] == [header[name] for name in of_pixels]
        assert row["exposure"] == ("short" if header["AIMGSHCE"] < 2800 else "normal")
        assert float(row["exposure_seconds"]) == header["EXPTIME"]
    assert all(f"[{row['slot']}]" in row["record"] for row in images)
    assert {row["channels"] for row in images} == {"1"}
    assert first["event_id"] == A
    assert first["goes_class"] == "X1.2"
    assert images[-1]["minutes_from_peak"] == ""
    assert {row["filename"] for row in images} == set(names)
    raw = finished.path("results/data_selection/fits/raw")
    assert sorted(path.name for path in raw.iterdir()) == names
    assert next(raw.iterdir()).stat().st_nlink >= 3, "a hard link into the store"

    log = finished.table(f"results/data_selection/sampling_logs/{B}.131.csv")
    assert [row["hhmm"] for row in log] == ["2357", "2358", "2359", "0000", "0001", "0002"]

    ledger = finished.table(f"results/ledger/{A}.131.csv")
    assert list(ledger[0]) == [
        "time", "record", "filename", "phase", "status", "reason", "proof", "tries", "bytes"
    ]  # fmt: skip
    # The query begins a cadence early, and has the slot at the window's end: 18:00:49 and 18:13:01.
    assert [row["status"] for row in ledger].count("outside") == 2
    ledger = [row for row in ledger if row["status"] != "outside"]
    assert not {row["status"] for row in ledger} & {"failed", "rejected"}
    slots = [row for row in ledger if row["status"] != "short"]
    assert len(slots) == 12 * 5, "every slot of the window is accounted for"
    for phase in ("pre", "flare", "post"):
        linked = finished.path(f"results/final_fits/{A}/131/{phase}").iterdir()
        verified = [
            r["filename"] for r in ledger if (r["phase"], r["status"]) == (phase, "verified")
        ]
        assert sorted(path.name for path in linked) == sorted(verified)

    summary = finished.table("results/summary.csv")
    assert [row["event_id"] for row in summary] == [A, B, "TOTAL"]
    assert [row["minute_bins"] for row in summary] == ["5", "6", "11"]
    assert summary[-1]["total"] == str(len(names))
    assert finished.path("results/summary.md").read_text().startswith("| event_id")

    history = json.loads(finished.path("results/provenance.json").read_text())
    assert history["seed"] == 7
    assert history["config"]["window"] == {"pre": "4m", "post": "4m", "guard": "0s"}
    assert "email" not in history["config"]["archive"]
    assert len(history["request_ids"]) == len(history["recordsets"]) == 2
    assert "results/" not in str(history["outputs"])
    assert "data_selection/images.csv" in history["outputs"]
    assert history["packages"]["snakemake"]
    rows = [row for each in (A, B) for row in finished.table(f"results/ledger/{each}.131.csv")]
    assert history["counts"] == Counter(row["status"] for row in rows)


def test_images_tell_where_they_lie(finished: Project) -> None:
    for row in finished.table("results/data_selection/images.csv"):
        minutes = float(row["minutes_from_start"]), float(row["minutes_from_end"])
        expected = "pre" if minutes[0] < 0 else "post" if minutes[1] > 0 else "flare"
        assert row["phase"] == expected
        assert row["label"] == str(int(expected == "flare"))
        assert row["record"].startswith("aia.lev1_euv_12s[")


def test_nothing_is_done_twice(copy: Project) -> None:
    assert copy.planned() == {}
    for path in [copy.path("config/events.csv"), copy.path("config/config.yaml")]:
        path.touch()
    lines = TWO_FLARES.splitlines(keepends=True)
    copy.events(lines[0] + lines[2] + lines[1])
    assert copy.planned() == {}
    copy.configure(archive={"connections": 1, "patience": "9m", "data_url": "http://x.example/"})
    # The provenance shows the config; nothing else depends on how the archive is reached.
    assert copy.planned() == {"settings": 1, "summary": 1}


EDITS: list[tuple[str, str | None, dict, dict[str, int]]] = [
    ("edit one row", TWO_FLARES.replace("00:02:30.5Z", "00:03:30Z"), {}, ONE),
    ("edit an own column", TWO_FLARES.replace("X1.2", "X1.3"), {}, ONE),
    ("add a row", TWO_FLARES + "2014-04-18 12:34:22,2014-04-18 12:38:46,,,,\n", {}, ONE),
    (
        "add a row as first",
        TWO_FLARES.replace("hpc_y\n", "hpc_y\n2014-01-01 12:34:22,2014-01-01 12:38:46,,,,\n"),
        {},
        ONE,
    ),
    ("delete a row", ONE_FLARE, {}, {"split": 1, **SET}),
    # The channels of an event are drawn together: the others may draw other slots then.
    ("add a wavelength", None, {"wavelengths": [131, 171]},
     {**ALL, "settings": 1, "event": 0, "split": 0,
      "download": 4, "partition": 4, "sample": 4}),
    ("window", None, {"window": {"pre": "3m"}}, {**ALL, "settings": 1}),
    # It decides the order of the splits too.
    ("seed", None, {"sample": {"seed": 8}}, {**ALL, "settings": 1, "event": 0, "list": 0}),
    ("other flares", None, {"other_flares": "allow"},
     {**ALL, "settings": 1, "event": 0, "list": 0, "split": 0}),
    ("more images", None, {"sample": {"pre": 6}},
     {**ALL, "settings": 2, "event": 0, "list": 0, "draw": 0, "split": 0}),
    ("allow_missing", None, {"completeness": {"allow_missing": 3}},
     {**ALL, "settings": 2, "event": 0, "list": 0, "draw": 0, "split": 0}),
    ("accept a page", None, {"accept_pages": [A]}, {**ONE, "settings": 1, "event": 0, "split": 0}),
    ("a leak's keywords", None, {"leaks": {"keywords": ["EXPTIME", "goes_class"]}},
     {"settings": 1, "leaks": 1, "summary": 1}),
    ("no split", None, {"splits": {"method": "none"}}, {"settings": 1, "split": 1, **SET}),
    ("who asks, and how patiently", None,
     {"archive": {"email": "jane.doe@example.org", "connections": 1, "patience": "1m"},
      "export": {"requestor": "Jane", "wait": "3h"}},
     {"settings": 1, "summary": 1}),
    ("a cut-out", None,
     {"export": {"processing": [{"rebin": {"scale": 0.25}}]}},
     {**ALL, "event": 0, "split": 0}),
    ("the same in other words", None, {"window": {"pre": "240s"}, "sample": {"seed": 7.0}}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "events", "config", "jobs"), EDITS, ids=[e[0] for e in EDITS])
def test_only_what_is_stale_is_run(
    finished: Project,
    copy: Project,
    what: str,
    events: str | None,
    config: dict,
    jobs: dict[str, int],
) -> None:
    if events:
        copy.events(events)
    copy.configure(**config)
    jobs = {rule: number for rule, number in jobs.items() if number}
    assert copy.planned() == jobs
    if what in ("edit one row", "delete a row", "seed"):
        assert copy.run().jobs == jobs
        assert copy.planned() == {}
    if what == "seed":
        before, after = finished.data_set(), copy.data_set()
        assert after.keys() != before.keys()
        for name in ("images.csv", "image_labels.csv", f"sampling_logs/{A}.131.csv"):
            assert after[name] != before[name]


def test_with_fetch_all_the_seed_concerns_the_draw_alone(
    tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    project, server = Project(tmp_path / "all", {"fetch": "all"}), serve()
    project.events(ONE_FLARE)
    project.use(server)
    project.run()
    before, fetched = project.data_set(), dict(server.log)
    project.configure(sample={"seed": 8})
    jobs = dict.fromkeys(("draw", "download", "partition", "sample"), 1)
    assert project.run().jobs == {"settings": 1, **jobs, "split": 1, **SET}
    assert dict(server.log) == fetched, "all files are there"
    assert project.data_set()["images.csv"] != before["images.csv"]


def test_settings_that_are_as_they_were_make_nothing_stale(copy: Project) -> None:
    copy.configure(completeness={"allow_missing": 3})
    # A run that is stopped after its first jobs, since the user thinks better of it.
    copy.run("--until", "settings")
    copy.configure(completeness={"allow_missing": 0})
    assert copy.planned() == {}
    copy.configure(completeness={"allow_missing": 3})
    left = ("settings", "event", "list", "draw", "split")
    again = {rule: n for rule, n in ALL.items() if rule not in left}
    assert copy.planned() == again


def cloned(folder: Path) -> Path:
    """Return a copy of the workflow, whose code a test may change."""
    clone = folder / "clone"
    for name in ("scripts", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "Snakefile", clone)
    return clone


@pytest.mark.parametrize("source", ["page", "request_id", "export", "direct"])
def test_a_change_in_code_asks_the_archive_nothing(
    tmp_path: Path, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("JSOC_EMAIL", EMAIL)
    clone, server = cloned(tmp_path), serve()
    ours = ("--snakefile", str(clone / "Snakefile"))
    urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
    project = Project(clone / "here", {"source": source, "archive": urls})
    project.events(ONE_FLARE)
    if source == "page":
        project.use(server)
    if source == "request_id":
        with_requests(project, server)
    project.run(*ours)
    calls, requests, expected = len(server.calls), dict(server.log), project.data_set()
    assert requests
    module = clone / "scripts/flareset/listing.py"
    module.write_text(module.read_text() + "\n# another line\n")
    jobs = project.run(*ours).jobs
    assert jobs == {stage: 1 for stage in ONE if stage not in ("event", "split")}
    assert (len(server.calls), dict(server.log)) == (calls, requests)
    assert project.data_set() == expected


def test_a_change_in_code_runs_what_it_touches(
    tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    clone = cloned(tmp_path)
    project = Project(clone / "here")
    project.events(ONE_FLARE)
    ours = ("--snakefile", str(clone / "Snakefile"))

    def planned() -> dict[str, int]:
        return project.planned(*ours)

    project.run(*ours)
    for path in clone.rglob("*.py"):
        path.touch()
    assert planned() == {}
    scripts = clone / "scripts"

    def edited(name: str) -> dict[str, int]:
        path = scripts / name
        before = path.read_text()
        path.write_text(before + "\n# another line\n")
        jobs = planned()
        path.write_text(before)
        return jobs

    assert edited("summary.py") == {"summary": 1}
    assert edited("leaks.py") == {"leaks": 1, "summary": 1}
    assert edited("flareset/audit.py") == {"audit": 1, "summary": 1}
    assert edited("flareset/split.py") == {"split": 1, **SET}
    assert edited("label.py") == SET
    assert edited("sample.py") == {"sample": 1, **SET}
    assert edited("flareset/label.py") == SET
    draws = {k: v for k, v in ONE.items() if k not in ("event", "list", "split")}
    assert edited("draw.py") == draws
    downloads = {k: v for k, v in draws.items() if k != "draw"}
    assert edited("flareset/archive/tars.py") == downloads
    assert edited("flareset/archive/connections.py") == {}
    # The stand-in makes what a rehearsal lists; a real campaign has nothing to do with it.
    assert edited("flareset/standin/sun.py")["list"] == 1
    project.use(serve())
    project.run(*ours)
    assert edited("flareset/standin/sun.py") == {}


def test_a_new_keyword_is_a_column_of_what_is_there(
    tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    clone = cloned(tmp_path)
    ours = ("--snakefile", str(clone / "Snakefile"))
    project, server = Project(clone / "here"), serve()
    project.events(ONE_FLARE)
    project.use(server)
    project.run(*ours)
    before = project.table("results/data_selection/images.csv")
    # Half of the store is as version 0.1.0 left it.
    for path in [*project.path("store").rglob("*.fits.json")][::2]:
        facts = json.loads(path.read_text())
        del facts["header"]
        path.write_text(json.dumps(facts))
    keywords = clone / "scripts/flareset/sdo/keywords.py"
    line = '    Keyword("EXPTIME"'
    more = '    Keyword("CRLN_OBS", float, "Carrington longitude of the observer (degrees)"),'
    keywords.write_text(keywords.read_text().replace(line, f"{more}\n{line}"))
    assert server.log
    server.log.clear()
    project.run(*ours)
    assert not server.log, "nothing is asked of the archive"
    after = project.table("results/data_selection/images.csv")
    for row in after:
        path = project.path(f"results/data_selection/fits/raw/{row['filename']}")
        assert float(row.pop("CRLN_OBS")) == fits.getval(path, "CRLN_OBS", 1)
    assert after == before


def test_an_edit_that_needs_no_new_image_downloads_none(
    fetched: Project, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project = fetched.copy(tmp_path / "copy")
    project.configure(archive={"data_url": server.url})
    project.events(TWO_FLARES.replace("X1.2", "X1.3"))
    assert project.run().jobs["download"] == 1
    assert dict(server.log) == {}
    assert "X1.3" in project.path("results/data_selection/images.csv").read_text()


def test_same_bytes_however_it_is_run(
    finished: Project,
    tmp_path: Path,
    serve: Callable[..., StandIn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = finished.data_set()

    one_core = Project(tmp_path / "one", {"fetch": "all"})
    lines = TWO_FLARES.splitlines(keepends=True)
    one_core.events(lines[0] + lines[2] + lines[1])
    one_core.run("--until", "draw", cores=1)
    # Sets have another order from here on: in the other half of this campaign, and in the next.
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    one_core.run(cores=1)
    assert one_core.data_set() == expected

    # Saved pages with their rows in another order, from a server that knows of the same flares.
    pages = Project(tmp_path / "else where")
    flares = [event.flare for event in pages.read_events()]
    pages.use(serve(flares=flares))
    for page in pages.path("export_pages").iterdir():
        head, *rows, tail = re.split(r"(?=<tr><td>aia)|(?=</table></body>)", page.read_text())
        random.Random(1).shuffle(rows)
        page.write_text(head + "".join(rows) + tail)
    pages.run()
    assert pages.data_set() == expected


def test_one_lost_image_changes_its_bin_alone(
    fetched: Project, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    before = fetched.table("results/data_selection/images.csv")
    flare = [row for row in before if row["phase"] == "flare"]
    lost = flare[2]["filename"]

    again = Project(tmp_path / "again")
    again.use(serve(faults=[Fault("status", lost, code=404)]))
    failed = again.run(fails=True)
    assert f"{lost}: HTTP 404" in failed.text
    assert "run again to fetch only what is missing" in failed.text
    assert "1 of 16 images could not be had (completeness.allow_missing is 0)" in failed.text
    rows = again.table(f"results/ledger/{A}.131.csv")
    assert [r["filename"] for r in rows if r["status"] == "failed"] == [lost]
    other = again.table(f"results/ledger/{B}.131.csv")
    assert "failed" not in {r["status"] for r in other}

    again.configure(completeness={"allow_missing": 1})
    again.run()
    after = again.table("results/data_selection/images.csv")
    bin_ = flare[2]["time"][:16]
    assert [r for r in before if r["time"][:16] != bin_] == [
        r for r in after if r["time"][:16] != bin_
    ], "every other row is as it was, to the letter"
    gone = {r["filename"] for r in before} - {r["filename"] for r in after}
    come = {r["filename"] for r in after} - {r["filename"] for r in before}
    assert gone == {lost}
    assert len(come) == 1
    (new,) = [row for row in after if row["filename"] in come]
    assert new["time"][:16] == flare[2]["time"][:16]


def test_a_failed_file_is_fetched_by_the_next_run_alone(
    project: Project, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project.events(ONE_FLARE)
    project.use(server)
    (page,) = server.pages.values()
    name = re.findall(r">(aia[^<]*image_lev1.fits)<", page)[30]
    project.configure(fetch="all")
    server.faults.append(Fault("html", name))
    assert "HTML page" in project.run(fails=True).text
    assert name not in project.stored()
    fetched = dict(server.log)
    server.faults.clear()
    project.run()
    new = {path.rpartition("/")[2] for path in server.log if server.log[path] != fetched.get(path)}
    assert new == {name}


def test_several_wavelengths_and_overlapping_flares(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(wavelengths=[131, 171])
    project.events(
        "event_id,event_starttime,event_endtime\n"
        "first,2014-01-07 18:05:34,2014-01-07 18:09:58\n"
        "second,2014-01-07 18:11:00,2014-01-07 18:13:00\n"
    )
    assert project.planned()["download"] == 4
    in_process(project, monkeypatch)
    images = project.table("results/data_selection/images.csv")
    assert {(row["event_id"], row["wavelength"]) for row in images} == {
        (event, wavelength) for event in ("first", "second") for wavelength in ("131", "171")
    }
    for row in images:
        if row["event_id"] == "first" and row["phase"] == "post":
            assert not "2014-01-07T18:11:00Z" <= row["time"] <= "2014-01-07T18:13:00Z"
    ledger = project.table("results/ledger/first.131.csv")
    assert any(row["reason"].startswith("in the flare of event second") for row in ledger)
    labels = {
        r["filename"]: r["label"] for r in project.table("results/data_selection/image_labels.csv")
    }
    assert all(labels[row["filename"]] == row["label"] for row in images)


@pytest.mark.parametrize(
    ("config", "events", "message"),
    [
        ({"windoww": {}}, TWO_FLARES, "windoww: unknown key; did you mean window?"),
        (
            {},
            "event_starttime,event_endtime\nx,y\n",
            "events.csv, line 2, column event_starttime: 'x'",
        ),
        ({"accept_pages": ["nobody"]}, TWO_FLARES, "no event is called nobody"),
    ],
)
def test_bad_input_stops_the_run_before_any_job(
    project: Project, config: dict, events: str, message: str
) -> None:
    project.configure(**config)
    project.events(events)
    run = project.run(fails=True)
    assert message in run.text
    assert "Traceback" not in run.text
    assert not project.path("results").exists()


def test_a_missing_page_says_what_to_save(project: Project) -> None:
    project.events(ONE_FLARE)
    project.configure(archive={"kind": "jsoc"})
    text = project.run(fails=True).text
    assert f"no saved export page for event {A}; looked for {A}.html and 2014-01-07.html" in text


def test_a_shortened_page_may_be_taken_as_it_is(
    project: Project, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project.events(ONE_FLARE)
    project.use(server)
    page = project.path(f"export_pages/{A}.html")
    rows = re.findall(r"<tr><td>aia.*</tr>\n", page.read_text())
    page.write_text(page.read_text().replace("".join(rows[40:60]), ""))
    text = project.run(fails=True).text
    expected = f"the page's count says {len(rows)} files, but it lists {len(rows) - 20}"
    assert f"{A}.html: {expected}" in text
    project.configure(accept_pages=[A])
    project.run()
    ledger = project.path(f"results/ledger/{A}.131.csv").read_text()
    assert f"accept_pages took the page as it is: {expected}" in ledger
    history = json.loads(project.path("results/provenance.json").read_text())
    assert history["events"][0]["export"]["accepted"] == expected


def test_command_line_overlays_and_directories(tmp_path: Path) -> None:
    project = Project(tmp_path / "a b")
    project.events(ONE_FLARE)
    other = project.path("other.yaml")
    other.write_text("sample: {pre: 2, post: 3}\nresults: out\n")
    project.run("--configfile", str(other))
    with open(project.path("out/data_selection/images.csv"), newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert (phases.count("pre"), phases.count("post")) == (2, 3)
    assert SMALL["sample"]["pre"] == 5


def test_a_stage_that_failed_after_a_change_is_not_forgotten(
    project: Project, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project.use(server)
    project.configure(fetch="all", completeness={"allow_missing": 1})
    page = project.path(f"export_pages/{A}.html").read_text()
    name = re.findall(r">(aia[^<]*image_lev1.fits)<", page)[30]
    server.faults.append(Fault("status", name, code=404))
    project.run()
    project.configure(completeness={"allow_missing": 0})
    for _ in range(3):
        assert name in project.run(fails=True).text
    assert "not finished" in project.run("verify").text
    project.configure(completeness={"allow_missing": 1})
    project.run()
    assert project.planned() == {}


def test_lost_intermediates_are_made_again(copy: Project) -> None:
    expected = copy.data_set()
    job = f"results/events/{A}/131"
    made = {
        "event": [f"results/events/{A}/event.json"],
        "list": [f"{job}/listing.csv", f"{job}/export.json", f"{job}/records.csv"],
        "draw": [f"results/events/{A}/candidates.csv"],
        "download": [f"{job}/manifest.csv"],
        "partition": [f"{job}/partition.csv"],
        "sample": [f"{job}/{name}" for name in ("sample.csv", "sampling_log.csv", "account.json")],
        "split": ["results/data_selection/splits.csv"],
        "label": [f"results/data_selection/image_labels.{end}" for end in ("csv", "txt")],
        "leaks": ["results/data_selection/leaks.csv"],
        "audit": ["results/data_selection/audit.md"],
        "summary": [f"results/{name}" for name in ("summary.csv", "summary.md", "provenance.json")],
    }
    made["sample"].append(f"results/ledger/{A}.131.csv")
    left = {path.name for path in copy.path(job).iterdir() if path.is_file()}
    assert left - {".lock"} == {Path(n).name for rule in made for n in made[rule] if job in n}
    for rule, names in made.items():
        for name in names:
            aside = copy.path(name).rename(copy.path("aside"))
            assert copy.planned()[rule] == 1, name
            aside.rename(copy.path(name))
    assert copy.planned() == {}
    shutil.rmtree(copy.path(job))
    copy.run()
    assert copy.data_set() == expected


def test_images_rejected_for_their_quality(
    project: Project, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Frames._keywords
    eclipsed = re.compile("T18062|T18080|T18012")

    def keywords(self: Frames, frame: Frame, *args: object) -> list:
        cards = plain(self, frame, *args)
        word = 0x2000 if eclipsed.search(frame.name) else 0x100
        return [(k, word if k == "QUALITY" else v, c) for k, v, c in cards]

    monkeypatch.setattr(Frames, "_keywords", keywords)
    project.events(ONE_FLARE)
    project.use(serve())
    project.configure(fetch="all")
    in_process(project, monkeypatch)
    ledger = project.table(f"results/ledger/{A}.131.csv")
    rejected = [row for row in ledger if row["status"] == "rejected"]
    assert {row["reason"] for row in rejected} == {"QUALITY 0x00002000: eclipse"}
    bad = [row["filename"] for row in ledger if eclipsed.search(row["filename"])]
    assert [row["filename"] for row in rejected] == bad
    assert len(bad) > 1
    names = {row["filename"] for row in rejected}
    images = project.table("results/data_selection/images.csv")
    assert not names & {row["filename"] for row in images}
    assert {row["QUALITY"] for row in images} == {"256"}
    linked = {path.name for path in project.path("results/final_fits").rglob("*.fits")}
    assert not names & linked
    everything = project.data_set()
    sampled = Project(project.folder / "sampled")
    sampled.events(ONE_FLARE)
    sampled.use(serve())
    in_process(sampled, monkeypatch)
    assert sampled.data_set() == everything


def test_a_plain_server_and_folders_with_spaces(tmp_path: Path) -> None:
    """Python's own file server: HTTP/1.0, no ETag, no ranges."""
    project = Project(tmp_path / "campaign")
    project.events(ONE_FLARE)
    mirror = tmp_path / "mirror"
    server = StandIn(frame_size=128)
    with running(server):
        project.use(server)
    for page in server.pages.values():
        for link in re.findall(r'HREF="https://jsoc1.stanford.edu(/[^"]*image_lev1.fits)"', page):
            path = mirror / link[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(server.frames.file(Frame.of(path.name))))
    handler = partial(SimpleHTTPRequestHandler, directory=str(mirror))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as plain:
        handler.log_message = None
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        project.configure(
            archive={"data_url": f"http://localhost:{plain.server_port}"},
            results="my results",
            store="my store",
        )
        project.run()
        plain.shutdown()
    assert len(project.table("my results/data_selection/image_labels.csv")) == 15


def test_a_page_of_spikes_alone(
    project: Project, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    project.use(server)
    page = project.path(f"export_pages/{A}.html")
    text = re.sub(r"<tr><td>aia[^\n]*image_lev1[^\n]*\n", "", page.read_text())
    rows = text.count("<tr><td>aia")
    page.write_text(re.sub(r"(count</b></td><td>)\d+", rf"\g<1>{rows}", text))
    in_process(project, monkeypatch)
    ledger = project.table(f"results/ledger/{A}.131.csv")
    assert {row["status"] for row in ledger} <= {"no_image", "no_record", "outside", "short"}
    assert len(project.table("results/data_selection/image_labels.csv")) == 6 + 10
    assert project.table("results/summary.csv")[0]["total"] == "0"
