"""Files that no current event refers to."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from flareset.store.store import LOCKS

# What lies beside a file of the store: what is known of it, and what is under way.
_OF_A_FILE = re.compile(r"(\.part)?(\.json|\.whole)?(\.new)?$")


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
                and not (inner.name.isdecimal() and (folder.name, int(inner.name)) in current)
            ]
    ledgers = {f"{event_id}.{wavelength}.csv" for event_id, wavelength in current}
    found += [p for p in sorted((results / "ledger").glob("*.csv")) if p.name not in ledgers]
    return found


def unused_files(
    store: Path, used: set[str], our_folders: list[Path]
) -> tuple[list[Path], list[Path]]:
    """The store's files that are not `used` (paths relative to it), and those that others use.

    Others use an image that has hard links outside of the store and of `our_folders`: the results
    of another campaign.
    """
    ours = Counter(
        file.stat().st_ino for folder in our_folders for file in folder.rglob("*") if file.is_file()
    )
    unused, shared = [], []
    for path in sorted(path for path in store.rglob("*") if path.is_file()):
        name = path.relative_to(store).as_posix()
        # What was asked for, and locks: small, and the way back to an export.
        if "/" not in name or name.split("/")[0] == LOCKS or name.split("/")[1] == "requests":
            continue
        image = _OF_A_FILE.sub("", name)
        under_way = ".part" in name[len(image) :]
        if image in used and not under_way:
            continue
        source = store / image
        links = source.stat() if source.exists() else None
        others = links is not None and links.st_nlink > 1 + ours[links.st_ino]
        (shared if others and not under_way else unused).append(path)
    return unused, shared


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, and the folders that are empty then."""
    if path.is_dir():
        shutil.rmtree(path)
        return
    path.unlink()
    for folder in path.parents:
        if any(folder.iterdir()):
            return
        folder.rmdir()
