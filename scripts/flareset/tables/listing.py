"""The listing of an event and wavelength: what the archive offers, one row per file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.times import read_iso
from flareset.system.files import write_text
from flareset.tables.csv import read_rows, write_rows
from flareset.tables.rows import Row

COLUMNS = [
    "record", "t_rec", "wavelength", "segment", "kind", "filename", "url", "time", "requestid",
]  # fmt: skip
_TIMES = ("t_rec", "time")


@dataclass(frozen=True)
class ExportFacts:
    """The summary of an export.

    `accepted` says why an incomplete page was accepted. `edges` says which part of the window lies
    before the page's first or after its last record. `process` is JSOC's text for the processing,
    empty for none. `recordset` is what we asked for, empty if we did not ask; `remarks` say how.
    `source` is where the files come from: `page`, `request_id`, `export` or `direct`.
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
    source: str = "page"

    @property
    def pictured(self) -> bool:
        """Whether the files are pictures or movies, from which nothing is drawn."""
        return kind_of_protocol(self.protocol) in ("jpg", "mpg", "mp4")

    @property
    def as_stored(self) -> bool:
        """Whether the files are as stored by JSOC, with few keywords in their headers."""
        return kind_of_protocol(self.protocol) == "as-is"


def write_listing(listing: Iterable[Row], path: str | Path) -> None:
    """Write a listing as CSV."""
    write_rows(listing, COLUMNS, path, _TIMES)


def read_listing(path: str | Path) -> list[Row]:
    """Return the listing that `write_listing` wrote."""
    return [
        {
            **row,
            **{column: read_iso(row[column]) for column in _TIMES},
            "wavelength": int(row["wavelength"]),
        }
        for row in read_rows(path, COLUMNS)
    ]


def write_facts(facts: ExportFacts, path: str | Path) -> None:
    """Write an export's facts as JSON."""
    write_text(json.dumps(asdict(facts), indent=1, sort_keys=True) + "\n", path)


def read_facts(path: str | Path) -> ExportFacts:
    """Return the facts that `write_facts` wrote."""
    return ExportFacts(**json.loads(Path(path).read_text(encoding="utf-8")))
