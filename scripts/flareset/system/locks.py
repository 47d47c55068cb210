"""Locks between machines, on a filesystem that the machines share.

The kernel's locks are not enough: some cluster filesystems silently keep them to one node.

A lock is a folder that contains one file, the marker of its holder. It has three properties:

- Taking is one rename. A process writes its marker in a folder of its own and renames that folder
  to the lock's name. rename(2) refuses where the lock's folder has a marker already.
- No two markers have the same name. A late removal of a marker never removes another holder's. So
  a process that hangs while it gives back or takes over a lock does no harm when it resumes.
- A process that is killed at any point leaves a free lock, or a lock whose holder is dead.

A holder touches its marker regularly (heartbeat). A lock expires in two cases. Its holder is known
to be dead: that can be seen only on the same machine since the same boot. Or its marker was not
touched for `Timing.expiry`, by the observer's own monotonic clock. Wall clocks of two machines are
compared in two cases only, after a reboot and for `Timing.forgotten`; they must differ by less
than `Timing.expiry`.

Limits:

- A zombie counts as dead at once on its own machine. On other machines every dead process counts
  as alive until its lock expires. So does a process that /proc does not show, because it runs in
  another container or belongs to a hidden user.
- A machine is identified by its boot id. Two machines resumed from one snapshot share the boot id,
  and would take each other's processes for dead.
- A living holder that cannot touch its marker for `Timing.expiry` loses the lock. The holder ends
  when it notices. Until then it may go on, so its last actions must be harmless (`Lock.check`).
- The filesystem must rename a folder atomically over an empty folder, and must show other machines
  when a file was touched. POSIX asks for both; a bucket that is mounted as a folder does neither.

filelock (4.3.1) is not used: its SoftFileLease has five faults, which `benchmarks/locks.py` shows.
It releases in two steps, look and unlink, and so may remove its successor's lock. It takes a living
lock of another machine with the same host name. It waits for ever for a holder that was killed
before it wrote its marker. It leaves `.break.` files. It takes over only by RENAME_EXCHANGE, which
NFS refuses.
"""

from __future__ import annotations

import errno
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self
from uuid import uuid4

from flareset.errors import StoreError
from flareset.system.endings import at_end, end
from flareset.system.files import write_all, writing
from flareset.system.processes import Process

# Errors for a file that was removed, perhaps by another machine.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


@dataclass(frozen=True)
class Timing:
    """Intervals (seconds). All processes that share a lock must agree on them.

    `heartbeat`: pause between two touches of a marker. `expiry`: how long a marker is observed
    untouched before its holder counts as dead. `reboot`: the same, if the holder seems to have run
    on this machine before a reboot. `unreadable`: the same, if a power loss took the marker's
    bytes. `forgotten`: age by this machine's clock above which an untouched marker has expired
    without observation. `poll`: first and longest pause between two attempts.
    """

    heartbeat: float = 5.0
    expiry: float = 60.0
    reboot: float = 12.0
    unreadable: float = 3.0
    forgotten: float = math.inf
    poll: tuple[float, float] = (0.02, 1.0)


USUAL = Timing()


@dataclass(frozen=True)
class Holder(Process):
    """The process that holds a lock. `owner` is the caller's own text."""

    owner: str = ""


