"""A process, of this machine or another, and whether it still runs."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from flareset.system.files import boot_id


@dataclass(frozen=True)
class Process:
    """A process and where it runs; all fields are empty where that is not known.

    `boot` is the start of the machine, `space` the space of its process numbers, `started` when
    the process started. Host names and machine-ids are for people: clones and containers share
    them.
    """

    host: str = ""
    machine: str = ""
    boot: str = ""
    space: str = ""
    pid: int = 0
    started: str = ""

    @classmethod
    def here(cls, **more: str) -> Self:
        """Return this process; a subclass has `more` fields."""
        pid = os.getpid()
        return cls(*_place(), pid, _started(pid) or "", **more)

    @property
    def alive(self) -> bool | None:
        """Whether the process runs; None where this process cannot tell.

        A zombie does not run.
        """
        *_, boot, space = _place()
        if not space or (self.boot, self.space) != (boot, space):
            return None
        started = _started(self.pid)
        return None if started is None else bool(started) and started == self.started

    @property
    def rebooted(self) -> bool:
        """Whether its machine seems to be this one, before it was started anew.

        A living clone of this machine looks the same.
        """
        host, machine, boot, _ = _place()
        return bool(machine) and (self.host, self.machine) == (host, machine) and self.boot != boot

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "an unknown process"


@cache
def _place() -> tuple[str, str, str, str]:
    """Return host, machine, boot and space of this process; no space where processes hide."""
    machine = space = ""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
    with suppress(OSError):
        # In some containers /proc shows the processes of another space, with other numbers.
        if os.readlink("/proc/self") == str(os.getpid()):
            space = os.readlink("/proc/self/ns/pid")
            # It shifts the start times that /proc shows; older kernels have none.
            space += os.readlink("/proc/self/ns/time")
    return platform.node(), machine, boot_id(), space


def _started(pid: int) -> str | None:
    """Return when a process of this machine started, in the kernel's count.

    Empty where it does not run any more, None where that cannot be seen.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if _is_gone(pid) else None
    # A killed process keeps its connections until its last thread has ended.
    return "" if state in "ZX" and fields[16] in "01" else fields[18]


def _is_gone(pid: int) -> bool:
    """Whether no process has this number. /proc may hide the processes of other users."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
