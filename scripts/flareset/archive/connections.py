"""The connections to a server: their number is limited over all of a user's processes and machines.

The processes meet in a folder that their machines share. There, each slot for a connection is a
lock, and so is the place of each process that waits for a slot.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from flareset import __version__
from flareset.archive.outage import Outage
from flareset.errors import FlaresetError, StoreError, TransferError
from flareset.system.endings import at_end
from flareset.system.locks import USUAL, Lock, sweep
from flareset.system.locks import Timing as LockTiming
from flareset.system.loopback import is_loopback

USER_AGENT = f"flareset/{__version__} (solar flare data sets; python-requests)"


log = logging.getLogger(__name__)


class Stopped(FlaresetError):
    """The job is ending (`Connections.stopping` is set). A later run resumes its downloads."""


@dataclass(frozen=True)
class Timing:
    """Intervals (seconds) of connections.

    `turn`: how long a process keeps a slot while others wait. `idle`: how long a connection is kept
    for the next request. `linger`: how long both ends take to close it. `reserved`: how long a free
    slot is left to each process that came before this one. `told`: the wait after which a message
    is logged. `poll`: the first and the longest pause between two looks. `locks`: the intervals of
    the locks.
    """

    turn: float = 5.0
    idle: float = 0.5
    linger: float = 0.1
    reserved: float = 1.0
    told: float = 60.0
    poll: tuple[float, float] = (0.05, 0.5)
    locks: LockTiming = USUAL


class State(Enum):
    """The state of a slot in this process."""

    FREE = "not ours"
    HELD = "used by a request"
    IDLE = "kept for the next request until `due`"
    LEAVING = "closed, and given back at `due`"


@dataclass
class Slot:
    """One of the connections that all processes share. Times are monotonic (s)."""

    lock: Lock
    state: State = State.FREE
    session: requests.Session = field(default_factory=requests.Session)
    taken: float = 0.0
    due: float = 0.0
    free_since: float = 0.0
    looked: float = -1e9

    def free_for(self, longest_gap: float) -> float:
        """Look at the lock, and return how long (seconds) it is known to be free.

        After a gap longer than `longest_gap` the count starts again: another process may have held
        the lock meanwhile.
        """
        now = time.monotonic()
        if self.lock.holder() is not None or now - self.looked > longest_gap:
            self.free_since = now
        self.looked = now
        return now - self.free_since


class Queue:
    """The processes that wait for a slot, in the order in which they came."""

    def __init__(self, folder: Path, timing: LockTiming) -> None:
        self._folder = folder
        # A marker that is an hour old belongs to a machine that died: clocks differ by less.
        self._timing = replace(timing, forgotten=3600.0)
        self._own: Lock | None = None
        self._others: dict[Path, Lock] = {}

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Have a place in the queue while the block runs."""
        path = self._folder / f"waiter-{time.time_ns():020}-{uuid4().hex}.lock"
        # If this process hangs, others may remove its place, which does no harm.
        with Lock(path, timing=self._timing, lost=lambda _: None) as self._own:
            self._own.take()
            try:
                yield
            finally:
                self._own = None

    @property
    def is_joined(self) -> bool:
        """Whether this process waits."""
        return self._own is not None

    def ahead(self, *, has_slot: bool) -> int:
        """Return the number of processes ahead of this one.

        A process that has a slot already goes behind all others.
        """
        known, self._others = self._others, {}
        for path in self._folder.glob("waiter-*.lock"):
            lock = known.get(path) or Lock(path, timing=self._timing)
            if self._own and (path == self._own.path or (path > self._own.path and not has_slot)):
                continue
            if lock.holder() is None:
                lock.clear()
            else:
                self._others[path] = lock
        return len(self._others)


