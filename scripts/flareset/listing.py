"""What the archive offers for one event and wavelength: one row per file.

Source: an export's `index.html` as JSOC writes it (jsoc_export_make_index.c): a summary table,
then `RECORD` and a link per file.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

from flareset.errors import ListingError
from flareset.events import Event
from flareset.series import Series
from flareset.times import iso, iso_column, name_time, parse_jsoc_time

COLUMNS = ["record", "t_rec", "wavelength", "segment", "filename", "url", "time"]
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\.fits")
_RECORD = re.compile(
    r"(?P<series>[^\[\]{}]+)\[(?P<t_rec>[^\]]+)\]\[(?P<wavelength>\d+)\](?:\{(?P<segment>\w+)\})?"
)
# The first and last records of a window's page lie this near its edges, gaps apart.
_EDGE = timedelta(minutes=2)
# A file name's time is T_OBS, at most about a cadence after the record's T_REC.
_NAME_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class PageFacts:
    """The summary table of a page.

    `accepted` says why a page was taken although incomplete, `edges` which part of the window lies
    before its first or after its last record.
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


def read_page(
    text: str,
    event: Event,
    wavelength: int,
    *,
    series: Series,
    wavelengths: list[int],
    hosts: list[str],
    accept: bool = False,
) -> tuple[pd.DataFrame, PageFacts]:
    """The listing of `event` at `wavelength` on a page, in time order, and the page's facts.

    `wavelengths` are all that the campaign asks for: one page may list several. `accept` takes a
    page whose rows do not match its count as it is. Raises ListingError with the reason.
    """
    rows, facts = _parse(text)
    listing = _rows_to_listing(rows, series=series, wavelengths=wavelengths, hosts=hosts)
    incomplete = _wrong_count(facts)
    if incomplete and not accept:
        raise ListingError(
            f"{incomplete}. Save the whole page again, or take it as it is with"
            f" accept_pages: [{event.event_id}] in the config"
        )
    facts = replace(facts, accepted=incomplete, edges=_edges(listing, event, series))
    wanted = listing[listing["wavelength"] == wavelength]
    if wanted.empty:
        raise ListingError(f"the page lists no record at {wavelength}")
    return wanted.sort_values(["time", "filename"], kind="stable", ignore_index=True), facts


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
    for tr in soup("tr"):
        cells = tr.find_all("td", recursive=False)
        if len(cells) != 2:
            continue
        key, value = (cell.get_text(strip=True) for cell in cells)
        if cells[0].find("b") or key == "tarfile":
            summary[key] = value
        else:
            link = cells[1].find("a")
            rows.append((key, str(link["href"]) if link and link.has_attr("href") else "", value))
    cut = not text.rstrip().lower().endswith("</html>")
    if cut and rows and not rows[-1][1].endswith(f"/{rows[-1][2]}"):
        rows.pop()  # the row that the cut went through
    method, protocol = summary.get("method", ""), summary.get("protocol", "")
    if summary.get("status", "0") != "0":
        raise ListingError(
            f"JSOC says status {summary['status']}"
            f" {summary.get('error', '')}: the export is not finished or failed"
        )
    if "tarfile" in summary or method.endswith("-tar"):
        raise ListingError(
            f"the export was made with method {method or 'url-tar'}, whose files are inside a tar;"
            " export again with method url"
        )
    if protocol and not protocol.lower().startswith("fits"):
        raise ListingError(
            f"the export was made with protocol {protocol!r}; export again with protocol FITS"
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


def _rows_to_listing(
    rows: list[tuple[str, str, str]], *, series: Series, wavelengths: list[int], hosts: list[str]
) -> pd.DataFrame:
    table = []
    for record, href, name in rows:
        match = _RECORD.fullmatch(record)
        if not match:
            raise ListingError(f"{record!r} is not a record of {series.name}")
        if match["series"] != series.name:
            raise ListingError(f"record {record} is of series {match['series']}, not {series.name}")
        if int(match["wavelength"]) not in wavelengths:
            asked = ", ".join(str(w) for w in wavelengths)
            raise ListingError(f"record {record} is of another wavelength than asked ({asked})")
        try:
            t_rec = parse_jsoc_time(match["t_rec"])
            time = name_time(name) or t_rec
        except ValueError as error:
            raise ListingError(f"record {record}, file {name}: {error}") from None
        _check_link(record, href, name, hosts)
        if abs(time - t_rec) > max(_NAME_TOLERANCE, timedelta(seconds=2 * series.cadence)):
            raise ListingError(f"the file name {name} is of another time than its record {record}")
        segment = match["segment"] or _segment_of(name)
        bare = record.partition("{")[0]
        table.append((bare, t_rec, int(match["wavelength"]), segment, name, href, time))
    listing = pd.DataFrame(table, columns=COLUMNS)
    for column, what in (("filename", "file"), ("url", "link")):
        if (double := listing[column][listing[column].duplicated()]).size:
            raise ListingError(f"the {what} {double.iloc[0]} is listed twice")
    if (double := listing["record"][listing.duplicated(["record", "segment"])]).size:
        raise ListingError(f"the record {double.iloc[0]} is listed twice for one segment")
    return listing


def _check_link(record: str, href: str, name: str, hosts: list[str]) -> None:
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
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
    if not {host, netloc.lower()} & {allowed.lower() for allowed in hosts}:
        raise ListingError(
            f"record {record}: the link goes to host {host}, which is not in archive.hosts"
            f" ({', '.join(hosts)})"
        )
    folders = link.path.split("/")
    if folders[-1] != name or ".." in folders or "%" in link.path or link.query or link.fragment:
        raise ListingError(f"record {record}: the link {href} does not end in the file name {name}")


def _segment_of(name: str) -> str:
    """`image` of `….131.image_lev1.fits`: AIA's records have `image` and `spikes` alone."""
    return "spikes" if name.endswith((".spikes.fits", "_spikes.fits")) else "image"


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
