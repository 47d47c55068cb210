"""Locks that other processes hold, on this machine or seemingly on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from flareset.system.locks import Holder, Timing
from support.project import ROOT

# A tenth of the usual intervals or less. They still suit a busy machine.
QUICK = Timing(heartbeat=0.1, expiry=1.5, reboot=0.8, unreadable=0.4, poll=(0.01, 0.05))
# A process that runs commands on a lock from its standard input. Just before the `count`-th change
# of a file in the lock's folder it sends itself the signal `kind`.
_PROGRAM = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from math import inf
from pathlib import Path
from flareset.system.locks import Lock, Timing

path, timing = Path(sys.argv[1]), Timing(*eval(sys.argv[2]))
lock = Lock(path, "theirs", timing=timing)
kind, count = 0, 0
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")

def watch(event, args):
    global count
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if (writes or event in CHANGES) and str(args[0]).startswith(str(path.parent)):
        count -= 1
        if count == 0:
            os.kill(os.getpid(), kind)

for line in sys.stdin:
    word, *rest = line.split()
    if word == "signal":
        kind, count = getattr(signal, rest[0]), int(rest[1])
        sys.addaudithook(watch)
    elif word == "changes":
        print(-count, flush=True)
    elif word == "ours":
        print(lock.ours, flush=True)
    else:
        print(getattr(lock, word)(), flush=True)
"""


class Other:
    """Another process that has its own view of the lock at `path`.

    `within` are words before its command, such as those of `unshare`.
    """

    def __init__(self, path: Path, timing: Timing = QUICK, within: Sequence[str] = ()) -> None:
        times = repr(tuple(asdict(timing).values()))
        command = [*within, sys.executable, "-c", _PROGRAM, str(path.absolute()), times]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, word: str) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def says(self) -> str:
        """Return the next answer; empty if the process has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __call__(self, word: str) -> str:
        self.begin(word)
        return self.says()

    def kill(self) -> None:
        """Send SIGKILL and wait for the process's end, so that it is no zombie."""
        self.process.kill()
        self.process.wait(60)

    def wait_until_stopped(self) -> None:
        """Wait until the process has stopped itself."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def holding(path: Path, owner: str = "", **how: Any) -> Path:
    """Write the marker of a lock that this process holds. `how` replaces facts about the holder."""
    path.mkdir(parents=True, exist_ok=True)
    marker = path / "0123456789abcdef0123456789abcdef"
    marker.write_text(json.dumps(asdict(replace(Holder.here(owner=owner), **how))))
    return marker


def elsewhere(path: Path, **how: Any) -> Path:
    """Write the marker of a lock that a process on another machine holds."""
    return holding(path, **{"host": "c2", "machine": "another", "boot": "another", **how})


def clone(path: Path, **how: Any) -> Path:
    """Write the marker of a lock that a process on a clone of this machine holds."""
    return holding(path, **{"boot": "another", **how})


@contextmanager
def beating(
    marker: Path, interval: float = QUICK.heartbeat, *, behind: float = 0.0
) -> Iterator[None]:
    """Touch a marker while the block runs, as a living holder with a clock `behind` (s) does."""

    def touch() -> None:
        now = time.time() - behind
        os.utime(marker, (now, now))

    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(interval):
            touch()

    touch()
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wait_until(happened: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
