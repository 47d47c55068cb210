"""Get the stored files of wanted records, without an export, an e-mail address or a queue.

`jsoc_info` returns all keywords of a record and the path of its file. The statistics that JSOC
computed from the pixels prove the file. The file gets the header that JSOC's exporter would write.
Files that JSOC has offline come by an export.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from flareset.archive.exported import write_image
from flareset.archive.jsoc import Jsoc
from flareset.proof.check import Check, Proof
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.drms import Record, Structure, default_name
from flareset.sdo.header import record_cards
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.links import Links, Source, join, mark_failed
from flareset.sources.query import Query
from flareset.store.store import note_of
from flareset.system.files import replaced, writing
from flareset.tables.rows import Row, but_records, of_records, records_in
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

    def find(self, wanted: Sequence[Row], _needed: Sequence[Row], /) -> Links:
        """Return links to the files of wanted records."""
        return self._links(wanted, {})

    def renew(self, wanted: Sequence[Row]) -> Links:
        """Return new links: the folder of files changes when data are staged again.

        If JSOC still names the path where a file was not found, the file is offline. An export that
        has expired is asked for again.
        """
        known = of_records(wanted, self.known)
        before = {name: self.known.pop(name).path for name in records_in(known)}
        self._forget(known)
        found = self._links(known, before)
        others = but_records(wanted, before)
        if self.export is None or not others:
            return found
        return join(found, self.export.renew(others))

    def _links(self, wanted: Sequence[Row], before: Mapping[str, str]) -> Links:
        """Return the links of wanted records. A record with the path in `before` is offline."""
        looked_up = self._look_up(wanted)
        online = {
            name: record
            for name, record in looked_up.items()
            if record.path not in ("", before.get(name))
        }
        self.known |= online
        found = Links([self._stored(row) for row in of_records(wanted, online)])
        offline = but_records(wanted, online)
        if not offline:
            return found
        # The files may be online the next time.
        self._forget(wanted)
        if self.export is None:
            return Links(found.rows, mark_failed(records_in(offline), _OFFLINE))
        log.info("%d files are offline; asking for an export of them", len(offline))
        return join(found, self.export.find(offline, offline))

    def _forget(self, wanted: Sequence[Row]) -> None:
        """Forget what JSOC said about these records: the next question goes to JSOC."""
        numbers = [int(row["recnum"]) for row in wanted]
        self.jsoc.forget_keywords(self.query.series.name, numbers, self.query.segment)

    def _look_up(self, wanted: Sequence[Row]) -> dict[str, Record]:
        """Return JSOC's keywords and path of each wanted record."""
        numbers = [int(row["recnum"]) for row in wanted]
        found = self.jsoc.keywords(self.query.series.name, numbers, self.query.segment)
        pairs = zip(wanted, numbers, strict=True)
        return {row["record"]: found[number] for row, number in pairs}

    def _stored(self, row: Row) -> Row:
        """Return the link of a record whose file is online."""
        series, segment = self.query.series.name, self.query.segment
        record = self.known[row["record"]]
        return {
            **{name: row[name] for name in ("record", "t_rec", "wavelength", "time")},
            "segment": segment,
            "kind": Kind.IMAGE,
            "filename": default_name(series, self.structure, record, segment),
            "url": f"{_LINK_BASE}{record.path}",
            "requestid": "",
        }

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
