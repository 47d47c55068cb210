"""The connections to one server: a cap on them, and one back-off for all.

Both hold over all processes of a user, on all machines that share a home: a slot is a lease there,
the back-off a small file that every process reads.
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from flareset import __version__
from flareset.errors import FlaresetError, StoreError, TransferError
from flareset.system.endings import at_end
from flareset.system.files import write_text
from flareset.system.locks import Lease, held, holder_of, take
from flareset.system.loopback import is_loopback
from flareset.system.retry import backoff

USER_AGENT = f"flareset/{__version__} (solar flare data sets; python-requests)"
# So many failures in a row, of all connections together, and the archive counts as down.
_DOWN = 10
_LONGEST_PROBE = 300.0
# A failure so long ago belongs to another outage: longer than a probe and its time-outs.
_FORGOTTEN = 900.0
# A file that its holder touches, and was not for so long: clocks differ by less.
_LONG_AGO = 3600.0
# How long others wait for a slot before it is given on, and how often they look.
_LEASE, _LOOK, _LONGEST_LOOK = 5.0, 0.05, 0.5
# How long a connection is kept for the next request, how long it takes both ends to let go, and how
# long a free slot is left to each of those who asked before.
_KEPT, _LINGER, _LEFT = 0.5, 0.1, 1.0

log = logging.getLogger(__name__)
# Whoever waits longer is told why.
_LONG = 60.0


class Stopped(FlaresetError):
    """The job is ending (`Connections.stopping` is set); what was begun is left to be resumed."""


@dataclass(frozen=True)
class _Outage:
    """Failures since the last success: how many, from when to when (seconds since 1970), what the
    last one was, and until when nothing is asked for, which the server may have `asked` us."""

    failures: int = 0
    since: float = 0.0
    last: float = 0.0
    until: float = 0.0
    problem: str = ""
    asked: bool = False


@dataclass
class _Slot:
    lease: Lease
    session: requests.Session
    since: float


class Connections:
    """At most `most` connections to the server of `url`, each kept open from request to request.

    `patience` is how long (seconds) the server may fail at everything; `say` is told when it seems
    to be down and when it is back. `folder` is where the processes that use it meet. `clock`
    (seconds since 1970), `sleep` and `jitter` (0 to 1) are passed in by tests.
    """

    def __init__(
        self,
        url: str,
        most: int,
        *,
        patience: float,
        folder: Path,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.patience = patience
        self._local = is_loopback(url)
        self._server = urlsplit(url).netloc
        self._folder = folder
        self._asking: Path | None = None
        self.most = most
        self._clock = clock
        self.stopping = threading.Event()
        self._sleep = sleep or self.stopping.wait
        self._jitter = jitter
        self._changed = threading.Condition()
        self._held: dict[int, _Slot] = {}
        # Slots that are not in use, each with the time when it is closed.
        self._idle: dict[int, float] = {}
        self._leaving: dict[int, float] = {}
        # Slots that others may have first: since when they were seen to be free, and until when.
        self._free: dict[int, tuple[float, float]] = {}
        self._closer: threading.Thread | None = None
        self._failed_here = False

    @contextmanager
    def lease(self) -> Iterator[requests.Session]:
        """A session for one request, as soon as a slot is free and the back-off is over.

        A TransferError that is `unavailable`, raised in the block, is a failure of the server, and
        all connections back off; any other end of the block is an answer. Raises a TransferError
        that is `down` where the server has failed for longer than patience.

        The connection is kept open for a moment, for the next request.
        """
        with self._slot() as slot, self._turn():
            try:
                yield slot.session
            except Exception as error:
                if isinstance(error, TransferError) and error.unavailable:
                    self._failed(error)
                else:
                    self._answered()
                raise
            else:
                self._answered()

    def close(self) -> None:
        """Close the connections that are not in use, and let others have them."""
        latest = time.monotonic() + _LEFT
        with self._changed:
            for number in list(self._idle):
                self._leave(number)
            while self._leaving and time.monotonic() < latest:
                self._changed.wait(_LOOK)

    def stop_here(self) -> None:
        """Raise Stopped where the job is ending."""
        if self.stopping.is_set():
            raise Stopped("stopped")

    @property
    def failures(self) -> int:
        """How often in a row the server has failed, whoever asked."""
        return self._outage().failures

    @property
    def pause(self) -> float:
        """Seconds until the back-off is over."""
        return max(0.0, self._outage().until - self._clock())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until the back-off is over; while the server is down, one request at a time."""
        latest, told = self._clock() + self.patience, False
        while True:
            self.stop_here()
            outage = self._outage()
            if self._failed_here and outage.failures:
                hopeless = outage.until - outage.since > self.patience
            else:
                # Who has not asked yet does so once, unless the server wants to be left alone.
                hopeless = outage.asked and outage.until > latest
            if hopeless:
                raise self._given_up(outage)
            pause = (outage.until if outage.asked else min(outage.until, latest)) - self._clock()
            if pause > 0:
                if pause > _LONG and not told:
                    why = outage.problem
                    log.info("%s: %s; waiting for %.0f s", self._server, why, pause)
                    told = True
                self._sleep(pause)
            elif outage.failures < _DOWN:
                yield
                return
            else:
                if alone := take(self._folder / "probe.lock"):
                    with alone:
                        yield
                    return
                with self._changed:
                    self._changed.wait(_LOOK)

    def _given_up(self, outage: _Outage) -> TransferError:
        failing = timedelta(seconds=round(outage.last - outage.since))
        often = f", {outage.failures} times in a row in {failing}" if outage.failures > 1 else ""
        asked = timedelta(seconds=max(0, round(outage.until - self._clock())))
        return TransferError(
            f"{self._server}: {outage.problem}{often}; another {asked} of waiting would be over"
            f" archive.patience ({timedelta(seconds=round(self.patience))}). Run again when it is"
            " back: what arrived is kept",
            permanent=True,
            down=True,
        )

    @contextmanager
    def _slot(self) -> Iterator[_Slot]:
        number = self._take()
        try:
            yield self._held[number]
        finally:
            self._give_back(number)

    def _take(self) -> int:
        """The number of a slot that is now ours, waiting while others have them all."""
        begun, told, pause = time.monotonic(), False, _LOOK
        with ExitStack() as asking, self._changed:
            while True:
                self.stop_here()
                if self._idle:
                    return self._idle.popitem()[0]
                for number in range(self.most):
                    if number not in self._held and self._leased(number):
                        return number
                # Only who has none at all may ask others for theirs.
                if self._held:
                    asking.close()
                elif self._asking is None:
                    asking.enter_context(self._ask())
                self._changed.wait(pause)
                pause = min(2 * pause, _LONGEST_LOOK)
                if not told and not self._held and time.monotonic() - begun > _LONG:
                    log.info("waits for a connection to %s: others have them all", self._server)
                    told = True

    @contextmanager
    def _ask(self) -> Iterator[None]:
        """Ask the other processes for a slot; the names are in the order of time."""
        self._asking = self._folder / f"asking-{time.time_ns():020}-{uuid4().hex}.lock"
        try:
            with held(self._asking):
                yield
        finally:
            self._asking = None

    def _ahead(self) -> int:
        """How many others go before us: who has a slot goes after all who ask for one."""
        others = [path for path in self._folder.glob("asking-*.lock") if path != self._asking]
        if self._asking and not self._held:
            others = [path for path in others if path.name < self._asking.name]
        return sum(_asks(path) for path in others)

    def _leased(self, number: int) -> bool:
        """Whether a slot could be had from the other processes."""
        path, now = self._folder / f"slot-{number}.lock", time.monotonic()
        if holder_of(path) is not None:
            self._free.pop(number, None)
            since = now
        else:
            since, looked = self._free.get(number, (now, now))
            if now - looked > 2 * _LONGEST_LOOK:
                since = now  # others may have had it meanwhile
            self._free[number] = since, now
        if (ahead := self._ahead()) and now - since < ahead * _LEFT:
            return False
        if lease := take(path):
            self._free.pop(number, None)
            self._held[number] = _Slot(lease, self._session(), now)
        return lease is not None

    def _give_back(self, number: int) -> None:
        with self._changed:
            self._idle[number] = time.monotonic() + _KEPT
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_in_time, daemon=True)
                self._closer.start()
            self._changed.notify_all()
            if time.monotonic() - self._held[number].since > _LEASE and self._ahead():
                self._leave(number)

    def _close_in_time(self) -> None:
        """Close what nobody uses, for other processes to have."""
        with self._changed:
            while self._held:
                now = time.monotonic()
                for number in [n for n, due in self._leaving.items() if due <= now]:
                    with suppress(OSError):  # it is tried again at the next look
                        self._held[number].lease.give_back()
                        del self._held[number], self._leaving[number]
                for number in [n for n, due in self._idle.items() if due <= now]:
                    self._leave(number)
                self._changed.wait(_LOOK)
            self._closer = None

    def _leave(self, number: int) -> None:
        """Close a connection, and let go of its slot when the server has noticed."""
        del self._idle[number]
        self._held[number].session.close()
        self._leaving[number] = time.monotonic() + _LINGER

    def _session(self) -> requests.Session:
        """A session of one connection, whatever host it is redirected to."""
        session = requests.Session()
        session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        adapter = requests.adapters.HTTPAdapter(1, 1, max_retries=0, pool_block=True)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        # A proxy is for the archive; this machine is reached without it.
        session.trust_env = not self._local
        return session

    def _outage(self) -> _Outage:
        try:
            outage = _Outage(**json.loads((self._folder / "outage.json").read_text()))
        except (OSError, ValueError, TypeError):
            return _Outage()
        # One of the future is of a clock that was wrong.
        return outage if outage.last <= self._clock() else _Outage()

    def _answered(self) -> None:
        self._failed_here = False
        if not self._outage().failures:
            return
        with held(self._folder / "outage.lock"):
            before = self._outage()
            # A wait that the server asked for holds, whatever another connection brings.
            until = before.until if before.asked else 0.0
            self._write(replace(before, failures=0, since=0.0, until=until))
        if before.failures >= _DOWN:
            log.info("%s answers again", self._server)

    def _failed(self, error: TransferError) -> None:
        with held(self._folder / "outage.lock"):
            before = self._outage()
            now = self._clock()
            if not before.failures or now - max(before.last, before.until) > _FORGOTTEN:
                before = replace(before, failures=0, since=now)
            failures = before.failures + 1
            longest = _LONGEST_PROBE if failures >= _DOWN else _LONGEST_PROBE / 5
            # The last question is asked when patience ends, not before.
            left = before.since + self.patience - now
            pause = min(backoff(failures, self._jitter(), longest), left if left > 0 else longest)
            pause = max(pause, error.retry_after)
            # What the server asks for goes before what we think of.
            asked = before.asked and before.until > now
            until = max(before.until, now + pause)
            asked = asked if until == before.until else error.retry_after == pause
            self._write(_Outage(failures, before.since, now, until, str(error), asked))
            self._failed_here = True
        if failures == _DOWN:
            log.warning(
                "%s seems to be down (%s): asking now and then, for up to %s (archive.patience)",
                self._server,
                error,
                timedelta(seconds=round(self.patience)),
            )

    def _write(self, outage: _Outage) -> None:
        write_text(json.dumps(asdict(outage)), self._folder / "outage.json")


def _asks(path: Path) -> bool:
    """Whether who has left this file still asks; one of another machine may have died long ago."""
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime < _LONG_AGO and holder_of(path) is not None
    return False


def _shut_sockets() -> None:
    """Shut down the connections of a process that ends, before others may have their slots."""
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):
            found = socket.socket(fileno=int(descriptor))
            if found.family in (socket.AF_INET, socket.AF_INET6):
                found.shutdown(socket.SHUT_RDWR)
            found.detach()


at_end(_shut_sockets)


def meeting_place(url: str) -> Path:
    """Where the processes of this user meet that use the server of `url`, on any machine of a
    cluster: they share a home. XDG_STATE_HOME names another place."""
    address = urlsplit(url)
    # One machine is one server, whatever its ports; but this one may have many.
    name = address.netloc if is_loopback(url) else address.hostname or ""
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        folder = state / "flareset" / name.lower().replace(":", "_")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise StoreError(
            f"jobs meet in the home folder, and it cannot be used ({error}): set XDG_STATE_HOME to"
            " a folder that all machines of the run share"
        ) from error
    return folder