class Connections:
    """At most `most` connections to the server of `url`, each kept open from request to request.

    `patience` is how long (seconds) the server may be down. The processes meet in `folder`.
    `clock`, `sleep` and `jitter` are for the attribute `outage`, which counts failures.
    """

    def __init__(
        self,
        url: str,
        most: int,
        *,
        patience: float,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
        timing: Timing = Timing(),
    ) -> None:
        self.most = most
        self.stopping = threading.Event()
        self.outage = Outage(
            folder,
            urlsplit(url).netloc,
            patience=patience,
            check=self.stop_here,
            clock=clock,
            sleep=sleep or self.stopping.wait,
            jitter=jitter,
            timing=timing.locks,
        )
        self._url = url
        self._folder = folder
        self._timing = timing
        # Guards all attributes below.
        self._changed = threading.Condition()
        locks = [folder / f"slot-{number}.lock" for number in range(most)]
        self._slots = [Slot(Lock(path, timing=timing.locks)) for path in locks]
        self._queue = Queue(folder, timing.locks)
        self._closer: threading.Thread | None = None

    @contextmanager
    def lease(self) -> Iterator[requests.Session]:
        """Yield a session for one request, as soon as a slot is free and the back-off is over.

        If the block raises a TransferError that is `unavailable`, the server has failed, and all
        connections back off. Any other end of the block means that the server answered. Raises a
        TransferError that is `down` if the server has failed for longer than `patience`. After the
        block the connection stays open for a moment, for the next request.
        """
        slot = self._take()
        try:
            with self.outage.turn():
                try:
                    yield slot.session
                except Exception as error:
                    if isinstance(error, TransferError) and error.unavailable:
                        self.outage.failed(error)
                    else:
                        self.outage.answered()
                    raise
                else:
                    self.outage.answered()
        finally:
            self._release(slot)

    def close(self) -> None:
        """Close the connections that are not in use, and give their slots back."""
        latest = time.monotonic() + self._timing.reserved
        with self._changed:
            for slot in self._in(State.IDLE):
                self._leave(slot)
            while self._in(State.LEAVING) and time.monotonic() < latest:
                self._changed.wait(self._timing.poll[0])
            closer = self._closer
            self._changed.notify_all()
        if closer is not None:
            closer.join(max(0.0, latest - time.monotonic()))
        sweep(self._folder, timing=self._timing.locks)

    def stop_here(self) -> None:
        """Raise Stopped if the job is ending."""
        if self.stopping.is_set():
            raise Stopped("stopped")

    def _take(self) -> Slot:
        """Take a slot and return it. Wait while other processes hold all slots."""
        begun, told = time.monotonic(), False
        pause, longest = self._timing.poll
        with ExitStack() as queue, self._changed:
            while (slot := self._available()) is None:
                self.stop_here()
                # A process with a slot does not queue: it waits for its own slot.
                if self._has_slot:
                    queue.close()
                elif not self._queue.is_joined:
                    queue.enter_context(self._queue.joined())
                self._changed.wait(pause)
                pause = min(2 * pause, longest)
                waited = time.monotonic() - begun
                if not told and not self._has_slot and waited > self._timing.told:
                    server = urlsplit(self._url).netloc
                    log.info("waits for a connection to %s: other processes use all", server)
                    told = True
        return slot

    def _available(self) -> Slot | None:
        """Take a slot and return it; None if no slot is available now."""
        for slot in self._in(State.IDLE):
            slot.state = State.HELD
            return slot
        for slot in self._in(State.FREE):
            free = slot.free_for(2 * self._timing.poll[1])
            ahead = self._queue.ahead(has_slot=self._has_slot)
            if free >= ahead * self._timing.reserved and slot.lock.take():
                slot.state, slot.taken = State.HELD, time.monotonic()
                slot.session = self._session()
                return slot
        return None

    def _release(self, slot: Slot) -> None:
        """Keep the slot for the next request, or leave it to a process that waits."""
        with self._changed:
            slot.state, slot.due = State.IDLE, time.monotonic() + self._timing.idle
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_in_time, daemon=True)
                self._closer.start()
            self._changed.notify_all()
            had_its_turn = time.monotonic() - slot.taken > self._timing.turn
            if had_its_turn and self._queue.ahead(has_slot=True):
                self._leave(slot)

    def _leave(self, slot: Slot) -> None:
        """Close a connection. Its slot is given back a moment later, for the server to notice."""
        slot.session.close()
        slot.state, slot.due = State.LEAVING, time.monotonic() + self._timing.linger

    def _close_in_time(self) -> None:
        """Close idle connections when their time is over, and give their slots back."""
        with self._changed:
            while self._has_slot:
                now = time.monotonic()
                for slot in self._in(State.LEAVING):
                    if slot.due <= now:
                        with suppress(OSError):  # the next look tries again
                            slot.lock.give_back()
                            slot.state = State.FREE
                for slot in self._in(State.IDLE):
                    if slot.due <= now:
                        self._leave(slot)
                self._changed.wait(self._timing.poll[0])
            self._closer = None

    @property
    def _has_slot(self) -> bool:
        return any(slot.state is not State.FREE for slot in self._slots)

    def _in(self, state: State) -> list[Slot]:
        return [slot for slot in self._slots if slot.state is state]

    def _session(self) -> requests.Session:
        """Return a session with a single connection, even if it is redirected to another host."""
        session = requests.Session()
        session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        adapter = requests.adapters.HTTPAdapter(1, 1, max_retries=0, pool_block=True)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        # A server on this machine is reached without the proxy of the environment.
        session.trust_env = not is_loopback(self._url)
        return session


def _shut_sockets() -> None:
    """Shut down all connections of this process, which is ending, before it frees their slots."""
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):
            found = socket.socket(fileno=int(descriptor))
            if found.family in (socket.AF_INET, socket.AF_INET6):
                found.shutdown(socket.SHUT_RDWR)
            found.detach()


at_end(_shut_sockets)


def meeting_place(url: str) -> Path:
    """Return the folder where this user's processes that use the server of `url` meet.

    It lies in the home, which the machines of a cluster share, or in XDG_STATE_HOME. Raises
    StoreError if another user has put a link or a folder there.
    """
    address = urlsplit(url)
    # Other machines count as one server, whatever the port. This machine may have many servers.
    name = address.netloc if is_loopback(url) else address.hostname or ""
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        state.mkdir(parents=True, exist_ok=True)
        folder = _private(_private(state / "flareset") / name.lower().replace(":", "_"))
    except (OSError, RuntimeError) as error:
        raise StoreError(
            f"jobs meet in the home folder, which cannot be used ({error}): set XDG_STATE_HOME to"
            " a folder that all machines of the run share"
        ) from error
    return folder


def _private(folder: Path) -> Path:
    """Make a folder that only this user can use, and return it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StoreError(
            f"{folder}: belongs to another user, or is not a folder: remove it, or set"
            " XDG_STATE_HOME to a folder where others cannot write"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder
