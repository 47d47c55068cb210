"""Logging. A job's log is its standard output; the terminal shows the same lines."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from flareset.system.progress import CLEARED


def add_terminal(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says where `job_log` shows the log, too."""
    parser.add_argument("--terminal", default=2, type=int, help="descriptor that shows the log too")


@contextmanager
def job_log(job: str = "", terminal: int | None = None) -> Iterator[list[TextIO]]:
    """Send the package's log records to standard output and, with `job`, to `terminal`.

    `terminal` is an inherited descriptor. It is not used if it is closed, or leads to the same
    place as standard output. Yields the streams that show progress: standard output, and
    `terminal` if it is a terminal.
    """
    logger = logging.getLogger("flareset")
    logger.setLevel(logging.INFO)
    with ExitStack() as stack:

        def add(handler: logging.Handler) -> None:
            logger.addHandler(handler)
            stack.callback(logger.removeHandler, handler)

        streams = [sys.stdout]
        add(_Log(sys.stdout))
        if terminal is not None and _is_elsewhere(terminal):
            add(_Terminal(job, terminal))
            if os.isatty(terminal):
                streams.append(
                    stack.enter_context(open(terminal, "w", encoding="utf-8", closefd=False))
                )
        yield streams


class _Log(logging.StreamHandler[TextIO]):
    """The job's log. A line that cannot be written ends the job, as a full disk does."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        raise


class _Terminal(logging.Handler):
    """The descriptor that Snakemake was given and shares with all jobs.

    Lines are written to the inherited descriptor. If a regular file were opened again, as by
    /dev/fd/3, that opening would have its own offset, and its lines would be overwritten. A job
    goes on if its terminal is closed.
    """

    def __init__(self, job: str, descriptor: int) -> None:
        super().__init__()
        # On a terminal a log line replaces the progress line.
        self._start = f"{CLEARED if os.isatty(descriptor) else ''}{job}: "
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            os.write(self._descriptor, f"{self._start}{self.format(record)}\n".encode())


def _is_elsewhere(descriptor: int) -> bool:
    """Return whether a descriptor is open and leads elsewhere than standard output."""
    try:
        return not os.path.samestat(os.fstat(descriptor), os.fstat(1))
    except OSError:
        return False
