"""Have the stored files of wanted records, without an export, an address or a queue.

`jsoc_info` tells all keywords of a record and where its file lies. The file is proved by the
statistics that JSOC computed from its pixels, and gets the header that JSOC's exporter would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from flareset.archive.exported import write_image
from flareset.archive.jsoc import Jsoc
from flareset.proof.check import Check, Proof
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.drms import Record, Structure, default_name
from flareset.sdo.header import record_cards
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.links import COLUMNS, Links, Missing
from flareset.sources.query import Query
from flareset.store.store import note_of
from flareset.system.files import replaced, writing
from flareset.tables.status import Kind, Status

# JSOC's pages link to this host; a file is fetched from archive.data_url all the same.
_LINK_BASE = "http://jsoc.stanford.edu"
_OFFLINE = "JSOC has its file offline: set source: export, which brings it online"


@dataclass
class Direct:
    """The stored files of one event and channel."""

    query: Query
    jsoc: Jsoc
    known: dict[str, Record] = field(default_factory=dict)

    @property
    def structure(self) -> Structure:
        """The structure of the series, asked for once."""
        return self.jsoc.structure(self.query.series.name)

    def find(self, wanted: pd.DataFrame, _needed: pd.DataFrame, /) -> Links:
        """Return where the files of wanted records lie; a file that is offline is missing."""
        numbers = [int(number) for number in wanted["recnum"]]
        series, segment = self.query.series.name, self.query.segment
        told = self.jsoc.keywords(series, numbers, segment)
        structure = self.structure
        rows, missing = [], {}
        for row, number in zip(wanted.itertuples(), numbers, strict=True):
            record = told[number]
            if not record.path:
                missing[row.record] = Missing(Status.FAILED, _OFFLINE)
                continue
            self.known[row.record] = record
            name = default_name(series, structure, record, segment)
            url = f"{_LINK_BASE}{record.path}"
            rows.append(
                {
                    "record": row.record,
                    "t_rec": row.t_rec,
                    "wavelength": row.wavelength,
                    "segment": segment,
                    "kind": Kind.IMAGE,
                    "filename": name,
                    "url": url,
                    "time": row.time,
                }
            )
        return Links(pd.DataFrame(rows).reindex(columns=COLUMNS, fill_value=""), missing)

    def renew(self, wanted: pd.DataFrame) -> Links:
        """Return where the files lie now: their folder changes when data are staged anew."""
        numbers = [int(number) for number in wanted["recnum"]]
        self.jsoc.forget_keywords(self.query.series.name, numbers, self.query.segment)
        return self.find(wanted, wanted)

    def check(self, asked: Asked, there: Path) -> Check[Proof]:
        """Return the check of a stored file, which leaves its exported form in its place."""
        record = self.known[asked.record]
        return _StoredCheck(asked, record, self.query, self.structure, there)


class _StoredCheck(Check[Proof]):
    """Proves a stored file while it arrives, and gives it the header of an export at the end."""

    def __init__(
        self, asked: Asked, record: Record, query: Query, structure: Structure, there: Path
    ) -> None:
        self._record = record
        self._query = query
        self._structure = structure
        self._asked = asked
        stored = replace(asked, as_stored=True, stated=record.keywords)
        self._check = ImageCheck(stored, there)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._check.feed(data)

    def finish(self, path: Path) -> Proof:
        """Prove the stored file at `path`, and replace it by its exported form."""
        grade = self._check.finish(path).grade
        series, segment = self._query.series.name, self._query.segment
        cards = record_cards(series, self._structure, self._record, segment)
        # From here on the file cannot be resumed as the stored one.
        note_of(path).unlink(missing_ok=True)
        with writing(path), replaced(path) as new, open(new, "wb") as out:
            write_image(path, cards, out, written_at(self._record.keywords))
        # What was made is checked as an export is: its header, its checksums, which record it is.
        return replace(ImageCheck(self._asked, path).finish(path), grade=grade)


def written_at(keywords: Mapping[str, str]) -> datetime:
    """Return the time that CHECKSUM names: DATE of the record, so that the bytes are always equal.

    Raises ValueError where the record has no DATE.
    """
    return parse_jsoc_time(keywords["DATE"])
