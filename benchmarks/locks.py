"""What befalls processes that share a lock: filelock's SoftFileLease beside the package's own.

`python benchmarks/locks.py` plays each case with two or three processes and prints what came of
it. It needs filelock (4.3.1 was measured), which the package itself does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = str(Path(__file__).parents[1] / "scripts")
# How long a silent holder is believed to live, and how long a case waits for the lock (s).
EXPIRY, WAIT = 1.0, 10.0
# Each begins a process that takes a lock and does what it is told on its standard input.
THEIRS = f"""
import os, signal, sys
from pathlib import Path
import filelock
import filelock._filesystem._exchange as exchange
import filelock._identity._process as process
import filelock._soft._exclusive._recovery as recovery
lock = filelock.SoftFileLease(
    sys.argv[1], lease_duration={EXPIRY}, heartbeat_interval={EXPIRY / 5}, thread_local=False
)
def another_machine():
    process._BOOT_ID = 12345
def without_exchange():
    # What Linux's NFS client answers to a rename with flags.
    exchange._rename_call = lambda: (lambda *_: 22, 2)
def take(wait):
    try:
        lock.acquire(timeout=wait, poll_interval=0.02)
    except filelock.Timeout:
        pass
    return lock.is_locked
def holds():
    return lock.is_locked
def sweep():
    pass
give_back = lock.release
"""
OURS = f"""
import os, signal, sys, time
sys.path.insert(0, {SCRIPTS!r})
from pathlib import Path
from flareset.system import locks, processes
from flareset.system.locks import Lock, Timing
timing = Timing({EXPIRY / 5}, {EXPIRY}, {EXPIRY}, {EXPIRY})
lock = Lock(Path(sys.argv[1]), timing=timing, lost=print)
def another_machine():
    place = processes._place()
    processes._place = lambda: (*place[:2], "another", place[3])
def without_exchange():
    pass
def take(wait):
    until = time.monotonic() + wait
    while not (taken := lock.take()) and time.monotonic() < until:
        time.sleep(0.02)
    return taken
def holds():
    return lock.ours
def sweep():
    locks.sweep(lock.path.parent)
give_back = lock.give_back
"""
TOLD = """
def strike(kind, *events):
    # A signal just before a change of the lock's files.
    def watch(event, args):
        if event in events and str(args[0]).startswith(sys.argv[1]):
            os.kill(os.getpid(), kind)
    sys.addaudithook(watch)
def strike_writing(kind):
    os.write = lambda *_: os.kill(os.getpid(), kind)
    from io import FileIO
    import builtins
    plain = builtins.open
    class Struck(FileIO):
        def write(self, data):
            os.kill(os.getpid(), kind)
    def opened(file, mode="r", *args, **more):
        return Struck(file, mode) if "x" in mode else plain(file, mode, *args, **more)
    builtins.open = opened
def strike_taking_over(kind):
    if "recovery" in globals():
        recovery.exchange_names = lambda *_: os.kill(os.getpid(), kind)
    else:
        strike(kind, "os.rename")
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Process:
    """A process that shares the lock at `path`."""

    def __init__(self, program: str, path: Path) -> None:
        command = [sys.executable, "-c", program + TOLD, str(path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def begin(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "True\n"

    def __call__(self, text: str) -> bool:
        self.begin(text)
        return self.end()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Shared:
    """A lock, and the processes that share it, which run one program."""

    def __init__(self, program: str, folder: Path) -> None:
        self.path = folder / "x.lock"
        self._program = program
        self._processes: list[Process] = []

    def start(self) -> Process:
        self._processes.append(Process(self._program, self.path))
        return self._processes[-1]

    def end(self) -> None:
        for process in self._processes:
            process.kill()


def killed_before_it_wrote_its_marker(lock: Shared) -> str:
    first, second = lock.start(), lock.start()
    first("strike_writing(signal.SIGKILL)")
    first(f"take({WAIT})")
    first.kill()
    return taken_after(second)


def killed_in_a_takeover(lock: Shared) -> str:
    dead, first, second = lock.start(), lock.start(), lock.start()
    dead("take(1)")
    dead.kill()
    first("strike_taking_over(signal.SIGKILL)")
    first(f"take({WAIT})")
    first.kill()
    said = taken_after(second)
    for _ in range(3):
        second("give_back()")
        second(f"take({WAIT})")
    second("give_back()")
    second("sweep()")
    left = len(list(lock.path.parent.iterdir()))
    return f"{said}; left behind after three more holds: {left}"


def hangs_in_giving_back(lock: Shared) -> str:
    first, second, third = lock.start(), lock.start(), lock.start()
    first("another_machine()")
    first("take(1)")
    first("strike(signal.SIGSTOP, 'os.remove')")
    first.begin("give_back()")
    os.waitpid(first.process.pid, os.WUNTRACED)
    said = taken_after(second)
    first.process.send_signal(signal.SIGCONT)
    first.end()
    holders = third("take(0)") + second("holds()")
    return f"{said}; when the first goes on, this many others hold it: {holders}"


def of_a_clone_alive(lock: Shared) -> str:
    first, second = lock.start(), lock.start()
    first("another_machine()")
    first("take(1)")
    return taken_after(second)


def dead_on_a_filesystem_without_exchange(lock: Shared) -> str:
    first, second = lock.start(), lock.start()
    second("without_exchange()")
    first("take(1)")
    first.kill()
    return taken_after(second)


def taken_after(process: Process) -> str:
    begun = time.monotonic()
    taken = process(f"take({WAIT})")
    return (
        f"taken after {time.monotonic() - begun:.1f} s" if taken else f"not taken in {WAIT:.0f} s"
    )


CASES = {
    "holder killed before it wrote its marker": killed_before_it_wrote_its_marker,
    "process killed inside a takeover": killed_in_a_takeover,
    "holder hangs in giving back": hangs_in_giving_back,
    "living holder, a clone of this machine": of_a_clone_alive,
    "dead holder, a filesystem without RENAME_EXCHANGE": dead_on_a_filesystem_without_exchange,
}


def main() -> None:
    for name, case in CASES.items():
        print(name)
        for kind, program in (("SoftFileLease", THEIRS), ("system/locks", OURS)):
            with tempfile.TemporaryDirectory() as folder:
                shared = Shared(program, Path(folder))
                print(f"    {kind:<15}{case(shared)}", flush=True)
                shared.end()


if __name__ == "__main__":
    main()
