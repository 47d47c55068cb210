"""The contents of a release: the campaign's tables, and a row per file with label and split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits

from flareset.errors import ReleaseError
from flareset.proof.image import read_header, read_image
from flareset.sdo.keywords import KEYWORDS
from flareset.tables.images import COLUMNS, key_of

# The name of the split of images without a split.
NO_SPLIT = "unsplit"
SPLITS = ("train", "validation", "test", NO_SPLIT)
INTEGERS = {
    "wavelength", "label", "channels", "blank", "bytes",
    *(keyword.name for keyword in KEYWORDS if keyword.type is int),
}  # fmt: skip
NUMBERS = {
    "minutes_from_start", "minutes_from_peak", "minutes_from_end", "exposure_seconds",
    *(keyword.name for keyword in KEYWORDS if keyword.type is float),
}  # fmt: skip
OF_ARRAYS = ("arrays.csv", "arrays.json")
TABLES = ("images.csv", "splits.csv", "leaks.csv", "audit.json")


@dataclass(frozen=True)
class Contents:
    """The data set.

    `folder` is data_selection. `images` has a row per image and event, `files` a row per file, both
    with the columns of images.csv. `files` also has `key`, a name without dots. `gaps` counts
    ledger rows by status and reason. `history` is the provenance. `arrays` is the folder of arrays
    that take the place of the images' own pixels, or None.
    """

    folder: Path
    images: pd.DataFrame
    files: pd.DataFrame
    leaks: pd.DataFrame
    audit: dict[str, Any]
    history: dict[str, Any]
    gaps: Counter[tuple[str, str]]
    arrays: Path | None = None

    def path(self, filename: str) -> Path:
        """Return the path of an image of the data set."""
        return self.folder / "fits" / "raw" / filename

    def pixels(self, row: Mapping[str, Any]) -> np.ndarray:
        """Return the pixels of a row of `images` or `files`. Raises FlaresetError."""
        if self.arrays is None:
            return read_image(self.path(row["filename"]))[1]
        folder = self.arrays / row["event_id"] / str(row["wavelength"])
        path = folder / f"{key_of(row['filename'])}.npy"
        try:
            return np.load(path)
        except (OSError, ValueError) as error:
            raise ReleaseError(f"{path}: {error}; run `snakemake arrays`") from None

    def header(self, row: Mapping[str, Any]) -> fits.Header:
        """Return the header of a row of `files`; it places the pixels that `pixels` returns."""
        header = read_header(self.path(row["filename"]))
        if self.arrays is not None:
            header.update(self._places[row["event_id"], row["filename"]])
        return header

    @cached_property
    def _places(self) -> dict[tuple[str, str], dict[str, float]]:
        table = pd.read_csv(self.arrays / "arrays.csv")
        places = table[["CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CROTA2"]].to_dict("records")
        keys = zip(table["event_id"], table["filename"], strict=True)
        return dict(zip(keys, places, strict=True))

    @property
    def event_columns(self) -> list[str]:
        """The columns of images.csv that come from the event's row."""
        return [name for name in self.images.columns if name not in COLUMNS]


def read_contents(
    folder: Path, ledgers: list[Path], provenance: Path, arrays: Path | None = None
) -> Contents:
    """Read a run's results: the tables of data_selection, the ledgers, and provenance.json."""
    images = _typed(pd.read_csv(folder / "images.csv", dtype="str", keep_default_na=False))
    return Contents(
        folder,
        images,
        _files(images),
        pd.read_csv(folder / "leaks.csv", dtype="str", keep_default_na=False),
        json.loads((folder / "audit.json").read_text(encoding="utf-8")),
        json.loads(provenance.read_text(encoding="utf-8")),
        _gaps(ledgers),
        arrays,
    )


def _typed(images: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numbers in its numeric columns. An empty cell is a missing number."""
    integers, numbers = ([c for c in images if c in kind] for kind in (INTEGERS, NUMBERS))
    found = images.copy()
    for column in [*integers, *numbers]:
        values = pd.to_numeric(images[column].replace("", np.nan))
        found[column] = values.astype("Int64" if column in INTEGERS else "float64")
    return found


def _files(images: pd.DataFrame) -> pd.DataFrame:
    """Return a row per file. A file of several events gets the first row with the highest label.

    Raises ReleaseError if two files have the same key.
    """
    order = images.sort_values(["filename", "label"], ascending=[True, False], kind="stable")
    files = order.drop_duplicates("filename").reset_index(drop=True)
    # The audit guarantees that no file is in two splits. One of its events may be in none.
    for column in ("split", "split_leaky"):
        known = order[order[column] != ""]
        of_file = dict(zip(known["filename"], known[column], strict=True))
        files[column] = [of_file.get(name, "") for name in files["filename"]]
    files["split"] = files["split"].replace("", NO_SPLIT)
    files["key"] = files["filename"].map(key_of)
    if (double := files[files["key"].duplicated(keep=False)]).size:
        names = " and ".join(double["filename"].iloc[:2])
        raise ReleaseError(f"{names} differ by nothing but signs: give them names that differ")
    return files


def _gaps(ledgers: list[Path]) -> Counter[tuple[str, str]]:
    """Count the gaps in the ledgers by status and reason. An unwanted image is no gap."""
    found: Counter[tuple[str, str]] = Counter()
    for path in ledgers:
        rows = pd.read_csv(path, dtype="str", keep_default_na=False, usecols=["status", "reason"])
        lost = rows[~rows["status"].isin(["verified", "not_needed", "outside"])]
        found.update(zip(lost["status"], lost["reason"], strict=True))
    return found
