"""Events with several channels: they draw the same slots, whatever their files come from."""

from __future__ import annotations

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from support.exporting import asked, recnums, with_requests
from support.project import ONE_FLARE, Project
from support.stages import in_process

from flareset.standin.server import Fault, StandIn

CHANNELS = [94, 131, 171, 193]
A = "2014-01-07T180534"


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSOC_EMAIL", "jane.doe@example.org")


def slots(project: Project) -> dict[str, set[str]]:
    """Return the slots that each channel drew."""
    found = defaultdict(set)
    for row in project.table("results/data_selection/images.csv"):
        found[row["wavelength"]].add(row["slot"])
    return dict(found)


def datasum(path: Path) -> str:
    """Return the checksum of the compressed data, as the file's header has it."""
    return fits.getval(path, "DATASUM", 1, disable_image_compression=True)


def test_four_channels_show_the_same_moments(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(wavelengths=CHANNELS)
    in_process(project, monkeypatch)
    images = project.table("results/data_selection/images.csv")
    stacks = Counter((row["event_id"], row["slot"]) for row in images)
    assert set(stacks.values()) == {4}
    assert len(stacks) == 31
    assert {row["channels"] for row in images} == {"4"}
    assert set(slots(project)) == set(map(str, CHANNELS))
    # The images of a stack are of one slot: their times differ by less than its 12 s.
    seconds = defaultdict(set)
    for row in images:
        seconds[row["event_id"], row["slot"]].add(row["time"])
    assert all(len(times) > 1 for times in seconds.values())
    assert all(row["slot"] <= row["time"] for row in images)


def test_an_image_lost_in_one_channel_is_no_matter_of_the_others(
    tmp_path: Path, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    config = {"wavelengths": [131, 171], "completeness": {"allow_missing": 1}}
    projects = [Project(tmp_path / name, config) for name in ("whole", "less")]
    for project in projects:
        project.events(ONE_FLARE)
        project.use(server)
    whole, less = projects
    in_process(whole, monkeypatch)
    before = whole.table("results/data_selection/images.csv")
    lost = next(r for r in before if (r["wavelength"], r["phase"]) == ("171", "flare"))
    server.faults.append(Fault("status", lost["filename"], code=404))
    in_process(less, monkeypatch)
    after = less.table("results/data_selection/images.csv")
    # 171 takes the next slot of the minute alone; 131 keeps the one that both had.
    assert slots(less)["131"] == slots(whole)["131"]
    (new,) = slots(less)["171"] - slots(whole)["171"]
    assert slots(whole)["171"] - slots(less)["171"] == {lost["slot"]}
    assert new[:16] == lost["slot"][:16]
    alone = {(row["wavelength"], row["slot"]) for row in after if row["channels"] == "1"}
    assert alone == {("131", lost["slot"]), ("171", new)}


def test_a_slot_that_one_channel_lacks(
    project: Project, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(wavelengths=[131, 171], sample={"pre": 99, "post": 99, "per_minute": 9})
    project.events(ONE_FLARE)
    project.use(serve())
    page = project.path(f"export_pages/{A}.html")
    lost = "2014-01-07T18:06:37Z"
    text, rows = re.subn(rf"<tr><td>aia[^<]*\[{lost}\]\[171\].*\n", "", page.read_text())
    count = re.search(r"(count</b></td><td>)(\d+)", text)
    page.write_text(text.replace(count[0], f"{count[1]}{int(count[2]) - rows}"))
    found = {}
    for channels in ("together", "apart"):
        project.configure(sample={"channels": channels})
        in_process(project, monkeypatch)
        found[channels] = slots(project)
        said = {
            (row["time"][:16], row["status"])
            for row in project.table(f"results/ledger/{A}.131.csv")
            if row["reason"] == "no accepted image at 171"
        }
        assert said == ({("2014-01-07T18:06", "rejected")} if channels == "together" else set())
    together, apart = found["together"], found["apart"]
    assert together["131"] == together["171"] < apart["171"]
    assert apart["131"] - apart["171"] == {lost}


def test_every_source_draws_the_same(
    tmp_path: Path, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = {
        source: Project(tmp_path / source, {"wavelengths": CHANNELS[:3]})
        for source in ("page", "request_id", "export", "direct")
    }
    server = serve(flares=[event.flare for event in projects["page"].read_events()])
    for source, project in projects.items():
        project.events(ONE_FLARE)
        urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
        project.configure(source=source, archive=urls)
    projects["page"].use(server)
    with_requests(projects["request_id"], server)
    made = len(server.created)
    for project in projects.values():
        in_process(project, monkeypatch)
    expected = projects["page"].data_set()
    # What an edit makes stale at worst: all stages run again, and nobody is asked for anything.
    requests, files = len(server.calls), server.log.total()
    for source, project in projects.items():
        before = project.data_set()
        shutil.rmtree(project.path("results"))
        in_process(project, monkeypatch)
        assert project.data_set() == before, source
        assert (len(server.calls), server.log.total()) == (requests, files), source
    # The same candidates, in the same order; a page knows no keywords before the download.
    told = {
        source: project.table(f"results/events/{A}/candidates.csv")
        for source, project in projects.items()
    }
    assert told["request_id"] == told["export"] == told["direct"]
    unknown = {"QUALITY", "EXPTIME", "AIMGSHCE", "AECTYPE", "exposure"}
    assert told["page"] == [
        {name: "" if name in unknown else value for name, value in row.items()}
        for row in told["direct"]
    ]
    assert len([name for name in expected if name.endswith(".fits")]) == 3 * 15
    assert projects["request_id"].data_set() == expected
    assert projects["export"].data_set() == expected
    # One export for each channel, of the drawn records alone; no other source asks for one.
    assert len(server.created) == made + 3
    assert [len(recnums(text)) for text in asked(server)[made:]] == [15] * 3

    # All drawn slots are there in all channels.
    assert set(map(frozenset, slots(projects["direct"]).values())) == {
        frozenset(set.union(*slots(projects["direct"]).values()))
    }
    # Files as stored have another header of ours, and the same pixels.
    direct = projects["direct"].data_set()
    assert set(direct) == set(expected)
    for name in expected:
        if not name.endswith((".fits", "images.csv")):
            assert direct[name] == expected[name], name
    raw = "results/data_selection/fits/raw"
    for name in (name for name in expected if name.endswith(".fits")):
        ours, theirs = (
            projects[source].path(f"{raw}/{Path(name).name}") for source in ("direct", "page")
        )
        assert np.array_equal(fits.getdata(ours, 1), fits.getdata(theirs, 1))
        assert datasum(ours) == datasum(theirs)
    rows: dict[str, list[dict[str, Any]]] = {
        source: projects[source].table("results/data_selection/images.csv")
        for source in ("direct", "page")
    }
    own = ("bytes", "sha256", "proof")
    for ours, theirs in zip(*rows.values(), strict=True):
        assert {k: v for k, v in ours.items() if k not in own} == {
            k: v for k, v in theirs.items() if k not in own
        }
