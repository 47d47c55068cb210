"""Make up a recordset's records, and the page of an export of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from flareset.errors import ListingError
from flareset.sdo.flares import Flare
from flareset.standin.drmstime import moment, scan
from flareset.standin.frames import Frames
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import MadeUp, Record
from flareset.standin.products import megabytes
from flareset.standin.wire import index_html

__all__ = ["Export", "File", "Record", "export", "listing_page", "records"]


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


def records(text: str, frames: Frames) -> Sequence[Record]:
    """Return the records of a recordset in the order of its prime keys.

    Raises BadQuery if JSOC would refuse it.
    """
    return Holdings(MadeUp(frames), frames).find(text)


def export(text: str, frame_size: int, flares: Sequence[Flare] = ()) -> Export:
    """Return the export of a recordset of AIA. Its ids depend only on the recordset."""
    frames = Frames(frame_size, flares)
    holdings = Holdings(MadeUp(frames), frames)
    subset, structure = holdings.subsets(text)[0]
    begin = next((found[0] for body in subset.filters if (found := scan(body))), None)
    if not structure.name.startswith("aia.") or begin is None:
        raise ListingError(f"{text!r} is not a recordset that the stand-in knows")
    files = [
        File(record.query(), record.frame(segment).name)
        for record in holdings.find(text)
        for segment in subset.segments or structure.segments
        if record.there(segment)
    ]
    digest = sha256(text.encode()).digest()
    images = sum(1 for file in files if ".image" in file.name)
    return Export(
        requestid=f"JSOC_{moment(begin):%Y%m%d}_{int.from_bytes(digest[:2], 'big') % 1000:03d}",
        folder=f"/SUM{1 + digest[2] % 90}/D{10**9 + int.from_bytes(digest[3:7], 'big')}/S00000",
        files=tuple(files),
        megabytes=megabytes(images, frame_size),
        exptime=moment(begin) + timedelta(days=1),
    )


def listing_page(made: Export) -> str:
    """Return the export's `index.html` as JSOC writes it."""
    summary = {
        "version": "0.5",
        "requestid": made.requestid,
        "method": "url",
        "protocol": "fits",
        "count": str(len(made.files)),
        "size": str(made.megabytes),
        "exptime": made.exptime.strftime("%Y.%m.%d_%H:%M:%S_UT"),
        "dir": made.folder,
        "status": "0",
        "keywords": "**IN FITS FILES**",
    }
    return index_html(summary, [(file.record, file.name) for file in made.files])
