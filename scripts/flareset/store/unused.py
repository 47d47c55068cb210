"""Find and remove files that no event of the campaign refers to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from flareset.store.store import Store


def unused_results(results: Path, jobs: Collection[str]) -> list[Path]:
    """Return the event folders and ledgers that belong to no job (`<event_id>/<wavelength>`)."""
    events = {job.partition("/")[0] for job in jobs}
    found = []
    for folder in [*_folders(results / "events"), *_folders(results / "final_fits")]:
        if folder.name not in events:
            found.append(folder)
        else:
            found += [f for f in _folders(folder) if f"{folder.name}/{f.name}" not in jobs]
    ledgers = {f"{job.replace('/', '.')}.csv" for job in jobs}
    found += [p for p in sorted((results / "ledger").glob("*.csv")) if p.name not in ledgers]
    return found


def _folders(top: Path) -> list[Path]:
    return sorted(path for path in top.glob("*") if path.is_dir())


def unused_files(
    store: Store, used: set[str], our_folders: list[Path]
) -> tuple[list[Path], list[Path]]:
    """Return the store's files that nobody uses, and those that other campaigns use.

    `used` are paths relative to the store. Another campaign uses a file if the file has hard links
    outside of the store and of `our_folders`.
    """
    ours = Counter(
        file.stat().st_ino for folder in our_folders for file in folder.rglob("*") if file.is_file()
    )
    unused: list[Path] = []
    shared: list[Path] = []
    for name, finished, under_way in store.files():
        unused += under_way
        if name not in used:
            (shared if _is_linked(store.root / name, ours) else unused).extend(finished)
    return sorted(unused), sorted(shared)


def _is_linked(path: Path, ours: Counter[int]) -> bool:
    """Return whether a file of the store has more links than those counted by inode in `ours`."""
    if not path.exists():
        return False
    links = path.stat()
    return links.st_nlink > 1 + ours[links.st_ino]


def size_of(path: Path) -> int:
    """Return the size of a file, or of all files in a folder (bytes)."""
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def remove(path: Path) -> None:
    """Remove a file and the parent folders that become empty, or a folder with its content."""
    if path.is_dir():
        shutil.rmtree(path)
        return
    path.unlink()
    for folder in path.parents:
        if any(folder.iterdir()):
            return
        folder.rmdir()
