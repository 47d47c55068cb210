"""Check that the files on disk still agree with the manifests, and fetch damaged files again."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flareset.download import Acquisition, Outcome
from flareset.job import Job
from flareset.label import image_links, read_samples
from flareset.partition import links_of
from flareset.store.hardlinks import is_copy, link_files
from flareset.store.store import sha256_of
from flareset.tables.csv import read_rows
from flareset.tables.manifest import read_manifest
from flareset.tables.rows import Row, of_records, records_in
from flareset.tables.status import Status

IN_STORE = (Status.VERIFIED, Status.REJECTED)


@dataclass(frozen=True)
class Damage:
    """A file that does not agree with its manifest."""

    path: str
    problem: str
    readable: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class Results:
    """The finished jobs (`<event_id>/<wavelength>`) of a campaign: manifests and results."""

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
    def paths(self) -> dict[str, set[str]]:
        """The paths in the store of each job's files."""
        return {job: {row["path"] for row in rows} for job, rows in self.manifests.items()}

    @cached_property
    def linked(self) -> dict[Path, dict[str, Path]]:
        """The folders of final_fits and the data set: names and their files in the store."""
        found: dict[Path, dict[str, Path]] = {}
        for job, folder in self.folders.items():
            rows = read_rows(folder / "partition.csv")
            for name, wanted in links_of(rows, self.store).items():
                found[self.root / "final_fits" / job / name] = wanted
        samples = read_samples([folder / "sample.csv" for folder in self.folders.values()])
        raw = self.root / "data_selection" / "fits" / "raw"
        found[raw] = image_links(samples, self.store)
        return found

    def check_store(self) -> list[Damage]:
        """Return the store's files that are missing, or do not have the manifests' size or sha256.

        A file that several events share is read once.
        """
        there = {
            (row["path"], row["bytes"], row["sha256"])
            for manifest in self.manifests.values()
            for row in manifest
            if row["status"] in IN_STORE
        }
        checked = (_damage(self.store / path, *known) for path, *known in sorted(there))
        return [damage for damage in checked if damage]

    def restore(self, damaged: list[Damage]) -> list[Damage]:
        """Put back files that the store lost but a result still has unchanged. Return the rest."""
        lost = {damage.path: damage for damage in damaged}
        sums = {
            row["path"]: row["sha256"] for manifest in self.manifests.values() for row in manifest
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
        """Return the results that are missing or differ from the store's file.

        A result whose file the store lacks is not looked at.
        """
        return [
            Damage(str(path), "is not the store's file" if path.exists() else "is missing")
            for folder, wanted in self.linked.items()
            for name, source in wanted.items()
            if source.exists() and not is_copy(path := folder / name, source)
        ]

    def relink(self) -> None:
        """Link every result to its file in the store again. Results whose file is lost stay."""
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
    acquisition: Acquisition, job: Job, manifest: Iterable[Row], damaged: Set[str]
) -> tuple[list[Damage], list[str]]:
    """Fetch a job's damaged files (paths in the store) again.

    Returns the files that could not be had, and the paths of files that are verified but have other
    bytes now than in the manifest. The events of the latter have to be run again.
    """
    store = acquisition.downloader.store
    bad = [row for row in manifest if row["path"] in damaged and row["status"] in IN_STORE]
    for row in bad:
        store.remove(row["path"])
    wanted = of_records(job.with_image, set(records_in(bad)))
    # A movie belongs to no single record: all are asked for again.
    outcomes = acquisition.bring(wanted if wanted or not bad else job.with_image)
    return _compared(bad, outcomes, store.root)


def _compared(
    bad: Iterable[Row], outcomes: list[Outcome], root: Path
) -> tuple[list[Damage], list[str]]:
    """Return which damaged files (rows of a manifest) did not come, and which have other bytes."""
    had = {outcome.path: outcome for outcome in outcomes if outcome.facts}
    why = {outcome.record: outcome.reason for outcome in outcomes if not outcome.facts}
    failed, changed = [], []
    for row in bad:
        path = row["path"]
        if path not in had:
            reason = why.get(row["record"], "the archive lists it no more")
            failed.append(Damage(str(root / path), reason))
        elif had[path].facts["sha256"] != row["sha256"]:
            changed.append(path)
    return failed, changed