class Lock:
    """The lock at `path`, for one thread at a time. `owner` is written into its marker.

    `lost` is called if another process takes the lock over while this one holds it. By default it
    ends this process, since the other does the work now.
    """

    def __init__(
        self,
        path: Path,
        owner: str = "",
        *,
        timing: Timing = USUAL,
        lost: Callable[[str], object] = end,
    ) -> None:
        self._given = path
        # The process may change its working folder.
        self.path = path.absolute()
        self.owner = owner
        self.timing = timing
        self.lost = lost
        self._marker: Path | None = None
        self._seen: dict[Path, _Observed] = {}

    def take(self) -> bool:
        """Take the lock if it is free or has expired; return whether this process holds it now.

        Raises StoreError if the lock cannot be written.
        """
        token = uuid4().hex
        marker = self.path / token
        # The marker is written where no process looks for a holder, then renamed with its folder.
        new = self.path.with_name(f"{self.path.name}.{token}") / token
        with writing(self._given):
            before = self._look()
            if not all(each.is_expired for each in before):
                return False
            try:
                _write(new, Holder.here(owner=self.owner))
                for each in before:
                    _unlink(each.path)
                _rename(new.parent, self.path)
                if taken := _read(marker) is not None:
                    self._hold(marker)
                else:
                    _remove(new)
            except BaseException:
                _remove(new)
                _remove(marker)
                raise
        return taken

    def give_back(self) -> None:
        """Release the lock. If another process took it over, that process's marker stays."""
        marker, self._marker = self._marker, None
        _held.discard(self)
        if marker is not None:
            try:
                _remove(marker)
            except OSError:
                self._marker = marker
                raise

    @property
    def ours(self) -> bool:
        """Whether this process holds the lock and no other has taken it over."""
        marker = self._marker
        return marker is not None and _read(marker) is not None

    def check(self) -> None:
        """Raise StoreError if another process has taken the lock over."""
        if not self.ours:
            raise StoreError(
                f"{self._given}: another job took this lock over, since this job had given no sign"
                f" of life for {self.timing.expiry:.0f} s. Run again: verified files are kept"
            )

    def now(self) -> float:
        """Return the filesystem's time (seconds) by touching the marker of the held lock."""
        assert self._marker is not None
        with writing(self._given):
            os.utime(self._marker)
            return self._marker.stat().st_mtime

    def holder(self) -> Holder | None:
        """Return the holder; None if the lock is free or has expired."""
        return next((each.holder for each in self._look() if not each.is_expired), None)

    def is_doubtful(self, wanted: Callable[[Holder], bool]) -> bool:
        """Return whether to wait until the holder proves to be alive or dead.

        Waiting is worthwhile for a `wanted` holder, and for any holder if it takes less than
        `timing.expiry`.
        """
        seen = [each for each in self._look() if not each.is_expired]
        doubtful = [each for each in seen if each.holder.alive is None and not each.beats]
        return any(each.limit < self.timing.expiry or wanted(each.holder) for each in doubtful)

    def clear(self) -> None:
        """Remove the files of a lock that has expired."""
        with writing(self._given):
            if all(each.is_expired for each in self._look()):
                for path in self._seen:
                    _unlink(path)
                with suppress(OSError):
                    self.path.rmdir()

    def _look(self) -> list[_Observed]:
        """Read the markers: at most one, apart from files that the filesystem itself makes."""
        before, self._seen = self._seen, {}
        for path in _markers(self.path):
            if found := _read(path):
                holder, touched = found
                seen = before.get(path) or _Observed(path, holder, touched, self.timing)
                seen.look(touched)
                self._seen[path] = seen
        return list(self._seen.values())

    def _hold(self, marker: Path) -> None:
        self._marker = marker
        _held.add(self)
        interval = self.timing.heartbeat
        if interval not in _hearts or not _hearts[interval].is_alive():
            _hearts[interval] = threading.Thread(target=_beat, args=(interval,), daemon=True)
            _hearts[interval].start()

    def touch(self) -> None:
        """Touch the marker (heartbeat). If another process has the lock, call `lost`."""
        if (marker := self._marker) is None:
            return
        # If this touch fails, the next one may still come in time.
        with suppress(OSError):
            os.utime(marker)
        try:
            self.check()
        except StoreError as error:
            if self._marker == marker:  # and was not given back meanwhile
                _held.discard(self)
                self.lost(f"error: {error}")
        except OSError:
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()


