"""A job's lines go to its log, and to the standard error that Snakemake was given."""

from __future__ import annotations

import logging
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import ONE_FLARE, ROOT, Project

from flareset.system.logs import job_log

A = "2014-01-07T180534"
JOB = """
import logging, sys
sys.path.insert(0, {scripts!r})
from flareset.system.logs import job_log
from flareset.system.progress import Progress

with job_log("A 131", 3) as streams:
    progress = Progress("A 131", streams, often=0, rarely=1000)
    progress.total = 2
    logging.getLogger("flareset.x").info("JSOC has %d records", 2)
    progress.add(fetched=True, failed=False)
    logging.getLogger("flareset.y").warning("one failed")
    progress.add(fetched=False, failed=True)
    progress.close()
"""


def to_a_file(command: str, folder: Path) -> str:
    """Run a command with both outputs in a new file, and return what is in the file."""
    subprocess.run(f"({command}) > run.log 2>&1", shell=True, cwd=folder, check=True)
    return (folder / "run.log").read_text()


def to_the_end_of_a_file(command: str, folder: Path) -> str:
    """Run a command with both outputs at the end of a file, and return what is in the file."""
    (folder / "run.log").write_text("an earlier run\n")
    subprocess.run(f"({command}) >> run.log 2>&1", shell=True, cwd=folder, check=True)
    text = (folder / "run.log").read_text()
    assert text.startswith("an earlier run\n")
    return text


def to_a_pipe(command: str, folder: Path) -> str:
    """Run a command with both outputs in a pipe, and return what comes out of the pipe."""
    piped = f"set -o pipefail; ({command}) 2>&1 | cat > piped"
    subprocess.run(["bash", "-c", piped], cwd=folder, check=True)
    return (folder / "piped").read_text()


def to_a_terminal(command: str, folder: Path) -> str:
    """Run a command in a terminal, and return what the terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, shell=True, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


WAYS = [to_a_file, to_the_end_of_a_file, to_a_pipe, to_a_terminal]
Way = Callable[[str, Path], str]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_run_shows_of_an_export(tmp_path: Path, way: Way) -> None:
    project = Project(tmp_path / "project", {"source": "export"})
    project.events(ONE_FLARE)
    wanted = f"results/events/{A}/131/manifest.csv"
    text = way(shlex.join(project.forked(wanted)), project.folder)
    shown = [line.rpartition("\033[K")[2] for line in text.splitlines()]
    told = [line for line in project.log("download", A).splitlines() if "JSOC_" in line]
    assert ": accepted, 15 records" in told[0]
    assert [line for line in shown if f"{A} 131: JSOC_" in line] == [
        f"download {A} 131: {line}" for line in told
    ]
    assert len(told) >= 2
    assert "\0" not in text
    # What Snakemake itself said before and after is whole.
    assert any("Building DAG of jobs" in line for line in shown)
    assert any("Elapsed time: " in line for line in shown)


@pytest.mark.parametrize("way", WAYS)
def test_the_lines_of_a_job_stand_between_those_of_others(tmp_path: Path, way: Way) -> None:
    code = JOB.format(scripts=str(ROOT / "scripts"))
    job = f"{shlex.join([sys.executable, '-c', code])} 3>&2 > job.log 2>&1"
    text = way(f"echo before >&2; {job}; echo after >&2", tmp_path)
    inside = text[text.index("before\n") + 7 : text.index("after\n")]
    counts = "1 of 2 images, 1 failed: 1 fetched (0.0 MB), 0 in the store before, 0 s"
    if way is to_a_terminal:
        # A line that is there for good takes the place of the progress.
        assert "\r\033[KA 131: JSOC has 2 records\n\r\033[KA 131: 1/2 images" in inside
        assert "\r\033[KA 131: one failed\n\r\033[KA 131: 2/2 images" in inside
        assert inside.endswith(f"\r\033[KA 131: {counts}\n")
    else:
        assert inside == f"A 131: JSOC has 2 records\nA 131: one failed\nA 131: {counts}\n"
    lines = (tmp_path / "job.log").read_text().splitlines()
    assert lines == ["JSOC has 2 records", "one failed", counts]


def test_a_job_by_hand_says_each_thing_once(tmp_path: Path) -> None:
    code = JOB.format(scripts=str(ROOT / "scripts")).replace("3)", "2)")
    text = to_a_file(shlex.join([sys.executable, "-c", code]), tmp_path)
    assert text.count("JSOC has 2 records") == 1


def test_a_terminal_that_is_not_there_or_gone(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("flareset.test")
    read, write = os.pipe()
    os.close(read)
    with job_log("A 131", write) as streams:
        log.info("nobody reads the pipe")
        os.close(write)
        log.info("the descriptor is closed")
    with job_log("A 131", write) as again:
        log.info("it was never open")
    assert len(streams) == len(again) == 1
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert not logging.getLogger("flareset").handlers


def test_a_log_on_a_full_disk_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="No space left"), job_log():
            logging.getLogger("flareset.test").info("a line")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()
