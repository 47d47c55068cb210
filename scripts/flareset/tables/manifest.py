"""The manifest of a job: a row per file that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flareset.sdo.keywords import KEYWORD_NAMES
from flareset.tables.csv import read_rows, write_rows
from flareset.tables.rows import Row

COLUMNS = [
    "record", "filename", "kind", "path", "status", "reason", "tries", "bytes", "sha256",
    "requestid", "proof", "blank", *KEYWORD_NAMES,
]  # fmt: skip


def write_manifest(manifest: Iterable[Row], path: str | Path) -> None:
    """Write a manifest as CSV."""
    write_rows(manifest, COLUMNS, path)


def read_manifest(path: str | Path) -> list[Row]:
    """Return the manifest that `write_manifest` wrote; keywords are text, as in the header.

    The bytes of a file that did not come are None.
    """
    return [
        {
            **row,
            "tries": int(row["tries"]),
            "bytes": int(row["bytes"]) if row["bytes"] else None,
        }
        for row in read_rows(path, COLUMNS)
    ]