@contextmanager
def held(
    path: Path,
    owner: str = "",
    *,
    timing: Timing = USUAL,
    waiting: Callable[[str], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Lock]:
    """Hold a lock while the block runs.

    If another process holds it, call `waiting` once with the name of that process, then wait.
    """
    lock = Lock(path, owner, timing=timing)
    pause, longest = timing.poll
    told = False
    while not lock.take():
        if not told:
            waiting(str(lock.holder() or "another process"))
            told = True
        sleep(pause)
        pause = min(2 * pause, longest)
    with lock:
        yield lock


def sweep(
    folder: Path,
    wanted: Callable[[Holder], bool] | None = None,
    *,
    timing: Timing = USUAL,
    sleep: Callable[[float], object] = time.sleep,
) -> list[Holder]:
    """Remove a folder's expired locks. Return the holders of the other locks.

    With `wanted`, first wait while any lock is doubtful (`Lock.is_doubtful`).
    """
    locks = [Lock(path, timing=timing) for path in folder.glob("*.lock*")]
    # `sum` observes every lock each time; `any` would stop at the first doubtful one.
    while wanted and sum(lock.is_doubtful(wanted) for lock in locks):
        sleep(timing.poll[1])
    for lock in locks:
        lock.clear()
    return [holder for lock in locks if (holder := lock.holder())]


_held: set[Lock] = set()
# The threads that touch the markers of held locks, by interval.
_hearts: dict[float, threading.Thread] = {}


def _beat(interval: float) -> None:
    while True:
        time.sleep(interval)
        for lock in list(_held):
            if lock.timing.heartbeat == interval:
                lock.touch()


def give_all_back() -> None:
    """Give back all locks of this process, which ends without unwinding its threads."""
    for lock in list(_held):
        with suppress(OSError):
            lock.give_back()


at_end(give_all_back)


class _Observed:
    """A marker as this process has observed it."""

    def __init__(self, path: Path, holder: Holder, touched: int, timing: Timing) -> None:
        self.path = path
        self.holder = holder
        self.beats = 0
        # How long (s) a holder may be silent if the system cannot tell whether it is alive.
        self.limit = timing.expiry if holder.pid else timing.unreadable
        self.limit = timing.reboot if holder.rebooted else self.limit
        self._longest_gap = timing.heartbeat
        self._touched = touched
        self._looked = time.monotonic()
        # A reboot takes a while, so a marker from before is old. Clocks differ by less than
        # `expiry`: only an age above it counts as silence.
        known = timing.expiry if holder.rebooted else timing.forgotten
        self._silent = max(0.0, time.time() - touched / 1e9 - known)

    def look(self, touched: int) -> None:
        """Note when the marker was touched (ns).

        A gap between two looks counts for at most one heartbeat: this process may have been
        suspended, or the filesystem may have hung for both processes.
        """
        now = time.monotonic()
        if touched != self._touched:
            self._touched, self._silent = touched, 0.0
            self.beats += 1
        else:
            self._silent += min(now - self._looked, self._longest_gap)
        self._looked = now

    @property
    def is_expired(self) -> bool:
        """Whether the holder is dead, or silent for so long that it counts as dead."""
        alive = self.holder.alive
        return self._silent >= self.limit if alive is None else not alive


def _write(marker: Path, holder: Holder) -> None:
    """Write a marker in a folder of its own."""
    text = json.dumps(asdict(holder)).encode()
    for last in (False, False, True):
        try:
            marker.parent.mkdir(parents=True, exist_ok=True)
            with open(marker, "xb", buffering=0) as out:
                write_all(out, text)
            return
        except FileNotFoundError:
            # A sweep of another process removed the folder while it was empty.
            if last:
                raise


def _rename(folder: Path, path: Path) -> None:
    """Rename a folder, unless a folder that is not empty has the new name."""
    try:
        os.rename(folder, path)
    except OSError as error:
        # A network filesystem may lose its answer and repeat the call: the folder is gone since
        # it was renamed.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, *_GONE):
            raise


def _remove(marker: Path) -> None:
    """Remove a marker, and its folder if no other marker is there."""
    _unlink(marker)
    with suppress(OSError):
        marker.parent.rmdir()


def _unlink(marker: Path) -> None:
    """Remove a marker. Another process may have removed it, and may have its own lock there."""
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        marker.unlink()


def _markers(path: Path) -> list[Path]:
    """Return the paths of a lock's markers. A symbolic link is not followed."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            return [path]  # the locks of version 0.1.0 are files
        if error.errno in _GONE:
            return []
        raise
    try:
        return [path / name for name in os.listdir(folder)]
    finally:
        os.close(folder)


def _read(marker: Path) -> tuple[Holder, int] | None:
    """Return a marker's holder, and when it was touched (ns). None if it was removed."""
    try:
        # Opening a file bypasses the attribute cache of NFS.
        with open(os.open(marker, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            text, touched = file.read(), os.fstat(file.fileno()).st_mtime_ns
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        said = json.loads(text)
        return Holder(**{field.name: said[field.name] for field in fields(Holder)}), touched
    except (ValueError, TypeError, KeyError):
        return Holder(), touched
