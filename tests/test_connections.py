"""The cap on connections, over all processes of a user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.bench import connected
from support.locking import QUICK, elsewhere, holding, wait_until
from support.project import ONE_FLARE, ROOT, Project
from support.stages import in_process

from flareset.archive.connections import Connections, Timing, meeting_place
from flareset.errors import StoreError
from flareset.standin.server import Fault, StandIn

ASKING = """
import sys, threading
sys.path.insert(0, {scripts!r})
from pathlib import Path
from flareset.archive.connections import Connections, Timing
from flareset.system.locks import Timing as LockTiming

timing = Timing({timing})
connections = Connections({url!r}, 2, patience=1, folder=Path({folder!r}), timing=timing)
def ask():
    for _ in range({times}):
        with connections.lease() as session:
            session.get({url!r} + "/SUM1/D1/S00000/{name}").raise_for_status()
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
URL = "http://x.example"
# A process gives a slot to another that waits as soon as it can.
EAGER = Timing(turn=0.0)


def asking(server: StandIn, folder: Path, times: int, timing: str = "") -> subprocess.Popen[bytes]:
    """Return a process of four threads that want files, over two connections."""
    name = "aia.lev1_euv_12s.2014-01-07T180112Z.131.image_lev1.fits"
    scripts = str(ROOT / "scripts")
    code = ASKING.format(
        scripts=scripts,
        url=server.url,
        folder=str(folder),
        times=times,
        name=name,
        timing=timing,
    )
    return subprocess.Popen([sys.executable, "-c", code])


