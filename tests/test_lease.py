"""Locks that hold between machines."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from support.project import ROOT

from flareset.campaign.run import alone
from flareset.errors import StoreError
from flareset.store.store import Store
from flareset.system import locks
from flareset.system.locks import Holder, Lease, held, holder_of, take

HOLDING = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.locks import take
print(take(Path(sys.argv[1])) is not None, flush=True)
time.sleep(600)
"""
COUNTING = f"""
import sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.locks import held
count = Path(sys.argv[2])
for _ in range(20):
    with held(Path(sys.argv[1]), sleep=lambda _: None):
        before = int(count.read_text())
        count.write_text(str(before + 1))
"""

ENDING = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.endings import exit_status
from flareset.system.locks import take
def main():
    for number in range(300):
        take(Path(sys.argv[1]) / str(number))
    print("ready", flush=True)
    time.sleep(600)
sys.exit(exit_status(main))
"""
WITHIN = f"""
import sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.locks import holder_of, take
path = Path(sys.argv[1])
print(take(path) is not None, holder_of(path).alive, take(path) is not None)
"""
DYING = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.locks import held
def tell():
    with open(sys.argv[2], "a") as out:
        out.write(str(os.getpid()) + " ")
with held(Path(sys.argv[1]), sleep=lambda _: time.sleep(0.01)):
    tell()
    tell()
    if os.getpid() % 2:
        os._exit(0)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Leases are touched and given up a hundred times as fast; a process that has lost one says so,
    and lives."""
    ended: list[str] = []
    monkeypatch.setattr(locks, "end", ended.append)
    for name, seconds in (("_TOUCHED", 0.05), ("_SILENT", 0.6), ("_NAMELESS", 0.2)):
        monkeypatch.setattr(locks, name, seconds)
    monkeypatch.setattr(locks, "_LATER", 0.05)
    return ended


def holding(path: Path, **how: object) -> Holder:
    """A lease that this process holds, but for what is said of its holder."""
    holder = replace(Holder.here(""), **how)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(holder)))
    return holder


def elsewhere(path: Path, **how: object) -> Holder:
    """A lease that a process on another machine holds."""
    return holding(path, **{"host": "c2", "machine": "another", **how})


