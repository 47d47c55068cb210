"""The exceptions that users meet.

FlaresetError
├── ConfigError         a setting that is unknown, of the wrong type or impossible
├── EventsError         rows of events.csv that cannot be used
├── ListingError        a page that is no complete listing of what was asked
├── ExportError         an export that cannot be asked for, or that JSOC refused or failed
├── TransferError       a file that the archive did not deliver
├── VerificationError   bytes that are not the FITS image asked for
│   └── ProcessingError a sound image to which something else was done than asked
├── StoreError          a store that cannot be used
└── IncompleteError     an event with more images missing than allowed
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGINT)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FlaresetError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(FlaresetError):
    """A setting that is unknown, of the wrong type or impossible."""


class EventsError(FlaresetError):
    """Rows of events.csv that cannot be used."""


class ListingError(FlaresetError):
    """A page that is no complete listing of what was asked."""


class ExportError(FlaresetError):
    """An export that cannot be asked for, or that JSOC refused or failed."""


class TransferError(FlaresetError):
    """A file that the archive did not deliver.

    `permanent` where trying again is useless, `gone` where the archive has it no more (404, 410),
    `mismatch` where it was made otherwise than asked (ProcessingError), `unavailable` where not the
    file but the archive fails, `down` where it has done so for longer than archive.patience.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        gone: bool = False,
        mismatch: bool = False,
        unavailable: bool = False,
        down: bool = False,
        retry_after: float = 0.0,
        tries: int = 0,
    ) -> None:
        super().__init__(message)
        self.gone = gone
        self.mismatch = mismatch
        self.permanent = permanent
        self.unavailable = unavailable
        self.down = down
        self.retry_after = retry_after
        self.tries = tries


class VerificationError(FlaresetError):
    """Bytes that are not the FITS image asked for."""


class ProcessingError(VerificationError):
    """A sound image to which something else was done than asked; another try does not help."""


class StoreError(FlaresetError):
    """A store that cannot be used."""


class IncompleteError(FlaresetError):
    """An event with more images missing than allowed."""


def exit_status(main: Callable[[], None]) -> int:
    """Run a script's `main`; print the message of a FlaresetError and return the exit status."""
    for kind in _ENDING:
        if signal.getsignal(kind) is not signal.SIG_IGN:
            signal.signal(kind, _interrupt)
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


def end(text: str) -> NoReturn:
    """Say why, and end this process without its threads, which may wait for a connection: what they
    have can be gone on with."""
    from flareset.lease import give_all_back  # which raises these errors itself

    # Being told once more must not cut this short; only the main thread can say so.
    with suppress(ValueError):
        for kind in _ENDING:
            signal.signal(kind, signal.SIG_IGN)
    # The connections end before others may have their slots.
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):
            found = socket.socket(fileno=int(descriptor))
            if found.family in (socket.AF_INET, socket.AF_INET6):
                found.shutdown(socket.SHUT_RDWR)
            found.detach()
    give_all_back()
    # Last, since nobody may read it.
    _tell(text)
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(130)


def _tell(text: str) -> None:
    """Say it on standard error or, where that is a log on a full disk, on the terminal that the
    rules pass as number 3."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            if os.isatty(3):
                os.write(3, f"{text}\n".encode())


def _interrupt(*_: object) -> None:
    # Who is told once more does not wait for what is under way.
    for kind in _ENDING:
        signal.signal(kind, _end)
    raise KeyboardInterrupt


def _end(*_: object) -> None:
    end("interrupted; run again to go on from here")
