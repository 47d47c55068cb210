"""The listing of an event and wavelength: what the archive offers, one row per file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.times import iso_column
from flareset.system.files import write_text
from flareset.tables.csv import write_table

COLUMNS = ["record", "t_rec", "wavelength", "segment", "filename", "url", "time"]
PICTURE, MOVIE = "picture", "movie"


@dataclass(frozen=True)
class PageFacts:
    """The summary of an export.

    `accepted` says why a page was taken although incomplete, `edges` which part of the window lies
    before its first or after its last record, `process` what was done to the images (as on the
    wire, empty for nothing), `recordset` what was asked for where we asked, `remarks` how.
    """

    requestid: str
    count: int
    rows: int
    exptime: str
    method: str
    protocol: str
    megabytes: int = 0
    accepted: str = ""
    edges: str = ""
    process: str = ""
    recordset: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def as_stored(self) -> bool:
        """Whether the files are as JSOC keeps them, with headers that say little."""
        return kind_of_protocol(self.protocol) == "as-is"


def write_listing(listing: pd.DataFrame, path: str | Path) -> None:
    """Write a listing as CSV, times in ISO 8601 with Z."""
    texts = {column: iso_column(listing[column]) for column in ("t_rec", "time")}
    write_table(listing.assign(**texts), path)


def read_listing(path: str | Path) -> pd.DataFrame:
    """The listing that `write_listing` wrote; `t_rec` and `time` are UTC."""
    listing = pd.read_csv(path, dtype={"wavelength": "int64"}, keep_default_na=False)
    for column in ("t_rec", "time"):
        listing[column] = pd.to_datetime(listing[column], utc=True, format="ISO8601")
    return listing


def write_facts(facts: PageFacts, path: str | Path) -> None:
    """Write a page's facts as JSON."""
    write_text(json.dumps(asdict(facts), indent=1, sort_keys=True) + "\n", path)


def read_facts(path: str | Path) -> PageFacts:
    """The facts that `write_facts` wrote."""
    return PageFacts(**json.loads(Path(path).read_text()))


def key_of(row: Any) -> tuple[str, str]:
    """What a listed file is, whatever its name: record and segment; a movie has but its name."""
    return (row.filename, MOVIE) if row.segment == MOVIE else (row.record, row.segment)


def images_of(listing: pd.DataFrame, segment: str) -> pd.DataFrame:
    """The rows of one segment, in time order."""
    return listing[listing["segment"] == segment].reset_index(drop=True)
