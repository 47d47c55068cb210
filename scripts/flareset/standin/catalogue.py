"""What the stand-in has for a recordset, and the listing page of an export in JSOC's HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape

from flareset.errors import ListingError
from flareset.series import SERIES, Series
from flareset.times import iso, parse_duration, parse_jsoc_time, parse_utc

_RECORDSET = re.compile(
    r"(?P<series>[\w.]+)\[(?P<start>[^\]/]+)/(?P<span>[^\]@]+)(?:@[^\]]+)?\]"
    r"\[(?P<wavelengths>[\d,]+)\](?:\{(?P<segments>[\w,]+)\})?"
)
_LINK_BASE = "https://jsoc1.stanford.edu"
# Of a thousand slots, so many have no record, and so many records have no image.
_NO_RECORD, _NO_IMAGE = 0.0015, 0.001


@dataclass(frozen=True)
class File:
    """A file of an export: its record and name."""

    record: str
    name: str


@dataclass(frozen=True)
class Export:
    """An export: its id, folder and files."""

    requestid: str
    folder: str
    files: tuple[File, ...]
    megabytes: int
    exptime: datetime


def export(text: str, frame_size: int) -> Export:
    """The export of a recordset; its ids depend on the recordset alone."""
    match = _RECORDSET.fullmatch(text)
    if not match or match["series"] not in SERIES:
        raise ListingError(f"{text!r} is not a recordset that the stand-in knows")
    series = SERIES[match["series"]]
    begin = _time(match["start"])
    end = begin + parse_duration(match["span"])
    segments = (match["segments"] or "image,spikes").split(",")
    wavelengths = [int(wavelength) for wavelength in match["wavelengths"].split(",")]
    files = [
        file
        for t_rec in _slots(series, begin, end)
        for wavelength in wavelengths
        for file in _record(series, t_rec, wavelength, segments)
    ]
    digest = sha256(text.encode()).digest()
    images = sum(1 for file in files if ".image_lev1." in file.name)
    return Export(
        requestid=f"JSOC_{begin:%Y%m%d}_{int.from_bytes(digest[:2], 'big') % 1000:03d}",
        folder=f"/SUM{1 + digest[2] % 90}/D{10**9 + int.from_bytes(digest[3:7], 'big')}/S00000",
        files=tuple(files),
        megabytes=max(1, round(images * 0.75 * frame_size**2 / 1e6)),
        exptime=begin + timedelta(days=1),
    )


def listing_page(made: Export) -> str:
    """The export's `index.html` as JSOC writes it (template: jsoc_export_make_index.c)."""
    summary = {
        "version": "0.5",
        "requestid": made.requestid,
        "method": "url",
        "protocol": "fits",
        "count": len(made.files),
        "size": made.megabytes,
        "exptime": made.exptime.strftime("%Y.%m.%d_%H:%M:%S_UT"),
        "dir": made.folder,
        "status": 0,
        "keywords": "**IN FITS FILES**",
    }
    rows = [
        f'<tr><td>{escape(file.record)}</td><td><A HREF="{_LINK_BASE}{made.folder}/{file.name}">'
        f"{file.name}</A></td></tr>"
        for file in made.files
    ]
    return "\n".join(
        [
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN"'
            ' "http://www.w3.org/TR/html4/loose.dtd">'
            '<html><head title="JSOC Data Export Request Results Index">',
            "</head><body>",
            "<h2>JSOC Data Request Summary</h2>",
            "<table>",
            *(f"<tr><td><b>{key}</b></td><td>{value}</td></tr>" for key, value in summary.items()),
            "</table><p><h2><b>Selected Data</b></h2><p><table>",
            *rows,
            "</table></body></html>",
            "",
        ]
    )


def _time(text: str) -> datetime:
    try:
        return parse_jsoc_time(text)
    except ValueError:
        return parse_utc(text)


def _slots(series: Series, begin: datetime, end: datetime) -> list[datetime]:
    slot = series.slot(begin)
    slots = []
    while slot < end:
        if slot >= begin:
            slots.append(slot)
        slot = series.slot(slot + timedelta(seconds=series.cadence))
    return slots


def _record(series: Series, t_rec: datetime, wavelength: int, segments: list[str]) -> list[File]:
    """The files of a slot's record; none where the slot has no record."""
    digest = sha256(f"{series.name}|{iso(t_rec)}|{wavelength}".encode()).digest()
    luck = [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8)]
    if luck[0] < _NO_RECORD:
        return []
    # Most exposures lie 9 s into their slot, as in JSOC's 131 A exports; a few come later.
    offset = 9 if luck[1] < 0.94 else 11 if luck[1] < 0.99 else 10
    stamp = (t_rec + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H%M%SZ")
    record = f"{series.name}[{iso(t_rec)}][{wavelength}]"
    names = {"image": "image_lev1", "spikes": "spikes"}
    there = [s for s in segments if s != "image" or luck[2] >= _NO_IMAGE]
    return [
        File(record, f"{series.name}.{stamp}.{wavelength}.{names[segment]}.fits")
        for segment in there
    ]
