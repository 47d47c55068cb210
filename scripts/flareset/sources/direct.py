"""Get the stored files of wanted records, without an export, an e-mail address or a queue.

`jsoc_info` returns all keywords of a record and the path of its file. The statistics that JSOC
computed from the pixels prove the file. The file gets the header that JSOC's exporter would write.
Files that JSOC has offline come by an export.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from flareset.archive.exported import write_image
from flareset.archive.jsoc import Jsoc
from flareset.proof.check import Check, Proof
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.drms import Record, Structure, default_name
from flareset.sdo.header import record_cards
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.links import COLUMNS, Links, Source, join, mark_failed
from flareset.sources.query import Query
from flareset.store.store import note_of
from flareset.system.files import replaced, writing
from flareset.tables.status import Kind

log = logging.getLogger(__name__)
# The host in JSOC's links. Files are fetched from archive.data_url, whatever the host.
_LINK_BASE = "http://jsoc.stanford.edu"
_OFFLINE = (
    "JSOC has its file offline: set JSOC_EMAIL to an address that is registered with JSOC, and an"
    " export brings it"
)


@dataclass
class Direct:
    """The stored files of one event and channel.

    `export` brings files that JSOC has offline. Without an export these files are missing.
    """

    query: Query
    jsoc: Jsoc
    export: Source | None = None
    known: dict[str, Record] = field(default_factory=dict)

    @cached_property
    def structure(self) -> Structure:
        """The structure of the series."""
        return self.jsoc.structure(self.query.series.name)

    def find(self, wanted: pd.DataFrame, _needed: pd.DataFrame, /) -> Links:
        """Return links to the files of wanted records."""
        return self._links(wanted, {})

    def renew(self, wanted: pd.DataFrame) -> Links:
        """Return new links: the folder of files changes when data are staged again.

        If JSOC still names the path where a file was not found, the file is offline. An export that
        has expired is asked for again.
        """
        names = wanted["record"]
        before = {name: self.known.pop(name).path for name in names if name in self.known}
        stored = names.isin(before)
        self._forget(wanted[stored])
        found = self._links(wanted[stored], before)
        if self.export is None or stored.all():
            return found
        return join(found, self.export.renew(wanted[~stored]))

    def _links(self, wanted: pd.DataFrame, before: Mapping[str, str]) -> Links:
        """Return the links of wanted records. A record with the path in `before` is offline."""
        looked_up = self._look_up(wanted)
        lost = [looked_up[name].path in ("", before.get(name)) for name in wanted["record"]]
        offline = np.array(lost, dtype=bool)
        self.known |= {name: looked_up[name] for name in wanted["record"][~offline]}
        found = Links(self._stored(wanted[~offline]))
        if not offline.any():
            return found
        # The files may be online the next time.
        self._forget(wanted)
        if self.export is None:
            return Links(found.rows, mark_failed(wanted["record"][offline], _OFFLINE))
        log.info("%d files are offline; asking for an export of them", offline.sum())
        return join(found, self.export.find(wanted[offline], wanted[offline]))

    def _forget(self, wanted: pd.DataFrame) -> None:
        """Forget what JSOC said about these records: the next question goes to JSOC."""
        numbers = [int(number) for number in wanted["recnum"]]
        self.jsoc.forget_keywords(self.query.series.name, numbers, self.query.segment)

    def _look_up(self, wanted: pd.DataFrame) -> dict[str, Record]:
        """Return JSOC's keywords and path of each wanted record."""
        numbers = [int(number) for number in wanted["recnum"]]
        found = self.jsoc.keywords(self.query.series.name, numbers, self.query.segment)
        pairs = zip(wanted["record"], numbers, strict=True)
        return {record: found[number] for record, number in pairs}

    def _stored(self, wanted: pd.DataFrame) -> pd.DataFrame:
        """Return the links of records whose files are online."""
        series, segment = self.query.series.name, self.query.segment
        rows = []
        for row in wanted.itertuples():
            record = self.known[row.record]
            name = default_name(series, self.structure, record, segment)
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
        return pd.DataFrame(rows).reindex(columns=COLUMNS, fill_value="")

    def check(self, asked: Asked, there: Path) -> Check[Proof]:
        """Return the check of a file. The check of a stored file leaves its exported form."""
        record = self.known.get(asked.record)
        if record is None:
            return ImageCheck(asked, there)
        return _StoredCheck(asked, record, self.query, self.structure, there)


class _StoredCheck(Check[Proof]):
    """A check that proves a stored file while it arrives, then turns it into its exported form."""

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
        proof = self._check.finish(path)
        series, segment = self._query.series.name, self._query.segment
        cards = record_cards(series, self._structure, self._record, segment)
        # From here on the download of the stored file cannot be resumed.
        note_of(path).unlink(missing_ok=True)
        with writing(path), replaced(path) as new, open(new, "wb") as out:
            write_image(path, cards, out, written_at(self._record.keywords))
        # The new file is checked like an export: header, checksums, and record.
        return ImageCheck(self._asked, path).finish_like(proof)


def written_at(keywords: Mapping[str, str]) -> datetime:
    """Return the time for the comment of CHECKSUM.

    It is the record's DATE, so that the file always has the same bytes. Raises ValueError if the
    DATE is not a time.
    """
    return parse_jsoc_time(keywords["DATE"])
