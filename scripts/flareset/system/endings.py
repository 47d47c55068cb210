"""How a process ends: exit status, signals, and what is released first."""

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
    """Register a function that `end` calls, the last registered first.

    The function must not wait: other threads may hold any lock.
    """
    _releases.append(release)


def exit_status(main: Callable[[], None]) -> int:
    """Run a script's `main`; print the message of a FlaresetError and return the exit status."""
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
        _tell(f"error: {where}{error.strerror}; make room, then run again")
        return 1
    except KeyboardInterrupt:
        _end()
    return 0


def _write_utf8() -> None:
    """Write UTF-8 to the log and the terminal, whatever the locale of a batch system."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def end(text: str) -> NoReturn:
    """Release what was registered, print `text` and end this process at once.

    Threads are not unwound: they may wait for a connection. What they began can be resumed.
    """
    # Ignore further signals while cleaning up. signal.signal() works in the main thread only.
    with suppress(ValueError):
        for kind in _ENDING:
            signal.signal(kind, signal.SIG_IGN)
    for release in reversed(_releases):
        with suppress(Exception):
            release()
    # Last, since nobody may read it.
    _tell(text)
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(130)


def _tell(text: str) -> None:
    """Print to standard error or, where that is a log on a full disk, to the terminal.

    The rules pass the terminal as descriptor 3.
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            if os.isatty(3):
                os.write(3, f"{text}\n".encode())


def _interrupt(*_: object) -> None:
    # A second signal does not wait for what is under way.
    for kind in _ENDING:
        signal.signal(kind, _end)
    raise KeyboardInterrupt


def _end(*_: object) -> None:
    end("interrupted; run again to go on from here")
