"""The tar of an export made with method url-tar: fetched once, read member by member.

Only regular members whose name is listed are ever read, into files that we name, so a member that
is a link or a device, or leads out of the folder, can do nothing. Source: jsoc_export_manage.c.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import TypeVar

from flareset.archive import Fetched
from flareset.errors import ProcessingError, TransferError, VerificationError

_BLOCK = 512
T = TypeVar("T")


def check_tar(path: Path) -> int:
    """The number of members of a whole tar; VerificationError where it is cut or no tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            members = tar.getmembers()
            end = tar.offset
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise VerificationError(f"it is no whole tar: {error}") from None
    # Behind its last member a tar has two blocks of zeros; without them, members may be missing.
    with open(path, "rb") as file:
        file.seek(end)
        if file.read(2 * _BLOCK) != bytes(2 * _BLOCK) or not members:
            raise VerificationError("the tar has no end: it is cut")
    return len(members)


class Tarball:
    """A fetched tar whose listed members can be taken out; `largest` bytes a member."""

    def __init__(self, path: Path, largest: int) -> None:
        self.path = path
        self.largest = largest
        self._members: dict[str, list[tarfile.TarInfo]] = {}
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                self._members.setdefault(member.name.removeprefix("./"), []).append(member)

    def take(self, name: str, part: Path, check: Callable[[Path], T]) -> Fetched[T]:
        """Write a member to `part` and `check` it; TransferError says why it cannot be had."""
        where = f"in {self.path.name.removesuffix('.part')}"
        found = self._members.get(name, [])
        if len(found) != 1:
            raise TransferError(f"{name} is there {len(found)} times {where}", tries=1)
        (member,) = found
        if not member.isreg() or member.sparse is not None:
            raise TransferError(f"{name} is no regular file {where}", permanent=True, tries=1)
        if member.size > self.largest:
            raise TransferError(
                f"{name} has {member.size} bytes {where}, over archive.max_file_size"
                f" {self.largest}",
                permanent=True,
                tries=1,
            )
        with open(self.path, "rb") as source, open(part, "wb") as out:
            source.seek(member.offset_data)
            shutil.copyfileobj(_Limited(source, member.size), out, 1 << 18)
        try:
            found_there = check(part)
        except VerificationError as error:
            part.write_bytes(b"")
            other = isinstance(error, ProcessingError)
            raise TransferError(
                f"{error} ({where})", permanent=other, mismatch=other, tries=1
            ) from None
        with open(part, "rb+") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return Fetched(found_there, digest, member.size, 1)


class _Limited:
    """The next `left` bytes of a file."""

    def __init__(self, file: object, left: int) -> None:
        self.file = file
        self.left = left

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left))  # type: ignore[attr-defined]
        self.left -= len(data)
        return data
