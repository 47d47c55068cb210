"""A process on this machine or another, and whether it still runs."""

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
    """A process and where it runs. All fields are empty for an unknown process.

    `boot` identifies the machine's current boot, `space` the namespace of process numbers,
    `started` the start of the process. Host names and machine-ids do not identify a machine:
    clones and containers share them.
    """

    host: str = ""
    machine: str = ""
    boot: str = ""
    space: str = ""
    pid: int = 0
    started: str = ""

    @classmethod
    def here(cls, **more: str) -> Self:
        """Return this process. `more` holds the fields that a subclass adds."""
        pid = os.getpid()
        return cls(*_place(), pid, _started(pid) or "", **more)

    @property
    def alive(self) -> bool | None:
        """Whether the process runs; None if this process cannot tell. A zombie does not run."""
        *_, boot, space = _place()
        if not space or (self.boot, self.space) != (boot, space):
            return None
        started = _started(self.pid)
        return None if started is None else bool(started) and started == self.started

    @property
    def rebooted(self) -> bool:
        """Whether the process seems to have run on this machine before its last reboot.

        A process on a living clone of this machine looks the same.
        """
        host, machine, boot, _ = _place()
        return bool(machine) and (self.host, self.machine) == (host, machine) and self.boot != boot

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "an unknown process"


@cache
def _place() -> tuple[str, str, str, str]:
    """Return this process's host, machine, boot and space; no space if /proc shows another's."""
    machine = space = ""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
    with suppress(OSError):
        # In some containers /proc shows the processes of another space, with other numbers.
        if os.readlink("/proc/self") == str(os.getpid()):
            space = os.readlink("/proc/self/ns/pid")
            # The time namespace shifts the start times that /proc shows. Older kernels have none.
            space += os.readlink("/proc/self/ns/time")
    return platform.node(), machine, boot_id(), space


def _started(pid: int) -> str | None:
    """Return when a process on this machine started, in the kernel's clock ticks.

    Empty if the process does not run any more, None if /proc does not show it.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if _is_gone(pid) else None
    # A killed process keeps its connections until its last thread has ended, and counts as running
    # until then (field 20 of stat: number of threads).
    return "" if state in "ZX" and fields[16] in "01" else fields[18]


def _is_gone(pid: int) -> bool:
    """Return whether no process has this number. /proc may hide processes of other users."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
