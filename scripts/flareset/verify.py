"""Whether the files on disk still are what the manifests say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flareset.download import Downloader
from flareset.links import is_copy
from flareset.store import sha256_of

IN_STORE = ("verified", "rejected")


@dataclass(frozen=True)
class Damage:
    """A file that is not what its manifest says."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def check_store(
    root: str | Path, manifests: pd.DataFrame, progress: Callable[[int], object]
) -> list[Damage]:
    """The store's files that are missing or whose size or sha256 is another than the manifests'.

    `manifests` are those of all events together; a shared file is read once. `progress` is called
    with the bytes of each file read.
    """
    there = manifests[manifests["status"].isin(IN_STORE)].drop_duplicates("path")
    damaged = []
    for row in there.sort_values("path").itertuples():
        if problem := _problem(Path(root) / row.path, row.bytes, row.sha256):
            damaged.append(Damage(row.path, problem))
        progress(int(row.bytes))
    return damaged


def _problem(path: Path, size: int, sha256: str) -> str:
    try:
        found = path.stat().st_size
        if found != size:
            return f"has {found} bytes, the manifest says {size}"
        if sha256_of(path) != sha256:
            return "its bytes changed (sha256)"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def check_links(links: Iterable[tuple[Path, Path]]) -> list[Damage]:
    """The results (path, source in the store) that are missing or not the store's file."""
    return [
        Damage(str(path), "is not the store's file" if path.exists() else "is missing")
        for path, source in links
        if not is_copy(path, source)
    ]


def repair_store(
    downloader: Downloader, listing: pd.DataFrame, manifest: pd.DataFrame, damaged: set[str]
) -> tuple[list[Damage], list[Damage]]:
    """Fetch an event's damaged files again.

    Returns those that could not be had, and those for which the archive now gives other bytes
    than the manifest has, verified all the same: the event has to be run again.
    """
    bad = manifest[manifest["path"].isin(damaged) & manifest["status"].isin(IN_STORE)]
    for path in bad["path"]:
        downloader.store.remove(path)
    sums = bad.set_index("path")["sha256"]
    failed, changed = [], []
    for outcome in downloader.fetch(listing[listing["filename"].isin(bad["filename"])]):
        if outcome.status == "failed":
            failed.append(Damage(outcome.path, outcome.reason))
        elif outcome.facts["sha256"] != sums[outcome.path]:
            changed.append(Damage(outcome.path, "the archive now has other bytes"))
    return failed, changed
