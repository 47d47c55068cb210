"""The stage `list`: the records in an event's window at one channel.

It asks for no export. Links are listed, too, if they are known already: from a saved page, or from
the RequestID of an export that the user made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flareset.archive.endpoints import reached, rehearsal_page
from flareset.archive.exports import Exporter
from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer
from flareset.campaign.access import Access
from flareset.campaign.pages import missing_page, page_text
from flareset.errors import ExportError, ListingError
from flareset.sdo.processing import process_text
from flareset.sources.delivered import Delivery, read_answers, warnings_of
from flareset.sources.links import Missing
from flareset.sources.page import read_page
from flareset.sources.query import Query, check_name_format, find_records, steps_of
from flareset.sources.records import mark_left_out
from flareset.sources.rows import edges_of
from flareset.tables.listing import ExportFacts
from flareset.tables.records import COLUMNS
from flareset.tables.rows import Row, in_order
from flareset.tables.status import Kind, Status


@dataclass(frozen=True)
class Found:
    """The records that were found, the links that are known already, and their export's facts."""

    records: list[Row]
    listing: Sequence[Row]
    facts: ExportFacts


@dataclass(frozen=True)
class Where:
    """The places to look: an archive with its `name` in the store, and a folder of saved `pages`.

    JSOC's answers are kept in `store`.
    """

    access: Access
    name: str
    store: Path
    pages: str


def find(
    query: Query, source: str, where: Where, *, page: str | Path | None = None, accept: bool = False
) -> Found:
    """Return the records and links of a query by a source. `page` is a saved page, if there is one.

    `accept`: use a page even if its number of rows differs from its own count. Raises ListingError
    and ExportError.
    """
    if source == "page":
        return _find_in_page(query, where, page, accept=accept)
    with reached(where.access, query.event.flares, where.store) as site:
        jsoc = site.jsoc(where.name)
        if source == "request_id":
            exporter = site.exporter(jsoc, where.name, query.series)
            return list_request(query, query.event.request_ids, exporter)
        return list_records(query, jsoc, source)


def _find_in_page(query: Query, where: Where, page: str | Path | None, *, accept: bool) -> Found:
    """Return the records and links of a saved page or, in a rehearsal, of the stand-in's page."""
    archive = where.access.archive
    if page:
        origin, text = str(page), page_text(page)
    elif archive.rehearses and not query.processing:
        origin = f"the stand-in's page of {query.recordset}"
        asked = query.recordset.partition("{")[0]
        text = rehearsal_page(asked, archive.frame_size, query.event.flares)
    elif archive.rehearses:
        raise ListingError(
            "a rehearsal makes only pages of unprocessed images: set source: export, or take"
            " export.processing out"
        )
    else:
        raise missing_page(where.pages, query.event, query.wavelength)
    try:
        return list_page(query, text, hosts=list(archive.hosts), accept=accept)
    except ListingError as error:
        raise ListingError(f"{origin}: {error}") from None


def list_page(query: Query, text: str, *, hosts: list[str], accept: bool) -> Found:
    """Return the records and links of a saved export page. Raises ListingError with the reason."""
    steps, remarks = steps_of(query, None)
    listing, facts = read_page(
        text,
        query.event,
        query.wavelength,
        series=query.series,
        wavelengths=query.wavelengths,
        hosts=hosts,
        segment=query.segment,
        process=process_text(steps),
        accept=accept,
    )
    facts = replace(facts, source="page", remarks=[*facts.remarks, *remarks])
    return Found(_records_of(listing, query), listing, facts)


def _records_of(listing: Sequence[Row], query: Query) -> list[Row]:
    """Return the records that a page lists. Their keywords are not known yet."""
    files: dict[str, Row] = {}
    # The images first: a record has none if all its files are of other segments.
    for row in sorted(listing, key=lambda row: row["segment"] != query.segment):
        files.setdefault(row["record"], row)
    return [_record_of(row, query) for row in in_order(files.values(), "t_rec", "record")]


