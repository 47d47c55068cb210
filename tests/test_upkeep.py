"""The targets that are asked for by name."""

import re

import pytest
from conftest import TWO_FLARES, Project


def test_plan_downloads_nothing(project: Project) -> None:
    text = project.run("plan").text
    table = re.search(r"^event_id.*?^TOTAL[^\n]*", text, re.DOTALL | re.MULTILINE)[0]
    assert re.search(r"2014-01-07T180534 +131 +60 +60 +15 +0 +0\.0", table), table
    assert table.splitlines()[-1].split()[-3:-1] == ["31", "0"]
    assert not project.path("store").exists() or project.stored() == set()
    project.run()
    assert re.search(r"^TOTAL .* 31 +31 +0\.00", project.run("plan").text, re.MULTILINE)


@pytest.fixture
def done(project: Project) -> Project:
    project.run()
    return project


def test_verify_and_repair(done: Project) -> None:
    assert "31 files are what their manifests say" in done.run("verify").text
    first, second, *_ = sorted(done.path("store").rglob("*.fits"))
    expected = done.data_set()
    first.chmod(0o644)
    content = bytearray(first.read_bytes())
    content[9000] ^= 1
    first.write_bytes(content)
    second.unlink()
    text = done.run("verify", fails=True).text
    assert f"{first.name}: its bytes changed (sha256)" in text
    assert f"{second.name}: is missing" in text
    assert "2 of 31 files are damaged; `snakemake repair` fetches them again" in text
    assert done.planned() == {}, "Snakemake cannot know"
    text = done.run("repair").text
    assert "2/2 images" in text
    done.run("verify")
    assert done.data_set() == expected
    assert done.planned() == {}


def test_verify_sees_results_that_are_gone(done: Project) -> None:
    next(done.path("results/data_selection/fits/raw").iterdir()).unlink()
    assert "is missing" in done.run("verify", fails=True).text
    done.run("repair")
    done.run("verify")


def test_verify_before_anything_ran(project: Project) -> None:
    assert "no event is finished; run snakemake first" in project.run("verify", fails=True).text


def test_clean_unused(done: Project) -> None:
    assert "0 unused" in done.run("clean_unused").text
    done.events("".join(TWO_FLARES.splitlines(keepends=True)[:2]))
    done.run()
    text = done.run("clean_unused").text
    assert "unused: results/events/2014-02-24T235710" in text
    assert "unused: results/final_fits/2014-02-24T235710" in text
    assert "unused: results/ledger/2014-02-24T235710.131.csv" in text
    assert "Nothing was removed" in text
    before = done.stored()
    done.run("clean_unused", "--config", "clean=remove")
    assert len(done.stored()) == 15 < len(before) == 31
    assert not done.path("results/final_fits/2014-02-24T235710").exists()
    assert "0 unused" in done.run("clean_unused").text
    done.run("verify")
    assert done.planned() == {}


def test_clean_unused_knows_when_it_does_not_know(done: Project) -> None:
    done.events(TWO_FLARES + "2014-04-18 12:34:22,2014-04-18 12:38:46,,,,\n")
    assert "run snakemake first" in done.run("clean_unused", fails=True).text
    assert len(done.stored()) == 31
