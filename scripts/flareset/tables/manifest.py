"""The manifest of a job: a row per file that was asked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flareset.sdo.keywords import KEYWORD_NAMES
from flareset.tables.csv import write_table

COLUMNS = [
    "record", "filename", "kind", "path", "status", "reason", "tries", "bytes", "sha256",
    "requestid", "proof", "blank", *KEYWORD_NAMES,
]  # fmt: skip


def write_manifest(manifest: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV."""
    write_table(manifest, path)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Return the manifest that `write_manifest` wrote; keywords are text, as in the header."""
    texts = dict.fromkeys([name for name in COLUMNS if name not in ("tries", "bytes")], "str")
    table = pd.read_csv(
        path,
        dtype={**texts, "tries": "int64", "bytes": "Int64"},
        keep_default_na=False,
        na_values={"bytes": [""]},
    )
    # A table of an earlier version may lack a column.
    return table.reindex(columns=COLUMNS, fill_value="")
