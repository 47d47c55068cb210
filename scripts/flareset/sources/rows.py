"""Read the rows of pages and of JSOC's answers: a record, a link and a file name per file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flareset.archive.responses import strip_retry
from flareset.campaign.events import Event
from flareset.errors import ExportError, ListingError
from flareset.sdo.numbers import whole
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import Series
from flareset.sdo.times import iso, name_time
from flareset.tables.listing import COLUMNS
from flareset.tables.rows import Row, find_double
from flareset.tables.status import Kind

# Record, link and file name, as they are listed.
File = tuple[str, str, str]
# The values of a row of a listing (COLUMNS), but for the RequestID.
Listed = tuple[str, datetime, int, str, Kind, str, str, datetime]

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
# Filesystems take 255 bytes; the store appends up to `.part.json.new` (store.store).
_LONGEST_NAME = 255 - len(".part.json.new")
_SAFE_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+/?")
# The first and last records of a complete page lie this near the window's edges.
_EDGE = timedelta(minutes=2)
# How far a file name's time may always lie from T_REC: it is T_OBS, up to about a cadence later.
_NAME_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class ListedRecord:
    """A listed record. `time` is the time in its file's name, or T_REC.

    `own` is false if processing has made a record of another series.
    """

    text: str
    recordset: Recordset
    own: bool
    t_rec: datetime
    time: datetime

    @property
    def name(self) -> str:
        """The record's name, without its segment."""
        return str(Recordset(self.recordset.series, self.recordset.filters))


def read_record(record: str, name: str, series: Series, *, processed: bool) -> ListedRecord:
    """Return the listed record of a file named `name`. Raise ListingError if it is not usable."""
    try:
        parsed = Recordset.parse(record)
        found = parsed.times
    except (ExportError, ValueError):
        found = None
    if found is None or len(found[1].values) != 1:
        raise ListingError(f"{record!r} is not a record of {series.name}")
    own = parsed.series.lower() == series.name.lower()
    if not own and not processed:
        hint = ""
        if parsed.series.lower().startswith((f"{series.name.lower()}_mod", "aia.lev1p5")):
            hint = ": the export was processed; write its steps in export.processing"
        raise ListingError(f"record {record} is of series {parsed.series}, not {series.name}{hint}")
    if own:  # the page may have the series' name in another case
        parsed = Recordset(series.name, parsed.filters, parsed.segments)
    t_rec = found[1].begin
    return ListedRecord(record, parsed, own, t_rec, _time_of(record, name, t_rec, series))


def _time_of(record: str, name: str, t_rec: datetime, series: Series) -> datetime:
    """Return the time in a file's name, or T_REC. Raise ListingError if they do not agree."""
    try:
        time = name_time(name) or t_rec
    except ValueError as error:
        raise ListingError(f"record {record}, file {name}: {error}") from None
    if abs(time - t_rec) > max(_NAME_TOLERANCE, timedelta(seconds=2 * series.cadence)):
        raise ListingError(f"the file name {name} is of another time than its record {record}")
    return time


def wavelength_of(listed: ListedRecord, series: Series) -> int | None:
    """Return the channel in a record's name; None if its series has no key for the channel."""
    if not listed.own or series.keys[-1] != "WAVELNTH":
        return None
    filters = listed.recordset.filters
    try:
        if len(filters) == 2:
            return whole(filters[1])
    except ValueError:
        pass
    raise ListingError(f"{listed.text!r} is not a record of {series.name}")


def wavelength_in_name(listed: ListedRecord, name: str, wavelengths: Sequence[int]) -> int:
    """Return the only channel, or the channel in a file's name. Raise ListingError if unclear."""
    if len(wavelengths) == 1:
        return wavelengths[0]
    named = [wavelength for wavelength in wavelengths if str(wavelength) in name.split(".")]
    if len(named) == 1:
        return named[0]
    known = ", ".join(str(wavelength) for wavelength in wavelengths)
    raise ListingError(
        f"neither the record {listed.text} nor the name {name} says which of the wavelengths"
        f" {known} it is: export one wavelength at a time, or with {{WAVELNTH}} in the file name"
    )


