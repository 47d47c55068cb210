"""What a run shows: a line for each job that did something, and one for each that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from logging import ERROR, INFO
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from support.project import TWO_FLARES, Project

from flareset.campaign.campaign import Campaign
from flareset.campaign.terminal import Failure, Quiet, Watch, counts, told
from flareset.standin.server import Fault, StandIn

A, B, C, D = (
    "2014-01-07T180534", "2014-02-24T235710", "2014-04-18T123422", "2014-09-10T165810",
)  # fmt: skip
FOUR_FLARES = (
    f"{TWO_FLARES}2014-04-18 12:34:22,2014-04-18 12:36:46,,,,\n"
    "2014-09-10 16:58:10,2014-09-10 17:00:22,,,,\n"
)


def a_record(event: LogEvent | None, level: int = INFO, **more: object) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", level, "scheduling/x.py", 1, "text", None, None)
    vars(record).update({"event": event} if event else {}, **more)
    return record


def test_three_failures_each_with_its_cause_and_what_went_well(
    project: Project, serve: Callable[..., StandIn]
) -> None:
    """One run: a page that is none, a page that is missing, a file that is gone, a good flare."""
    project.events(FOUR_FLARES)
    server = serve(faults=[Fault("status", r"2014-04-18T1235", code=404)])
    project.use(server)
    project.path(f"export_pages/{A}.html").write_text("<html>Sign in to the hotel's network</html>")
    project.path(f"export_pages/{B}.html").unlink()
    text = project.run(fails=True).text
    # What is known before the first job is said once, before it.
    assert text.count("1 of 4 flares lack a saved page (2014-02-24T235710)") == 1
    assert text.index("lack a saved page") < text.index("jobs: ")
    lines = text.splitlines()
    assert len(lines) < 40, text
    last = lines[-10:]
    (page,) = [line for line in last if line.startswith(f"failed: list {A} 131: ")]
    assert f"{A}.html" in page
    (missing,) = [line for line in last if line.startswith(f"failed: list {B} 131: ")]
    assert "page" in missing
    (gone,) = [line for line in last if line.startswith(f"failed: download {C} 131: ")]
    assert "images could not be had" in gone
    assert gone.endswith(f"(results/logs/download/{C}.131.log)")
    # The others went on, each with a line for what it did.
    assert f"sample {D} 131: " in text
    assert "Traceback" not in text
    # All that Snakemake says is in its log.
    (log,) = project.path(".snakemake/log").iterdir()
    assert "Error in rule download" in log.read_text()


# What the terminal is spared


@pytest.mark.parametrize("dry", [True, False])
def test_a_table_of_jobs_once_in_a_dry_run_and_a_line_in_a_run(dry: bool) -> None:
    said: list[str] = []
    quiet = Quiet(dry=dry, say=said.append)
    record = a_record(LogEvent.RUN_INFO, stats={"list": 2, "all": 1, "total": 3})
    assert [quiet.filter(record), quiet.filter(record)] == [dry, False]
    assert said == ([] if dry else ["3 jobs: list 2, all 1"])


def test_what_is_hidden_and_what_is_not() -> None:
    quiet = Quiet(dry=False, say=print)
    hidden = [
        a_record(LogEvent.JOB_INFO), a_record(LogEvent.JOB_FINISHED), a_record(LogEvent.PROGRESS),
        a_record(LogEvent.JOB_ERROR, ERROR),
        a_record(LogEvent.ERROR, ERROR, exception="RuleException"),
    ]  # fmt: skip
    shown = [
        a_record(None), a_record(None, ERROR), a_record(LogEvent.SHELLCMD),
        a_record(LogEvent.ERROR, ERROR, exception="WorkflowError"),
    ]  # fmt: skip
    assert not any(map(quiet.filter, hidden))
    assert all(map(quiet.filter, shown))


def test_counts() -> None:
    assert counts({"event": 590, "list": 590, "total": 1180}) == "1180 jobs: event 590, list 590"


# What failed


def failed(folder: Path, rule: str, job: str, text: str | None) -> Failure:
    log = folder / "logs" / rule / f"{job.replace(' ', '.')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        log.write_text(text)
    return Failure(rule, job, str(log))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12 records\nerror: no room\n", "no room"),
        ("error: a\nagain\nerror: these are wrong:\n  line 2\nx", "these are wrong: line 2"),
        ("Traceback (most recent call last):\n  File\nE: no\n", "its log ends with: E: no"),
        ("9 of 9 images\n", "its log ends with: 9 of 9 images"),
        ("", "its log is empty: there was no free space for it, or it was killed"),
        (None, "it left no log: it never began, or was killed"),
    ],
)  # fmt: skip
def test_reasons(tmp_path: Path, text: str | None, reason: str) -> None:
    assert failed(tmp_path, "list", "a 131", text).reason == reason


def test_causes_are_gathered(tmp_path: Path) -> None:
    down = "error: jsoc.stanford.edu does not answer\n"
    many = [failed(tmp_path, "list", f"f{n} 131", down) for n in range(20)]
    other = failed(tmp_path, "download", "g 94", "error: 3 of 9 images could not be had\n")
    first, second = told([*many, other])
    assert first == (
        "list, 20 times (f0 131, f1 131, f2 131, …): jsoc.stanford.edu does not answer"
        f" ({tmp_path}/logs/list/)"
    )
    assert second.startswith("download g 94: 3 of 9 images could not be had (")
    each = [failed(tmp_path, "draw", f"f{n}", f"error: {n}\n") for n in range(60)]
    assert len(told(each)) == 41


def test_a_job_that_another_try_finished_has_not_failed(tmp_path: Path) -> None:
    watch = Watch()
    a, b = (failed(tmp_path, "download", f"{name} 131", "error: no\n") for name in "ab")
    for number, job in enumerate((a, b)):
        told_of = {"jobid": number, "rule_name": "download", "log": [job.log]}
        watch.emit(a_record(LogEvent.JOB_ERROR, ERROR, **told_of))
    watch.emit(a_record(LogEvent.JOB_FINISHED, job_id=0))
    first, advice, more = watch.lines()
    assert first == f"failed: download b 131: no ({b.log})"
    assert advice.endswith("run again to fetch only what is missing.")
    assert "take the row of one that stays away out of the CSV" in more
    group = [{"jobid": 2, "rule_name": "label", "log": [str(tmp_path / "logs/label.log")]}]
    watch.emit(a_record(LogEvent.GROUP_ERROR, ERROR, job_error_info=group))
    assert watch.lines()[1].startswith("failed: label: it left no log")


# What is known before the first job


def test_exports_without_an_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("JSOC_EMAIL", raising=False)
    config = {"archive": {"kind": "jsoc"}, "source": "export"}
    (warning,) = Campaign(config).warnings
    assert warning.startswith(f"the exports of 2 flares ({A}, {B}) need an address")
    monkeypatch.setenv("JSOC_EMAIL", "me@example.org")
    assert not Campaign(config).warnings
    assert not Campaign({"source": "export"}).warnings