def _record_of(row: Row, query: Query) -> Row:
    """Return the record of a listed file; it has no image if the file is of another segment."""
    status, reason = "", ""
    if row["segment"] != query.segment:
        status, reason = Status.NO_IMAGE, f"the record lists only {row['segment']}"
    known = {name: row[name] for name in ("record", "t_rec", "time", "wavelength")}
    unknown = {"t_obs": None, "bytes": 0}
    return {**dict.fromkeys(COLUMNS, ""), **known, **unknown, "status": status, "reason": reason}


def list_records(query: Query, jsoc: Jsoc, source: str) -> Found:
    """Return JSOC's records for a query, without links.

    `source` is `export` or `direct`. Raises ExportError if no record has an image.
    """
    check_name_format(query, jsoc)
    steps, remarks = steps_of(query, jsoc)
    remarks = [*_patches(query), *remarks]
    records = mark_left_out(found := find_records(query, jsoc), steps, query.series)
    remarks += _losses(found, records)
    if all(row["status"] for row in records):
        raise ExportError(
            f"none of the {len(records)} records of {query.recordset} has an image:"
            f" {records[0]['reason']}"
        )
    facts = ExportFacts(
        requestid="",
        count=0,
        rows=0,
        exptime="",
        method=query.method,
        protocol=query.wire_protocol,
        process=process_text(steps) if steps else "",
        recordset=query.recordset,
        remarks=remarks,
        source=source,
    )
    return Found(records, [], facts)


def list_request(query: Query, requests: list[str], exporter: Exporter) -> Found:
    """Return the records of a query, and the links in exports that the user made.

    A record that the exports lack fails later, if it is wanted. Raises ListingError if the exports
    do not belong to the query.
    """
    answers = [exporter.wait_for(requestid) for requestid in requests]
    jsoc = exporter.jsoc
    steps, remarks = steps_of(query, jsoc)
    remarks = [*_patches(query), *remarks]
    records = mark_left_out(found := find_records(query, jsoc), steps, query.series)
    remarks += _losses(found, records)
    process = process_text(steps) if steps else ""
    ids = ", ".join(requests)
    try:
        links = read_answers(answers, Delivery(query, records, process, shared=True))
        if not links.rows:
            raise ListingError(f"it lists no record at {query.wavelength}")
        movies = all(row["kind"] == Kind.MOVIE for row in links.rows)
        edges = "" if movies else edges_of(links.rows, query.event, query.series)
    except ListingError as error:
        raise ListingError(f"{ids}: {error}; check request_id in the row") from None
    facts = _facts_of(answers, len(links.rows), process)
    facts = replace(facts, edges=edges, remarks=[*remarks, *facts.remarks])
    return Found([_explained(row, links.missing) for row in records], links.rows, facts)


def _explained(record: Row, missing: Mapping[str, Missing]) -> Row:
    """Return a record, with the reason if an export says why it has no image."""
    why = missing.get(record["record"])
    if record["status"] or why is None or why.status == Status.FAILED:
        return record
    return {**record, "status": why.status, "reason": why.reason}


def _patches(query: Query) -> Iterator[str]:
    """Yield a remark on how the SHARPs of an event were selected, if by active region."""
    region = query.event.noaa_ar
    if query.series.keys[0] == "HARPNUM" and region and not query.event.columns.get("recordset"):
        yield f"the patches of which NOAA_ARS has {region}, be it as one of several regions"


def _losses(found: Sequence[Row], left: Sequence[Row]) -> list[str]:
    """Return a remark if JSOC's processing loses images, else nothing."""
    there = [after for row, after in zip(found, left, strict=True) if not row["status"]]
    lost = sum(row["status"] == Status.NO_IMAGE for row in there)
    if not lost:
        return []
    return [f"JSOC's aia_scale loses {lost} of {len(there)} images: see config/README.md"]


def _facts_of(answers: list[Answer], rows: int, process: str) -> ExportFacts:
    first = answers[0]
    return ExportFacts(
        requestid=" ".join(answer.requestid for answer in answers),
        count=sum(answer.count for answer in answers),
        rows=rows,
        exptime=first.exptime,
        method=first.method,
        protocol=first.protocol,
        megabytes=sum(answer.size for answer in answers),
        process=process,
        remarks=warnings_of(answers),
        source="request_id",
    )
