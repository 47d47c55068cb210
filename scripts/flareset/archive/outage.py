"""The failures of a server, shared by all processes that use the server: one back-off for all.

The processes, on any machine, meet in a folder. A file there has the failures since the last
answer. It contains durations instead of times, since the clocks of two machines may differ. A
process measures the file's age by its own clock since it first read the file. The age before that
comes from the filesystem's clock.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from flareset.errors import TransferError
from flareset.system.files import write_text
from flareset.system.locks import USUAL, Lock, Timing, held
from flareset.system.retry import backoff

# After so many failures in a row, of all processes together, the server counts as down.
_DOWN = 10
# The longest pause of the back-off (s): while the server counts as down, and before.
_LONGEST, _LONGEST_BEFORE = 300.0, 60.0
# An older failure (s) belongs to another outage: this is longer than a pause with its time-outs.
_FORGOTTEN = 900.0
# This machine's clock and the filesystem's differ by less (s).
_SKEW = 60.0
# A longer pause (s) is logged.
_LONG = 60.0
# The rounding error of a sum of durations (s).
_INSTANT = 0.001
# Pause (s) between two looks whether another process has finished its probe.
_LOOK = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failures:
    """The failures since the last answer. All times are durations in seconds.

    `lasting` is the time from the first failure to the last. After the last, no process sends a
    request for `pause`; `asked`: the server asked for this pause (Retry-After). `key` is new with
    each state of the file.
    """

    key: str = ""
    count: int = 0
    lasting: float = 0.0
    pause: float = 0.0
    asked: bool = False
    problem: str = ""


class Outage:
    """The failures of `server`, and when the next request is due.

    `patience` is how long (seconds) the server may be down. `check` is called before each wait, and
    may raise. `clock` is monotonic, `wall` returns seconds since 1970. Tests pass these two,
    `sleep` and `jitter` (0 to 1).
    """

    def __init__(
        self,
        folder: Path,
        server: str,
        *,
        patience: float,
        check: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
        timing: Timing = USUAL,
    ) -> None:
        self.patience = patience
        self._path = folder / "outage.json"
        self._server = server
        self._check = check
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._jitter = jitter
        self._timing = timing
        # The key of the file's last known state, and when this process first read that state.
        self._known = "", 0.0
        self._failed_here = False

    @property
    def failures(self) -> int:
        """The number of failures in a row, of all processes."""
        return self._read()[0].count

    @property
    def pause(self) -> float:
        """Seconds until the back-off is over."""
        failures, age = self._read()
        return max(0.0, failures.pause - age)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until the back-off is over. While the server is down, one process at a time goes on.

        Raises a TransferError that is `down` if the wait would end after patience.
        """
        probe = Lock(self._path.with_name("probe.lock"), timing=self._timing)
        deadline, told = self._clock() + self.patience, False
        while True:
            self._check()
            failures, age = self._read()
            rest, left = failures.pause - age, deadline - self._clock()
            if self._is_over_patience(failures, rest, left):
                raise self._given_up(failures, rest)
            if not failures.asked:
                rest = min(rest, left)
            if rest > _INSTANT:
                if rest > _LONG and not told:
                    log.info("%s: %s; waiting for %.0f s", self._server, failures.problem, rest)
                    told = True
                self._sleep(rest)
            elif failures.count < _DOWN:
                yield
                return
            elif probe.take():
                with probe:
                    yield
                return
            else:
                time.sleep(_LOOK)

    def answered(self) -> None:
        """Note that the server has answered."""
        self._failed_here = False
        if not self.failures:
            return
        with self._held() as lock:
            before, age = self._read(lock.now())
            # A pause that the server asked for holds even if another connection gets an answer.
            rest = max(0.0, before.pause - age) if before.asked else 0.0
            self._write(replace(before, count=0, lasting=0.0, pause=rest))
        if before.count >= _DOWN:
            log.info("%s answers again", self._server)

    def failed(self, error: TransferError) -> None:
        """Note that the server has failed, and for how long no process sends a request."""
        with self._held() as lock:
            before, age = self._read(lock.now())
            if age - before.pause > _FORGOTTEN:
                before = Failures()
            count, lasting = before.count + 1, before.lasting + age if before.count else 0.0
            pause = max(self._backoff(count, lasting), error.retry_after)
            # An earlier pause that ends later stays in force.
            rest = max(0.0, before.pause - age)
            asked = before.asked if rest > pause else pause == error.retry_after
            pause = max(pause, rest)
            self._write(Failures("", count, lasting, pause, asked, str(error)))
            self._failed_here = True
        if count == _DOWN:
            log.warning(
                "%s seems to be down (%s): asking now and then, for up to %s (archive.patience)",
                self._server,
                error,
                timedelta(seconds=round(self.patience)),
            )

    def _backoff(self, count: int, lasting: float) -> float:
        """Return the pause after a failure. No pause ends after patience, for a last request."""
        longest = _LONGEST if count >= _DOWN else _LONGEST_BEFORE
        left = self.patience - lasting
        return min(backoff(count, self._jitter(), longest), left if left > 0 else longest)

    def _is_over_patience(self, failures: Failures, rest: float, left: float) -> bool:
        """Return whether a process gives up waiting for the server.

        A process makes at least one request of its own, unless the server asked for a longer pause
        than its patience.
        """
        if self._failed_here and failures.count:
            return failures.lasting + failures.pause > self.patience + _INSTANT
        return failures.asked and rest > left

    def _given_up(self, failures: Failures, rest: float) -> TransferError:
        failing = timedelta(seconds=round(failures.lasting))
        often = f", {failures.count} times in a row in {failing}" if failures.count > 1 else ""
        return TransferError(
            f"{self._server}: {failures.problem}{often}; another"
            f" {timedelta(seconds=max(0, round(rest)))} of waiting would be over archive.patience"
            f" ({timedelta(seconds=round(self.patience))}). Run again when it is back: files that"
            " arrived are kept",
            permanent=True,
            down=True,
        )

    def _held(self) -> AbstractContextManager[Lock]:
        return held(self._path.with_name("outage.lock"), timing=self._timing)

    def _read(self, now: float | None = None) -> tuple[Failures, float]:
        """Return the failures, and the least time (seconds) since the last one.

        `now` is the filesystem's time; by default this machine's time is used instead.
        """
        try:
            with open(self._path, encoding="utf-8") as file:
                failures, written = Failures(**json.load(file)), os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError, TypeError):
            return Failures(), 0.0
        if self._known[0] != failures.key:
            self._known = failures.key, self._clock()
        passed = (self._wall() if now is None else now) - written - _SKEW
        return failures, max(passed, self._clock() - self._known[1])

    def _write(self, failures: Failures) -> None:
        failures = replace(failures, key=uuid4().hex)
        write_text(json.dumps(asdict(failures)), self._path)
        self._known = failures.key, self._clock()
