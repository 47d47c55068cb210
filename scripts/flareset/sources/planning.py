"""What a campaign asks JSOC for, and the listing that comes of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

import pandas as pd

from flareset.archive.exports import MOST_RECORDS, Exporter, Order, parts_needed, split
from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer
from flareset.campaign.config import ProcessingStep
from flareset.campaign.events import Event
from flareset.campaign.settings import Settings
from flareset.errors import ExportError, ListingError
from flareset.sdo.processing import Step, process_text, size_ratio
from flareset.sdo.recordset import Recordset, jsoc_time, window_recordset
from flareset.sdo.series import Series
from flareset.sdo.times import parse_jsoc_time
from flareset.sources.export import read_export
from flareset.sources.processing import Region, Surroundings, wire_steps
from flareset.sources.records import expected_records, keys_of
from flareset.tables.listing import PageFacts, key_of
from flareset.tables.records import in_window
from flareset.tables.status import Status

Renew = Callable[[pd.DataFrame], dict[tuple[str, str], tuple[str, str]]]
_FIELD = re.compile(r"\{([\w#]+)(?::[^{}]*)?\}")
# Fields of a file name that are no keywords.
_OWN_FIELDS = {"SERIESNAME", "SEGMENT", "RECNUM", "#"}
# Times that one request names, where it names them one by one.
_MOST_TIMES = 300

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What one event and wavelength needs of JSOC: the settings of its listing."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    method: str
    protocol: str
    filename_format: str
    processing: tuple[ProcessingStep, ...]

    @classmethod
    def of(cls, event: Event, wavelength: int, settings: Settings) -> Wish:
        """The wish of a job, from its stage's settings."""
        asked = dict(settings.request)
        return cls(event, wavelength, settings.image_series, settings.segment, **asked)

    @property
    def recordset(self) -> str:
        """The row's own recordset at the wavelength, or that of its window."""
        if text := self.event.row.get("recordset", ""):
            return str(self._narrowed(Recordset.parse(text)))
        noaa_ar = self.event.row.get("noaa_ar", "")
        if self.series.keys[0] == "HARPNUM" and not noaa_ar.isdigit():
            raise ExportError(
                f"event {self.event.event_id}: {self.series.name} needs to know whose patch: fill"
                f" in noaa_ar in its row, or recordset, like {self.series.name}[377][…]"
            )
        window = self.event.window_start, self.event.window_end
        return str(window_recordset(self.series, *window, [self.wavelength], self.segment, noaa_ar))

    def _narrowed(self, given: Recordset) -> Recordset:
        """A row's recordset without the wavelengths of other jobs, and with the segment."""
        event_id = self.event.event_id
        if given.series.lower() != self.series.name.lower():
            raise ExportError(
                f"event {event_id}: its recordset is of series {given.series}, the campaign of"
                f" {self.series.name}"
            )
        if given.times is None:
            raise ExportError(f"event {event_id}: its recordset {given} has no filter on time")
        filters = [
            str(self.wavelength)
            if re.fullmatch(r"\d+(\s*,\s*\d+)*", text)
            and self.series.keys[-1] == "WAVELNTH"
            and str(self.wavelength) in re.split(r"\s*,\s*", text)
            else text
            for text in given.filters
        ]
        if self.series.keys[-1] == "WAVELNTH" and str(self.wavelength) not in filters:
            second = filters[1] if len(filters) > 1 else ""
            if second and second[0] not in "?!":
                raise ExportError(
                    f"event {event_id}: its recordset asks for [{second}], not for"
                    f" {self.wavelength}"
                )
            # Without it, JSOC would export all the channels of the series.
            filters[1:2] = [str(self.wavelength), *([second] if second else [])]
        segments = given.segments or (self.segment,)
        if self.segment not in segments:
            raise ExportError(
                f"event {event_id}: its recordset has segment {', '.join(segments)}, the campaign"
                f" uses {self.segment}"
            )
        return Recordset(self.series.name, tuple(filters), segments)

    @property
    def name_format(self) -> str:
        """The export's file names: as set, or JSOC's default for the series."""
        if self.filename_format:
            return self.filename_format
        fields = ["{T_REC:A}" if key == "T_REC" else f"{{{key}}}" for key in self.series.keys]
        return ".".join([self.series.name, *fields, "{segment}"])

    @property
    def wire_protocol(self) -> str:
        """The protocol as JSOC spells it."""
        kind, comma, settings = self.protocol.partition(",")
        return f"jpg{comma}{settings}" if kind.lower() == "jpeg" else self.protocol


