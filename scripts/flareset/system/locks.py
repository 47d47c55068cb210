"""Locks that hold between machines: leases, files on a filesystem that the machines share.

The kernel's locks will not do: on some of a cluster's filesystems they hold on one node only, and
nothing says so. A lease is a file that only one process can make, and that its holder touches every
few seconds. It is over when the holder removes it; when the holder is gone, which its own machine
knows; or when it was not touched for a minute, as others saw by their own clocks.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Self
from uuid import uuid4

from flareset.errors import StoreError
from flareset.system.endings import at_end, end
from flareset.system.files import boot_id, writing

# A holder touches its leases this often (s); one that did not for so long is believed dead, and a
# lease whose bytes a power loss took, after a moment.
_TOUCHED, _SILENT, _NAMELESS = 5.0, 60.0, 3.0
# How often who waits looks (s).
_SOON, _LATER = 0.02, 1.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lease: a process, and where it runs. `owner` is for its own use."""

    token: str
    owner: str
    host: str
    machine: str
    boot: str
    space: str
    pid: int
    started: str

    @classmethod
    def here(cls, owner: str) -> Holder:
        """This process, with a token that no other lease has."""
        pid = os.getpid()
        return cls(uuid4().hex, owner, *_place(), pid, _started(pid) or "")

    @property
    def alive(self) -> bool | None:
        """Whether it still runs; None where this machine cannot tell."""
        host, machine, boot, space = _place()
        if not (machine and boot and self.boot) or (self.host, self.machine) != (host, machine):
            return None
        if self.boot != boot:
            return False  # the machine was started anew since
        if not space or self.space != space or (started := _started(self.pid)) is None:
            return None
        return bool(started) and started == self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Lease:
    """A lease that this process holds, given back when it is left as a context; `inherited` from a
    holder that fell silent and may yet wake up."""

    path: Path
    holder: Holder
    inherited: bool

    def check(self) -> None:
        """Raise StoreError where another process has taken it over."""
        if not self.ours:
            raise StoreError(
                f"{self.path}: another job took this lock over, since this one had not been heard"
                f" of for {_SILENT:.0f} s. Run again: what is verified is kept"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let others have it."""
        _keeper.leave(self)
        if self.ours:
            self.path.unlink(missing_ok=True)

    @property
    def ours(self) -> bool:
        """Whether nobody has taken it over."""
        return _holds(self.path, _text(self.holder))


def take(path: Path, owner: str = "") -> Lease | None:
    """A lease, or None where another holds it; StoreError where its file cannot be made.

    Should another take it over, this process ends: it was silent for a minute, and what it believes
    to hold is another's.
    """
    holder, inherited = Holder.here(owner), False
    if not _create(path, _text(holder)):
        found = _look(path)
        how = _end_of(path, found) if found else None
        if found is None or how is None or not _replace(path, found.text, _text(holder)):
            return None
        inherited = how == "silent"
    # It is kept, and given back, also when this process has gone to another folder.
    lease = Lease(path.absolute(), holder, inherited)
    _keeper.keep(lease)
    return lease


def holder_of(path: Path) -> Holder | None:
    """Who holds a lease; None where nobody does, or does not say so.

    What a process that is known to be dead has left is removed.
    """
    if (found := _look(path)) is None:
        return None
    how = _end_of(path, found)
    if how == "gone" and (lease := take(path)):
        lease.give_back()
    return found.holder if how is None else None


def living_holder(path: Path, sleep: Callable[[float], object] = time.sleep) -> Holder | None:
    """Who holds a lease, for sure: one on another machine is waited for until it shows a sign of
    life or has been silent for too long."""
    first: _Found | None = None
    while (holder := holder_of(path)) is not None:
        found = _look(path)
        if holder.alive or (first and found and found.touched != first.touched):
            return holder
        first = first or found
        sleep(_LATER)
    return None


@contextmanager
def held(
    path: Path,
    *,
    waiting: Callable[[str], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Lease]:
    """Hold a lease while the block runs; `waiting` is told once who has it, if another does."""
    pause, told = _SOON, False
    while (lease := take(path)) is None:
        if not told:
            waiting(str(holder_of(path) or "another process"))
            told = True
        sleep(pause)
        pause = min(2 * pause, _LATER)
    with lease:
        yield lease


def give_all_back() -> None:
    """Let others have what this process holds: it ends without unwinding its threads."""
    for lease in _keeper.kept():
        with suppress(OSError):
            lease.give_back()


@dataclass(frozen=True)
class _Found:
    """A lease's file: what stands in it, and when it was touched (ns)."""

    text: bytes
    touched: int

    @property
    def holder(self) -> Holder | None:
        try:
            said = json.loads(self.text)
            return Holder(**{field.name: said.get(field.name, "") for field in fields(Holder)})
        except (ValueError, AttributeError):
            return None


def _text(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def _create(path: Path, text: bytes) -> bool:
    """Make a lease's file, which has its bytes from the first; whether there was none."""
    with writing(path), _written(path, text) as new:
        try:
            os.link(new, path)
        except FileExistsError:
            return _holds(path, text)  # where only the answer of a network's filesystem was lost
        except OSError:
            # No hard links here.
            try:
                with open(path, "xb", buffering=0) as file:
                    file.write(text)
            except FileExistsError:
                return False
            return _holds(path, text)
    return True


def _replace(path: Path, old: bytes, text: bytes) -> bool:
    """Put other bytes in the place of a lease that is over; whether no other did, or does."""
    alone = path.with_name(f"{path.name}.over")
    with writing(path), _written(path, text) as new:
        try:
            open(alone, "xb").close()
        except FileExistsError:
            # Who was at it may have died, or only stand still.
            found = _look(alone)
            if found is not None and _silence(alone, found) >= _SILENT:
                alone.unlink(missing_ok=True)
            return False
        try:
            if not _holds(path, old):
                return False
            os.replace(new, path)
        finally:
            alone.unlink(missing_ok=True)
    _seen.pop(path, None)
    return True


@contextmanager
def _written(path: Path, text: bytes) -> Iterator[Path]:
    """A file with these bytes beside a lease, for as long as the block runs."""
    new = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        try:
            file = open(new, "wb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(new, "wb", buffering=0)  # noqa: SIM115
        with file:
            file.write(text)
        yield new
    finally:
        new.unlink(missing_ok=True)


def _look(path: Path) -> _Found | None:
    """A lease's file as it is now, which an open file shows and a cached name may not."""
    try:
        with open(path, "rb") as file:
            return _Found(file.read(), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ESTALE:  # removed by another machine while we read
            return None
        raise


def _holds(path: Path, text: bytes) -> bool:
    """Whether a lease's file is there, with these bytes."""
    found = _look(path)
    return found is not None and found.text == text


def _end_of(path: Path, found: _Found) -> str | None:
    """How a lease ended: `gone` or `silent`; None while it is held."""
    holder = found.holder
    alive = holder.alive if holder is not None else None
    if alive is not None:
        return None if alive else "gone"
    silent = _silence(path, found) >= (_SILENT if holder else _NAMELESS)
    return "silent" if silent else None


_seen: dict[Path, tuple[_Found, float, float]] = {}


def _silence(path: Path, found: _Found) -> float:
    """For how long (s) this process has seen a lease as it is. Time in which it did not look counts
    little: it may have stood still itself, or its filesystem may."""
    now = time.monotonic()
    before, silent, looked = _seen.get(path, (None, 0.0, now))
    silent = silent + min(now - looked, _TOUCHED) if before == found else 0.0
    _seen[path] = (found, silent, now)
    return silent


class _Keeper:
    """Touches the leases that this process holds."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Each with when it was last touched (s, monotonic).
        self._kept: dict[Lease, float] = {}
        self._thread: threading.Thread | None = None

    def kept(self) -> list[Lease]:
        with self._changed:
            return list(self._kept)

    def keep(self, lease: Lease) -> None:
        with self._changed:
            self._kept[lease] = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._touch_all, daemon=True)
                self._thread.start()

    def leave(self, lease: Lease) -> None:
        with self._changed:
            self._kept.pop(lease, None)

    def _touch_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(_TOUCHED)
                if not self._kept:
                    self._thread = None
                    return
            for lease in self.kept():
                if not self._touch(lease):
                    _check(lease)

    def _touch(self, lease: Lease) -> bool:
        """Whether a lease could be touched in the last minute, or is kept no more."""
        with suppress(OSError):  # five seconds later it may do
            if not lease.ours:
                return lease not in self.kept()
            os.utime(lease.path)
            with self._changed:
                if lease in self._kept:
                    self._kept[lease] = time.monotonic()
        with self._changed:
            return time.monotonic() - self._kept.get(lease, math.inf) < _SILENT


def _check(lease: Lease) -> None:
    """End this process where others have what it believes to hold, or that cannot be seen."""
    try:
        lease.check()
    except (StoreError, OSError) as error:
        end(f"error: {error}")


_keeper = _Keeper()
at_end(give_all_back)


@cache
def _place() -> tuple[str, str, str, str]:
    """Where this process runs: host, machine, start of the machine, space of process numbers."""
    machine = space = boot = ""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
    # Without these, only silence tells.
    with suppress(OSError):
        boot = boot_id()
        # In some containers /proc has the processes of another space, with other numbers.
        if os.readlink("/proc/self") == str(os.getpid()):
            space = os.readlink("/proc/self/ns/pid")
    return platform.node(), machine, boot, space


def _started(pid: int) -> str | None:
    """When a process of this machine started, as it counts; empty where it runs no more, None where
    that cannot be seen."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if _is_gone(pid) else None
    # One that was killed holds its connections until the last of its threads has ended.
    return "" if state in "ZX" and fields[16] in "01" else fields[18]


def _is_gone(pid: int) -> bool:
    """Whether no process has this number; /proc may hide what is another user's."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
