"""What proves a file: fed its bytes as they arrive, so that they are looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

_CHUNK = 1 << 20
T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Proof:
    """What is known of a proven file: the sha256 of its bytes (hex) and its keywords.

    `grade` says what proves the pixels: `datasum` (a checksum that JSOC wrote with them), `pixels`
    (the statistics that JSOC computed from them) or `header` (nothing but the header).
    """

    sha256: str
    keywords: dict[str, Any] = field(default_factory=dict)
    grade: str = ""


class Check(Protocol[T]):
    """The check of one file; VerificationError, as early as it can be told, where it is bad."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self, path: Path) -> T:
        """What was found in the whole file, which now lies at `path`."""


# Begins the check of a file of which the bytes at a path are there already, often none.
Begin = Callable[[Path], Check[T]]


class AtEnd(Check[T]):
    """The check of a file that is looked at when it is there."""

    def __init__(self, look: Callable[[Path], T]) -> None:
        self._look = look

    def feed(self, data: bytes) -> None:
        """Nothing to do yet."""

    def finish(self, path: Path) -> T:
        """What `look` finds."""
        return self._look(path)


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, piece by piece."""
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            yield data
