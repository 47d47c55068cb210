"""The query of one event and channel to JSOC, and the records that JSOC returns for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from flareset.archive.jsoc import Jsoc
from flareset.campaign.config import ProcessingStep
from flareset.campaign.events import Event
from flareset.campaign.settings import Settings
from flareset.errors import ExportError
from flareset.sdo.numbers import real
from flareset.sdo.processing import Step
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.recordset import Recordset, split, window_recordset
from flareset.sdo.series import Series
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.processing import Region, Surroundings, wire_steps
from flareset.sources.records import expected_records, keys_of
from flareset.tables.records import UNSAID
from flareset.tables.rows import Row

# The most records that one question asks for. JSOC's own limit is some 15000.
_MOST_RECORDS = 10_000
_FIELD = re.compile(r"\{([\w#]+)(?::[^{}]*)?\}")
# Fields of a file name that are not keywords.
_OWN_FIELDS = {"SERIESNAME", "SEGMENT", "RECNUM", "#"}
_WAVELENGTHS = re.compile(r"\d+(\s*,\s*\d+)*")


@dataclass(frozen=True)
class Query:
    """The query of one event and channel to JSOC.

    `wavelengths` are all channels of the campaign. `processing` are its steps from the config.
    """

    event: Event
    wavelength: int
    series: Series
    segment: str
    wavelengths: list[int]
    method: str
    protocol: str
    filename_format: str
    processing: tuple[ProcessingStep, ...]

    @classmethod
    def of(cls, event: Event, wavelength: int, wavelengths: list[int], settings: Settings) -> Query:
        """Return the query of a job, from its stage's settings."""
        series, segment = settings.image_series, settings.segment
        return cls(event, wavelength, series, segment, wavelengths, **dict(settings.request))

    @property
    def recordset(self) -> str:
        """The row's own recordset at the wavelength, or that of its window."""
        if text := self.event.columns.get("recordset", ""):
            return str(self._own(Recordset.parse(text)))
        noaa_ar = self.event.noaa_ar
        if self.series.keys[0] == "HARPNUM" and noaa_ar is None:
            raise ExportError(
                f"event {self.event.event_id}: {self.series.name} needs to know whose patch: fill"
                f" in noaa_ar in its row, or recordset, like {self.series.name}[377][…]"
            )
        window = self.event.window_start, self.event.window_end
        return str(window_recordset(self.series, *window, [self.wavelength], self.segment, noaa_ar))

    def _own(self, given: Recordset) -> Recordset:
        """Return a row's own recordset, narrowed to this channel and segment.

        Raises ExportError if it has another series, channel or segment.
        """
        where = f"event {self.event.event_id}: its recordset"
        if given.series.lower() != self.series.name.lower():
            raise ExportError(
                f"{where} is of series {given.series}, the campaign of {self.series.name}"
            )
        if given.times is None:
            raise ExportError(f"{where} {given} has no filter on time")
        segments = given.segments or (self.segment,)
        if self.segment not in segments:
            raise ExportError(
                f"{where} has segment {', '.join(segments)}, the campaign uses {self.segment}"
            )
        filters = given.filters
        if self.series.keys[-1] == "WAVELNTH":
            filters = self._at_channel(filters, where)
        return Recordset(self.series.name, filters, segments)

    def _at_channel(self, filters: tuple[str, ...], where: str) -> tuple[str, ...]:
        """Return the filters with this channel instead of several channels or none."""
        own = str(self.wavelength)
        narrowed = tuple(
            own if _WAVELENGTHS.fullmatch(text) and own in re.split(r"\s*,\s*", text) else text
            for text in filters
        )
        if own in narrowed:
            return narrowed
        second = narrowed[1] if len(narrowed) > 1 else ""
        if second and second[0] not in "?!":
            raise ExportError(f"{where} asks for [{second}], not for {own}")
        # Without the channel, JSOC would export all of them.
        return narrowed[:1] + (own,) + ((second,) if second else ()) + narrowed[2:]

    @property
    def name_format(self) -> str:
        """The format of the export's file names: from the config, or JSOC's default."""
        if self.filename_format:
            return self.filename_format
        fields = ["{T_REC:A}" if key == "T_REC" else f"{{{key}}}" for key in self.series.keys]
        return ".".join([self.series.name, *fields, "{segment}"])

    @property
    def wire_protocol(self) -> str:
        """The protocol as JSOC spells it."""
        kind, comma, settings = self.protocol.partition(",")
        return f"jpg{comma}{settings}" if kind.lower() == "jpeg" else self.protocol


def find_records(query: Query, jsoc: Jsoc) -> list[Row]:
    """Return JSOC's records for a query. Large queries are asked in parts.

    Raises ExportError if there are no records.
    """
    recordset = query.recordset
    found = Recordset.parse(recordset).times
    assert found is not None
    seconds = (found[1].end - found[1].begin).total_seconds()
    slots = seconds / (found[1].cadence or query.series.cadence)
    # Stored files have few keywords: their pixels are compared with the record's statistics.
    more = UNSAID if kind_of_protocol(query.protocol) == "as-is" else ()
    rows = [
        row
        for text in split(recordset, max(1, ceil(slots / _MOST_RECORDS)), query.series)
        for row in jsoc.records(text.partition("{")[0], keys_of(query.series, more), query.segment)
    ]
    return expected_records(rows, recordset, query.series, query.wavelength)


def check_name_format(query: Query, jsoc: Jsoc) -> None:
    """Raise ExportError if a field of the file names is not a keyword of the series."""
    fields = {field.upper() for field in _FIELD.findall(query.filename_format)} - _OWN_FIELDS
    if fields and (strange := fields - jsoc.series_keywords(query.series.name)):
        raise ExportError(
            f"export.filename_format: {query.series.name} has no keyword"
            f" {', '.join(sorted(strange))}"
        )


def steps_of(query: Query, jsoc: Jsoc | None) -> tuple[list[Step], list[str]]:
    """Return JSOC's steps for a query's event, and remarks on where their values come from.

    Without `jsoc`, no active region is looked up.
    """
    if not query.processing:
        return [], []
    found = Recordset.parse(query.recordset).times
    assert found is not None
    times = found[1]

    def region(number: int, when: datetime) -> Region | None:
        return find_region(jsoc, number, when) if jsoc is not None else None

    around = Surroundings(query.event, query.series, times.begin, times.end, region, times.cadence)
    return wire_steps(query.processing, around)


def find_region(jsoc: Jsoc, number: int, when: datetime) -> Region | None:
    """Return a NOAA active region's position when it was nearest to the central meridian.

    JSOC's form looks it up in the same way (processing.js): the record of
    `su_rsb.NOAA_ActiveRegions` with the smallest distance. None if JSOC has no record of the region
    within a rotation of `when`.
    """
    try:
        rows = jsoc.records(
            f"su_rsb.NOAA_ActiveRegions[][{number}]",
            ["ObservationTime", "LatitudeHG", "LongitudeCM"],
        )
    except ExportError:
        return None  # the public jsoc_info may not have this series
    found = []
    for row in rows:
        try:
            time = parse_jsoc_time(row["ObservationTime"])
            longitude = real(row["LongitudeCM"], -180, 180)
            found.append(Region(time, longitude, real(row["LatitudeHG"], -90, 90)))
        except (KeyError, ValueError):
            continue
    near = [region for region in found if abs((region.time - when).days) <= 27]
    return min(near, key=lambda region: abs(region.longitude)) if near else None
