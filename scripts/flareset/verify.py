"""Whether the files on disk still are what the manifests say, and fetching again what is not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from flareset.download import Downloader
from flareset.label import image_links, read_samples
from flareset.partition import phase_links, product_links
from flareset.store.hardlinks import is_copy, link_files
from flareset.store.store import sha256_of
from flareset.tables.listing import read_listing
from flareset.tables.manifest import read_manifest
from flareset.tables.status import Status

IN_STORE = (Status.VERIFIED, Status.REJECTED)


@dataclass(frozen=True)
class Damage:
    """A file that is not what its manifest says."""

    path: str
    problem: str
    readable: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class Results:
    """The finished jobs (`<event_id>/<wavelength>`) of a campaign: manifests and result folders."""

    def __init__(self, root: Path, store: Path, jobs: list[str]) -> None:
        self.root = root
        self.store = store
        folders = {job: root / "events" / job for job in jobs}
        needed = ("manifest.csv", "partition.csv", "sample.csv")
        self.folders = {
            job: folder
            for job, folder in folders.items()
            if all((folder / name).exists() for name in needed)
        }
        self.unfinished = sorted(set(folders) - set(self.folders))
        self.manifests = {
            job: read_manifest(folder / "manifest.csv") for job, folder in self.folders.items()
        }

    @cached_property
    def linked(self) -> dict[Path, dict[str, Path]]:
        """Every folder of final_fits and the data set: its names and their files in the store."""
        found: dict[Path, dict[str, Path]] = {}
        for job, folder in self.folders.items():
            images = read_listing(folder / "partition.csv")
            manifest = self.manifests[job]
            phases = phase_links(images, manifest, self.store)
            for phase, wanted in (phases | product_links(manifest, self.store)).items():
                found[self.root / "final_fits" / job / phase] = wanted
        samples = read_samples([folder / "sample.csv" for folder in self.folders.values()])
        raw = self.root / "data_selection" / "fits" / "raw"
        found[raw] = image_links(samples, self.store)
        return found

    def check_store(self) -> list[Damage]:
        """The store's files that are missing or whose size or sha256 is not the manifests'.

        A file that several events share is read once.
        """
        manifests = pd.concat(self.manifests.values(), ignore_index=True)
        there = manifests[manifests["status"].isin(IN_STORE)].drop_duplicates(
            ["path", "bytes", "sha256"]
        )
        checked = (
            _damage(self.store / row.path, row.bytes, row.sha256)
            for row in there.sort_values("path").itertuples()
        )
        return [damage for damage in checked if damage]

    def restore(self, damaged: list[Damage]) -> list[Damage]:
        """Put back what the store lost and a result still has byte for byte; what is still lost."""
        lost = {damage.path: damage for damage in damaged}
        sums = {
            path: sha256
            for manifest in self.manifests.values()
            for path, sha256 in zip(manifest["path"], manifest["sha256"], strict=True)
        }
        for folder, wanted in self.linked.items():
            for name, source in wanted.items():
                known = source.with_name(f"{name}.json").exists()
                if str(source) not in lost or not known or not (folder / name).exists():
                    continue
                if sha256_of(folder / name) == sums[source.relative_to(self.store).as_posix()]:
                    link_files(source.parent, {name: folder / name})
                    del lost[str(source)]
        return list(lost.values())

    def check_links(self) -> list[Damage]:
        """The results that are missing or not the store's file, where the store has it."""
        return [
            Damage(str(path), "is not the store's file" if path.exists() else "is missing")
            for folder, wanted in self.linked.items()
            for name, source in wanted.items()
            if source.exists() and not is_copy(path := folder / name, source)
        ]

    def relink(self) -> None:
        """Link every result to its file in the store anew; one whose file is lost stays."""
        for folder, wanted in self.linked.items():
            link_files(folder, {n: source for n, source in wanted.items() if source.exists()})


def _damage(path: Path, size: int, sha256: str) -> Damage | None:
    try:
        found = path.stat().st_size
        if found != size:
            return Damage(str(path), f"has {found} bytes, the manifest says {size}")
        if sha256_of(path) != sha256:
            return Damage(str(path), "its bytes changed (sha256)")
    except FileNotFoundError:
        return Damage(str(path), "is missing")
    except OSError as error:
        return Damage(str(path), f"cannot be read: {error.strerror}", readable=False)
    return None


def repair_files(
    downloader: Downloader, images: pd.DataFrame, manifest: pd.DataFrame, damaged: set[str]
) -> tuple[list[Damage], list[str]]:
    """Fetch a job's damaged files (paths in the store) again.

    Returns those that could not be had, and the paths for which the archive now gives other bytes
    than the manifest has, verified all the same: their events have to be run again.
    """
    bad = manifest[manifest["path"].isin(damaged) & manifest["status"].isin(IN_STORE)]
    for path in bad["path"]:
        downloader.store.remove(path)
    sums = bad.set_index("path")["sha256"]
    failed, changed = [], []
    for outcome in downloader.fetch(images[images["filename"].isin(bad["filename"])]):
        if outcome.status == Status.FAILED:
            failed.append(Damage(str(downloader.store.root / outcome.path), outcome.reason))
        elif outcome.facts["sha256"] != sums[outcome.path]:
            changed.append(outcome.path)
    return failed, changed
