"""The store: verified FITS files, one copy each, shared by all events and campaigns.

A file gets its final name only when it has been verified. `<name>.json` beside it is written
before and has the record, sha256, size, keywords and whole header. A download in progress is
`<name>.part`, with a note beside it and a lock in `.locks`, since jobs on several machines share a
store.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from flareset.errors import StoreError
from flareset.system.files import make_folder, replaced, sync, write_json, writing
from flareset.system.locks import USUAL, Holder, Lock, Timing, held, sweep

# The folder of locks.
LOCKS = ".locks"
# The folder of pinned answers, from servers that give no images.
PINS = "queries"
# Folders of an archive beside its files. They are small, and needed to find an export again.
_KEPT = ("requests", "answers")
# Suffixes of files in progress and of notes beside files (`Store`, `Tars`).
_APPENDED = (".new", ".whole", ".json", ".part")


class Store:
    """The files of one archive and series under `root`. `timing` is for its locks."""

    def __init__(
        self, root: str | Path, archive: str, series: str, *, timing: Timing = USUAL
    ) -> None:
        self.root = Path(root)
        self.archive = archive
        self.folder = Path(archive) / series
        self._locks = self.root / LOCKS
        self._claims: dict[str, Lock] = {}
        # The run that this process belongs to.
        self._owner = ""
        self._timing = timing

    def path_of(self, wavelength: int, filename: str, t_rec: Any) -> str:
        """Return an image's path relative to the root: archive, series, wavelength, day, name."""
        day = f"{t_rec.year}/{t_rec.month:02}/{t_rec.day:02}"
        return f"{self.folder}/{wavelength}/{day}/{filename}"

    @contextmanager
    def in_use(self, owner: str) -> Iterator[None]:
        """Hold the store for a run. Other jobs of the same `owner` may hold it, too.

        Raises StoreError if another run holds the store, or if the store cannot be written.
        Another run on this machine is found at once, a run on another machine perhaps later.
        """

        def is_other(holder: Holder) -> bool:
            return holder.owner not in ("", owner)

        self._owner = owner
        with writing(self.root):
            make_folder(self._locks)
        with ExitStack() as use:
            use.callback(sweep, self._locks, timing=self._timing)
            with self._held("runs"):
                for holder in filter(is_other, sweep(self._locks, is_other, timing=self._timing)):
                    raise StoreError(
                        f"{self.root}: another run uses this store (from {holder.owner}): {holder};"
                        " wait for it to end or give this campaign a store of its own"
                    )
                use.enter_context(self._held(f"run-{uuid4().hex}"))
            yield

    def _held(self, name: str) -> AbstractContextManager[Lock]:
        return held(self._locks / f"{name}.lock", self._owner, timing=self._timing)

    def facts(self, path: str, record: str) -> dict[str, Any] | None:
        """Return what is known of a verified file; None if the store does not have the whole file.

        Raises StoreError if the file belongs to another record.
        """
        # This is called for every file at every start: strings are five times as fast as Paths.
        where = f"{self.root}/{path}"
        try:
            with open(f"{where}.json", "rb") as file:
                facts = json.loads(file.read())
            size = os.stat(where).st_size
        except (OSError, ValueError):
            return None
        if not {"record", "bytes", "sha256", "tries", "keywords"} <= set(facts):
            return None
        if facts["record"] != record:
            raise StoreError(
                f"{self.root / path}: the store has {facts['record']} under this name, not {record}"
                " that was asked for"
            )
        return facts if size == facts["bytes"] else None

    def kept(self, wanted: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Return the path of each wanted record whose whole file the store has.

        `wanted` are rows with record, wavelength and t_rec.
        """
        wanted = list(wanted)
        records = {row["record"] for row in wanted}
        places = {(row["wavelength"], row["t_rec"].date()) for row in wanted}
        folders = [self.root / self.path_of(channel, "", day) for channel, day in places]
        found: dict[str, str] = {}
        for note in sorted(path for folder in folders for path in folder.glob("*.json")):
            path = str(note.relative_to(self.root)).removesuffix(".json")
            try:
                record = json.loads(note.read_bytes())["record"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if record in records and self.facts(path, record) is not None:
                found.setdefault(record, path)
        return found

    def files(self) -> Iterator[tuple[str, list[Path], list[Path]]]:
        """Yield the parts of each file, of all archives, in the order of names.

        These are the file's path relative to the root, the paths of the file and its notes, and
        the paths of downloads in progress. The file itself may be missing.
        """
        found: dict[str, tuple[list[Path], list[Path]]] = {}
        for path in sorted(self.root.glob("*/*/**/*")):
            archive, series, *_ = path.relative_to(self.root).parts
            if archive in (LOCKS, PINS) or series in _KEPT or not path.is_file():
                continue
            name = path.relative_to(self.root).as_posix()
            for suffix in _APPENDED:
                name = name.removesuffix(suffix)
            appended = path.relative_to(self.root).as_posix()[len(name) :]
            finished, under_way = found.setdefault(name, ([], []))
            (under_way if ".part" in appended else finished).append(path)
        for name, (finished, under_way) in found.items():
            yield name, finished, under_way

    @contextmanager
    def claim(self, path: str) -> Iterator[Path]:
        """Lock the `.part` of a file while the block runs, and yield its path.

        A part that an earlier holder left is copied to a new file: that holder may only have hung,
        and may still write to the old one.
        """
        with self.hold(path) as part:
            if part.stat().st_size:
                with writing(part), replaced(part) as copy:
                    shutil.copyfile(part, copy)
            yield part

    @contextmanager
    def hold(self, path: str) -> Iterator[Path]:
        """Lock and yield a part as `claim` does, but without a copy.

        An earlier holder that has hung may still append to the part.
        """
        part = self.root / f"{path}.part"
        name = hashlib.sha256(path.encode()).hexdigest()[:32]
        with self._held(name) as lock:
            _create(part)
            self._claims[path] = lock
            try:
                yield part
            finally:
                del self._claims[path]
                with suppress(FileNotFoundError):
                    if not part.stat().st_size and lock.ours:
                        part.unlink()

    def check_claim(self, path: str) -> None:
        """Raise StoreError if another job has taken over the claim on a file."""
        self._claims[path].check()

    def commit(self, path: str, part: Path, facts: dict[str, Any]) -> None:
        """Give a claimed, verified and synced part its final name, and make it read-only.

        Raises StoreError if another job has taken over the claim or changed the part. Jobs only
        append to a part or empty it, so its size tells whether it changed.
        """
        final = self.root / path
        self.check_claim(path)
        if (size := part.stat().st_size) != facts["bytes"]:
            raise StoreError(f"{part}: has {size} bytes, and {facts['bytes']} came; run again")
        with writing(final):
            write_json(self.root / f"{path}.json", facts)
            # The sync may have hung for longer than a lock lasts.
            self.check_claim(path)
            # Hard links share the mode: so an edit of a result cannot change the store.
            part.chmod(0o444)
            os.replace(part, final)
            self.tidy(path)
            sync(final.parent)

    def tidy(self, path: str) -> None:
        """Remove the note and the copy of a part. A power loss may have left them behind."""
        for suffix in (".json", ".new"):
            left = f"{self.root}/{path}.part{suffix}"
            if os.path.exists(left):
                os.unlink(left)

    def remove(self, path: str) -> None:
        """Remove a file and the note with what is known of it."""
        for name in (path, f"{path}.json"):
            (self.root / name).unlink(missing_ok=True)


def note_of(part: Path) -> Path:
    """Return the path of the note beside a part, which says what the part belongs to.

    The note is removed when the part is complete or given up.
    """
    return part.with_name(f"{part.name}.json")


def _create(part: Path) -> None:
    """Create a part and its folder, unless they exist."""
    while True:
        with writing(part.parent):
            make_folder(part.parent)
            try:
                # O_CREAT makes a network filesystem refresh its cache of this folder. O_RDONLY,
                # since a process that was killed in `commit` may have left the part read-only.
                os.close(os.open(part, os.O_CREAT | os.O_RDONLY, 0o666))
                return
            except FileNotFoundError:
                continue  # another job has just removed the folder with its last file


def sha256_of(path: str | Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
