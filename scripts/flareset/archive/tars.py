"""Tars of exports with method url-tar: fetched once, read member by member.

Members are never extracted. Only regular members with a listed name are copied, into files that we
name. So links, devices and paths in a tar are harmless. Source: jsoc_export_manage.c.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Self, TypeVar
from urllib.parse import urlsplit

from flareset.archive.transfer import Fetched, Transfer
from flareset.errors import ProcessingError, TransferError, VerificationError
from flareset.proof.check import AtEnd, Begin
from flareset.store.store import Store, note_of
from flareset.system.files import sync, write_all, write_json, writing

_BLOCK = 512
_CHUNK = 1 << 20
# The longest name or pax header (bytes). tarfile itself reads as many bytes as a header says.
_LONGEST_HEADER = 1 << 20
T = TypeVar("T")


class _Headers(io.FileIO):
    """A tar file whose headers are read. It refuses headers of a length that no header has."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes. Raise tarfile.ReadError if no header is so long."""
        if size is None or not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar to read its headers. Raise VerificationError if they cannot be read."""
    try:
        with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise VerificationError(f"it is no whole tar: {error}") from None


def check_tar(path: Path) -> int:
    """Return the number of a tar's members. Raise VerificationError if it is cut or is no tar."""
    with _opened(path) as tar:
        members = tar.getmembers()
        end = tar.offset
    # A tar ends with two blocks of zeros. Without them, members may be missing.
    with open(path, "rb") as file:
        file.seek(end)
        if file.read(2 * _BLOCK) != bytes(2 * _BLOCK) or not members:
            raise VerificationError("the tar has no end: it is cut")
    return len(members)


class Tars:
    """The tars of a job. A tar lies in the store, locked against other jobs, until the job ends.

    With `keep` the tars stay after that, since other jobs need them, too; `clean_unused` removes
    them.
    """

    def __init__(self, archive: Transfer, store: Store, *, keep: bool) -> None:
        self._archive = archive
        self._store = store
        self._keep = keep
        self._held: dict[str, Path] = {}
        self._dismissed: set[str] = set()
        self._claims = ExitStack()

    def open(self, link: str, files: int) -> Tarball:
        """Fetch the tar at a link and return it. The export has `files` files."""
        part, largest = self._hold(link), self._archive.max_file_size
        if not _is_whole(part, link):
            # A tar also has the export's lists and scripts, hence some members more.
            self._archive.fetch(link, part, lambda _: AtEnd(check_tar), largest * (files + 10))
            with writing(part):
                write_json(_mark(part), {"url": link, "bytes": part.stat().st_size})
                sync(part.parent)
        return Tarball(part, largest)

    def discard(self, link: str) -> None:
        """Remove a tar that has bad members, so that the next `open` fetches it again."""
        _empty(self._hold(link))

    def dismiss(self, link: str) -> None:
        """Mark a tar, of which no member is needed, for removal at the end."""
        if not self._keep and (self._store.root / self._path(link)).parent.exists():
            self._hold(link)
            self._dismissed.add(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Unlock the tars. After a success, remove the complete ones, which are not needed now.

        The next run resumes the others.
        """
        with self._claims:
            if kind is None and not self._keep:
                self._remove_served()
        for folder in {part.parent for part in self._held.values()}:
            with suppress(OSError):  # other jobs have tars in it
                folder.rmdir()

    def _remove_served(self) -> None:
        for link, part in self._held.items():
            if link in self._dismissed or _is_whole(part, link):
                self._store.check_claim(self._path(link))
                _empty(part)

    def _path(self, link: str) -> str:
        return f"{self._store.folder}/tars/{PurePosixPath(urlsplit(link).path).name}"

    def _hold(self, link: str) -> Path:
        if link not in self._held:
            part = self._store.hold(self._path(link))
            self._held[link] = self._claims.enter_context(part)
        return self._held[link]


def _mark(part: Path) -> Path:
    """Return the path of the file that marks a tar as complete. It has the tar's URL and size."""
    return part.with_name(f"{part.name}.whole")


def _is_whole(part: Path, link: str) -> bool:
    try:
        return json.loads(_mark(part).read_text(encoding="utf-8")) == {
            "url": link,
            "bytes": part.stat().st_size,
        }
    except (OSError, ValueError):
        return False


def _empty(part: Path) -> None:
    """Remove a complete or partial tar with its notes."""
    part.unlink(missing_ok=True)
    for note in (_mark(part), note_of(part)):
        for left in (note, note.with_name(f"{note.name}.new")):
            left.unlink(missing_ok=True)


class Tarball:
    """A fetched tar. Members of at most `largest` bytes can be taken from it."""

    def __init__(self, path: Path, largest: int) -> None:
        self.path = path
        self.largest = largest
        self._members: dict[str, list[tarfile.TarInfo]] = {}
        with _opened(path) as tar:
            for member in tar:
                self._members.setdefault(member.name.removeprefix("./"), []).append(member)

    def take(self, name: str, part: Path, check: Begin[T]) -> Fetched[T]:
        """Copy a member to `part`, proven and synced. Raises TransferError with the reason."""
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
        with open(part, "ab", buffering=0) as out:
            out.truncate(0)
            proving = check(part)
            try:
                for data in self._bytes_of(member):
                    with writing(part):
                        write_all(out, data)
                    proving.feed(data)
                found_there = proving.finish(part)
            except VerificationError as error:
                out.truncate(0)
                other = isinstance(error, ProcessingError)
                raise TransferError(
                    f"{error} ({where})", permanent=other, mismatch=other, tries=1
                ) from None
        with writing(part):
            sync(part)
        return Fetched(found_there, member.size, 1)

    def _bytes_of(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        with open(self.path, "rb") as file:
            file.seek(member.offset_data)
            left = member.size
            while data := file.read(min(left, _CHUNK)):
                left -= len(data)
                yield data
