"""The stand-in as slow as JSOC over a distant line, in a process of its own.

Each answer of the CGI takes `LATENCY` seconds; each connection gets `RATE` bytes a second.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.standin.catalogue import Record
from flareset.standin.server import StandIn

LATENCY = 0.2
RATE = 20_000_000
# Bytes that are written between two pauses.
_PIECE = 1 << 18


@contextmanager
def slow_archive(frame_size: int, records: list[Record]) -> Iterator[tuple[str, str]]:
    """Yield the URLs of files and of the CGI of a slow archive, which has drawn these images."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(frame_size, records, its)
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(frame_size: int, records: list[Record], channel: Connection) -> None:
    server = _Slow(frame_size=frame_size, delay=0)
    # JSOC does not draw its images first.
    for record in records:
        server.frames.file(record.frame("image"))
    channel.send((server.url, server.cgi_url))
    server.serve_forever()


class _Slow(StandIn):
    """A stand-in with a latency before each answer of the CGI, and a limit for each connection."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.RequestHandlerClass = type("Slow", (_Slowly, self.RequestHandlerClass), {})

    def fault(self, texts: list[str], before: int) -> Any:
        """Return no fault, after the latency of a call of the CGI (its endpoint and operation)."""
        if texts[0].startswith(("jsoc_", "show_", "check", "manage")):
            time.sleep(LATENCY)
        return super().fault(texts, before)


class _Slowly:
    """A handler whose writes keep to the limit of a connection."""

    def setup(self) -> None:
        super().setup()  # type: ignore[misc] - of the handler that this class is mixed into
        self.wfile = _Limited(self.wfile)


class _Limited:
    """A file that takes `RATE` bytes a second."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._free = 0.0

    def write(self, data: bytes) -> int:
        """Write all bytes, in pieces with pauses."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._free = max(self._free, time.monotonic()) + len(piece) / RATE
            self._file.write(piece)
            time.sleep(max(0.0, self._free - time.monotonic()))
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
