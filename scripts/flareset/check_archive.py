"""Check that an archive behaves as the workflow relies on, with a few questions and one image.

The expectations come from JSOC's recorded answers (docs/design.md). The report has no e-mail
address, so users can send it to the maintainers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from flareset.archive.exports import Exporter, Order
from flareset.archive.jsoc import Jsoc
from flareset.archive.transfer import Transfer
from flareset.errors import ExportError, FlaresetError
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.drms import default_name
from flareset.sdo.recordset import jsoc_time, recnum_recordsets
from flareset.sdo.series import Series
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.direct import Direct
from flareset.sources.query import Query
from flareset.sources.records import expected_records, keys_of
from flareset.tables.rows import Row

log = logging.getLogger(__name__)
# Errors of a question to a server that answers otherwise than JSOC.
_FAILURES = (FlaresetError, LookupError, OSError, TypeError, ValueError)
# Cards in which an export differs from the exported form made of the stored file.
_OWN_CARDS = {"CHECKSUM", "DATASUM", "HEADSUM", "DATE", "HISTORY", "COMMENT", ""}


@dataclass(frozen=True)
class Finding:
    """A question to the archive, the expected answer, and the answer that was found."""

    subject: str
    expected: str
    found: str

    @property
    def fine(self) -> bool:
        """Whether the archive is as expected."""
        return self.expected == self.found

    def __str__(self) -> str:
        if self.fine:
            return f"as expected: {self.subject}: {self.found}"
        return f"NOT as expected: {self.subject}: {self.found}, expected {self.expected}"


@dataclass
class ArchiveCheck:
    """The questions to one archive: about a `query` at the time `when` (UTC).

    Files are put in `folder`. `exporter` may be None: then no export is asked for.
    """

    query: Query
    jsoc: Jsoc
    transfer: Transfer
    when: datetime
    folder: Path
    exporter: Exporter | None = None
    # The stored image in its exported form, once it is proven.
    made: Path | None = None

    def findings(self) -> Iterator[Finding]:
        """Yield the findings of each question. A question that fails is a finding, too."""
        questions: list[Callable[[], Iterator[Finding]]] = [
            self._series,
            self._slots,
            self._numbers,
            self._image,
        ]
        if self.exporter is not None:
            questions.append(self._export)
        told: dict[str, str] = {}
        for question in questions:
            name = question.__name__.strip("_")
            try:
                yield from question()
            except _FAILURES as error:
                said = (str(error).splitlines() or [type(error).__name__])[0]
                first = told.setdefault(said, name)
                yield Finding(name, "an answer", said if first == name else f"as for {first}")

    def _at(self, times: str) -> str:
        """Return the recordset of a time filter, at the query's channel if that is a prime key."""
        filters = {"T_REC": times, "WAVELNTH": str(self.query.wavelength)}
        keys = self.query.series.keys
        keys = keys if keys[-1] == "WAVELNTH" else keys[: keys.index("T_REC") + 1]
        return self.query.series.name + "".join(f"[{filters.get(key, '')}]" for key in keys)

    def _window(self, times: str) -> list[str]:
        """Return the different T_REC of the records of a time filter, in JSOC's order."""
        rows = self.jsoc.records(self._at(times), keys_of(self.query.series))
        return list(dict.fromkeys(row["T_REC"] for row in rows))

    def _series(self) -> Iterator[Finding]:
        structure = self.jsoc.structure(self.query.series.name)
        yield Finding("prime keys", ", ".join(self.query.series.keys), ", ".join(structure.keys))
        types = {keyword.name: keyword.type for keyword in structure.keywords}
        for name, kind in (("T_REC", "time"), ("T_OBS", "time"), ("QUALITY", "int")):
            yield Finding(f"type of {name}", kind, types.get(name, "no such keyword"))
        there = self.query.segment in {segment.name for segment in structure.segments}
        yield Finding(f"segment {self.query.segment}", "True", str(there))

    def _slots(self) -> Iterator[Finding]:
        """Ask for a range and a span, and for the two seconds between which a slot begins."""
        series = self.query.series
        if not series.shares_slots:
            return  # each second is a slot
        ends = [self.when + timedelta(seconds=n * series.cadence) for n in (0, 10)]
        first, last = (jsoc_time(series, when) for when in ends)
        found = self._window(f"{first}-{last}")
        yield Finding("records of a range of 10 slots, both ends counted", "11", str(len(found)))
        span = self._window(f"{first}/{5 * series.cadence + 1}s")
        yield Finding("records of a span of 5 slots and a second", "5", str(len(span)))
        before, after = found[:2]
        yield Finding("the first record of both", before, span[0] if span else "none")
        begin = slot_begin(series, parse_jsoc_time(after))
        for when, record in ((begin - timedelta(seconds=1), before), (begin, after)):
            text = jsoc_time(series, when)
            told = ", ".join(self._window(text)) or "none"
            yield Finding(f"the record of {text}, whose slot is the nearest", record, told)

    def _records(self) -> list[dict[str, str]]:
        """Return the records of a few slots. Raise ExportError if there are none."""
        series = self.query.series
        where = self._at(f"{jsoc_time(series, self.when)}/{3 * series.cadence}s")
        rows = self.jsoc.records(where, keys_of(series), self.query.segment)
        if not rows:
            raise ExportError(f"jsoc_info lists no record of {where}")
        return rows

    def _numbers(self) -> Iterator[Finding]:
        """Ask for the same records by number."""
        series = self.query.series
        rows = self._records()
        numbers = [int(row["*recnum*"]) for row in rows]
        (text,) = recnum_recordsets(series.name, numbers)
        again = self.jsoc.records(text, keys_of(series), self.query.segment)
        asked = ", ".join(sorted(row["T_REC"] for row in rows))
        yield Finding("records by number", asked, ", ".join(sorted(row["T_REC"] for row in again)))

    def _image(self) -> Iterator[Finding]:
        """Fetch a stored image, prove it by its pixels and turn it into its exported form."""
        record, number = self._one()
        direct = Direct(self.query, self.jsoc)
        links = direct.find([record], [record])
        if not links.rows:
            yield Finding("stored file", "online", next(iter(links.missing.values())).reason)
            return
        (row,) = links.rows
        part = self.folder / f"{number}.fits.part"
        part.touch()
        asked = self._asked(row)
        proof = self.transfer.fetch(
            row["url"], part, lambda there: direct.check(asked, there)
        ).found
        yield Finding("proof of the stored image", "pixels", proof.grade)
        self.made = part

    def _export(self) -> Iterator[Finding]:
        """Ask for an export of the same image, and compare it with the exported form made here."""
        assert self.exporter is not None
        record, number = self._one()
        (text,) = recnum_recordsets(self.query.series.name, [number], self.query.segment)
        order = Order(text, "url", "FITS,compress Rice", self.query.name_format, "n=0|no_op")
        (answer,) = self.exporter.bring(order)
        yield Finding("status of an export of one record", "0", str(answer.status))
        yield Finding("files of it", "1", str(len(answer.data)))
        ((_, name),) = answer.data
        structure = self.jsoc.structure(self.query.series.name)
        told = self.jsoc.keywords(self.query.series.name, [number], self.query.segment)[number]
        expected = default_name(self.query.series.name, structure, told, self.query.segment)
        yield Finding("name of the exported file", expected, name)
        part = self.folder / f"{number}.export.part"
        part.touch()
        asked = self._asked(record)
        link = f"http://jsoc.stanford.edu{answer.folder.rstrip('/')}/{name}"
        self.transfer.fetch(link, part, lambda there: ImageCheck(asked, there))
        if self.made is not None:
            yield from _compared(self.made, part)

    def _one(self) -> tuple[Row, int]:
        """Return a record with an image (a row of records.csv), and its number."""
        rows = self._records()
        records = expected_records(
            rows, self.query.recordset, self.query.series, self.query.wavelength
        )
        record = next(row for row in records if not row["status"])
        return record, int(record["recnum"])

    def _asked(self, row: Row) -> Asked:
        series = self.query.series
        return Asked(
            row["record"],
            row["t_rec"],
            self.query.wavelength,
            series.names_of(self.query.segment),
            row["time"],
            series.cadence,
            series.keys,
        )


def slot_begin(series: Series, t_rec: datetime) -> datetime:
    """Return the first whole second (UTC) of the slot of a T_REC.

    A slot contains the times that are nearest to its middle. AIA's T_REC is before the middle.
    """
    middle = series.centre(t_rec) if series.linked else t_rec
    return middle - timedelta(seconds=series.cadence // 2)


def _compared(made: Path, exported: Path) -> Iterator[Finding]:
    """Compare the data and cards of a file made here with those of JSOC's export."""
    with fits.open(made) as ours, fits.open(exported) as theirs:
        same = np.array_equal(ours[-1].data, theirs[-1].data, equal_nan=True)
        yield Finding("pixels of the export", "True", str(same))
        names = (set(ours[-1].header) | set(theirs[-1].header)) - _OWN_CARDS
        other = [n for n in sorted(names) if ours[-1].header.get(n) != theirs[-1].header.get(n)]
        yield Finding("cards that differ from the export", "", ", ".join(other))
