"""Locks that hold between machines."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.bench import Bench
from support.locking import QUICK, Other, beating, clone, elsewhere, holding, wait_until
from support.project import ROOT

from flareset.archive.tars import Tars
from flareset.campaign.run import alone
from flareset.errors import StoreError
from flareset.standin.server import StandIn
from flareset.store.store import Store
from flareset.system.locks import Holder, Lock, Timing, held, sweep
from flareset.system.processes import Process

IMPORTS = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from flareset.system.endings import exit_status
from flareset.system.locks import Lock, held
path = Path(sys.argv[1])
"""
COUNTING = f"""{IMPORTS}
count = Path(sys.argv[2])
for _ in range(20):
    with held(path, sleep=lambda _: None):
        before = int(count.read_text())
        count.write_text(str(before + 1))
"""
ENDING = f"""{IMPORTS}
def main():
    for number in range(300):
        Lock(path / str(number)).take()
    print("ready", flush=True)
    time.sleep(600)
sys.exit(exit_status(main))
"""
WITHIN = f"""{IMPORTS}
lock = Lock(path)
print(lock.take(), lock.holder().alive, Lock(path).take())
"""
DYING = f"""{IMPORTS}
def tell():
    with open(sys.argv[2], "a") as out:
        out.write(str(os.getpid()) + " ")
with held(path, sleep=lambda _: time.sleep(0.01)):
    tell()
    tell()
    if os.getpid() % 2:
        os._exit(0)
"""
APART = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
# A process changes files so often when it takes a lock over, and gives it back.
TAKE_OVER, GIVE_BACK = 5, 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a lock."""
    return tmp_path / "folder/x.lock"


@pytest.fixture
def other(path: Path) -> Iterator[Other]:
    """Return a process that may hold the lock."""
    with Other(path) as process:
        yield process


def left(path: Path) -> list[str]:
    """Return the names in a lock's folder."""
    return sorted(str(found.relative_to(path.parent)) for found in path.parent.rglob("*"))


def is_beating(marker: Path) -> None:
    """Wait until a marker is touched once more."""
    before = marker.stat().st_mtime_ns
    wait_until(lambda: marker.stat().st_mtime_ns > before)


def marker_of(path: Path) -> Path:
    """Return the marker of a lock that is held."""
    (marker,) = path.iterdir()
    return marker


# What a lock is for.


