"""The listing in a saved page: an export's `index.html` as JSOC writes it.

Source: jsoc_export_make_index.c: a summary table, then `RECORD` and a link per file.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from bs4 import BeautifulSoup

from flareset.campaign.events import Event
from flareset.errors import ListingError
from flareset.sdo.processing import fingerprint
from flareset.sdo.series import Series
from flareset.sources.rows import Asked, edges_of, in_time_order, rows_to_listing
from flareset.tables.listing import ExportFacts


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
    """The listing of `event` at `wavelength` on a page, in time order, and the page's facts.

    `wavelengths` are all that the campaign asks for: one page may list several. `process` is what
    was done to the images. `accept` takes a page whose rows do not match its count as it is.
    Raises ListingError with the reason.
    """
    rows, facts = _parse(text)
    processed = bool(fingerprint(process))
    asked = Asked(event, wavelength, series, segment, wavelengths, hosts, "fits", processed)
    listing = rows_to_listing(rows, asked)
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


def _parse(text: str) -> tuple[list[tuple[str, str, str]], ExportFacts]:
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
    return rows, ExportFacts(
        requestid=summary.get("requestid", ""),
        count=count,
        rows=len(rows),
        exptime=summary.get("exptime", ""),
        method=method,
        protocol=protocol,
        megabytes=int(size) if (size := summary.get("size", "")).isdigit() else 0,
    )


def _wrong_count(facts: ExportFacts) -> str:
    if facts.count == facts.rows:
        return ""
    return f"the page's count says {facts.count} files, but it lists {facts.rows}"
