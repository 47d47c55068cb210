"""The back-off that all processes share."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bench import Bench, connected
from support.locking import QUICK, elsewhere

from flareset.archive.outage import Outage
from flareset.errors import TransferError
from flareset.standin.server import Fault, StandIn
from flareset.system.retry import retry_after

URL = "http://x.example"
BEGUN = time.time()
BUSY = TransferError("HTTP 503", unavailable=True)


@pytest.fixture(autouse=True)
def _begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin now, however long the tests have run: locks tell the time of the filesystem."""
    monkeypatch.setattr(sys.modules[__name__], "BEGUN", time.time())


def test_retry_after_holds_for_all(tmp_path: Path) -> None:
    slept: list[float] = []
    options = {"clock": lambda: 1e9 + sum(slept), "sleep": slept.append, "patience": 600.0}
    one, other = (connected(URL, tmp_path, **options) for _ in range(2))
    with pytest.raises(TransferError), one.lease():
        raise TransferError("HTTP 503", unavailable=True, retry_after=120.0)
    assert slept == []
    with other.lease():
        assert slept == [120.0], "another process waits as well"
    with one.lease():
        assert slept == [120.0]


def test_a_process_that_is_told_to_stay_away_for_a_day_does(tmp_path: Path) -> None:
    slept: list[float] = []
    options = {"clock": lambda: 1e9 + sum(slept), "sleep": slept.append, "patience": 600.0}
    for wait in (86400.0, 1e11):
        first = connected(URL, tmp_path, **options)
        with pytest.raises(TransferError), first.lease():
            raise TransferError("HTTP 503", unavailable=True, retry_after=wait)
        for connections in (first, connected(URL, tmp_path, **options)):
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
    connections = connected(URL, tmp_path, **options)
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
        connections = connected(URL, tmp_path, sleep=sleep, **options)
        for _ in range(times):
            with pytest.raises(TransferError) as error, connections.lease():
                raise TransferError("HTTP 503", unavailable=True)
        return error.value

    assert fail(30).down
    assert not fail(1).down, "a new run asks once for itself"
    assert fail(2).down, "and goes by what the others found"
    now[0] += 7200
    old = time.time() - 7200
    os.utime(tmp_path / "outage.json", (old, old))
    assert not fail(2).down


class Machine:
    """A machine that asks a server which is down, as often as the outage lets it."""

    def __init__(self, folder: Path, now: list[float], *, ahead: float, stamps: bool) -> None:
        self._file = folder / "outage.json"
        self._now = now
        self._ahead = ahead
        self._stamps = stamps
        self.asked: list[float] = []
        self.gave_up = False
        self.outage = Outage(
            folder,
            "x.example",
            patience=1800.0,
            # It was started some time ago.
            clock=lambda: 5e3 * ahead + now[0],
            wall=lambda: BEGUN + now[0] + ahead,
            jitter=lambda: 0.5,
        )

    def ask(self, wait: float = 0.0) -> None:
        """Ask if it is time to, and be told to wait."""
        if self.gave_up or self.outage.pause > 0:
            return
        try:
            with self.outage.turn():
                self.asked.append(self._now[0])
        except TransferError as error:
            self.gave_up = error.down
            return
        self.outage.failed(TransferError("HTTP 503", unavailable=True, retry_after=wait))
        # The filesystem's time is that of its server or, on some, that of the machine.
        written = BEGUN + self._now[0] + self._ahead * self._stamps
        os.utime(self._file, (written, written))


def play(folder: Path, ahead: float, *, stamps: bool) -> tuple[int, float]:
    """Return how often two machines ask in an outage, and when both give up (s).

    The clock of one machine is `ahead`.
    """
    folder.mkdir()
    now = [0.0]
    machines = [Machine(folder, now, ahead=by, stamps=stamps) for by in (0.0, ahead)]
    while not all(machine.gave_up for machine in machines) and now[0] < 7200:
        for machine in machines:
            machine.ask()
        now[0] += 1
    return sum(len(machine.asked) for machine in machines), now[0]


@pytest.mark.parametrize("stamps", [False, True], ids=["the server stamps", "machines stamp"])
@pytest.mark.parametrize("ahead", [-30.0, -2.0, 2.0, 30.0])
def test_machines_whose_clocks_differ(tmp_path: Path, ahead: float, stamps: bool) -> None:
    requests, gave_up = play(tmp_path / "differ", ahead, stamps=stamps)
    usual, in_time = play(tmp_path / "agree", 0.0, stamps=stamps)
    assert 12 < usual < 24
    assert abs(requests - usual) <= 2
    # Patience ends at a request, and then come pauses of up to 300 s for each machine.
    assert 1800 <= in_time <= 2700
    assert abs(gave_up - in_time) <= 300


@pytest.mark.parametrize("stamps", [False, True], ids=["the server stamps", "machines stamp"])
@pytest.mark.parametrize("ahead", [-30.0, -2.0, 2.0, 30.0])
def test_retry_after_holds_though_clocks_differ(tmp_path: Path, ahead: float, stamps: bool) -> None:
    now = [0.0]
    one, other = (Machine(tmp_path, now, ahead=by, stamps=stamps) for by in (0.0, ahead))
    one.ask(wait=120.0)
    while not other.asked:
        other.ask()
        now[0] += 1
    assert one.asked == [0]
    # A minute that clocks may differ by is waited too long at most.
    assert 120 <= other.asked[0] <= 180


def test_a_new_process_does_not_wait_for_what_is_over(tmp_path: Path) -> None:
    now = [0.0]
    Machine(tmp_path, now, ahead=0.0, stamps=False).ask(wait=120.0)
    now[0] += 120 + 60
    late = Machine(tmp_path, now, ahead=0.0, stamps=False)
    assert late.outage.pause == 0


def test_one_process_at_a_time_asks_a_server_that_is_down(tmp_path: Path) -> None:
    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) > 3:
            raise KeyboardInterrupt

    options = {"patience": 600.0, "jitter": lambda: 0.0, "sleep": lambda _: None}
    outage = Outage(tmp_path, "x.example", clock=lambda: 1e4 * outage_age[0], **options)
    outage_age = [0]
    for _ in range(10):
        outage.failed(BUSY)
    outage_age[0] = 1
    other = Outage(tmp_path, "x.example", check=check, timing=QUICK, **options)
    with outage.turn(), pytest.raises(KeyboardInterrupt):
        other.turn().__enter__()


def test_a_machine_that_died_at_a_probe_is_not_waited_for(tmp_path: Path) -> None:
    elsewhere(tmp_path / "probe.lock")
    age = [0.0]
    outage = Outage(tmp_path, "x.example", patience=600.0, clock=lambda: age[0], timing=QUICK)
    for _ in range(10):
        outage.failed(BUSY)
    age[0] = 500.0
    begun = time.monotonic()
    with outage.turn():
        assert time.monotonic() - begun >= QUICK.expiry


@pytest.mark.parametrize("text", ["", "{", "[]", '{"count": 1, "x": 2}'])
def test_a_file_that_cannot_be_read_is_no_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "outage.json").write_text(text)
    outage = Outage(tmp_path, "x.example", patience=600.0)
    assert (outage.failures, outage.pause) == (0, 0)
    outage.failed(BUSY)
    assert outage.failures == 1