@dataclass(frozen=True)
class Plan:
    """What will be asked for: the records that JSOC has, and the requests that it takes."""

    wish: Wish
    recordset: str
    records: pd.DataFrame
    steps: list[Step]
    remarks: list[str]
    orders: list[Order]

    @property
    def process(self) -> str:
        """What is done to the images, as on the wire."""
        return process_text(self.steps)

    @property
    def megabytes(self) -> float:
        """The expected size of the export."""
        images = self.records[self.records["status"] == ""]
        return images["bytes"].sum() / 1e6 * size_ratio(self.steps, self.wish.series)


def make_plan(wish: Wish, jsoc: Jsoc) -> Plan:
    """The plan of a wish; nothing is asked for yet. ExportError where it cannot be asked for."""
    recordset = wish.recordset
    _check_name_format(wish, jsoc)
    records = _records(wish, recordset, jsoc)
    steps, remarks = processing_of(wish, recordset, jsoc)
    plan = Plan(wish, recordset, records, steps, remarks, [])
    with_image = int((records["status"] == "").sum())
    if not with_image:
        raise ExportError(
            f"none of the {len(records)} records of {recordset} has an image:"
            f" {records['reason'].iloc[0]}"
        )
    return replace(plan, orders=_orders(plan))


def _orders(plan: Plan) -> list[Order]:
    """The orders for all that a plan's recordset holds, each within JSOC's limits."""
    with_image = int((plan.records["status"] == "").sum())
    parts = parts_needed(with_image, plan.megabytes, plan.wish.protocol)
    return [_order(plan, text) for text in split(plan.recordset, parts, plan.wish.series)]


def _order(plan: Plan, recordset: str) -> Order:
    wish = plan.wish
    ratio = size_ratio(plan.steps, wish.series)
    return Order(recordset, wish.method, wish.wire_protocol, wish.name_format, plan.process, ratio)


def _check_name_format(wish: Wish, jsoc: Jsoc) -> None:
    """ExportError where a file name's field is no keyword of the series."""
    fields = {field.upper() for field in _FIELD.findall(wish.filename_format)} - _OWN_FIELDS
    if fields and (strange := fields - jsoc.series_keywords(wish.series.name)):
        raise ExportError(
            f"export.filename_format: {wish.series.name} has no keyword"
            f" {', '.join(sorted(strange))}"
        )


def _records(wish: Wish, recordset: str, jsoc: Jsoc) -> pd.DataFrame:
    """The records of a recordset, asked for in pieces that JSOC can answer."""
    found = Recordset.parse(recordset).times
    assert found is not None
    seconds = (found[1].end - found[1].begin).total_seconds()
    parts = max(1, ceil(seconds / (found[1].cadence or wish.series.cadence) / MOST_RECORDS))
    rows = [
        row
        for text in split(recordset, parts, wish.series)
        for row in jsoc.records(text.partition("{")[0], keys_of(wish.series), wish.segment)
    ]
    return expected_records(rows, recordset, wish.series, wish.wavelength)


def processing_of(wish: Wish, recordset: str, jsoc: Jsoc | None) -> tuple[list[Step], list[str]]:
    """The steps of a wish for its event; without `jsoc`, no active region is looked up."""
    if not wish.processing:
        return [], []
    found = Recordset.parse(recordset).times
    assert found is not None
    times = found[1]

    def region(number: int, when: datetime) -> Region | None:
        return find_region(jsoc, number, when) if jsoc is not None else None

    around = Surroundings(wish.event, wish.series, times.begin, times.end, region, times.cadence)
    return wire_steps(wish.processing, around)


