"""The store: verified FITS files, one copy each, shared by all events and campaigns.

A file stands under its final name only when it was verified; beside it lies `<name>.json` with
its record, sha256, size, keywords and whole header, written first. What is under way is
`<name>.part`, with a note of its own beside it, and a lock in `.locks`: jobs on several machines
share a store.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flareset.errors import StoreError
from flareset.system.files import make_folder, replaced, sync, write_json, writing
from flareset.system.locks import USUAL, Holder, Lock, Timing, held, sweep

if TYPE_CHECKING:
    import pandas as pd

# Where locks lie.
LOCKS = ".locks"
# Where pinned answers lie, of servers that give no images.
PINS = "queries"
# What an archive's folder has besides files: small, and the way back to an export.
_KEPT = ("requests", "answers")
# What is appended to the name of a file under way, and of a note beside it (`Store`, `Tars`).
_APPENDED = (".new", ".whole", ".json", ".part")


class Store:
    """The files of one archive and series under `root`; `timing` is that of its locks."""

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
        """Hold the store for a run; other jobs of the same `owner` may hold it too.

        Raises StoreError where another run holds it, at once where that is on this machine, or
        where it cannot be written.
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
        """Return what is known of a verified file, None where it is not there whole.

        Raises StoreError where the file is another record's.
        """
        # Called for every file at every start: strings are five times as fast as Paths.
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
                f"{self.root / path}: the store holds {facts['record']} under this name,"
                f" asked was {record}"
            )
        return facts if size == facts["bytes"] else None

    def kept(self, wanted: pd.DataFrame) -> dict[str, str]:
        """Return the path of each wanted record (record, wavelength, t_rec) that is here whole."""
        records = set(wanted["record"])
        folders = {
            self.root / Path(self.path_of(row.wavelength, "", row.t_rec))
            for row in wanted[["wavelength", "t_rec"]].itertuples()
        }
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
        """Yield what is there of each file, of all archives, in the order of names.

        These are the file's path relative to the root, the file and its notes, and what is under
        way. The file itself may be missing.
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
        """Yield the `.part` of a file, locked against other jobs while the block runs.

        What an earlier holder left is copied: it may only have hung, and still write to its file.
        """
        with self.hold(path) as part:
            if part.stat().st_size:
                with writing(part), replaced(part) as copy:
                    shutil.copyfile(part, copy)
            yield part

    @contextmanager
    def hold(self, path: str) -> Iterator[Path]:
        """Do as `claim`, without a copy: an earlier holder may still append to the part."""
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
        """Raise StoreError where another job has taken the claim on a file over."""
        self._claims[path].check()

    def commit(self, path: str, part: Path, facts: dict[str, Any]) -> None:
        """Give a claimed, verified and synced part its final name; it is read-only from then on.

        Raises StoreError where another job has taken the claim over, or has changed the part: parts
        are only appended to or emptied, so that its size tells.
        """
        final = self.root / path
        self.check_claim(path)
        if (size := part.stat().st_size) != facts["bytes"]:
            raise StoreError(f"{part}: has {size} bytes, and {facts['bytes']} came; run again")
        with writing(final):
            write_json(self.root / f"{path}.json", facts)
            # Any sync may have hung for longer than a lock lasts.
            self.check_claim(path)
            # Hard links share the mode: nobody edits the store by editing a result.
            part.chmod(0o444)
            os.replace(part, final)
            self.tidy(path)
            sync(final.parent)

    def tidy(self, path: str) -> None:
        """Remove the note and the copy of a part that is gone: a power loss may have kept them."""
        for suffix in (".json", ".new"):
            left = f"{self.root}/{path}.part{suffix}"
            if os.path.exists(left):
                os.unlink(left)

    def remove(self, path: str) -> None:
        """Remove a file and what is known of it."""
        for name in (path, f"{path}.json"):
            (self.root / name).unlink(missing_ok=True)


def note_of(part: Path) -> Path:
    """Return the note beside a part, which says of what it is a part.

    The note is removed when the part is complete or given up.
    """
    return part.with_name(f"{part.name}.json")


def _create(part: Path) -> None:
    """Create a part and its folder, unless they are there."""
    while True:
        with writing(part.parent):
            make_folder(part.parent)
            try:
                # Where other machines made files in this folder, a network's cache sees them then.
                # A process that was killed while it named the part has made it read-only.
                os.close(os.open(part, os.O_CREAT | os.O_RDONLY, 0o666))
                return
            except FileNotFoundError:
                continue  # another job has just removed the last file of the folder, and it


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
