"""Read the listing in a saved page: an export's `index.html` as JSOC writes it.

Source: jsoc_export_make_index.c. A summary table, then a row of record and link for each file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
from bs4 import BeautifulSoup

from flareset.archive.responses import without_again
from flareset.campaign.events import Event
from flareset.errors import ListingError
from flareset.sdo.processing import fingerprint
from flareset.sdo.series import Series
from flareset.sources.rows import (
    Listed,
    Row,
    check_link,
    check_name,
    edges_of,
    in_time_order,
    read_record,
    refuse_doubles,
    segment_of,
    table_of,
    wavelength_in_name,
    wavelength_of,
)
from flareset.tables.listing import ExportFacts
from flareset.tables.status import Kind


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
) -> tuple[pd.DataFrame, ExportFacts]:
    """Return the listing of `event` at `wavelength` on a page, in time order, and its facts.

    `wavelengths` are all of the campaign: a page may list several. `process` is JSOC's text of what
    was done to the images. With `accept`, rows may be more or fewer than the page's count. Raises
    ListingError.
    """
    rows, facts = _parse(text)
    processed = bool(fingerprint(process))
    reader = _PageRows(series, segment, wavelengths, hosts, processed)
    listing = table_of(reader.read(*row) for row in rows)
    refuse_doubles(listing)
    incomplete = _wrong_count(facts)
    if incomplete and not accept:
        raise ListingError(
            f"{incomplete}. Save the whole page again, or take it as it is with"
            f" accept_pages: [{event.event_id}] in the config"
        )
    edges = edges_of(listing, event, series)
    facts = replace(facts, accepted=incomplete, edges=edges, process=process if processed else "")
    wanted = listing[listing["wavelength"] == wavelength]
    if wanted.empty:
        raise ListingError(f"the page lists no record at {wavelength}")
    return in_time_order(wanted), facts


@dataclass(frozen=True)
class _PageRows:
    """Reads the rows of a page for the `wavelengths` of a campaign.

    `hosts` are those that a link may lead to. `processed` where records may be of another series.
    """

    series: Series
    segment: str
    wavelengths: list[int]
    hosts: list[str]
    processed: bool

    def read(self, record: str, href: str, name: str) -> Listed:
        """Return a row of the listing. Raises ListingError where the page's row is of no use."""
        check_name(record, name, fits=True)
        check_link(record, href, name, self.hosts)
        listed = read_record(record, name, self.series, processed=self.processed)
        wavelength = wavelength_of(listed, self.series)
        if wavelength is None:
            wavelength = wavelength_in_name(listed, name, self.wavelengths)
        elif wavelength not in self.wavelengths:
            known = ", ".join(str(w) for w in self.wavelengths)
            raise ListingError(f"record {record} is of another wavelength than asked ({known})")
        segment = segment_of(listed, name, self.series, self.segment)
        file = without_again(name)
        return (listed.name, listed.t_rec, wavelength, segment, Kind.IMAGE, file, href, listed.time)


def _parse(text: str) -> tuple[list[Row], ExportFacts]:
    """Return the rows and facts of a page. Raises ListingError where it is of no use."""
    soup = BeautifulSoup(text, "html.parser")
    if not any(h2.get_text(strip=True) == "JSOC Data Request Summary" for h2 in soup("h2")):
        seen = " ".join(soup.get_text(" ").split())[:120] or "nothing"
        raise ListingError(
            "this is not a listing that JSOC's export wrote (no 'JSOC Data Request Summary')."
            f" It says: {seen!r}. Open the link in JSOC's mail and save that page's source"
        )
    cells = list(_cells(soup))
    summary, tar = _read_summary(cells)
    rows = _read_rows(cells, tar)
    cut = not text.rstrip().lower().endswith("</html>")
    if cut and not tar and rows and not rows[-1][1].endswith(f"/{rows[-1][2]}"):
        rows.pop()  # the row that the cut went through
    _judge_summary(summary, tar)
    count = _judge_count(summary, rows)
    size = summary.get("size", "")
    return rows, ExportFacts(
        requestid=summary.get("requestid", ""),
        count=count,
        rows=len(rows),
        exptime=summary.get("exptime", ""),
        method=summary.get("method", ""),
        protocol=summary.get("protocol", ""),
        megabytes=int(size) if size.isdigit() else 0,
    )


# If a row of the page belongs to the summary, its key, value and link.
_Cells = tuple[bool, str, str, str]


def _cells(soup: BeautifulSoup) -> Iterator[_Cells]:
    """Yield the table rows that have two cells."""
    for tr in soup("tr"):
        cells = tr.find_all("td", recursive=False)
        if len(cells) == 2:
            key, value = (cell.get_text(strip=True) for cell in cells)
            of_summary = cells[0].find("b") is not None or key == "tarfile"
            link = cells[1].find("a")
            yield of_summary, key, value, str(link.get("href", "")) if link else ""


def _read_summary(cells: list[_Cells]) -> tuple[dict[str, str], str]:
    """Return the summary of a page, and the link of the tar that holds the files."""
    found = [(key, value, link) for of_summary, key, value, link in cells if of_summary]
    tars = [link for key, _, link in found if key == "tarfile" and link]
    return {key: value for key, value, _ in found}, tars[-1] if tars else ""


def _read_rows(cells: list[_Cells], tar: str) -> list[Row]:
    """Return the row of each file; in a tar, the file's name is the link's fragment."""
    return [
        (record, f"{tar}#{name}" if tar else link, name)
        for of_summary, record, name, link in cells
        if not of_summary
    ]


def _judge_summary(summary: dict[str, str], tar: str) -> None:
    """Raise ListingError where the files of an export cannot be used."""
    if summary.get("method", "").endswith("-tar") and not tar:
        raise ListingError(
            "its files are inside a tar, which the page does not name; save it again"
        )
    if summary.get("status", "0") != "0":
        raise ListingError(
            f"JSOC says status {summary['status']}"
            f" {summary.get('error', '')}: the export is not finished or failed"
        )
    protocol = summary.get("protocol", "")
    if protocol and not protocol.lower().startswith("fits"):
        raise ListingError(
            f"the export was made with protocol {protocol!r}, whose files do not say what they"
            " are: set request_id in its row, or export again with protocol FITS"
        )


def _judge_count(summary: dict[str, str], rows: list[Row]) -> int:
    """Return the number of files that a page announces. Raises ListingError where it has none."""
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
    return count


def _wrong_count(facts: ExportFacts) -> str:
    if facts.count == facts.rows:
        return ""
    return f"the page's count says {facts.count} files, but it lists {facts.rows}"
