"""Pin the answers of other servers: their raw bytes stay in the store, and are read from there.

A pin is a folder `<folder>/<sha256 of the question, 16 digits>/<time>/`. It has the files of the
answer, and `request.json` with the question, the time and the sha256 of each file. A pin appears
only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from flareset.archive.transfer import Transfer
from flareset.errors import StoreError
from flareset.proof.check import AtEnd
from flareset.sdo.times import iso
from flareset.store.store import note_of, sha256_of
from flareset.system.files import make_folder, sync, write_json, writing

T = TypeVar("T")
_FACTS = "request.json"


@dataclass(frozen=True)
class Pin:
    """A kept answer: its folder, the time of the question (UTC), and its files' sha256."""

    folder: Path
    at: str
    sums: Mapping[str, str]

    @cached_property
    def files(self) -> list[Path]:
        """The files of the answer in order. Raises StoreError if a file has changed."""
        paths = [self.folder / name for name in self.sums]
        for path in paths:
            if not path.is_file() or sha256_of(path) != self.sums[path.name]:
                raise StoreError(
                    f"{path}: not as it was pinned: remove the folder {self.folder} to have it"
                    " asked for again"
                )
        return paths

    @property
    def sha256(self) -> str:
        """The sha256 of the only file, or of the sums of all (hex)."""
        sums = list(self.sums.values())
        return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


class Pins:
    """The pins in a folder of the store. `now` returns the time (UTC)."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._folder = folder
        self._now = now

    def of(self, question: Mapping[str, str]) -> list[Pin]:
        """Return the pins of a question, the newest first."""
        found = []
        for path in sorted(self._place(question).glob(f"*/{_FACTS}"), reverse=True):
            try:
                facts = json.loads(path.read_text(encoding="utf-8"))
                if facts["question"] == dict(question):
                    found.append(Pin(path.parent, facts["at"], dict(facts["files"])))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    def brought(
        self, question: Mapping[str, str], ask: Callable[[Path], object], *, again: bool
    ) -> list[Pin]:
        """Return the pins of a question, the newest first.

        `ask` writes an answer into a folder. It is called if there is no pin, or with `again`.
        """
        kept = self.of(question)
        if kept and not again:
            return kept
        with self.new(question) as folder:
            ask(folder)
        return self.of(question)

    @contextmanager
    def new(self, question: Mapping[str, str]) -> Iterator[Path]:
        """Yield a folder for the files of an answer. It becomes a pin when the block ends.

        If the block fails, the folder is removed.
        """
        place, at = self._place(question), self._now()
        under_way = place / f".new-{uuid4().hex}"
        with writing(under_way):
            make_folder(under_way)
        try:
            yield under_way
            files = sorted(path for path in under_way.iterdir() if path.is_file())
            facts = {
                "question": dict(question),
                "at": iso(at.replace(microsecond=0)),
                "files": [(path.name, sha256_of(path)) for path in files],
            }
            with writing(under_way):
                write_json(under_way / _FACTS, facts)
                sync(under_way)
                under_way.rename(place / f"{at:%Y%m%dT%H%M%S.%fZ}")
                sync(place)
        finally:
            shutil.rmtree(under_way, ignore_errors=True)

    def _place(self, question: Mapping[str, str]) -> Path:
        text = json.dumps(dict(question), sort_keys=True)
        return self._folder / hashlib.sha256(text.encode()).hexdigest()[:16]


def fetch_into(transfer: Transfer, url: str, path: Path, read: Callable[[Path], T]) -> T:
    """Fetch a URL into a file and return what `read` makes of it.

    If `read` raises VerificationError, the answer is bad and asked for again. Raises TransferError.
    """
    path.touch()
    fetched = transfer.fetch(url, path, lambda _: AtEnd(read))
    note_of(path).unlink(missing_ok=True)
    return fetched.found