def test_one_at_a_time_over_processes(tmp_path: Path, path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    words = [sys.executable, "-c", COUNTING, str(path), str(count)]
    processes = [subprocess.Popen(words) for _ in range(4)]
    assert [each.wait(60) for each in processes] == [0] * 4
    assert count.read_text() == "80"
    assert left(path) == []


def test_one_at_a_time_though_holders_die(tmp_path: Path, path: Path) -> None:
    told = tmp_path / "told"
    words = [sys.executable, "-c", DYING, str(path), str(told)]
    processes = [subprocess.Popen(words) for _ in range(10)]
    for each in processes:
        each.wait(120)
    # Each one says when it has it, and when it is about to lose it; only in this order.
    said = told.read_text().split()
    assert len(said) == 20
    assert said[::2] == said[1::2]


def test_a_process_waits_and_says_for_which(path: Path, other: Other) -> None:
    assert other("take") == "True"
    told: list[str] = []

    def sleep(_: float) -> None:
        assert other("give_back") == "None"

    with held(path, waiting=told.append, sleep=sleep):
        assert other("take") == "False"
    assert told == [str(Process(pid=other.process.pid, host=Holder.here().host))]
    assert left(path) == []


# Processes that are dead.


def test_what_a_killed_process_held_is_free_at_once(path: Path, other: Other) -> None:
    assert other("take") == "True"
    lock = Lock(path)
    assert not lock.take()
    assert lock.holder() == Holder(**{**vars(lock.holder()), "owner": "theirs"})
    other.process.kill()
    # Not waited for: it is a zombie.
    wait_until(lock.take, 5)
    lock.give_back()
    assert left(path) == []


@pytest.mark.parametrize("change", range(1, TAKE_OVER + 1))
def test_a_process_killed_at_any_point_of_a_takeover(path: Path, change: int) -> None:
    with Other(path) as first, Other(path) as second:
        assert first("take") == "True"
        first.kill()
        second.begin(f"signal SIGKILL {change}")
        second.begin("take")
        assert second.says() == ("True" if change == TAKE_OVER else "")
        second.kill()
    # Nothing that a dead process left makes another wait, and all of it goes.
    lock = Lock(path)
    assert lock.take()
    lock.give_back()
    sweep(path.parent)
    assert left(path) == []


@pytest.mark.parametrize("change", range(1, GIVE_BACK + 1))
def test_a_process_killed_while_it_gives_back(path: Path, other: Other, change: int) -> None:
    assert other("take") == "True"
    other.begin(f"signal SIGKILL {change}")
    assert other("give_back") == ""
    other.kill()
    assert Lock(path).holder() is None
    sweep(path.parent)
    assert left(path) == []


def test_the_points_at_which_a_process_may_be_killed(path: Path, other: Other) -> None:
    # The tests above kill before each change of a file, and miss none.
    holding(path, started="1")
    other.begin("signal SIGKILL 0")
    assert other("take") == "True"
    assert int(other("changes")) == TAKE_OVER - 1
    assert other("give_back") == "None"
    assert int(other("changes")) == TAKE_OVER - 1 + GIVE_BACK


def test_a_process_number_that_was_given_anew(path: Path) -> None:
    holding(path, started="1")
    assert Lock(path).take()


def test_a_process_that_is_told_to_end_again_and_again_gives_all_back(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ENDING, str(tmp_path / "held")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdout is not None
        assert told.stdout.readline() == b"ready\n"
        while told.poll() is None:
            told.send_signal(signal.SIGTERM)
    assert told.returncode == 130
    assert list((tmp_path / "held").iterdir()) == []


def test_a_process_that_does_not_hear_ctrl_c_goes_on(tmp_path: Path) -> None:
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


# Processes that hang.


def test_a_holder_that_hangs_and_goes_on_ends(path: Path) -> None:
    with Other(path) as first, Other(path) as second:
        assert first("take") == "True"
        first.process.send_signal(signal.SIGSTOP)
        moved_elsewhere(path)
        wait_until(lambda: second("take") == "True")
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(30) == 130
        assert first.process.stderr is not None
        assert "x.lock: another job took this lock over" in first.process.stderr.read()
        assert second("ours") == "True"


def moved_elsewhere(path: Path) -> None:
    """Make the marker of a held lock say that its holder is on another machine."""
    marker = marker_of(path)
    said = json.loads(marker.read_text())
    marker.write_text(json.dumps({**said, "boot": "another", "machine": "another"}))


@pytest.mark.parametrize("change", range(1, GIVE_BACK + 1))
def test_a_holder_that_hangs_in_giving_back(path: Path, change: int) -> None:
    with Other(path) as first, Other(path) as second, Other(path) as third:
        assert first("take") == "True"
        first.begin(f"signal SIGSTOP {change}")
        first.begin("give_back")
        first.wait_until_stopped()
        if change == 1:
            moved_elsewhere(path)
        wait_until(lambda: second("take") == "True")
        first.process.send_signal(signal.SIGCONT)
        assert first.says() == "None"
        assert second("ours") == "True", "what is the successor's is left alone"
        assert third("take") == "False"


@pytest.mark.parametrize("change", range(1, TAKE_OVER))
def test_a_process_that_hangs_while_it_takes_over(path: Path, change: int) -> None:
    with Other(path) as dead, Other(path) as first, Other(path) as second, Other(path) as third:
        assert dead("take") == "True"
        dead.kill()
        first.begin(f"signal SIGSTOP {change}")
        first.begin("take")
        first.wait_until_stopped()
        # Held already, where that was its last change.
        taken = second("take") == "True"
        first.process.send_signal(signal.SIGCONT)
        assert (first.says() == "True") != taken, "one of them has it"
        assert third("take") == "False"


def test_an_abandoned_folder_is_removed_under_a_process_that_still_takes(path: Path) -> None:
    with Other(path) as first:
        first.begin("signal SIGSTOP 2")
        first.begin("take")
        first.wait_until_stopped()
        sweep(path.parent)
        assert left(path) == [], "its folder was empty"
        first.process.send_signal(signal.SIGCONT)
        assert first.says() == "True"


# Other machines.


@pytest.mark.parametrize("machine", [elsewhere, clone])
def test_a_living_holder_of_another_machine_keeps_its_lock(
    path: Path, machine: Callable[[Path], Path]
) -> None:
    marker = machine(path)
    lock = Lock(path, timing=QUICK)
    with beating(marker):
        until = time.monotonic() + 2 * QUICK.expiry
        while time.monotonic() < until:
            assert not lock.take()
            sweep(path.parent, timing=QUICK)
            time.sleep(0.02)
    assert marker.exists()
    wait_until(lock.take)
    lock.give_back()


@pytest.mark.parametrize("machine", [elsewhere, clone])
@pytest.mark.parametrize("behind", [-30.0, 2.0, 30.0])
def test_a_living_holder_whose_clock_differs_keeps_its_lock(
    path: Path, machine: Callable[[Path], Path], behind: float
) -> None:
    usual = Timing()
    lock = Lock(path, timing=replace(QUICK, expiry=usual.expiry))
    with beating(machine(path), behind=behind):
        until = time.monotonic() + 2 * QUICK.reboot
        while time.monotonic() < until:
            assert not lock.take()
            time.sleep(0.02)


def test_a_machine_that_was_started_anew_costs_some_heartbeats(path: Path) -> None:
    usual = Timing()
    assert 2 * usual.heartbeat < usual.reboot < usual.expiry / 4
    clone(path)
    lock = Lock(path, timing=replace(QUICK, expiry=600.0))
    wait_until(lock.take)


def test_a_holder_on_another_machine_is_free_after_its_expiry_alone(path: Path) -> None:
    elsewhere(path)
    lock = Lock(path, timing=QUICK)
    begun = time.monotonic()
    while not lock.take():
        time.sleep(0.01)
    assert time.monotonic() - begun >= QUICK.expiry


def test_time_without_a_look_is_no_silence(path: Path) -> None:
    elsewhere(path)
    lock = Lock(path, timing=QUICK)
    assert not lock.take()
    time.sleep(1.5 * QUICK.expiry)  # as where this process, or the filesystem for both, hung
    assert not lock.take()


@pytest.mark.parametrize("text", [b"", b"\0\0\0", b'{"token": "x"}', b"[]"])
def test_a_marker_that_a_power_loss_spoilt(path: Path, text: bytes) -> None:
    holding(path).write_bytes(text)
    lock = Lock(path, timing=QUICK)
    assert not lock.take()
    assert str(lock.holder()) == "an unknown process"
    wait_until(lock.take)


def test_a_process_of_another_space(path: Path) -> None:
    if subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of processes is to be had")
    with Other(path, within=APART) as other:
        assert other("take") == "True"
        holder = Lock(path).holder()
        assert holder is not None
        assert holder.alive is None
        other.kill()
        assert not Lock(path).take()


def test_processes_whose_numbers_proc_does_not_have(path: Path) -> None:
    if subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of processes is to be had")
    words = [*APART, sys.executable, "-c", WITHIN, str(path)]
    assert subprocess.check_output(words, text=True) == "True None False\n"


def test_a_process_that_proc_hides(
    path: Path, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other("take") == "True"
    lock = Lock(path)
    (holder,) = filter(None, [lock.holder()])
    read = Path.read_text

    def hide(self: Path, *args: str) -> str:
        if self.parts[1] == "proc":
            raise FileNotFoundError
        return read(self, *args)

    monkeypatch.setattr(Path, "read_text", hide)
    assert holder.alive is None
    assert not lock.take()


# A holder and its heartbeats.


def test_a_held_lock_is_touched(path: Path) -> None:
    with held(path, timing=QUICK):
        is_beating(marker_of(path))


def test_a_process_whose_lock_was_taken_over_notices(path: Path) -> None:
    told: list[str] = []
    ours = Lock(path, timing=QUICK, lost=told.append)
    assert ours.take()
    ours.check()
    marker_of(path).unlink()
    elsewhere(path)
    with pytest.raises(StoreError, match=r"x\.lock: another job took this lock over"):
        ours.check()
    wait_until(lambda: told)
    assert "x.lock: another job took this lock over" in told[0]
    ours.give_back()
    assert not Lock(path).take(), "what is another's is left alone"


def test_a_lock_that_cannot_be_touched_does_not_harm_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    bad, good = (
        Lock(path.with_name(name), timing=QUICK, lost=lost.append)
        for name in ("bad.lock", "good.lock")
    )
    touch = os.utime

    def refuse(marker: Path) -> None:
        if marker.parent == bad.path:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        touch(marker)

    monkeypatch.setattr(os, "utime", refuse)
    assert bad.take()
    assert good.take()
    is_beating(marker_of(good.path))
    time.sleep(QUICK.expiry)
    is_beating(marker_of(good.path))
    assert lost == [], "no process took the bad one"
    marker_of(bad.path).unlink()
    wait_until(lambda: lost)
    assert "bad.lock: another job took this lock over" in lost[0]
    good.give_back()


def test_a_process_that_goes_to_another_folder_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with held(Path("x.lock"), timing=QUICK):
        monkeypatch.chdir("/")
        is_beating(marker_of(tmp_path / "x.lock"))
    assert list(tmp_path.iterdir()) == []


# The filesystem.


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"x\.lock: cannot write: Not a directory"):
        Lock(tmp_path / "file/x.lock").take()


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StoreError, match="cannot write: No such file or directory"):
        Lock(Path("/proc/nowhere/x.lock")).take()


def test_a_symbolic_link_is_not_followed(tmp_path: Path, path: Path) -> None:
    (target := tmp_path / "theirs").mkdir()
    (target / "letter").write_text("")
    path.parent.mkdir()
    path.symlink_to(target)
    lock = Lock(path, timing=QUICK)
    for _ in range(10):
        with pytest.raises(StoreError, match=r"x\.lock: cannot write"):
            lock.take()
        time.sleep(0.1)
    assert (target / "letter").exists()


def test_a_lock_of_version_0_1_0_is_a_file(path: Path) -> None:
    path.parent.mkdir()
    said = {"token": "1", **vars(Holder.here())}
    path.write_text(json.dumps(said))
    assert not Lock(path).take()
    path.write_text(json.dumps({**said, "started": "1"}))
    with held(path):
        assert path.is_dir()
    assert left(path) == []


@pytest.mark.parametrize("change", range(1, TAKE_OVER))
def test_one_process_takes_a_lock_of_version_0_1_0_over(path: Path, change: int) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"token": "1", **vars(Holder.here()), "started": "1"}))
    with Other(path) as first, Other(path) as second:
        first.begin(f"signal SIGSTOP {change}")
        first.begin("take")
        first.wait_until_stopped()
        assert second("take") == "True"
        first.process.send_signal(signal.SIGCONT)
        assert first.says() == "False"
        assert second("ours") == "True"


