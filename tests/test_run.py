"""The facts that jobs know about their run."""

from pathlib import Path

import pytest
from support.project import ONE_FLARE, Project

from flareset.campaign.run import tried_once
from flareset.errors import ConfigError, FlaresetError, StoreError

EVENT = "2014-01-07T180534"


def test_an_error_of_ours_is_not_tried_again_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, tried = tmp_path / ".failed", []

    def attempt(run: str, error: Exception | None) -> None:
        monkeypatch.setenv("FLARESET_RUN", run)
        with tried_once(note):
            tried.append(run)
            if error:
                raise error

    with pytest.raises(ConfigError, match="wrong page"):
        attempt("one", ConfigError("wrong page"))
    with pytest.raises(FlaresetError, match=r"wrong page \(not tried again in the same run\)"):
        attempt("one", None)
    assert tried == ["one"]
    attempt("two", None)
    attempt("two", None)
    assert tried == ["one", "two", "two"]
    assert not note.exists()
    # What is not our error may pass: a job that was killed, and is started again.
    with pytest.raises(KeyboardInterrupt), tried_once(note):
        raise KeyboardInterrupt
    attempt("two", None)
    # Nor is what a network's filesystem may show, or take, a moment later.
    with pytest.raises(StoreError):
        attempt("three", StoreError("not there yet"))
    attempt("three", None)


def test_a_job_goes_by_the_code_that_its_run_began_with(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a job on a cluster finds it, whose Snakemake reads the Snakefile after an edit.
    monkeypatch.setenv("FLARESET_CODE", "that of before the edit")
    project.events(ONE_FLARE)
    project.run("--until", "list", fails=True)
    assert "has changed since this run began: run again" in project.log("list", EVENT)
    monkeypatch.delenv("FLARESET_CODE")
    project.run("--until", "list")
