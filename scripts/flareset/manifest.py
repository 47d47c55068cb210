"""The manifest of a job: a row per file that was asked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

KEYWORDS = ("T_OBS", "QUALITY", "EXPTIME", "AECTYPE")
COLUMNS = [
    "record", "filename", "path", "status", "reason", "tries", "bytes", "sha256", *KEYWORDS
]  # fmt: skip


def write_manifest(manifest: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV."""
    manifest.to_csv(path, index=False, lineterminator="\n")


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest that `write_manifest` wrote; keywords as text, as the header had them."""
    keywords = dict.fromkeys(KEYWORDS, "str")
    texts = dict.fromkeys(["record", "filename", "path", "status", "reason", "sha256"], "str")
    return pd.read_csv(
        path,
        dtype={**texts, **keywords, "tries": "int64", "bytes": "Int64"},
        keep_default_na=False,
        na_values={"bytes": [""]},
    )