# The store and the results.

NAME = "a/s/131/x.fits"
# A process that names a file, and stops itself in the first sync of that.
COMMITTING = f"""{IMPORTS}
import signal
from math import inf
from flareset.store.store import Store
from flareset.system.locks import Timing
store = Store(path, "a", "s", timing=Timing(*eval(sys.argv[2])))
def main():
    with store.claim({NAME!r}) as part:
        part.write_bytes(b"right")
        sync, stops = os.fsync, [signal.SIGSTOP]
        def hang(descriptor):
            sync(descriptor)
            if stops:
                os.kill(os.getpid(), stops.pop())
        os.fsync = hang
        store.commit({NAME!r}, part, {{"bytes": 5}})
sys.exit(exit_status(main))
"""


def lock_of(store: Path) -> Path:
    """Return the one lock of a store."""
    (found,) = (store / ".locks").glob("*.lock")
    return found


@pytest.mark.parametrize("swept", [False, True], ids=["taken over", "swept"])
def test_a_part_is_out_of_reach_of_its_last_holder(tmp_path: Path, swept: bool) -> None:
    # The first is silent, and does not notice by itself.
    first = Store(tmp_path, "a", "s", timing=replace(QUICK, heartbeat=600.0))
    second = Store(tmp_path, "a", "s", timing=QUICK)
    with first.claim(NAME) as part, open(part, "ab", buffering=0) as theirs:
        theirs.write(b"begun")
        marker_of(lock_of(tmp_path)).unlink()
        if not swept:
            elsewhere(lock_of(tmp_path))
        with second.claim(NAME) as ours:
            assert ours.read_bytes() == b"begun"
            theirs.write(b" late")
            assert ours.read_bytes() == b"begun"
            with pytest.raises(StoreError, match="took this lock over"):
                first.commit(NAME, part, {})
            with pytest.raises(StoreError, match="has 5 bytes, and 4 came"):
                second.commit(NAME, ours, {"bytes": 4})
            second.commit(NAME, ours, {"bytes": 5})
    assert (tmp_path / NAME).read_bytes() == b"begun"