def wait_until(happened: Callable[[], object]) -> None:
    """Wait until something has happened; who keeps the leases may be slow to notice that the times
    are other ones now."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_touched(path: Path) -> None:
    """Wait until a lease is touched once more."""
    before = path.stat().st_mtime_ns
    wait_until(lambda: path.stat().st_mtime_ns > before)


@contextmanager
def touched(path: Path) -> Iterator[None]:
    """Its holder is alive meanwhile."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(0.05):
            os.utime(path)

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def process(*command: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lease until it is killed, or the block ends."""
    words = [*command, sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "True\n"
            yield started
        finally:
            started.kill()


def test_one_at_a_time_over_processes(tmp_path: Path) -> None:
    path, count = tmp_path / "folder/x.lock", tmp_path / "count"
    count.write_text("0")
    words = [sys.executable, "-c", COUNTING, str(path), str(count)]
    processes = [subprocess.Popen(words) for _ in range(4)]
    assert [each.wait(60) for each in processes] == [0] * 4
    assert count.read_text() == "80"
    assert list(path.parent.iterdir()) == []


def test_what_a_killed_process_held_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with process(path=path) as other:
        assert take(path) is None
        holder = holder_of(path)
        assert holder is not None
        assert holder.pid == other.pid
        other.kill()
        # Not waited for: it is a zombie.
        deadline = time.monotonic() + 30
        while (ours := take(path)) is None:
            assert time.monotonic() < deadline
    assert not ours.inherited
    ours.give_back()
    assert not path.exists()


def test_who_is_told_to_end_again_and_again_gives_all_back(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ENDING, str(tmp_path / "held")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdout is not None
        assert told.stdout.readline() == b"ready\n"
        while told.poll() is None:
            told.send_signal(signal.SIGTERM)
    assert told.returncode == 130
    assert list((tmp_path / "held").iterdir()) == []


def test_who_does_not_hear_ctrl_c_goes_on(tmp_path: Path) -> None:
    script = [sys.executable, "-c", ENDING, str(tmp_path / "held")]
    words = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"ready\n"
        deaf.send_signal(signal.SIGINT)
        time.sleep(0.5)
        deaf.send_signal(signal.SIGTERM)
        deaf.communicate(timeout=60)
    assert deaf.returncode == 130


def test_a_process_number_that_was_given_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    holding(path, started="1")
    with held(path) as ours:
        assert not ours.inherited


def test_a_machine_that_was_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    holding(path, boot="the one before")
    with held(path) as ours:
        assert not ours.inherited


@pytest.mark.usefixtures("quick")
def test_another_machine_s_is_kept_while_it_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    elsewhere(path)
    told: list[str] = []
    with touched(path):
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert take(path) is None
            time.sleep(0.02)
    with held(path, waiting=told.append) as ours:
        assert ours.inherited
    assert told == [f"process {os.getpid()} on c2"]


@pytest.mark.usefixtures("quick")
def test_ours_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with held(path):
        is_touched(path)


@pytest.mark.usefixtures("quick")
def test_time_that_nobody_looked_is_not_silence(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    elsewhere(path)
    assert take(path) is None
    time.sleep(1)  # as where this process, or the filesystem for both, stood still
    assert take(path) is None


@pytest.mark.usefixtures("quick")
def test_who_was_taken_over_notices(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    theirs = Lease(path, elsewhere(path), inherited=False)
    theirs.check()
    with held(path):
        with pytest.raises(StoreError, match=r"x\.lock: another job took this lock over"):
            theirs.check()
        theirs.give_back()
        assert take(path) is None, "what is another's is left alone"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", [b"", b"\0\0\0", b'{"token": "x"}'])
def test_what_a_power_loss_left_of_one(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(text)
    assert take(path) is None, "it may be about to say who it is"
    with held(path) as ours:
        assert ours.inherited


def test_a_process_that_cannot_be_seen_from_here(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    apart = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    if subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of processes is to be had")
    with process(*apart, path=path) as other:
        holder = holder_of(path)
        assert holder is not None
        assert holder.alive is None
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert take(path) is None


def test_processes_whose_numbers_proc_does_not_have(tmp_path: Path) -> None:
    apart = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    if subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of processes is to be had")
    words = [*apart, sys.executable, "-c", WITHIN, str(tmp_path / "x.lock")]
    assert subprocess.check_output(words, text=True) == "True None False\n"


def test_a_process_that_proc_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.lock"
    read = Path.read_text

    def hide(self: Path, *args: Any) -> str:
        if self.parts[1] == "proc":
            raise FileNotFoundError
        return read(self, *args)

    with process(path=path):
        (holder,) = filter(None, [holder_of(path)])
        monkeypatch.setattr(Path, "read_text", hide)
        assert holder.alive is None
        assert take(path) is None


@pytest.mark.usefixtures("quick")
def test_who_takes_over_may_die_at_it(tmp_path: Path) -> None:
    path, over = tmp_path / "x.lock", tmp_path / "x.lock.over"
    holding(path, started="1")
    over.touch()
    assert take(path) is None, "another is at it"
    time.sleep(1)  # as where that one, or all of us, stood still
    assert take(path) is None
    with held(path, sleep=lambda _: time.sleep(0.02)):
        assert not over.exists()


def test_one_that_cannot_be_touched_does_not_harm_the_others(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = tmp_path / "bad.lock", tmp_path / "good.lock"
    touch = os.utime

    def refuse(path: Path) -> None:
        if path == bad:
            raise OSError(122, "Disk quota exceeded")
        touch(path)

    monkeypatch.setattr(os, "utime", refuse)
    with held(bad), held(good):
        is_touched(good)
        time.sleep(1)  # longer than one that is not touched is believed in
        is_touched(good)
        assert quick == [], "nobody took the bad one"
        elsewhere(bad)
        wait_until(lambda: quick)
    assert "bad.lock: another job took this lock over" in quick[0]


def test_a_holder_that_wakes_up_ends(tmp_path: Path, quick: list[str]) -> None:
    path = tmp_path / "x.lock"
    with held(path):
        elsewhere(path)
        wait_until(lambda: quick)
    assert "another job took this lock over" in quick[0]


def test_a_process_that_goes_to_another_folder_keeps_what_it_has(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with held(Path("x.lock")):
        monkeypatch.chdir("/")
        is_touched(tmp_path / "x.lock")
        assert quick == []
    assert not (tmp_path / "x.lock").exists()


@pytest.mark.usefixtures("quick")
def test_an_onlooker_leaves_what_may_wake_up(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    elsewhere(path)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        holder_of(path)
        time.sleep(0.02)
    with held(path) as ours:
        assert ours.inherited


def test_one_at_a_time_though_holders_die(tmp_path: Path) -> None:
    path, told = tmp_path / "x.lock", tmp_path / "told"
    processes = [
        subprocess.Popen([sys.executable, "-c", DYING, str(path), str(told)]) for _ in range(10)
    ]
    for each in processes:
        each.wait(120)
    # Each one says when it has it, and when it is about to lose it; only in this order.
    said = told.read_text().split()
    assert len(said) == 20
    assert said[::2] == said[1::2]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "x.lock"
    with held(path):
        assert take(path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_cannot_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_place", lambda: ("host", "", "", ""))
    path = tmp_path / "x.lock"
    with process(path=path):
        assert take(path) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"x\.lock: cannot write: Not a directory"):
        take(tmp_path / "file/x.lock")


@pytest.mark.usefixtures("quick")
def test_a_part_that_is_inherited_is_out_of_reach_of_who_had_it(tmp_path: Path) -> None:
    first, second = (Store(tmp_path, "a", "s") for _ in range(2))
    with first.claim("a/s/131/x.fits") as part, open(part, "ab", buffering=0) as theirs:
        theirs.write(b"begun")
        (path,) = (tmp_path / ".locks").glob("*.lock")
        elsewhere(path)
        with second.claim("a/s/131/x.fits") as ours:
            assert ours.read_bytes() == b"begun"
            theirs.write(b" late")
            assert ours.read_bytes() == b"begun"
            with pytest.raises(StoreError, match="took this lock over"):
                first.commit("a/s/131/x.fits", part, {})
            with pytest.raises(StoreError, match="has 5 bytes, and 4 came"):
                second.commit("a/s/131/x.fits", ours, {"bytes": 4})
            second.commit("a/s/131/x.fits", ours, {"bytes": 5})
    assert (tmp_path / "a/s/131/x.fits").read_bytes() == b"begun"


@pytest.mark.usefixtures("quick")
def test_a_store_that_a_run_on_another_machine_uses(tmp_path: Path) -> None:
    store = Store(tmp_path, "a", "s")
    run = tmp_path / ".locks/run-1.lock"
    elsewhere(run, owner="/theirs")
    with store.in_use("/theirs"):
        pass
    with touched(run), pytest.raises(StoreError, match=r"\(from /theirs\): process \d+ on c2"):
        store.in_use("/ours").__enter__()
    # Its machine is dead.
    with store.in_use("/ours"):
        assert not run.exists()


def test_one_job_waits_for_another_of_a_killed_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flareset")
    slept: list[float] = []
    begun, ended = threading.Event(), threading.Event()

    def old() -> None:
        with alone(tmp_path):
            begun.set()
            ended.wait(30)

    thread = threading.Thread(target=old)
    thread.start()
    begun.wait(30)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        ended.set()
        thread.join()

    with alone(tmp_path, sleep):
        pass
    waits = f"waits for {Holder.here('')}, which does the same (of a run that was killed?)"
    assert caplog.messages == [waits]
    assert slept[-1] >= 5, "its Snakemake may have to clear up"
    with alone(tmp_path, sleep):
        pass
    assert len(caplog.messages) == 1
