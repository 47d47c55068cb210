"""The body of a response of the stand-in, read in pieces."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

_CHUNK = 1 << 20
_TEBIBYTE = 1 << 40
JUNK = 5000


@dataclass(frozen=True)
class Body:
    """The body of a response: its size, and a function that reads it from one byte to another.

    Only a body with an `etag` is served in ranges.
    """

    size: int
    read: Callable[[int, int], Iterator[bytes]]
    type: str
    etag: str = ""
    modified: str = ""
    encoding: str = ""

    @classmethod
    def of(cls, pieces: list[bytes], kind: str) -> Body:
        """Return a body of pieces in memory. `kind` is the media type."""

        def read(begin: int, end: int) -> Iterator[bytes]:
            for piece in pieces:
                if begin < len(piece) and end > 0:
                    yield piece[max(begin, 0) : end]
                begin, end = begin - len(piece), end - len(piece)

        return cls(sum(len(piece) for piece in pieces), read, kind)

    @classmethod
    def on_disk(cls, descriptor: int, kind: str) -> Body:
        """Return a body that is read from an open file. `kind` is the media type."""

        def read(begin: int, end: int) -> Iterator[bytes]:
            while begin < end:
                piece = os.pread(descriptor, min(_CHUNK, end - begin), begin)
                begin += len(piece)
                yield piece

        return cls(os.fstat(descriptor).st_size, read, kind)

    def struck(self, kind: str, page: bytes) -> Body:
        """Return the body changed by a fault of `kind`. `page` is an archive's error page."""
        if kind == "empty":
            return replace(self, size=0)
        if kind == "padded":
            made = Body.of([page], "text/html")._filled(self.size, b"\0")
            return replace(made, etag=self.etag, modified=self.modified)
        if kind == "trailing":
            return self._filled(self.size + JUNK, b"?")
        if kind == "longer":
            return replace(self._filled(self.size + JUNK, b"?"), size=self.size)
        if kind in ("big", "big_unannounced"):
            return self._filled(_TEBIBYTE, b"\0")
        if kind == "gzip":
            packed = gzip.compress(b"".join(self.read(0, self.size)), 1, mtime=0)
            return replace(self, size=len(packed), read=Body.of([packed], "").read, encoding="gzip")
        return self

    def _filled(self, size: int, filler: bytes) -> Body:
        """Return the body filled up to a size with a byte, without holding it in memory."""

        def read(begin: int, end: int) -> Iterator[bytes]:
            if begin < self.size:
                yield from self.read(begin, min(end, self.size))
            begin = max(begin, self.size)
            while begin < end:
                piece = filler * min(_CHUNK, end - begin)
                begin += len(piece)
                yield piece

        return replace(self, size=size, read=read)
