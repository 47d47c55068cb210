"""Write files atomically, and durably if a power loss matters. Errors name the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from flareset.errors import StoreError


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError that names the file."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot write: {error.strerror}; check free space and permissions"
        ) from error


@contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Yield the path of a new file beside `path`. Rename that file to `path` when the block ends.

    A reader on any machine finds the whole old file or the whole new one. If the block fails, the
    new file is removed.
    """
    new = Path(f"{path}.new")
    try:
        yield new
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_text(text: str, path: str | Path) -> None:
    """Write a text file atomically. Raises StoreError."""
    with writing(path), replaced(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write sorted JSON atomically and durably (write, fsync, rename)."""
    with replaced(path) as new, open(new, "w", encoding="utf-8") as out:
        json.dump(value, out, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(out: FileIO, data: bytes) -> None:
    """Write all bytes to an unbuffered file, which may take only some of them per call."""
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) :]


def make_folder(folder: Path) -> None:
    """Make a folder and its parents durably: a power loss removes none of them."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


@cache
def boot_id() -> str:
    """Return the id of the machine's current boot.

    If the system has none, return a random id for this process.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid4().hex
