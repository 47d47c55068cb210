"""Files that no current event refers to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def unused_files(store: Path, used: set[str]) -> list[Path]:
    """The store's images, and parts of downloads, that are not `used` (paths relative to it)."""
    found = []
    for path in sorted(store.rglob("*.fits*")):
        name = path.relative_to(store).as_posix()
        image = name[: name.index(".fits", name.rfind("/")) + len(".fits")]
        if path.is_file() and (image not in used or ".part" in name[len(image) :]):
            found.append(path)
    return found


def unused_results(results: Path, jobs: Iterable[tuple[str, int]]) -> list[Path]:
    """The event folders and ledgers under `results` that belong to no current job."""
    current = set(jobs)
    events = {event_id for event_id, _ in current}
    found = []
    for top in (results / "events", results / "final_fits"):
        for folder in sorted(path for path in top.glob("*") if path.is_dir()):
            if folder.name not in events:
                found.append(folder)
                continue
            found += [
                inner
                for inner in sorted(folder.iterdir())
                if inner.is_dir()
                and not (inner.name.isdigit() and (folder.name, int(inner.name)) in current)
            ]
    ledgers = {f"{event_id}.{wavelength}.csv" for event_id, wavelength in current}
    found += [p for p in sorted((results / "ledger").glob("*.csv")) if p.name not in ledgers]
    return found


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
