"""What has to survive a power loss."""

from __future__ import annotations

import json
import os
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any
from uuid import uuid4


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(out: FileIO, data: bytes) -> None:
    """Write bytes to a file without a buffer, which may take fewer at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) :]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is there as it was or as it will be, never between."""
    new = path.with_name(f"{path.name}.new")
    with open(new, "w", encoding="utf-8") as out:
        json.dump(value, out, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, path)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; none of them is lost with the power."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


@cache
def boot_id() -> str:
    """What tells one start of this machine from another or, where that is not known, of this
    process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid4().hex
