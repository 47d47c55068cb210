"""The interface of a check that proves a file, fed its bytes as they arrive."""

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
    whole and packed (`proof.fits.pack`); a file that is not FITS has none. `blank` where the image
    holds one value alone.
    """

    bytes: int
    sha256: str
    keywords: dict[str, Any] = field(default_factory=dict)
    grade: str = ""
    header: str = ""
    blank: bool = False


class Check(Protocol[T]):
    """The check of one file. It raises VerificationError as early as it can."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self, path: Path) -> T:
        """Return what was found in the file, which lies whole at `path`."""


# Begins the check of a file whose first bytes, often none, lie at a path already.
Begin = Callable[[Path], Check[T]]


class AtEnd(Check[T]):
    """A check that reads the file when it is whole."""

    def __init__(self, look: Callable[[Path], T]) -> None:
        self._look = look

    def feed(self, data: bytes) -> None:
        """Do nothing yet."""

    def finish(self, path: Path) -> T:
        """Return what `look` finds in the file."""
        return self._look(path)


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, piece by piece."""
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            yield data
