"""Call a function in another process, so that its work does not hold up the threads of this one."""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import LifoQueue
from typing import Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Helper = subprocess.Popen[bytes]
log = logging.getLogger(__name__)


class Aside(Generic[_P, _R]):
    """A function of a module, called in at most `most` other processes at a time.

    A process starts with the first call that needs it, and ends with this process, even if this one
    is killed. Arguments and results are pickled.
    """

    def __init__(self, function: Callable[_P, _R], most: int) -> None:
        self._function = function
        # A process that waits for a call, or None for one that was not started.
        self._idle: LifoQueue[_Helper | None] = LifoQueue()
        for _ in range(most):
            self._idle.put(None)
        atexit.register(self._close)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return what the function returns, or raise what it raises.

        If the process ends without an answer, the function is called here.
        """
        helper = self._idle.get()
        try:
            helper = helper or self._start()
            pickle.dump((args, kwargs), helper.stdin)
            helper.stdin.flush()
            answer = pickle.load(helper.stdout)
        except BaseException as error:
            # Its late answer must not be taken for that of the next call.
            if helper is not None:
                _end(helper)
            helper, answer = None, None
            # pickle raises what it likes on bytes that are no answer.
            if not isinstance(error, Exception):
                raise
            log.warning("a process that helps this one ended: %r", error)
        finally:
            self._idle.put(helper)
        if answer is None:
            return self._function(*args, **kwargs)
        failed, result = answer
        if failed:
            raise result
        return result

    def _start(self) -> _Helper:
        name = self._function.__module__, self._function.__qualname__
        return subprocess.Popen(
            [sys.executable, __file__, *name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _close(self) -> None:
        while not self._idle.empty():
            if (helper := self._idle.get()) is not None:
                _end(helper)


def _end(helper: _Helper) -> None:
    for pipe in (helper.stdin, helper.stdout):
        with suppress(OSError):
            pipe.close()
    helper.kill()
    helper.wait()


def _serve(module: str, name: str) -> None:
    """Answer calls of a function until the caller is gone."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    # What a library prints is no answer.
    os.dup2(2, 1)
    # The caller is told to end, and this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    function = getattr(import_module(module), name)
    with suppress(EOFError, BrokenPipeError):
        while True:
            args, kwargs = pickle.load(questions)
            try:
                answer = False, function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - it is raised in the caller
                answer = True, error
            answers.write(pickle.dumps(answer))


if __name__ == "__main__":
    # Python puts this folder there; its modules are found as those of the package.
    here = Path(__file__).parent
    sys.path[:] = [str(here.parents[1]), *(path for path in sys.path if Path(path) != here)]
    _serve(*sys.argv[1:])
