"""Read the rows that a finished export lists, before they are matched with JSOC's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flareset.archive.responses import strip_retry
from flareset.campaign.events import Event
from flareset.sdo.series import Series
from flareset.sources.rows import (
    File,
    Listed,
    ListedRecord,
    check_link,
    check_name,
    listing_of,
    read_record,
    refuse_doubles,
    segment_of,
    wavelength_in_name,
    wavelength_of,
)
from flareset.tables.rows import Row
from flareset.tables.status import Kind


@dataclass(frozen=True)
class ExportRows:
    """A reader of an export's rows for `event` at `wavelength`.

    `wavelengths` are those that the export may contain. `protocol` is the kind of its files
    (`kind_of_protocol`). `processed`: the records may belong to another series.
    """

    event: Event
    wavelength: int
    series: Series
    segment: str
    wavelengths: Sequence[int]
    protocol: str
    processed: bool

    def listing(self, rows: list[File]) -> list[Row]:
        """Return the listing of rows. Raise ListingError if a row is not usable."""
        listing = listing_of(self._read(*row) for row in rows)
        if self.protocol == "fits":
            refuse_doubles(listing)
        return listing

    def _read(self, record: str, href: str, name: str) -> Listed:
        check_name(record, name, fits=self.protocol == "fits")
        check_link(record, href, name)
        if self.protocol in ("mpg", "mp4"):
            begin = self.event.window_start
            own_name = f"{self.event.event_id}.{self.wavelength}.{name}"
            channel, segment = self.wavelength, self.segment
            return record, begin, channel, segment, Kind.MOVIE, own_name, href, begin
        listed = read_record(record, name, self.series, processed=self.processed)
        wavelength = self._wavelength_of(listed, name)
        kind, segment = Kind.PICTURE, self.segment
        if self.protocol != "jpg":
            kind, segment = Kind.IMAGE, segment_of(listed, name, self.series, self.segment)
        file = strip_retry(name)
        return listed.name, listed.t_rec, wavelength, segment, kind, file, href, listed.time

    def _wavelength_of(self, listed: ListedRecord, name: str) -> int:
        """Return the channel of a row.

        If the row names none, this is the wanted channel: the match with JSOC's records then sorts
        out other channels.
        """
        if (wavelength := wavelength_of(listed, self.series)) is not None:
            return wavelength
        if listed.own:
            return self.wavelength
        return wavelength_in_name(listed, name, self.wavelengths)
