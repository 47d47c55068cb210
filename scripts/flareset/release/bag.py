"""A BagIt bag (RFC 8493). Each file is hashed once, while it is written."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flareset.errors import ReleaseError
from flareset.store.hardlinks import link_files
from flareset.system.files import writing

PAYLOAD = "data/"
_ADDRESS = re.compile(r"[\w.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


class Bag:
    """A folder that becomes a bag. Files below `data/` are its payload.

    `sums` and `sizes` have each file's sha256 (hex) and bytes, by its path in the bag.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sums: dict[str, str] = {}
        self.sizes: dict[str, int] = {}

    def link(self, folder: str, sources: Mapping[str, Path], sums: Mapping[str, str]) -> None:
        """Link files by name. Their sha256 are known, so they are not read. Raises StoreError."""
        link_files(self.folder / folder, dict(sources))
        for name in sources:
            self._book(f"{folder}/{name}", sums[name])

    def write(self, name: str, text: str) -> None:
        """Write a text. Raise ReleaseError if it contains an e-mail address. Raises StoreError."""
        refuse_addresses(text, name)
        with self.open(name) as out:
            out.write(text.encode())

    @contextmanager
    def open(self, name: str) -> Iterator[Hashing]:
        """Yield a new file, which must be written from start to end. Raises StoreError."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as raw:
                out = Hashing(raw)
                yield out
        self._book(name, out.sum)

    def add(self, name: str) -> None:
        """Hash a file that a library has written in the bag."""
        with open(self.folder / name, "rb") as file:
            self._book(name, hashlib.file_digest(file, "sha256").hexdigest())

    def _book(self, name: str, sum_: str) -> None:
        self.sums[name] = sum_
        self.sizes[name] = (self.folder / name).stat().st_size

    def close(self, name: str, date: str) -> str:
        """Write the bag's own files. Return the sha256 of the last, which covers all others."""
        payload = [path for path in self.sums if path.startswith(PAYLOAD)]
        octets = sum(self.sizes[path] for path in payload)
        self.write("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        info = f"External-Identifier: {name}\nBagging-Date: {date}\n"
        self.write("bag-info.txt", f"{info}Payload-Oxum: {octets}.{len(payload)}\n")
        self.write("manifest-sha256.txt", self._manifest(payload))
        tags = [path for path in self.sums if not path.startswith(PAYLOAD)]
        last = "tagmanifest-sha256.txt"
        self.write(last, self._manifest(tags))
        return self.sums[last]

    def _manifest(self, paths: list[str]) -> str:
        return "".join(f"{self.sums[path]}  {_encoded(path)}\n" for path in sorted(paths))


class Hashing(io.RawIOBase):
    """A file that is written from start to end, and hashed meanwhile."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._sha256 = hashlib.sha256()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes."""
        self._sha256.update(data)
        return self._raw.write(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._raw.tell()

    @property
    def sum(self) -> str:
        """The sha256 (hex) of the written bytes."""
        return self._sha256.hexdigest()


def _encoded(path: str) -> str:
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def refuse_addresses(text: str, name: str) -> None:
    """Raise ReleaseError if a text to be published contains an e-mail address."""
    if match := _ADDRESS.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise ReleaseError(
            f"{name}, line {line}: an e-mail address: a release is public; take it out of the"
            " settings or of events.csv"
        )
