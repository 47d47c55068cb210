"""Run commands of this Python by forks of a Python that has loaded slow modules.

A command that finds little to do spends most of its time loading; a fork does the same without. The
Pythons that such a command starts are forks, too. A test about processes (how they end, what they
share) starts a new Python instead.
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
    """Run a command of this Python in a folder. Return its exit status, and both outputs as one.

    Another program, like `nsenter`, may come before the Python; it gets a loaded Python of its own,
    and so do other PYTHON... variables. `-m` and a module, or a script, come after it. Raises
    AssertionError after `longest` seconds.
    """
    place = command.index(sys.executable)
    asked = tuple(command[:place]), frozenset(fork.read_at_start(environment).items())
    try:
        words = command[place + 1 :]
        code, text = _loaded(*asked).run(words, str(folder), dict(environment), longest)
    except BaseException:
        # It may still be running this command, so the next command gets another loaded Python.
        _RUNNING.pop(asked).end()
        raise
    return subprocess.CompletedProcess(command, code, text)


def python(folders: str) -> Path:
    """Return a program that acts as this Python with `folders` as PYTHONPATH, by a fork."""
    variables = fork.read_at_start(os.environ) | ({"PYTHONPATH": folders} if folders else {})
    return _loaded((), frozenset(variables.items())).python


def _loaded(before: tuple[str, ...], variables: frozenset[tuple[str, str]]) -> _Loaded:
    if (before, variables) not in _RUNNING:
        _RUNNING[before, variables] = _Loaded(before, dict(variables))
    return _RUNNING[before, variables]


def end() -> None:
    """End all loaded Pythons, and a command that was interrupted."""
    while _RUNNING:
        _RUNNING.popitem()[1].end()


class _Loaded:
    """A loaded Python, and the program that commands find as `python`."""

    def __init__(self, before: Sequence[str], variables: Mapping[str, str]) -> None:
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
            others = os.environ.keys() - fork.read_at_start(os.environ).keys()
            environment = {name: os.environ[name] for name in others} | variables
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
        """Run a command. Return its exit status and its output."""
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


_RUNNING: dict[tuple[tuple[str, ...], frozenset[tuple[str, str]]], _Loaded] = {}
