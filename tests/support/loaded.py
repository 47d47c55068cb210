"""Commands of this Python, run by forks of one that has loaded what takes long to load.

Loading takes most of the time of a command that finds little to do; what it does is the same. The
Pythons that such a command starts are forks too. A test whose claim is about processes (how they
end, what they share) starts a Python of its own instead.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from support import fork

_HERE = Path(__file__).parent
_LONGEST = 300.0


def run(
    command: list[str], folder: Path, environment: Mapping[str, str], longest: float = _LONGEST
) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python in a folder; return its exit status and both its outputs as one.

    Before the Python may stand another program, like `nsenter`, that gets a loaded one of its own.
    Behind it stand `-m` and a module, or a script. AssertionError after `longest` seconds.
    """
    place = command.index(sys.executable)
    asked = tuple(command[:place]), environment.get("PYTHONPATH", "")
    try:
        words = command[place + 1 :]
        code, text = _loaded(*asked).run(words, str(folder), dict(environment), longest)
    except BaseException:
        # It may still be at this command; the next one gets another.
        _RUNNING.pop(asked).end()
        raise
    return subprocess.CompletedProcess(command, code, text)


def start_anew(
    command: list[str], folder: Path, environment: Mapping[str, str], longest: float = _LONGEST
) -> subprocess.CompletedProcess[str]:
    """Do what `run` does without a loaded Python. TimeoutExpired after `longest` seconds."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=longest,
    )


def python(folders: str) -> Path:
    """Return a program that does, by a fork, what this Python does with `folders` as PYTHONPATH."""
    return _loaded((), folders).python


def _loaded(before: tuple[str, ...], folders: str) -> _Loaded:
    if (before, folders) not in _RUNNING:
        _RUNNING[before, folders] = _Loaded(before, folders)
    return _RUNNING[before, folders]


def end() -> None:
    """End what is loaded, and a command that was interrupted."""
    while _RUNNING:
        _RUNNING.popitem()[1].end()


class _Loaded:
    """A loaded Python, with what commands find as `python`."""

    def __init__(self, before: Sequence[str], folders: str) -> None:
        # Not in a test's folder: its path would be too long for a socket.
        self._folder = Path(tempfile.mkdtemp(prefix="loaded-"))
        self._socket = str(self._folder / "socket")
        self.python = self._folder / "python"
        client = [sys.executable, "-I", "-S", str(_HERE / "fork.py"), self._socket]
        self.python.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
        self.python.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(self._socket)
            door.listen()
            environment = {**os.environ, "PYTHONPATH": folders}
            if not folders:
                del environment["PYTHONPATH"]
            self._process = subprocess.Popen(
                [*before, sys.executable, str(_HERE / "fork_server.py"), str(self.python)],
                stdin=door,
                stdout=subprocess.DEVNULL,
                # A process that forks has no threads.
                env={**environment, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )

    def run(
        self, words: list[str], folder: str, environment: dict[str, str], longest: float
    ) -> tuple[int, str]:
        """Run a command; return its exit status and what it wrote."""
        reader, writer = os.pipe()
        late = threading.Timer(longest, self._kill)
        with open(reader) as out:
            with open(writer, "wb"), open(os.devnull) as empty:
                lent = {0: empty.fileno(), 1: writer, 2: writer}
                channel = fork.ask(self._socket, words, folder, environment, lent)
            late.start()
            try:
                text = out.read()
                code = fork.status(channel)
            except (ConnectionResetError, EOFError):
                raise AssertionError(f"not done in {longest} s: {text}") from None
            finally:
                late.cancel()
                late.join()
                channel.close()
        assert code is not None, "PYTHON... variables other than those of the tests"
        return code, text

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the loaded Python and its forks."""
        self._kill()
        self._process.wait()
        shutil.rmtree(self._folder)


_RUNNING: dict[tuple[tuple[str, ...], str], _Loaded] = {}
