"""The targets that run only by their name."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import loaded
from support.project import ONE_FLARE, TWO_FLARES, Project
from support.stages import settings_file

from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS
from flareset.standin.faults import Fault
from flareset.standin.server import StandIn


def test_plan_downloads_nothing(project: Project) -> None:
    text = project.run("plan").text
    table = re.search(r"^event_id.*?^TOTAL[^\n]*", text, re.DOTALL | re.MULTILINE)[0]
    assert re.search(r"2014-01-07T180534 +131 +0 +62 +60 +15 +0 +0\.0", table), table
    needed, in_store, _, _, lacking, time = table.splitlines()[-1].split()[-6:]
    assert (needed, in_store, lacking, time) == ("31", "0", "0", "0:00")
    assert not project.path("store").exists() or project.stored() == set()
    project.run()
    assert re.search(r"^TOTAL .* 31 +31 +0\.00", project.run("plan").text, re.MULTILINE)


def test_a_plan_that_is_stopped_keeps_its_rows(
    project: Project, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(faults=[Fault("stall", "jsoc_info rs_list", skip=1, seconds=60)])
    project.use(server)
    urls = {"cgi_url": server.cgi_url, "connections": 1}
    project.configure(source="direct", archive=urls)
    monkeypatch.chdir(project.folder)
    campaign = Campaign(project.config)
    for event_id, event in campaign.events.items():
        project.path(f"results/events/{event_id}").mkdir(parents=True)
        project.path(f"results/events/{event_id}/event.json").write_text(event.to_json())
    process = subprocess.Popen(
        [
            *(loaded.python(""), SCRIPTS / "plan.py", "--events", "results/events"),
            *("--settings", settings_file(campaign, "plan"), "--store", "store"),
            *("--table", "plan.csv", "--look-up"),
            *(f"direct/{event_id}/{wavelength}" for event_id, wavelength in campaign.jobs),
        ],
        env=os.environ | campaign.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while server.asked["jsoc_info rs_list"] < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=20)[0]
    assert process.returncode == 130
    assert "stopped after 1 of 2 flares; run again to go on" in text
    rows = project.table("plan.csv")
    assert [(row["event_id"], row["needed"]) for row in rows] == [
        ("2014-01-07T180534", "15"),
        ("TOTAL", "15"),
    ]


@pytest.fixture
def done(finished: Project, tmp_path: Path) -> Project:
    return finished.copy(tmp_path / "done")


def test_verify_and_repair(done: Project) -> None:
    assert "31 files are what their manifests say" in done.run("verify").text
    first, second, *_ = sorted(done.path("store").rglob("*.fits"))
    expected = done.data_set()
    first.chmod(0o644)
    content = bytearray(first.read_bytes())
    content[9000] ^= 1
    first.write_bytes(content)
    for path in [second, *done.path("results").rglob(second.name)]:
        path.unlink()
    text = done.run("verify", fails=True).text
    assert f"{first.name}: its bytes changed (sha256)" in text
    assert f"{second.name}: is missing" in text
    verdict = "2 of 31 files are damaged; the target `repair` fetches them again"
    # A finding: said by the script, and once more at the end, as no error.
    assert text.count(verdict) == 2
    assert f"failed: verify: {verdict} (results/logs/verify.log)" in text
    assert "error:" not in text
    assert done.planned() == {}, "Snakemake cannot know"
    text = done.run("repair").text
    assert "2 of 2 images: 2 fetched" in text
    assert "put back: 0 files from the results, 2 from the archive" in text
    done.run("verify")
    assert done.data_set() == expected
    assert done.planned() == {}


def test_verify_sees_results_that_are_gone(done: Project) -> None:
    next(done.path("results/data_selection/fits/raw").iterdir()).unlink()
    assert "is missing" in done.run("verify", fails=True).text
    done.run("repair")
    done.run("verify")


def test_repair_without_the_archive_loses_nothing(fetched: Project, tmp_path: Path) -> None:
    project = fetched.copy(tmp_path / "copy")
    project.configure(archive={"data_url": "http://127.0.0.1:9", "patience": "0s"})
    first, second, *_ = sorted(project.path("store").rglob("*.fits"))
    content = first.read_bytes()
    first.unlink()
    # The results still have it, and give it back.
    project.run("repair")
    assert first.read_bytes() == content
    second.chmod(0o644)
    second.write_bytes(b"x")
    name = project.path("results/data_selection/fits/raw") / second.name
    assert "1 of 31 files are damaged; run it again later" in project.run("repair", fails=True).text
    assert not second.exists()
    assert name.exists(), "what was linked stays until there is something better"


def test_clean_unused_right_after_a_row_is_gone(done: Project) -> None:
    done.events(ONE_FLARE)
    text = done.run("clean_unused", "--config", "clean=remove").text
    assert "kept" not in text
    assert len(done.stored()) == 15


def test_verify_before_anything_ran(project: Project) -> None:
    assert "no event is finished; run snakemake first" in project.run("verify", fails=True).text


def test_clean_unused(done: Project) -> None:
    assert "unused: 0 in all" in done.run("clean_unused").text
    done.events(ONE_FLARE)
    done.run()
    text = done.run("clean_unused").text
    assert "unused: results/events/2014-02-24T235710" in text
    assert "unused: results/final_fits/2014-02-24T235710" in text
    assert "unused: results/ledger/2014-02-24T235710.131.csv" in text
    assert "Nothing was removed" in text
    before = done.stored()
    removed = done.run("clean_unused", "--config", "clean=remove").text
    # Images and their notes, of the two days of the second flare.
    assert "removed: 18 files" in removed
    assert "removed: 14 files" in removed
    assert len(done.stored()) == 15 < len(before) == 31
    assert not done.path("results/final_fits/2014-02-24T235710").exists()
    assert "unused: 0 in all" in done.run("clean_unused").text
    done.run("verify")
    assert done.planned() == {}


def test_clean_unused_knows_when_it_does_not_know(done: Project) -> None:
    done.events(TWO_FLARES + "2014-04-18 12:34:22,2014-04-18 12:38:46,,,,\n")
    assert "run snakemake first" in done.run("clean_unused", fails=True).text
    assert len(done.stored()) == 31


def test_clean_unused_leaves_what_another_campaign_uses(done: Project) -> None:
    other = Project(done.folder / "other")
    other.configure(store="../store")
    other.events(ONE_FLARE)
    other.run()
    text = other.run("clean_unused", "--config", "clean=remove").text
    assert "kept: 32 files that the results of another campaign are linked to" in text
    done.run("verify")


def test_repair_where_the_archive_has_other_bytes_now(
    fetched: Project, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    project = fetched.copy(tmp_path / "copy")
    # The same images from a server with another sky: as good, but other bytes.
    flares = [event.flare for event in project.read_events()]
    project.configure(archive={"data_url": serve(flares=flares).url})
    image = next(
        row for row in project.table("results/data_selection/images.csv") if row["phase"] == "flare"
    )
    (path,) = project.path("store").rglob(image["filename"])
    path.unlink()
    links = project.path("results").rglob(image["filename"])
    for link in list(links):
        link.unlink()
    text = project.run("repair", fails=True).text
    assert "the archive now has other bytes for images of 2014-01-07T180534/131; run snake" in text
    assert project.planned()["download"] == 1
    project.run()
    again = project.table("results/data_selection/images.csv")
    (new,) = [row for row in again if row["filename"] == image["filename"]]
    assert new["sha256"] != image["sha256"]
    project.run("verify")


def test_plan_goes_on_without_what_cannot_be_listed(
    project: Project, serve: Callable[..., StandIn]
) -> None:
    project.use(serve())
    page = project.path("export_pages/2014-01-07T180534.html")
    page.write_text("<html>Sign in to the hotel's network</html>")
    text = project.run("plan", fails=True).text
    assert re.search(r"^2014-02-24T235710 +131 +0 +\d+ +\d+ +16 +0 +", text, re.M)
    assert re.search(r"^TOTAL .* 16 +0 +", text, re.M)
    assert "plan: 2014-01-07T180534 cannot be listed: export_pages/2014-01-07T180534.html: " in text
    assert "failed: plan: the plan is without these: 2014-01-07T180534 (results/logs/pl" in text


def test_plan_names_the_exports_to_ask_for(project: Project, serve: Callable[..., StandIn]) -> None:
    project.use(serve())
    project.configure(wavelengths=[131, 171])
    first, second = sorted(project.path("export_pages").iterdir())
    first.rename(first.with_name("2014-01-07T180534.131.html"))
    second.unlink()
    text = project.run("plan").text
    first, second = "2014-01-07T180534", "2014-02-24T235710"
    windows = {
        first: "2014-01-07T18:00:48Z-2014-01-07T18:13:00Z",
        second: "2014-02-24T23:52:48Z-2014-02-25T00:06:00Z",
    }
    for event, channel in ((first, 171), (second, 131), (second, 171)):
        recordset = f"aia.lev1_euv_12s[{windows[event]}][{channel}]{{image}}"
        assert re.search(
            rf"{event} +{re.escape(recordset)} +none +export_pages/{event}.{channel}.html", text
        )
    # The channels of an event are drawn together: without one of its pages nothing is planned.
    assert not re.search(rf"{first} +131 +0 ", text)
