"""The stage `list`: the records in an event's window at one channel.

It asks for no export. Links are listed, too, if they are known already: from a saved page, or from
the RequestID of an export that the user made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from flareset.archive.endpoints import reached, rehearsal_page
from flareset.archive.exports import Exporter
from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer
from flareset.campaign.access import Access
from flareset.campaign.pages import missing_page, page_text
from flareset.errors import ExportError, ListingError
from flareset.sdo.processing import process_text
from flareset.sources.delivered import Delivery, read_answers, warnings_of
from flareset.sources.page import read_page
from flareset.sources.query import Query, check_name_format, find_records, steps_of
from flareset.sources.records import mark_left_out
from flareset.sources.rows import edges_of
from flareset.tables.listing import ExportFacts, no_listing
from flareset.tables.records import COLUMNS
from flareset.tables.status import Kind, Status


@dataclass(frozen=True)
class Found:
    """The records that were found, the links that are known already, and their export's facts."""

    records: pd.DataFrame
    listing: pd.DataFrame
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


def _records_of(listing: pd.DataFrame, query: Query) -> pd.DataFrame:
    """Return the records that a page lists. Their keywords are not known yet."""
    with_image = listing["segment"] == query.segment
    first = listing.assign(bare=~with_image).sort_values(["bare", "t_rec", "record"], kind="stable")
    first = first.drop_duplicates("record").sort_values(["t_rec", "record"], kind="stable")
    table = first.reindex(columns=COLUMNS, fill_value="").reset_index(drop=True)
    bare = first["bare"].to_numpy()
    table["t_obs"] = pd.Series(pd.NaT, index=table.index, dtype="datetime64[us, UTC]")
    table["time"] = first["time"].to_numpy()
    table["time"] = pd.to_datetime(table["time"], utc=True)
    table["status"] = [Status.NO_IMAGE if lacks else "" for lacks in bare]
    table["reason"] = [
        f"the record lists only {segment}" if lacks else ""
        for segment, lacks in zip(first["segment"], bare, strict=True)
    ]
    return table.assign(bytes=0)


def list_records(query: Query, jsoc: Jsoc, source: str) -> Found:
    """Return JSOC's records for a query, without links.

    `source` is `export` or `direct`. Raises ExportError if no record has an image.
    """
    check_name_format(query, jsoc)
    steps, remarks = steps_of(query, jsoc)
    remarks = [*_patches(query), *remarks]
    records = mark_left_out(found := find_records(query, jsoc), steps, query.series)
    remarks += _losses(found, records)
    if not (records["status"] == "").any():
        raise ExportError(
            f"none of the {len(records)} records of {query.recordset} has an image:"
            f" {records['reason'].iloc[0]}"
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
    return Found(records, no_listing(), facts)


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
        if links.rows.empty:
            raise ListingError(f"it lists no record at {query.wavelength}")
        movies = (links.rows["kind"] == Kind.MOVIE).all()
        edges = "" if movies else edges_of(links.rows, query.event, query.series)
    except ListingError as error:
        raise ListingError(f"{ids}: {error}; check request_id in the row") from None
    for record, missing in links.missing.items():
        if missing.status != Status.FAILED:
            place = (records["record"] == record) & (records["status"] == "")
            records.loc[place, ["status", "reason"]] = [missing.status, missing.reason]
    facts = _facts_of(answers, len(links.rows), process)
    return Found(
        records, links.rows, replace(facts, edges=edges, remarks=[*remarks, *facts.remarks])
    )


def _patches(query: Query) -> Iterator[str]:
    """Yield a remark on how the SHARPs of an event were selected, if by active region."""
    region = query.event.noaa_ar
    if query.series.keys[0] == "HARPNUM" and region and not query.event.columns.get("recordset"):
        yield f"the patches of which NOAA_ARS has {region}, be it as one of several regions"


def _losses(found: pd.DataFrame, left: pd.DataFrame) -> list[str]:
    """Return a remark if JSOC's processing loses images, else nothing."""
    there = found["status"] == ""
    lost = there & (left["status"] == Status.NO_IMAGE)
    if not lost.any():
        return []
    return [f"JSOC's aia_scale loses {lost.sum()} of {there.sum()} images: see config/README.md"]


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
