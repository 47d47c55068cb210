"""The end of a process: exit status, signals, and what must be released before."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from flareset.errors import FlaresetError

_ENDING = (signal.SIGTERM, signal.SIGINT)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_releases: list[Callable[[], object]] = []


def at_end(release: Callable[[], object]) -> None:
    """Register a function for `end` to call. The last registered is called first.

    The function must not wait for a lock: any thread may hold it and never give it back.
    """
    _releases.append(release)


def exit_status(main: Callable[[], None]) -> int:
    """Run a script's `main` and return the exit status. Print the message of a FlaresetError."""
    for kind in _ENDING:
        if signal.getsignal(kind) is not signal.SIG_IGN:
            signal.signal(kind, _interrupt)
    _write_utf8()
    try:
        main()
    except FlaresetError as error:
        _tell(f"error: {error}")
        return 1
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"error: {where}{error.strerror}; free space on the disk, then run again")
        return 1
    except KeyboardInterrupt:
        _end()
    return 0


def _write_utf8() -> None:
    """Make the output streams write UTF-8, whatever the locale of a batch system."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def end(text: str) -> NoReturn:
    """Call the registered functions, print `text` and end this process at once.

    Other threads are not stopped first, since they may wait for a connection. A later run resumes
    their work.
    """
    # Ignore further signals while cleaning up. signal.signal() works in the main thread only.
    with suppress(ValueError):
        for kind in _ENDING:
            signal.signal(kind, signal.SIG_IGN)
    for release in reversed(_releases):
        with suppress(Exception):
            release()
    # Printed last: a pipe that nobody reads would block, and nothing would be released.
    _tell(text)
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(130)


def _tell(text: str) -> None:
    """Print to standard error; if that is a log on a full disk, print to the terminal.

    The rules pass the terminal as descriptor 3.
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            if os.isatty(3):
                os.write(3, f"{text}\n".encode())


def _interrupt(*_: object) -> None:
    # The first signal unwinds the main thread. A second one ends the process at once.
    for kind in _ENDING:
        signal.signal(kind, _end)
    raise KeyboardInterrupt


def _end(*_: object) -> None:
    end("interrupted; run again to go on from here")