def test_the_cap_holds_over_processes(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    server = serve(faults=[Fault("stall", seconds=0.03)])
    processes = [asking(server, tmp_path / "meet", 5) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sum(server.log.values()) == 3 * 4 * 5
    assert server.most_at_once == 2


def test_a_killed_process_gives_its_connections_back(
    serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    server = serve(faults=[Fault("stall", seconds=60, times=2)])
    process = asking(server, tmp_path / "meet", 1)
    deadline = time.monotonic() + 60
    while sum(server.log.values()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    connections = connected(server.url, tmp_path / "meet")
    with connections.lease(), connections.lease():
        pass


def test_a_job_that_has_ended_leaves_its_connections_to_others(
    project: Project, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    # On another machine they would be taken for held for a minute.
    project.events(ONE_FLARE)
    project.use(serve())
    in_process(project, monkeypatch)
    state = Path(os.environ["XDG_STATE_HOME"])
    (folder,) = state.glob("flareset/*")
    assert list(folder.iterdir()) == []


def test_a_process_without_a_slot_gets_one_from_a_process_that_has_all(tmp_path: Path) -> None:
    first, second = (connected(URL, tmp_path, most=1, timing=EAGER) for _ in range(2))
    order: list[str] = []

    def later() -> None:
        with second.lease():
            order.append("second")

    waiting = threading.Thread(target=later)
    with first.lease() as session:
        waiting.start()
        time.sleep(0.2)
    deadline = time.monotonic() + 30
    while not order:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    waiting.join()
    with first.lease() as again:
        assert again is not session
    with first.lease() as same:
        assert same is again, "a connection is kept from request to request"


def test_the_process_that_came_first_gets_a_slot_first(tmp_path: Path) -> None:
    patient = replace(EAGER, reserved=10.0)
    order: list[int] = []

    def ask(number: int) -> None:
        with connected(URL, tmp_path, most=1, timing=patient).lease():
            order.append(number)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    with connected(URL, tmp_path, most=1, timing=patient).lease():
        # One that came just now looks more often than one that has waited for long.
        for number, asker in enumerate(askers):
            asker.start()
            wait_until(lambda number=number: len(list(tmp_path.glob("waiter-*.lock"))) > number)
            time.sleep(0.5)
    for asker in askers:
        asker.join()
    assert order == [0, 1, 2, 3]


def test_a_process_that_gives_a_slot_up_goes_after_those_that_wait(tmp_path: Path) -> None:
    first, second = (connected(URL, tmp_path, most=1, timing=EAGER) for _ in range(2))
    order: list[str] = []

    def ask() -> None:
        with second.lease():
            order.append("second")

    asker = threading.Thread(target=ask)
    with first.lease():
        asker.start()
        time.sleep(1.5 * EAGER.reserved)
    with first.lease():
        order.append("first")
    asker.join()
    assert order == ["second", "first"]


def test_a_process_that_waits_gets_one_slot_before_another_gets_two(tmp_path: Path) -> None:
    patient = replace(EAGER, reserved=10.0)
    first, second, third = (connected(URL, tmp_path, timing=patient) for _ in range(3))
    order: list[str] = []

    def ask(who: str, connections: Connections) -> None:
        with connections.lease():
            order.append(who)
            time.sleep(1)

    askers = [("second", second)] * 2 + [("third", third)]
    threads = [threading.Thread(target=ask, args=asker) for asker in askers]
    with first.lease(), first.lease():
        for thread in threads:
            thread.start()
            time.sleep(0.5)
    for thread in threads:
        thread.join()
    assert sorted(order[:2]) == ["second", "third"]


def test_a_process_that_hangs_while_it_waits_goes_on(
    serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    server = serve()
    quick = replace(EAGER, locks=QUICK)
    connections = connected(server.url, tmp_path / "meet", timing=quick)
    with connections.lease(), connections.lease():
        process = asking(server, tmp_path / "meet", 1, timing="locks=LockTiming(0.1, 1.5, 0.8)")
        (tmp_path / "meet").mkdir(exist_ok=True)
        wait_until(lambda: list((tmp_path / "meet").glob("waiter-*.lock/*")))
        process.send_signal(signal.SIGSTOP)
        # As on another machine.
        (marker,) = (tmp_path / "meet").glob("waiter-*.lock/*")
        said = json.loads(marker.read_text())
        marker.write_text(json.dumps({**said, "boot": "another", "machine": "another"}))
    until = time.monotonic() + 2 * QUICK.expiry
    while time.monotonic() < until:
        with connections.lease():
            time.sleep(0.02)
    assert not marker.exists(), "it is not waited for, and its place is gone"
    connections.close()
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0, "which does it no harm"


def test_a_process_that_died_elsewhere_long_ago_is_not_waited_for(tmp_path: Path) -> None:
    marker = elsewhere(tmp_path / f"waiter-{0:020}-x.lock")
    os.utime(marker, (time.time() - 86400,) * 2)
    with connected(URL, tmp_path, timing=replace(EAGER, reserved=1e6)).lease():
        pass
    assert not marker.exists()


def test_a_dead_process_s_slot_is_free_though_another_process_waits(tmp_path: Path) -> None:
    # One that is alive and hangs: it does not look at the slot.
    holding(tmp_path / f"waiter-{0:020}-x.lock")
    holding(tmp_path / "slot-0.lock", started="1")
    with connected(URL, tmp_path, most=1, timing=replace(EAGER, reserved=0.1)).lease():
        pass


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    for name in ("slot-7.lock", "slot-0.lock.ab", f"waiter-{0:020}-x.lock", "probe.lock"):
        holding(tmp_path / name, started="1")
    connections = connected(URL, tmp_path)
    with connections.lease():
        pass
    connections.close()
    assert list(tmp_path.iterdir()) == []


def test_storage_that_fails_takes_no_slot_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = connected(URL, tmp_path, most=1, timing=EAGER)
    unlink, failures = Path.unlink, iter([True] * 3)

    def fail(path: Path, **options: bool) -> None:
        if path.parent.name == "slot-0.lock" and next(failures, False):
            raise OSError(5, "Input/output error")
        unlink(path, **options)

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    lease = connections.lease()
    lease.__enter__()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", fail)
        with monkeypatch.context() as worse:
            worse.setattr(Path, "glob", refuse)
            with pytest.raises(OSError, match="Input/output error"):
                lease.__exit__(None, None, None)
        connections.close()
    with connected(URL, tmp_path, most=1).lease():
        pass


def test_jobs_of_all_machines_meet_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    place = meeting_place("http://jsoc.stanford.edu/")
    assert place == tmp_path / ".local/state/flareset/jsoc.stanford.edu"
    assert place.is_dir()
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with pytest.raises(StoreError, match="set XDG_STATE_HOME to a folder that all machines"):
        meeting_place("http://jsoc.stanford.edu/")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a state folder where others may write."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.mark.usefixtures("state")
def test_no_other_user_can_use_the_folder() -> None:
    before = os.umask(0)
    try:
        place = meeting_place("http://jsoc.stanford.edu/")
    finally:
        os.umask(before)
    for folder in (place, place.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    place.chmod(0o777)
    assert meeting_place("http://jsoc.stanford.edu/") == place
    assert place.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["flareset", "flareset/jsoc.stanford.edu"])
def test_a_link_in_the_state_folder_is_not_followed(state: Path, tmp_path: Path, name: str) -> None:
    (target := tmp_path / "theirs").mkdir()
    link = state / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    with pytest.raises(StoreError, match=rf"{name}: belongs to another user"):
        meeting_place("http://jsoc.stanford.edu/")
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("name", ["flareset", "flareset/jsoc.stanford.edu"])
def test_a_folder_of_another_user_is_refused(
    state: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = state / name
    folder.mkdir(parents=True)
    # Only root could give one of them to another user.
    owner = Path.lstat

    def of_another(path: Path) -> os.stat_result:
        found = owner(path)
        return os.stat_result((*found[:4], found.st_uid + (path == folder), *found[5:]))

    monkeypatch.setattr(Path, "lstat", of_another)
    with pytest.raises(StoreError, match=rf"{name}: belongs to another user"):
        meeting_place("http://jsoc.stanford.edu/")