def segment_of(listed: ListedRecord, name: str, series: Series, default: str) -> str:
    """Return the segment named in a record, else in its file's name, else the default.

    In the default forms of JSOC's page (with prime keys) and of its exporter (with a recnum), the
    last part is the segment, even if it is not known here. In any other form, a part counts if it
    is the name of a known segment: a number alone may be a channel, if the name has a time.
    """
    if listed.recordset.segments:
        return _segment_called(listed.recordset.segments[0], series)
    parts = strip_retry(name).partition(".fits")[0].split(".")
    head = listed.recordset.series.lower().split(".")
    own_form = [part.lower() for part in parts[: len(head)]] == head
    keys = parts[len(head) : -1]
    by_recnum = len(keys) == 1 and keys[0].isdecimal() and name_time(name) is None
    if own_form and (len(keys) == len(series.keys) or by_recnum):
        return _segment_called(parts[-1], series)
    called = {_segment_called(part, series) for part in parts} & {*series.segments}
    return called.pop() if len(called) == 1 else default


def _segment_called(name: str, series: Series) -> str:
    """Return the known segment with a name in files or records; else the name itself."""
    known = (segment for segment in series.segments if name.lower() in series.names_of(segment))
    return next(known, name)


def check_name(record: str, name: str, *, fits: bool) -> None:
    """Raise ListingError if a file's name could be a path, is too long, or lacks `.fits`.

    Without `fits` it may have another ending.
    """
    if not _SAFE_NAME.fullmatch(name) or ".." in name or (fits and ".fits" not in name):
        raise ListingError(f"record {record}: {name!r} is not a bare name of a FITS file")
    check_length(record, name)


def check_length(record: str, name: str) -> None:
    """Raise ListingError if no filesystem takes a file's name."""
    if len(name) > _LONGEST_NAME:
        raise ListingError(
            f"record {record}: the name of its file has {len(name)} characters, and a filesystem"
            f" takes {_LONGEST_NAME} and what is appended during a download: {name}"
        )


def check_link(record: str, href: str, name: str, hosts: Sequence[str] = ()) -> None:
    """Raise ListingError if a link does not lead to the file `name`.

    `hosts` are the allowed hosts; empty allows all.
    """
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
    if hosts and not {host, netloc.lower()} & {host.lower() for host in hosts}:
        raise ListingError(
            f"record {record}: the link goes to host {host}, which is not in archive.hosts"
            f" ({', '.join(hosts)})"
        )
    if not _ends_in(link.path, link.fragment, name) or link.query:
        raise ListingError(f"record {record}: the link {href} does not end in the file name {name}")


def _ends_in(path: str, fragment: str, name: str) -> bool:
    """Return whether a safe path ends in the file's name, or is a tar with it as fragment."""
    if not _SAFE_PATH.fullmatch(path) or ".." in path:
        return False
    last = path.rpartition("/")[2]
    return (fragment == name and last.endswith(".tar")) if fragment else last == name


def listing_of(rows: Iterable[Listed]) -> list[Row]:
    """Return the listing of rows. Raise ListingError if a link is listed twice."""
    listing = [dict(zip(COLUMNS, (*row, ""), strict=True)) for row in rows]
    if double := find_double(row["url"] for row in listing):
        raise ListingError(f"the link {double} is listed twice")
    return listing


def refuse_doubles(listing: Sequence[Row]) -> None:
    """Raise ListingError if a file, or a record's segment, is listed twice."""
    if double := find_double(row["filename"] for row in listing):
        raise ListingError(f"the file {double} is listed twice")
    if double := find_double((row["record"], row["segment"], row["kind"]) for row in listing):
        raise ListingError(f"the record {double[0]} is listed twice for one segment")


def edges_of(listing: Sequence[Row], event: Event, series: Series) -> str:
    """Return a sentence if the listed records do not reach an edge of the window, else empty.

    Raises ListingError if the records belong to another event.
    """
    times = [row["t_rec"] for row in listing]
    first, last = min(times), max(times)
    begin, end = event.window_start, event.window_end
    edge = _EDGE + timedelta(seconds=series.cadence)
    late, early = first - begin > edge, end - last > edge
    sticks_out = begin - first > edge or last - end > edge
    # Records that begin late and end late, or begin early and end early, belong to another flare.
    if last < begin or first > end or ((late or early) and sticks_out):
        raise ListingError(
            f"it belongs to another event: its records span {iso(first)} to {iso(last)},"
            f" the window of event {event.event_id} is {iso(begin)} to {iso(end)}"
        )
    if late or early:
        return f"the page's records span {iso(first)} to {iso(last)} only"
    return ""
