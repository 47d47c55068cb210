"""The stage `list`: what there is in an event's window at one channel, as facts.

No export is asked for. Where links are known without asking, from a saved page or a RequestID of
the user's, they are listed too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from flareset.archive.exports import Exporter
from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer
from flareset.errors import ExportError, ListingError
from flareset.sdo.processing import process_text
from flareset.sources.delivered import Delivery, read_answers, warnings_of
from flareset.sources.page import read_page
from flareset.sources.query import Query, check_name_format, find_records, steps_of
from flareset.sources.records import left_out
from flareset.sources.rows import edges_of
from flareset.tables.listing import ExportFacts, no_listing
from flareset.tables.records import COLUMNS
from flareset.tables.status import Kind, Status


@dataclass(frozen=True)
class Found:
    """What there is: records (facts), the links that are known, and the facts of their export."""

    records: pd.DataFrame
    listing: pd.DataFrame
    facts: ExportFacts


def list_page(query: Query, text: str, *, hosts: list[str], accept: bool) -> Found:
    """Return what a saved export page lists. Raises ListingError with the reason."""
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
    """Return a record for each that a page lists; its keywords are not known yet."""
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
    """Return the records that JSOC has of a query, and how its images will be had.

    `source` is `export` or `direct`.

    Raises ExportError where there is none with an image.
    """
    check_name_format(query, jsoc)
    steps, remarks = steps_of(query, jsoc)
    records = left_out(find_records(query, jsoc), steps, query.series)
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

    A record that the exports lack fails when it is wanted. Raises ListingError where the exports
    are of something else.
    """
    answers = [exporter.wait_for(requestid) for requestid in requests]
    jsoc = exporter.jsoc
    steps, remarks = steps_of(query, jsoc)
    records = left_out(find_records(query, jsoc), steps, query.series)
    process = process_text(steps) if steps else ""
    ids = ", ".join(requests)
    try:
        links = read_answers(answers, Delivery(query, records, process, shared=True))
        if links.rows.empty:
            raise ListingError(f"it lists no record at {query.wavelength}")
        movies = (links.rows["kind"] == Kind.MOVIE).all()
        edges = "" if movies else edges_of(links.rows, query.event, query.series)
    except ListingError as error:
        raise ListingError(f"{ids}: {error}; look at request_id in the row") from None
    for record, missing in links.missing.items():
        if missing.status != Status.FAILED:
            place = (records["record"] == record) & (records["status"] == "")
            records.loc[place, ["status", "reason"]] = [missing.status, missing.reason]
    facts = _facts_of(answers, len(links.rows), process)
    return Found(
        records, links.rows, replace(facts, edges=edges, remarks=[*remarks, *facts.remarks])
    )


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
