"""What a command costs: wall clock, CPU and peak memory, its children's with it.

Linux counts the memory of who starts a process as that process's own until it runs its program. So
a small script in between starts the command: this very file.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds of wall clock and of CPU (user and system), and MB of the largest process."""

    seconds: float
    cpu: float
    peak_mb: float


def cost_of(command: list[str], log: Path) -> Cost:
    """Run a command, its output into `log`; ends the script with that log where it fails."""
    import subprocess

    launcher = [sys.executable, "-I", "-S", __file__]
    told = log.with_name(f"{log.name}.cost")
    with open(log, "w") as out:
        args = [*launcher, str(told), *command]
        status = subprocess.run(args, stdout=out, stderr=subprocess.STDOUT).returncode
    if status:
        sys.exit(f"{command[0]} ended with status {status}:\n{log.read_text()[-3000:]}")
    return Cost(*map(float, told.read_text().split()))


def _launch(told: str, command: list[str]) -> int:
    begun = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(process, 0)
    seconds = time.perf_counter() - begun
    with open(told, "w") as out:
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6
        out.write(f"{seconds:.3f} {cpu:.3f} {peak:.1f}")
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1], sys.argv[2:]))
