"""The partition of an event's files: a folder for each phase, with hard links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from flareset.phases import OUTSIDE, PHASES
from flareset.tables.status import Kind, Status

_FOLDERS = {Kind.PICTURE: "pictures", Kind.MOVIE: "movies"}
COLUMNS = ["folder", "filename", "path"]


def select_verified(
    candidates: Iterable[Mapping[str, str]], manifest: Iterable[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Return the verified files of a job: `folder` (a phase, pictures or movies), filename, path.

    `candidates` and `manifest` are the rows of the job's channel.
    """
    phases = {row["record"]: row["phase"] for row in candidates}
    rows = []
    for file in manifest:
        if file["status"] != Status.VERIFIED:
            continue
        folder = _FOLDERS.get(file["kind"]) or phases[file["record"]]
        if folder != OUTSIDE:
            rows.append({"folder": folder, "filename": file["filename"], "path": file["path"]})
    return rows


def links_of(rows: Iterable[Mapping[str, str]], store: Path) -> dict[str, dict[str, Path]]:
    """Return the content of each folder of a partition: names and their files in the store.

    Each phase has a folder, even if it is empty.
    """
    links: dict[str, dict[str, Path]] = {phase.name: {} for phase in PHASES}
    for row in rows:
        links.setdefault(row["folder"], {})[row["filename"]] = store / row["path"]
    return links
