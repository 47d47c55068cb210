"""What the archive offers for one event and wavelength: one row per file.

Sources: an export's `index.html` as JSOC writes it (jsoc_export_make_index.c): a summary table,
then `RECORD` and a link per file; or the `index.json` that jsoc_fetch answers with.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

from flareset.answers import Answer, kind_of_protocol, without_again
from flareset.errors import ExportError, ListingError
from flareset.events import Event
from flareset.processing import fingerprint
from flareset.records import matched, observed_second
from flareset.recordset import Recordset
from flareset.series import Series
from flareset.times import iso, iso_column, name_time

COLUMNS = ["record", "t_rec", "wavelength", "segment", "filename", "url", "time"]
PICTURE, MOVIE = "picture", "movie"
_SUFFIX = {"fits": ".fits", "as-is": ".fits", "jpg": ".jpg", "mpg": ".mpg", "mp4": ".mp4"}
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SAFE_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+/?")
# Where JSOC's pages link to; a file is fetched from archive.data_url all the same.
_LINK_BASE = "https://jsoc1.stanford.edu"
# The first and last records of a window's page lie this near its edges, gaps apart.
_EDGE = timedelta(minutes=2)
# A file name's time is T_OBS, at most about a cadence after the record's T_REC.
_NAME_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class PageFacts:
    """The summary of an export.

    `accepted` says why a page was taken although incomplete, `edges` which part of the window lies
    before its first or after its last record, `process` what was done to the images (as on the
    wire, empty for nothing), `recordset` what was asked for where we asked, `remarks` how.
    """

    requestid: str
    count: int
    rows: int
    exptime: str
    method: str
    protocol: str
    megabytes: int = 0
    accepted: str = ""
    edges: str = ""
    process: str = ""
    recordset: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def as_stored(self) -> bool:
        """Whether the files are as JSOC keeps them, with headers that say little."""
        return kind_of_protocol(self.protocol) == "as-is"


@dataclass(frozen=True)
class _Asked:
    """What rows are read for."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    wavelengths: list[int]
    hosts: list[str]
    kind: str
    processed: bool


def read_page(
    text: str,
    event: Event,
    wavelength: int,
    *,
    series: Series,
    wavelengths: list[int],
    hosts: list[str],
    segment: str = "image",
    process: str = "",
    accept: bool = False,
) -> tuple[pd.DataFrame, PageFacts]:
    """The listing of `event` at `wavelength` on a page, in time order, and the page's facts.

    `wavelengths` are all that the campaign asks for: one page may list several. `process` is what
    was done to the images. `accept` takes a page whose rows do not match its count as it is.
    Raises ListingError with the reason.
    """
    rows, facts = _parse(text)
    processed = bool(fingerprint(process))
    asked = _Asked(event, wavelength, series, segment, wavelengths, hosts, "fits", processed)
    listing = _rows_to_listing(rows, asked)
    incomplete = _wrong_count(facts)
    if incomplete and not accept:
        raise ListingError(
            f"{incomplete}. Save the whole page again, or take it as it is with"
            f" accept_pages: [{event.event_id}] in the config"
        )
    edges = _edges(listing, event, series)
    facts = replace(facts, accepted=incomplete, edges=edges, process=process if processed else "")
    wanted = listing[listing["wavelength"] == wavelength]
    if wanted.empty:
        raise ListingError(f"the page lists no record at {wavelength}")
    return _in_time_order(wanted), facts


