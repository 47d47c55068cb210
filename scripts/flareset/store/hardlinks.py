"""Make folders of hard links into the store: one copy on disk, however often it is used."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from flareset.errors import StoreError
from flareset.system.files import replaced, writing

# How long (s) a network filesystem may hide a file that another machine has made, and the pause
# (s) between two looks for it.
_LATENCY, _LOOK = 15.0, 0.2
# Resolutions (ns) of the times that filesystems keep.
_UNITS = (1, 100, 1000, 10**9)


def sync_folder(folder: str | Path, wanted: dict[str, Path]) -> None:
    """Make `folder` hold exactly the files `wanted` (name to source), hard links where possible.

    Right links stay, wrong links are replaced atomically, other files are removed. Raises
    StoreError if the folder cannot be written or a source is missing.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in list(os.scandir(folder)):
            if entry.name not in wanted and not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}") from error
    link_files(folder, wanted)


def link_files(folder: str | Path, wanted: dict[str, Path]) -> None:
    """Link `wanted` (name to source) in `folder`. Other files stay. Raises StoreError."""
    folder = Path(folder)
    patience = time.monotonic() + _LATENCY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in wanted.items():
            if not is_copy(folder / name, source):
                _wait_for(source, patience)
                _replace(folder / name, source)
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}") from error


def is_copy(path: Path, source: Path) -> bool:
    """Return whether `path` is a hard link to `source` or an unchanged copy of it."""
    try:
        there, original = path.stat(), source.stat()
    except FileNotFoundError:
        return False
    if os.path.samestat(there, original):
        return True
    times = {original.st_mtime_ns // unit * unit for unit in _UNITS}
    return there.st_size == original.st_size and there.st_mtime_ns in times


def _wait_for(source: Path, patience: float) -> None:
    """Wait until this machine sees a file that another machine has just made."""
    while not source.exists() and time.monotonic() < patience:
        time.sleep(_LOOK)
        with suppress(FileNotFoundError):
            os.listdir(source.parent)  # refreshes a network filesystem's cache


def _replace(path: Path, source: Path) -> None:
    with replaced(path) as new:
        new.unlink(missing_ok=True)
        try:
            os.link(source, new)
        except FileNotFoundError:
            raise
        except OSError:
            # The folder is on another filesystem, or links are too many or not supported: copy.
            with writing(path):
                shutil.copy2(source, new)
