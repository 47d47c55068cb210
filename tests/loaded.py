"""A Python that has loaded what takes long to load, and forks for each command.

Loading takes most of the time of a command that finds little to do; what it does is the same.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

# Snakemake brings some of these only while it runs. Nothing of ours: a test may edit that.
_LOADED = (
    *("snakemake.cli", "snakemake.report", "jinja2", "jsonschema", "smart_open", "yte"),
    *("astropy.io.fits", "bs4", "pandas", "requests"),
)
_MOST = 1 << 20
_LONGEST = 300.0


def run(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a command of this Python says in a folder, on both outputs, and its exit code.

    Before the Python may stand another program, like `nsenter`, that gets a loaded one of its own.
    Behind it stand `-m` and a module, or a script. AssertionError after 300 s.
    """
    place = command.index(sys.executable)
    before = tuple(command[:place])
    if before not in _RUNNING:
        _RUNNING[before] = _Loaded(before)
    try:
        code, text = _RUNNING[before].run([command[place + 1 :], str(folder), dict(environment)])
    except BaseException:
        # It may still be at this command; the next one gets another.
        _RUNNING.pop(before).end()
        raise
    return subprocess.CompletedProcess(command, code, text)


def end() -> None:
    """End what is loaded, and a command that was interrupted."""
    while _RUNNING:
        _RUNNING.popitem()[1].end()


class _Loaded:
    def __init__(self, before: Sequence[str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*before, sys.executable, __file__],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                # Who forks has no threads.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )

    def run(self, asked: list[object]) -> tuple[int, str]:
        reader, writer = os.pipe()
        late = threading.Timer(_LONGEST, self._kill)
        with open(reader) as out:
            with open(writer, "wb"):
                socket.send_fds(self._channel, [json.dumps(asked).encode()], [writer])
            late.start()
            code = b""
            try:
                text = out.read()
                with suppress(ConnectionResetError):
                    code = self._channel.recv(_MOST)
            finally:
                late.cancel()
                late.join()
        assert code, f"not done in {_LONGEST} s: {text}"
        return int(code), text

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        self._kill()
        self._process.wait()
        self._channel.close()


_RUNNING: dict[tuple[str, ...], _Loaded] = {}


def _serve() -> None:
    for name in _LOADED:
        import_module(name)
    # What is loaded is no garbage, in no fork.
    gc.freeze()
    channel = socket.socket(fileno=0)
    while True:
        asked, descriptors, *_ = socket.recv_fds(channel, _MOST, 1)
        if not asked:
            return
        (out,) = descriptors
        if not (child := os.fork()):
            channel.close()
            _run(out, *json.loads(asked))
            return
        os.close(out)
        _, status = os.waitpid(child, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(out: int, words: list[str], folder: str, environment: dict[str, str]) -> None:
    # The lowest that is free, and so standard input.
    os.open(os.devnull, os.O_RDONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if words[0] == "-m":
        sys.path[0], sys.argv = folder, words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = os.path.dirname(os.path.abspath(words[0])), words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _serve()