def read_export(
    answers: list[Answer],
    records: pd.DataFrame,
    event: Event,
    wavelength: int,
    *,
    series: Series,
    wavelengths: list[int],
    segment: str,
    process: str = "",
    recordset: str = "",
    remarks: list[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts]:
    """The listing of `event` at `wavelength` in finished exports, the records, and their facts.

    `records` are those that JSOC has (`expected_records`); they come back with `status` `failed`
    or `no_image` and the reason where the exports have no file for them. A listed file is that of
    a record of theirs, or of one outside of the window. Raises ListingError with the reason.
    """
    processed = bool(fingerprint(process))
    asked = _Asked(event, wavelength, series, segment, wavelengths, [], "fits", processed)
    gone: dict[int, tuple[str, str]] = {}
    parts = []
    for answer in answers:
        if answer.status == 25:
            said = f"status 25: {answer.error}"
            gone.update({int(n): ("failed", said) for n in np.flatnonzero(_offline(records))})
            continue
        kind = kind_of_protocol(answer.protocol) or "fits"
        rows, bare = _answer_rows(answer)
        listing = _rows_to_listing(rows, replace(asked, kind=kind))
        known = listing["segment"] != MOVIE
        place = np.full(len(listing), -1)
        place[known] = matched(listing[known], records, series)
        listing = listing.assign(place=place)
        if processed:
            # The export may hold other wavelengths too: what matches no record of ours is theirs.
            strange = listing[(place < 0) & known & (listing["wavelength"] == wavelength)]
            if len(strange) and len(wavelengths) == 1:
                raise ListingError(
                    f"{answer.requestid}: {strange['record'].iloc[0]} matches no record that was"
                    " asked for"
                )
            listing = listing[(place >= 0) | ~known]
        listing = _named(_known_by(listing, records), records, series, event, kind, processed)
        parts.append(listing)
        bare_rows = pd.DataFrame(bare, columns=["record", "reason", "status"])
        for row, n in zip(
            bare_rows.itertuples(), matched(_with_times(bare_rows), records, series), strict=True
        ):
            gone[int(n)] = (row.status, f"{row.reason} ({answer.requestid})")
    nothing = _rows_to_listing([], asked).assign(place=pd.Series(dtype="int64"))
    listing = pd.concat([p for p in parts if len(p)] or [nothing], ignore_index=True)
    _refuse_doubles(listing)
    listing = listing[listing["wavelength"] == wavelength]
    facts = _facts_of(answers, listing, process if processed else "", recordset, remarks or [])
    if len(listing) and not _is_movie(listing) and not recordset:
        facts = replace(facts, edges=_edges(listing, event, series))
    there = set(listing["place"])
    ids = " ".join(answer.requestid for answer in answers if answer.requestid) or "the export"
    missing = f"asked for, but not in {ids}"
    status, reason = records["status"].tolist(), records["reason"].tolist()
    for n in range(len(records)):
        if n not in there and not status[n] and not _is_movie(listing):
            status[n], reason[n] = gone.get(n, ("failed", missing))
    records = records.assign(status=status, reason=reason)
    return _in_time_order(listing.drop(columns="place")), records, facts


def _parse(text: str) -> tuple[list[tuple[str, str, str]], PageFacts]:
    """Rows (record, link, file name) and facts of a page."""
    soup = BeautifulSoup(text, "html.parser")
    if not any(h2.get_text(strip=True) == "JSOC Data Request Summary" for h2 in soup("h2")):
        seen = " ".join(soup.get_text(" ").split())[:120] or "nothing"
        raise ListingError(
            "this is not a listing that JSOC's export wrote (no 'JSOC Data Request Summary')."
            f" It says: {seen!r}. Open the link in JSOC's mail and save that page's source"
        )
    summary: dict[str, str] = {}
    rows: list[tuple[str, str, str]] = []
    tar = ""
    for tr in soup("tr"):
        cells = tr.find_all("td", recursive=False)
        if len(cells) != 2:
            continue
        key, value = (cell.get_text(strip=True) for cell in cells)
        if cells[0].find("b") or key == "tarfile":
            summary[key] = value
            if key == "tarfile" and (link := cells[1].find("a")):
                tar = str(link.get("href", ""))
        else:
            link = cells[1].find("a")
            rows.append((key, str(link["href"]) if link and link.has_attr("href") else "", value))
    cut = not text.rstrip().lower().endswith("</html>")
    if summary.get("method", "").endswith("-tar") and not tar:
        raise ListingError(
            "its files are inside a tar, which the page does not name; save it again"
        )
    if tar:
        rows = [(record, f"{tar}#{name}", name) for record, _, name in rows]
    elif cut and rows and not rows[-1][1].endswith(f"/{rows[-1][2]}"):
        rows.pop()  # the row that the cut went through
    method, protocol = summary.get("method", ""), summary.get("protocol", "")
    if summary.get("status", "0") != "0":
        raise ListingError(
            f"JSOC says status {summary['status']}"
            f" {summary.get('error', '')}: the export is not finished or failed"
        )
    if protocol and not protocol.lower().startswith("fits"):
        raise ListingError(
            f"the export was made with protocol {protocol!r}, whose files do not say what they"
            " are: set request_id in its row, or export again with protocol FITS"
        )
    try:
        count = int(summary["count"])
    except (KeyError, ValueError):
        raise ListingError(
            f"its summary has no usable count ({summary.get('count', 'none')!r}):"
            " the page is cut or changed; save it again"
        ) from None
    if count == 0:
        says = f": {rows[0][0]}" if rows else ""
        raise ListingError(f"the export is empty, its count is 0{says}")
    if not rows:
        raise ListingError(f"the page's count says {count} files, but it lists 0: save it again")
    return rows, PageFacts(
        requestid=summary.get("requestid", ""),
        count=count,
        rows=len(rows),
        exptime=summary.get("exptime", ""),
        method=method,
        protocol=protocol,
        megabytes=int(size) if (size := summary.get("size", "")).isdigit() else 0,
    )


def _wrong_count(facts: PageFacts) -> str:
    if facts.count == facts.rows:
        return ""
    return f"the page's count says {facts.count} files, but it lists {facts.rows}"


def _rows_to_listing(rows: list[tuple[str, str, str]], asked: _Asked) -> pd.DataFrame:
    listing = pd.DataFrame([_row(*row, asked) for row in rows], columns=COLUMNS)
    for column in ("t_rec", "time"):
        listing[column] = pd.to_datetime(listing[column], utc=True)
    if (double := listing["url"][listing["url"].duplicated()]).size:
        raise ListingError(f"the link {double.iloc[0]} is listed twice")
    _refuse_doubles(listing if asked.kind == "fits" else listing.iloc[:0])
    return listing


def _refuse_doubles(listing: pd.DataFrame) -> None:
    if (double := listing["filename"][listing["filename"].duplicated()]).size:
        raise ListingError(f"the file {double.iloc[0]} is listed twice")
    if (double := listing["record"][listing.duplicated(["record", "segment"])]).size:
        raise ListingError(f"the record {double.iloc[0]} is listed twice for one segment")


def _row(
    record: str, href: str, name: str, asked: _Asked
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


def _wavelength_of(record: str, parsed: Recordset, name: str, asked: _Asked, *, own: bool) -> int:
    """The channel of a row: from its record, else from its name, else the only one asked for."""
    known = ", ".join(str(w) for w in asked.wavelengths)
    if own and asked.series.keys[-1] == "WAVELNTH":
        if not parsed.filters[-1].isdigit() or len(parsed.filters) != 2:
            raise ListingError(f"{record!r} is not a record of {asked.series.name}")
        wavelength = int(parsed.filters[-1])
        if wavelength not in asked.wavelengths:
            raise ListingError(f"record {record} is of another wavelength than asked ({known})")
        return wavelength
    if len(asked.wavelengths) == 1:
        return asked.wavelengths[0]
    named = {int(part) for part in name.split(".") if part.isdigit()} & {*asked.wavelengths}
    if len(named) == 1:
        return named.pop()
    raise ListingError(
        f"neither the record {record} nor the name {name} says which of the wavelengths {known} it"
        " is: export one wavelength at a time, or with {WAVELNTH} in the file name"
    )


def _segment_of(parsed: Recordset, name: str, asked: _Asked) -> str:
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


def _check_link(record: str, href: str, name: str, asked: _Asked) -> None:
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


def _answer_rows(
    answer: Answer,
) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Record, link and name of each file; record, reason and status of those without one."""
    rows, bare = [], []
    for record, name in answer.data:
        if record.startswith("warning="):
            continue
        if name == "NoDataFile":
            # Of what was asked for, the archive has no more than the record.
            if "spikes" not in record:
                bare.append((record.partition("{")[0], "NoDataFile", "no_image"))
            continue
        if not name.strip():
            bare.append((record.partition("{")[0], "listed without a file name", "failed"))
            continue
        if answer.tarfile:
            link = f"{answer.tarfile}#{name}"
        elif name.startswith("/"):
            link, name = name, name.rpartition("/")[2]
        else:
            link = f"{answer.folder.rstrip('/')}/{name}"
        rows.append((record, f"{_LINK_BASE}{link}", name))
    return rows, bare


def _with_times(rows: pd.DataFrame) -> pd.DataFrame:
    found = [Recordset.parse(record).times for record in rows["record"]]
    times = [times[1].begin if times else None for times in found]
    return rows.assign(t_rec=pd.to_datetime(pd.Series(times, dtype="object"), utc=True))


def _offline(records: pd.DataFrame) -> pd.Series:
    """The records that JSOC has offline; all of them where it names none."""
    offline = records["online"].str.upper().isin(["N", "OFFLINE"])
    unknown = not offline.any()
    return (offline | unknown) & (records["status"] == "")


def _known_by(listing: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """The listing with record, T_REC and wavelength of the records that its rows match."""
    place = listing["place"].to_numpy("int64")
    there = place >= 0
    listing = listing.copy()
    for column in ("record", "t_rec", "wavelength"):
        listing.loc[there, column] = records[column].iloc[place[there]].to_numpy()
    return listing


def _named(
    listing: pd.DataFrame,
    records: pd.DataFrame,
    series: Series,
    event: Event,
    kind: str,
    processed: bool,
) -> pd.DataFrame:
    """The listing with names under which its files can be kept together with all others.

    A file as stored is called like a default export of it; a processed one, and one that is not
    FITS, has the event and the wavelength in its name, since another event's may have the same.
    """
    if not len(listing) or _is_movie(listing) or (kind == "fits" and not processed):
        return listing
    names, times = [], []
    for row in listing.itertuples():
        if kind == "as-is":
            t_obs = records["t_obs"].iloc[row.place] if row.place >= 0 else pd.NaT
            name, time = default_name(series, row, t_obs)
        else:
            stem = row.filename.replace(_SUFFIX[kind], "", 1)
            parts = stem.split(".")
            own = [p for p in (str(row.wavelength), event.event_id) if p not in parts]
            name, time = f"{'.'.join([*parts, *own])}{_SUFFIX[kind]}", row.time
        names.append(name)
        times.append(time)
    return listing.assign(filename=names, time=pd.to_datetime(pd.Series(times), utc=True).array)


def default_name(series: Series, row: object, t_obs: pd.Timestamp) -> tuple[str, pd.Timestamp]:
    """The name of JSOC's default format for a listed row, and the time that it carries."""
    file = series.segments.get(row.segment, row.segment)  # type: ignore[attr-defined]
    time = row.t_rec if t_obs is pd.NaT or series.zone == "TAI" else observed_second(t_obs)  # type: ignore[attr-defined]
    values = Recordset.parse(row.record).filters  # type: ignore[attr-defined]
    parts = [
        _stamp(value, time, series) if key == "T_REC" else value
        for key, value in zip(series.keys, values, strict=True)
    ]
    return ".".join([series.name, *parts, file, "fits"]), time


def _stamp(value: str, time: pd.Timestamp, series: Series) -> str:
    """A time in a file name: dots and colons are left out."""
    return re.sub("[.:]", "", value) if series.zone == "TAI" else f"{time:%Y-%m-%dT%H%M%SZ}"


def _is_movie(listing: pd.DataFrame) -> bool:
    return bool(len(listing)) and bool((listing["segment"] == MOVIE).all())


def _facts_of(
    answers: list[Answer],
    listing: pd.DataFrame,
    process: str,
    recordset: str,
    remarks: list[str],
) -> PageFacts:
    first = next((answer for answer in answers if answer.status == 0), answers[0])
    warnings = [
        f"{answer.requestid}: {record.removeprefix('warning=')}"
        for answer in answers
        for record, _ in answer.data
        if record.startswith("warning=")
    ]
    return PageFacts(
        requestid=" ".join(answer.requestid for answer in answers),
        count=sum(answer.count for answer in answers),
        rows=len(listing),
        exptime=first.exptime,
        method=first.method,
        protocol=first.protocol,
        megabytes=sum(answer.size for answer in answers),
        process=process,
        recordset=recordset,
        remarks=[*remarks, *warnings],
    )


def _in_time_order(listing: pd.DataFrame) -> pd.DataFrame:
    return listing.sort_values(["time", "filename"], kind="stable", ignore_index=True)


def _edges(listing: pd.DataFrame, event: Event, series: Series) -> str:
    """What of the window lies beyond the listed records; ListingError where they are another's."""
    first, last = listing["t_rec"].min(), listing["t_rec"].max()
    begin, end = event.window_start, event.window_end
    edge = _EDGE + timedelta(seconds=series.cadence)
    late, early = first - begin > edge, end - last > edge
    sticks_out = begin - first > edge or last - end > edge
    # A window that begins late and ends late, or early and early, is that of another flare.
    if last < begin or first > end or ((late or early) and sticks_out):
        raise ListingError(
            f"the page belongs to another event: its records span {iso(first)} to {iso(last)},"
            f" the window of event {event.event_id} is {iso(begin)} to {iso(end)}"
        )
    if late or early:
        return f"the page's records span {iso(first)} to {iso(last)} only"
    return ""


def write_listing(listing: pd.DataFrame, path: str | Path) -> None:
    """Write a listing as CSV, times in ISO 8601 with Z."""
    texts = {column: iso_column(listing[column]) for column in ("t_rec", "time")}
    listing.assign(**texts).to_csv(path, index=False, lineterminator="\n")


def read_listing(path: str | Path) -> pd.DataFrame:
    """The listing that `write_listing` wrote; `t_rec` and `time` are UTC."""
    listing = pd.read_csv(path, dtype={"wavelength": "int64"}, keep_default_na=False)
    for column in ("t_rec", "time"):
        listing[column] = pd.to_datetime(listing[column], utc=True, format="ISO8601")
    return listing


def write_facts(facts: PageFacts, path: str | Path) -> None:
    """Write a page's facts as JSON."""
    Path(path).write_text(json.dumps(asdict(facts), indent=1, sort_keys=True) + "\n")


def read_facts(path: str | Path) -> PageFacts:
    """The facts that `write_facts` wrote."""
    return PageFacts(**json.loads(Path(path).read_text()))


def images_of(listing: pd.DataFrame, segment: str) -> pd.DataFrame:
    """The rows of one segment, in time order."""
    return listing[listing["segment"] == segment].reset_index(drop=True)


def empty_slots(
    listing: pd.DataFrame, begin: datetime, end: datetime, cadence: int
) -> pd.DatetimeIndex:
    """T_REC of every slot in [begin, end) without a record, on the grid of the listed records.

    None where the records lie on no common grid. A slot counts as filled by a record less than
    half a cadence away, so that a leap second, which shifts the grid, empties none.
    """
    records = np.sort(np.unique(_epoch_seconds(listing["t_rec"])))
    phases, counts = np.unique(records % cadence, return_counts=True)
    if not len(records) or counts.max() < 0.5 * len(records):
        return pd.to_datetime([], utc=True)
    first = int(begin.timestamp())
    first += int(phases[counts.argmax()] - first) % cadence
    slots = np.arange(first, end.timestamp(), cadence, dtype="int64")
    after = np.searchsorted(records, slots)
    gap_after = np.abs(records[np.minimum(after, len(records) - 1)] - slots)
    gap_before = np.abs(slots - records[np.maximum(after - 1, 0)])
    empty = slots[2 * np.minimum(gap_after, gap_before) >= cadence]
    return pd.to_datetime(empty, unit="s", utc=True)


def _epoch_seconds(times: pd.Series) -> np.ndarray:
    return ((times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).to_numpy("int64")
