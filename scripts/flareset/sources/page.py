"""Read the listing in a saved page: the `index.html` that JSOC writes for an export.

A page has a summary table, then a row with record and link for each file. Source:
jsoc_export_make_index.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from flareset.archive.responses import strip_retry, whole_or_0
from flareset.campaign.events import Event
from flareset.errors import ListingError
from flareset.sdo.numbers import whole
from flareset.sdo.processing import fingerprint
from flareset.sdo.series import Series
from flareset.sources.markup import TableRow, read_markup, start_of
from flareset.sources.rows import (
    File,
    Listed,
    check_link,
    check_name,
    edges_of,
    listing_of,
    read_record,
    refuse_doubles,
    segment_of,
    wavelength_in_name,
    wavelength_of,
)
from flareset.tables.listing import ExportFacts
from flareset.tables.rows import Row, in_order
from flareset.tables.status import Kind

_HEADING = "JSOC Data Request Summary"
_TWO_SLASHES = re.compile(r"^(https?://[^/]+)//+")


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
) -> tuple[list[Row], ExportFacts]:
    """Return a page's listing for `event` at `wavelength`, in time order, and the page's facts.

    `wavelengths` are all of the campaign: a page may list several. `process` is JSOC's text for the
    processing. With `accept`, the number of rows may differ from the page's count. Raises
    ListingError.
    """
    rows, facts = _parse(text)
    processed = bool(fingerprint(process))
    reader = _PageRows(series, segment, wavelengths, hosts, processed)
    listing = listing_of(reader.read(*row) for row in rows)
    refuse_doubles(listing)
    incomplete = _wrong_count(facts)
    if incomplete and not accept:
        raise ListingError(
            f"{incomplete}. Save the whole page again, or accept it as it is with"
            f" accept_pages: [{event.event_id}] in the config"
        )
    edges = edges_of(listing, event, series)
    facts = replace(facts, accepted=incomplete, edges=edges, process=process if processed else "")
    wanted = [row for row in listing if row["wavelength"] == wavelength]
    if not wanted:
        raise ListingError(f"the page lists no record at {wavelength}")
    return in_order(wanted, "time", "filename"), facts


@dataclass(frozen=True)
class _PageRows:
    """A reader of a page's rows for the `wavelengths` of a campaign.

    Links may lead to `hosts` only. `processed`: the records may belong to another series.
    """

    series: Series
    segment: str
    wavelengths: list[int]
    hosts: list[str]
    processed: bool

    def read(self, record: str, href: str, name: str) -> Listed:
        """Return a row of the listing. Raise ListingError if the page's row is not usable."""
        check_name(record, name, fits=True)
        href = _one_slash(href)
        check_link(record, href, name, self.hosts)
        listed = read_record(record, name, self.series, processed=self.processed)
        wavelength = wavelength_of(listed, self.series)
        if wavelength is None:
            wavelength = wavelength_in_name(listed, name, self.wavelengths)
        elif wavelength not in self.wavelengths:
            known = ", ".join(str(w) for w in self.wavelengths)
            raise ListingError(f"record {record} is of another wavelength than asked ({known})")
        segment = segment_of(listed, name, self.series, self.segment)
        file = strip_retry(name)
        return (listed.name, listed.t_rec, wavelength, segment, Kind.IMAGE, file, href, listed.time)


def _parse(text: str) -> tuple[list[File], ExportFacts]:
    """Return the rows and facts of a page. Raise ListingError if the page is not usable."""
    page = read_markup(text)
    if _HEADING not in page.headings:
        raise ListingError(
            f"this is not a listing that JSOC's export wrote (no {_HEADING!r})."
            f" It says: {start_of(text) or 'nothing'!r}. Open the link in JSOC's mail and save"
            " that page's source"
        )
    summary, tar = _read_summary(page.rows)
    rows = _read_rows(page.rows, tar)
    cut = not text.rstrip().lower().endswith("</html>")
    if cut and not tar and rows and not rows[-1][1].endswith(f"/{rows[-1][2]}"):
        rows.pop()  # the cut page ends within this row
    _judge_summary(summary, tar)
    count = _judge_count(summary, rows)
    return rows, ExportFacts(
        requestid=summary.get("requestid", ""),
        count=count,
        rows=len(rows),
        exptime=summary.get("exptime", ""),
        method=summary.get("method", ""),
        protocol=summary.get("protocol", ""),
        megabytes=whole_or_0(summary.get("size")),
    )


def _one_slash(href: str) -> str:
    """Return a link with one slash behind its host.

    Older pages have two, since the folder begins with a slash, too (older versions of
    jsoc_export_make_index.c).
    """
    return _TWO_SLASHES.sub(r"\1/", href)


def _is_of_summary(row: TableRow) -> bool:
    return row.bold or row.key == "tarfile"


def _read_summary(rows: list[TableRow]) -> tuple[dict[str, str], str]:
    """Return a page's summary, and the link of the tar with the files (empty if there is none)."""
    # The table of processing steps, in another section, has keys of the same names.
    found = [row for row in rows if _is_of_summary(row) and row.section == _HEADING]
    tars = [row.link for row in found if row.key == "tarfile" and row.link]
    return {row.key: row.value for row in found}, tars[-1] if tars else ""


def _read_rows(rows: list[TableRow], tar: str) -> list[File]:
    """Return a row for each file. The link to a tar's member has the member's name as fragment."""
    return [
        (row.key, f"{tar}#{row.value}" if tar else row.link, row.value)
        for row in rows
        if not _is_of_summary(row)
    ]


def _judge_summary(summary: dict[str, str], tar: str) -> None:
    """Raise ListingError if the files of an export cannot be used."""
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


def _judge_count(summary: dict[str, str], rows: list[File]) -> int:
    """Return the number of files that a page announces. Raise ListingError if it has no files."""
    try:
        count = whole(summary["count"])
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
