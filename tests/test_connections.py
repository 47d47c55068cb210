"""The cap on connections and the back-off that all of them share."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bench import Bench, connected
from support.project import ONE_FLARE, ROOT, Project
from support.stages import in_process
from test_lease import elsewhere, holding

from flareset.archive.connections import Connections, meeting_place
from flareset.errors import StoreError, TransferError
from flareset.standin.server import Fault, StandIn
from flareset.system.retry import retry_after

ASKING = """
import sys, threading
sys.path.insert(0, {scripts!r})
from pathlib import Path
from flareset.archive.connections import Connections

connections = Connections({url!r}, 2, patience=1, folder=Path({folder!r}))
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


def asking(server: StandIn, folder: Path, times: int) -> subprocess.Popen[bytes]:
    """A process of four threads that want files, over two connections."""
    name = "aia.lev1_euv_12s.2014-01-07T180112Z.131.image_lev1.fits"
    scripts = str(ROOT / "scripts")
    code = ASKING.format(
        scripts=scripts, url=server.url, folder=str(folder), times=times, name=name
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
    assert [path.name for path in state.rglob("*") if path.is_file()] == []


def test_who_has_none_gets_one_from_who_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    first, second = (connected("http://x.example", tmp_path, most=1) for _ in range(2))
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


def test_who_asked_first_gets_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    monkeypatch.setattr("flareset.archive.connections._LEFT", 10.0)
    order: list[int] = []

    def ask(number: int) -> None:
        with connected("http://x.example", tmp_path, most=1).lease():
            order.append(number)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    with connected("http://x.example", tmp_path, most=1).lease():
        # Who asked just now looks more often than who has waited for long.
        for number, asker in enumerate(askers):
            asker.start()
            while len(list(tmp_path.glob("asking-*.lock"))) <= number:
                time.sleep(0.01)
            time.sleep(0.5)
    for asker in askers:
        asker.join()
    assert order == [0, 1, 2, 3]


def test_who_gives_one_up_goes_after_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    monkeypatch.setattr("flareset.archive.connections._LEFT", 1.0)
    first, second = (connected("http://x.example", tmp_path, most=1) for _ in range(2))
    order: list[str] = []

    def ask() -> None:
        with second.lease():
            order.append("second")

    asker = threading.Thread(target=ask)
    with first.lease():
        asker.start()
        time.sleep(1.5)  # longer than a slot is left to others
    with first.lease():
        order.append("first")
    asker.join()
    assert order == ["second", "first"]


def test_who_waits_gets_one_before_another_gets_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    monkeypatch.setattr("flareset.archive.connections._LEFT", 10.0)
    first, second, third = (connected("http://x.example", tmp_path) for _ in range(3))
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


def test_who_stands_still_while_it_asks_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    monkeypatch.setattr("flareset.archive.connections._LEFT", 0.0)
    for name, seconds in (("_TOUCHED", 0.05), ("_SILENT", 0.3)):
        monkeypatch.setattr(f"flareset.system.locks.{name}", seconds)
    asking = tmp_path / f"asking-{0:020}-x.lock"
    elsewhere(asking)
    connections = connected("http://x.example", tmp_path)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        with connections.lease():
            time.sleep(0.02)
    assert asking.exists()


def test_who_died_elsewhere_long_ago_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEFT", 1e6)
    asking = tmp_path / f"asking-{0:020}-x.lock"
    elsewhere(asking)
    os.utime(asking, (time.time() - 86400,) * 2)
    with connected("http://x.example", tmp_path).lease():
        pass


def test_a_dead_process_s_connection_is_had_though_another_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEFT", 0.1)
    # One that is alive, and stands still: it does not look at the slot.
    holding(tmp_path / f"asking-{0:020}-x.lock")
    holding(tmp_path / "slot-0.lock", started="1")
    with connected("http://x.example", tmp_path, most=1).lease():
        pass


def test_storage_that_fails_takes_no_connection_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flareset.archive.connections._LEASE", 0.0)
    connections = connected("http://x.example", tmp_path, most=1)
    unlink, failures = Path.unlink, iter([True] * 3)

    def fail(path: Path, **options: bool) -> None:
        if path.name == "slot-0.lock" and next(failures, False):
            raise OSError(5, "Input/output error")
        unlink(path, **options)

    def refuse(_: Connections) -> int:
        raise StoreError("no room")

    lease = connections.lease()
    lease.__enter__()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", fail)
        broken.setattr(Connections, "_ahead", refuse)
        with pytest.raises(StoreError, match="no room"):
            lease.__exit__(None, None, None)
        connections.close()
    with connected("http://x.example", tmp_path, most=1).lease():
        pass


def test_retry_after_holds_for_all(tmp_path: Path) -> None:
    slept: list[float] = []
    options = {"clock": lambda: 1e9 + sum(slept), "sleep": slept.append, "patience": 600.0}
    one, other = (connected("http://x.example", tmp_path, **options) for _ in range(2))
    with pytest.raises(TransferError), one.lease():
        raise TransferError("HTTP 503", unavailable=True, retry_after=120.0)
    assert slept == []
    with other.lease():
        assert slept == [120.0], "another process waits as well"
    with one.lease():
        assert slept == [120.0]


def test_who_is_told_to_stay_away_for_a_day_does(tmp_path: Path) -> None:
    slept: list[float] = []
    options = {"clock": lambda: 1e9 + sum(slept), "sleep": slept.append, "patience": 600.0}
    for wait in (86400.0, 1e11):
        first = connected("http://x.example", tmp_path, **options)
        with pytest.raises(TransferError), first.lease():
            raise TransferError("HTTP 503", unavailable=True, retry_after=wait)
        for connections in (first, connected("http://x.example", tmp_path, **options)):
            with pytest.raises(TransferError, match=r"HTTP 503; another .*day.*Run again"):
                connections.lease().__enter__()
        assert slept == []
        (tmp_path / "outage.json").unlink()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("", 0),
        ("²", 0),
        ("soon", 0),
        ("9" * 400, 366 * 86400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_an_answer_does_not_end_what_the_server_asked_for(tmp_path: Path) -> None:
    slept: list[float] = []
    options = {"clock": lambda: 1e9 + sum(slept), "sleep": slept.append, "patience": 600.0}
    connections = connected("http://x.example", tmp_path, **options)
    # The outer one is under way meanwhile, and ends well.
    with connections.lease(), pytest.raises(TransferError), connections.lease():
        raise TransferError("HTTP 429", unavailable=True, retry_after=50.0)
    with connections.lease():
        assert slept == [50.0]


def test_one_failure_slows_all_connections(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    b = Bench(serve(faults=[Fault("status", "T1801", times=1, retry_after=30)]), tmp_path / "s")
    assert b.fetch(8)["status"].tolist() == ["verified"] * 8
    assert max(b.waited) >= 29


def test_an_archive_that_is_down_is_asked_rarely_and_costs_no_file(
    serve: Callable[..., StandIn], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flareset")
    server = serve(faults=[Fault("status")])
    b = Bench(server, tmp_path / "store", patience=36000.0, outage=7200.0)
    manifest = b.fetch()
    assert manifest["status"].tolist() == ["verified"] * 4
    assert sum("seems to be down (HTTP 503" in line for line in caplog.messages) == 1
    assert sum("answers again" in line for line in caplog.messages) == 1
    # Two hours of 150 to 450 s, after the first ten.
    assert sum(server.log.values()) < 10 + 48 + 20


def test_patience_ends_with_what_to_do(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    b = Bench(serve(faults=[Fault("html")]), tmp_path / "store", patience=1800.0)
    manifest = b.fetch(30)
    assert manifest["status"].tolist() == ["failed"] * 30
    # The first are given up for themselves, with one connection left; the rest was not asked for.
    last = manifest["reason"].str.contains(
        r"it is an HTML page.*, \d+ times in a row in 0:\d\d:\d\d; another .*Run again"
    )
    assert last.sum() >= 26
    assert sum(b.server.log.values()) < 30
    assert sum(b.waited) >= 1700
    assert b.stored() == []


def test_an_outage_of_long_ago_is_forgotten(tmp_path: Path) -> None:
    now = [1e9]
    options = {"clock": lambda: now[0], "patience": 100.0}

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def fail(times: int) -> TransferError:
        connections = connected("http://x.example", tmp_path, sleep=sleep, **options)
        for _ in range(times):
            with pytest.raises(TransferError) as error, connections.lease():
                raise TransferError("HTTP 503", unavailable=True)
        return error.value

    assert fail(30).down
    assert not fail(1).down, "a new run asks once for itself"
    assert fail(2).down, "and goes by what the others found"
    now[0] += 7200
    assert not fail(2).down


def test_jobs_of_all_machines_meet_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    place = meeting_place("http://jsoc.stanford.edu/")
    assert place == tmp_path / ".local/state/flareset/jsoc.stanford.edu"
    assert place.is_dir()
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with pytest.raises(StoreError, match="set XDG_STATE_HOME to a folder that all machines"):
        meeting_place("http://jsoc.stanford.edu/")
