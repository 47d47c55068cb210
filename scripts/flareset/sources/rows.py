"""Rows of an export, from a page or an answer: read and checked, one row of a listing each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pandas as pd

from flareset.archive.responses import without_again
from flareset.campaign.events import Event
from flareset.errors import ExportError, ListingError
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import Series
from flareset.sdo.times import iso, name_time
from flareset.tables.listing import COLUMNS, MOVIE, PICTURE

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SAFE_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+/?")
# The first and last records of a window's page lie this near its edges, gaps apart.
_EDGE = timedelta(minutes=2)
# A file name's time is T_OBS, at most about a cadence after the record's T_REC.
_NAME_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Asked:
    """What rows are read for; `known` where they are matched with JSOC's records afterwards."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    wavelengths: list[int]
    hosts: list[str]
    kind: str
    processed: bool
    known: bool = False


def rows_to_listing(rows: list[tuple[str, str, str]], asked: Asked) -> pd.DataFrame:
    listing = pd.DataFrame([_row(*row, asked) for row in rows], columns=COLUMNS)
    for column in ("t_rec", "time"):
        listing[column] = pd.to_datetime(listing[column], utc=True)
    if (double := listing["url"][listing["url"].duplicated()]).size:
        raise ListingError(f"the link {double.iloc[0]} is listed twice")
    refuse_doubles(listing if asked.kind == "fits" else listing.iloc[:0])
    return listing


def refuse_doubles(listing: pd.DataFrame) -> None:
    if (double := listing["filename"][listing["filename"].duplicated()]).size:
        raise ListingError(f"the file {double.iloc[0]} is listed twice")
    if (double := listing["record"][listing.duplicated(["record", "segment"])]).size:
        raise ListingError(f"the record {double.iloc[0]} is listed twice for one segment")


def _row(
    record: str, href: str, name: str, asked: Asked
) -> tuple[str, datetime, int, str, str, str, datetime]:
    """A row of the listing, from a record, a link and the name that the archive gives the file."""
    _check_link(record, href, name, asked)
    series = asked.series
    if asked.kind in ("mpg", "mp4"):
        begin = asked.event.window_start
        name = f"{asked.event.event_id}.{asked.wavelength}.{name}"
        return record, begin, asked.wavelength, MOVIE, name, href, begin
    try:
        parsed = Recordset.parse(record)
        found = parsed.times
    except (ExportError, ValueError):
        found = None
    if found is None or len(found[1].values) != 1:
        raise ListingError(f"{record!r} is not a record of {series.name}")
    if parsed.series.lower() != series.name.lower() and not asked.processed:
        hint = ""
        if parsed.series.lower().startswith((f"{series.name.lower()}_mod", "aia.lev1p5")):
            hint = ": the export was processed; say how in export.processing"
        raise ListingError(f"record {record} is of series {parsed.series}, not {series.name}{hint}")
    t_rec = found[1].begin
    try:
        time = name_time(name) or t_rec
    except ValueError as error:
        raise ListingError(f"record {record}, file {name}: {error}") from None
    if abs(time - t_rec) > max(_NAME_TOLERANCE, timedelta(seconds=2 * series.cadence)):
        raise ListingError(f"the file name {name} is of another time than its record {record}")
    own = parsed.series.lower() == series.name.lower()
    wavelength = _wavelength_of(record, parsed, name, asked, own=own)
    segment = PICTURE if asked.kind == "jpg" else _segment_of(parsed, name, asked)
    bare = str(Recordset(series.name if own else parsed.series, parsed.filters))
    return bare, t_rec, wavelength, segment, without_again(name), href, time


def _wavelength_of(record: str, parsed: Recordset, name: str, asked: Asked, *, own: bool) -> int:
    """The channel of a row: from its record, else from its name, else the only one asked for."""
    known = ", ".join(str(w) for w in asked.wavelengths)
    if own and asked.series.keys[-1] == "WAVELNTH":
        if not parsed.filters[-1].isdigit() or len(parsed.filters) != 2:
            raise ListingError(f"{record!r} is not a record of {asked.series.name}")
        wavelength = int(parsed.filters[-1])
        if wavelength not in asked.wavelengths and not asked.known:
            raise ListingError(f"record {record} is of another wavelength than asked ({known})")
        return wavelength
    if len(asked.wavelengths) == 1:
        return asked.wavelengths[0]
    if asked.known and own:
        return asked.wavelength  # if it is one of the job's records
    named = {int(part) for part in name.split(".") if part.isdigit()} & {*asked.wavelengths}
    if len(named) == 1:
        return named.pop()
    raise ListingError(
        f"neither the record {record} nor the name {name} says which of the wavelengths {known} it"
        " is: export one wavelength at a time, or with {WAVELNTH} in the file name"
    )


def _segment_of(parsed: Recordset, name: str, asked: Asked) -> str:
    """The segment of a row: as its record says, or as its file is called."""
    if parsed.segments:
        return parsed.segments[0]
    stem = name.partition(".fits")[0]
    called = [
        segment
        for segment, file in asked.series.segments.items()
        if stem.endswith((f".{file}", f"_{file}")) or f".{file}." in stem
    ]
    return max(called, key=len) if called else asked.segment


def _check_link(record: str, href: str, name: str, asked: Asked) -> None:
    """ListingError where a link or name could lead anywhere but to the file of that name."""
    fits = asked.kind != "fits" or ".fits" in name
    if not _SAFE_NAME.fullmatch(name) or ".." in name or not fits:
        raise ListingError(f"record {record}: {name!r} is not a bare name of a FITS file")
    try:
        link = urlsplit(href)
        host = link.hostname or ""
        netloc = link.netloc
    except ValueError:
        raise ListingError(f"record {record}: {href!r} is not a link") from None
    if link.scheme not in ("http", "https") or not host:
        raise ListingError(
            f"record {record}: {href!r} is not a link to a web server;"
            " save the page's source, with its links"
        )
    allowed = {host.lower() for host in asked.hosts}
    if allowed and not {host, netloc.lower()} & allowed:
        raise ListingError(
            f"record {record}: the link goes to host {host}, which is not in archive.hosts"
            f" ({', '.join(asked.hosts)})"
        )
    last = link.path.rpartition("/")[2]
    ends = link.fragment == name and last.endswith(".tar") if link.fragment else last == name
    if not ends or not _SAFE_PATH.fullmatch(link.path) or ".." in link.path or link.query:
        raise ListingError(f"record {record}: the link {href} does not end in the file name {name}")


def in_time_order(listing: pd.DataFrame) -> pd.DataFrame:
    return listing.sort_values(["time", "filename"], kind="stable", ignore_index=True)


def edges_of(listing: pd.DataFrame, event: Event, series: Series) -> str:
    """What of the window lies beyond the listed records; ListingError where they are another's."""
    first, last = listing["t_rec"].min(), listing["t_rec"].max()
    begin, end = event.window_start, event.window_end
    edge = _EDGE + timedelta(seconds=series.cadence)
    late, early = first - begin > edge, end - last > edge
    sticks_out = begin - first > edge or last - end > edge
    # A window that begins late and ends late, or early and early, is that of another flare.
    if last < begin or first > end or ((late or early) and sticks_out):
        raise ListingError(
            f"it belongs to another event: its records span {iso(first)} to {iso(last)},"
            f" the window of event {event.event_id} is {iso(begin)} to {iso(end)}"
        )
    if late or early:
        return f"the page's records span {iso(first)} to {iso(last)} only"
    return ""
