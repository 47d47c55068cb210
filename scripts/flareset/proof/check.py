"""The interface of checks that prove a file. They are fed its bytes as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

_CHUNK = 1 << 20
T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Proof:
    """A proven file: the number and the sha256 (hex) of its bytes, its keywords and its header.

    `grade` says what proves the pixels: `datasum` (a checksum that JSOC wrote with them), `pixels`
    (the statistics that JSOC computed from them) or `header` (nothing but the header). `header` is
    the whole header, packed by `proof.fits.pack`; empty if the file is not FITS. `blank`: all
    pixels have the same value, or none.
    """

    bytes: int
    sha256: str
    keywords: dict[str, Any] = field(default_factory=dict)
    grade: str = ""
    header: str = ""
    blank: bool = False


class Check(Protocol[T]):
    """The check of one file. Its methods raise VerificationError as early as possible."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self, path: Path) -> T:
        """Return the findings about the file, which is complete and lies at `path`."""


# Begins the check of a file. Its first bytes (often none) lie at the path already.
Begin = Callable[[Path], Check[T]]


class AtEnd(Check[T]):
    """A check that reads the file only when it is complete."""

    def __init__(self, look: Callable[[Path], T]) -> None:
        self._look = look

    def feed(self, data: bytes) -> None:
        """Ignore the bytes: `finish` reads them from the file."""

    def finish(self, path: Path) -> T:
        """Return the result of `look` for the file."""
        return self._look(path)


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces."""
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            yield data