def find_region(jsoc: Jsoc, number: int, when: datetime) -> Region | None:
    """Where a NOAA active region was when it was nearest to the central meridian.

    As JSOC's own form looks it up (processing.js): of `su_rsb.NOAA_ActiveRegions`, the record with
    the smallest distance. None where JSOC does not know it, or not within a rotation of `when`.
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
            found.append(Region(time, float(row["LongitudeCM"]), float(row["LatitudeHG"])))
        except ValueError:
            continue
    near = [region for region in found if abs((region.time - when).days) <= 27]
    return min(near, key=lambda region: abs(region.longitude)) if near else None


def known_listing(
    plan: Plan, exporter: Exporter
) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts] | None:
    """What `list_export` would give without asking for anything; None where it would ask."""
    answers = [exporter.remembered(order) for order in plan.orders]
    if None in answers:
        return None
    first = [answer for part in answers for answer in part or []]
    found = _read(plan, first)
    more = [exporter.remembered(order) for order in _missed(plan, found[1])]
    if None in more:
        return None
    return _read(plan, [*first, *(a for part in more for a in part or [])]) if more else found


def list_export(plan: Plan, exporter: Exporter) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts]:
    """The listing, records and facts of a plan, after asking for it and waiting.

    What the exports leave out is asked for once more, by itself.
    """
    answers = [answer for order in plan.orders for answer in exporter.bring(order)]
    listing, records, facts = _read(plan, answers)
    orders = _missed(plan, records)
    if not orders:
        return listing, records, facts
    log.info("not all records are in the export; asking for the rest once more")
    more = [answer for order in orders for answer in exporter.bring(order)]
    listing, records, facts = _read(plan, [*answers, *(a for a in more if a.status == 0)])
    if (records["status"] == Status.FAILED).any():
        for order in orders:
            exporter.forget(order)
    return listing, records, facts


def _missed(plan: Plan, records: pd.DataFrame) -> list[Order]:
    """Orders for the records that an export should have and has not; none for those offline."""
    failed = records["status"] == Status.FAILED
    lacking = records[failed & ~records["reason"].str.startswith("status")]
    if lacking.empty:
        return []
    return [_order(plan, text) for text in _one_by_one(plan, lacking)]


def _read(plan: Plan, answers: list[Answer]) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts]:
    wish = plan.wish
    return read_export(
        answers,
        plan.records,
        wish.event,
        wish.wavelength,
        series=wish.series,
        wavelengths=[wish.wavelength],
        segment=wish.segment,
        process=plan.process,
        recordset=plan.recordset,
        remarks=plan.remarks,
    )


def _one_by_one(plan: Plan, records: pd.DataFrame) -> list[str]:
    """Recordsets that name the T_REC of each record."""
    whole = Recordset.parse(plan.recordset)
    series = plan.wish.series
    times = [jsoc_time(series, when.to_pydatetime()) for when in records["t_rec"].drop_duplicates()]
    cut = [times[n : n + _MOST_TIMES] for n in range(0, len(times), _MOST_TIMES)]
    return [str(whole.at(",".join(part))) for part in cut]


def renewer(wish: Wish, records: pd.DataFrame, facts: PageFacts, exporter: Exporter) -> Renew:
    """A function that asks for listed files again, those alone, and says where each is now: its
    link and RequestID by `key_of` its row."""

    def renew(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[str, str]]:
        steps = processing_of(wish, facts.recordset, exporter.jsoc)[0]
        wanted = records[records["record"].isin(rows["record"])].assign(status="", reason="")
        plan = Plan(wish, facts.recordset, wanted, steps, [], [])
        if facts.process and plan.process != facts.process:
            raise ExportError(
                f"the processing is now {plan.process!r}, the listing's was {facts.process!r}: run"
                " `snakemake --forcerun list` for this event"
            )
        if wanted.empty:  # a movie is of all records
            whole = replace(plan, records=records)
            orders = [_order(whole, order.recordset) for order in _orders(whole)]
        else:
            orders = [_order(plan, text) for text in _one_by_one(plan, wanted)]
        found = {}
        for order in orders:
            for answer in exporter.bring(order, anew=True):
                if answer.status == 0:
                    listing, _, _ = _read(plan, [answer])
                    for row in listing.itertuples():
                        found[key_of(row)] = (row.url, answer.requestid)
        return found

    return renew


def list_request(
    wish: Wish, wavelengths: list[int], exporter: Exporter
) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts]:
    """Return the listing, records and facts of the exports that the row names.

    They were made on JSOC's page, of one or several of the campaign's `wavelengths`.
    """
    request_ids = wish.event.request_ids
    jsoc = exporter.jsoc
    answers = [exporter.wait_for(requestid) for requestid in request_ids]
    recordset = wish.recordset
    records = _records(wish, recordset, jsoc)
    steps, remarks = processing_of(wish, recordset, jsoc)
    try:
        listing, records, facts = read_export(
            answers,
            records,
            wish.event,
            wish.wavelength,
            series=wish.series,
            wavelengths=wavelengths,
            segment=wish.segment,
            process=process_text(steps),
            remarks=remarks,
        )
        if listing.empty:
            raise ListingError(f"it lists no record at {wish.wavelength}")
    except ListingError as error:
        ids = ", ".join(request_ids)
        raise ListingError(f"{ids}: {error}; look at request_id in the row") from None
    return listing, records, facts


def lacking_records(records: pd.DataFrame, event: Event) -> dict[str, str]:
    """The records of the window that were asked for and not exported, each with the reason."""
    window = in_window(records, event.window_start, event.window_end)
    failed = records[window & (records["status"] == Status.FAILED)]
    return dict(zip(failed["record"], failed["reason"], strict=True))