def test_a_holder_that_hangs_in_a_sync_does_not_name_the_bytes_of_another(tmp_path: Path) -> None:
    # Its own heartbeat tells it too late.
    slow = repr(tuple(vars(replace(QUICK, heartbeat=60.0)).values()))
    words = [sys.executable, "-c", COMMITTING, str(tmp_path), slow]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as first:
        _, status = os.waitpid(first.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        moved_elsewhere(lock_of(tmp_path))
        with Store(tmp_path, "a", "s", timing=QUICK).claim(NAME) as ours:
            # As long as the other's, and not proven yet.
            ours.write_bytes(b"wrong")
            first.send_signal(signal.SIGCONT)
            _, said = first.communicate(timeout=60)
            assert first.returncode == 1
            assert "another job took this lock over" in said
            assert not (tmp_path / NAME).exists()
            assert ours.read_bytes() == b"wrong"


def test_a_tar_that_another_job_has_taken_over_is_left(
    serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    archive = Bench(serve(), tmp_path / "bench").archive
    store = Store(tmp_path, "a", "s", timing=replace(QUICK, heartbeat=600.0))
    part = tmp_path / "a/s/tars/x.tar.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"theirs")
    tars = Tars(archive, store, keep=False)
    tars.dismiss("/x.tar")
    marker_of(lock_of(tmp_path)).unlink()
    elsewhere(lock_of(tmp_path))
    with pytest.raises(StoreError, match="took this lock over"):
        tars.__exit__(None, None, None)
    assert part.read_bytes() == b"theirs"


def test_a_part_of_a_process_killed_while_it_named_it_can_be_written(tmp_path: Path) -> None:
    store = Store(tmp_path, "a", "s")
    with store.claim(NAME) as part:
        part.write_bytes(b"begun")
        part.chmod(0o444)
    with store.claim(NAME) as part:
        # Root could write it as it was.
        assert part.stat().st_mode & 0o200
        assert part.read_bytes() == b"begun"


@pytest.mark.parametrize("left", ["x.fits.part.new", "x.fits.part.json"])
def test_what_a_power_loss_kept_of_a_part_goes(tmp_path: Path, left: str) -> None:
    store = Store(tmp_path, "a", "s")
    with store.claim(NAME) as part:
        part.with_name(left).write_bytes(b"left")
        part.write_bytes(b"right")
        store.commit(NAME, part, {"bytes": 5})
        assert not part.with_name(left).exists()
        part.with_name(left).write_bytes(b"left")
    store.tidy(NAME)
    assert not part.with_name(left).exists()


def test_a_store_that_a_run_on_another_machine_uses(tmp_path: Path) -> None:
    store = Store(tmp_path, "a", "s", timing=QUICK)
    run = elsewhere(tmp_path / ".locks/run-1.lock", owner="/theirs")
    with store.in_use("/theirs"):
        assert run.exists()
    with beating(run), pytest.raises(StoreError, match=r"\(from /theirs\): process \d+ on c2"):
        store.in_use("/ours").__enter__()
    # Its machine is dead.
    with store.in_use("/ours"):
        assert not run.exists()


def test_a_run_leaves_nothing_of_those_that_died(tmp_path: Path) -> None:
    locks = tmp_path / ".locks"
    holding(locks / "run-1.lock", started="1")
    holding(locks / "ab.lock", started="1")
    holding(locks / "ab.lock.0123456789abcdef0123456789abcdef", started="1")
    clone(locks / "run-2.lock", owner="/ours")
    holding(locks / "cd.lock").write_bytes(b"")
    (locks / "ef.lock").mkdir()
    with Store(tmp_path, "a", "s", timing=QUICK).in_use("/ours"):
        assert len(list(locks.iterdir())) == 1
    assert list(locks.iterdir()) == []


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
    waits = f"waits for {Holder.here()}, which does the same job (of a run that was killed?)"
    assert caplog.messages == [waits]
    assert slept[-1] >= 5, "its Snakemake may have to clear up"
    with alone(tmp_path, sleep):
        pass
    assert len(caplog.messages) == 1
