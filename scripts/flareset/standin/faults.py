"""The faults that the stand-in can be told to make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from flareset.sdo.series import SERIES
from flareset.standin.frames import Frame

# Faults of any request: another answer, other bytes in the file, in the body, and in transfer.
_ANSWERS = ("status", "html", "notjson", "jsoc", "redirect")
CHANGED = ("changed", "changed_silent")
FILE_FAULTS = ("flip", "card", "other", "spikes", *CHANGED)
_BODIES = ("empty", "padded", "trailing", "longer", "big", "big_unannounced", "gzip")
_WAYS = (
    "cut", "cut_unannounced", "cut_chunked", "reset", "stall", "stall_body", "trickle",
    "no_range", "wrong_range",
)  # fmt: skip
# Faults of HEK's answers.
HEK_FAULTS = ("shifted", "overmax", "broken_text")
# Faults of an export when it is made. `noindex` below is one when it is finished.
EXPORT_FAULTS = ("missing", "nodata", "noname", "unprocessed", "offline", "jobfail")
REQUEST_FAULTS = (*_ANSWERS, *FILE_FAULTS, *_BODIES, *_WAYS, *HEK_FAULTS)
FAULTS = (*REQUEST_FAULTS, *EXPORT_FAULTS, "noindex")


@dataclass
class Fault:
    """A fault of requests that match `pattern`: after `skip` requests, `times` of them.

    The pattern is searched in file names, in `<endpoint> <op>` of the CGI such as
    `jsoc_fetch exp_status`, and in `hek search`. For exports it is searched in
    `<record> <file name>`, and `times` counts exports. A tar matches by its own name and by those
    of its members. Requests are counted for each file or operation.

    `kind` is one of FAULTS. Answers: `status` (HTTP `code`, `retry_after` seconds), `html` (a page
    with status 200), `notjson` (plain text), `jsoc` (JSON with status `code` and error `text`),
    `redirect` (302 to `text`, or to itself if `text` is empty).

    Files: `flip` (one bit of the data), `card` (one character of a header card: CHECKSUM is wrong,
    DATASUM right), `other` (the image of another record), `spikes` (the record's spikes table),
    `changed` (another sound image of the record, with an ETag and Last-Modified of its own),
    `changed_silent` (the same under the old ETag and Last-Modified). To change a file between two
    parts, `cut` it once and make it `changed` with a `skip` of 1. In a tar the first matching
    member is struck; if only the tar matches, the member in the middle; `changed` strikes all.

    Bodies: `empty`, `padded` (an HTML page with NULs up to the file's size), `trailing` (junk
    behind the file, included in Content-Length), `longer` (junk not included), `big` (a TiB),
    `big_unannounced` (without Content-Length), `gzip` (a Content-Encoding that was not asked for).

    Transfer: `cut` (half of the bytes in Content-Length), `cut_unannounced` (no Content-Length),
    `cut_chunked`, `reset` in the middle, `stall` for `seconds` first, `stall_body` for `seconds`
    in the middle, `trickle` (8 bytes every `seconds`), `no_range` (Range is ignored),
    `wrong_range` (other bytes than the range asked for).

    HEK: `shifted`, `overmax`, `broken_text` (`hek.answer`).

    Exports: `missing` (a record is left out), `nodata` (its file is NoDataFile), `noname` (its name
    is empty), `unprocessed` (full frames), `offline` (no immediate answer, and no path in
    jsoc_info; with `code` 25 the export is refused), `jobfail` (status 4 without a reason),
    `noindex` (finished, but index.json is not found yet).
    """

    kind: str
    pattern: str = ""
    times: int = 10**9
    code: int = 503
    seconds: float = 1.0
    text: str = ""
    retry_after: int = 0
    skip: int = 0

    def strikes(self, before: int) -> bool:
        """Return whether the fault strikes a request after `before` others."""
        return self.skip <= before < self.skip + self.times


def mistaken(frame: Frame, kind: str) -> Frame:
    """Return the frame that a fault delivers under another frame's name."""
    if kind == "other":
        return replace(frame, time=frame.time + timedelta(seconds=SERIES[frame.series].cadence))
    return replace(frame, segment="spikes") if kind == "spikes" else frame


def damaged(pieces: list[bytes], kind: str) -> list[bytes]:
    """Return a file's pieces (headers, then data) after a fault that changes its bytes."""
    if kind not in ("flip", "card"):
        return pieces
    struck = len(pieces) - 1 if kind == "flip" else max(len(pieces) - 2, 0)
    data = bytearray(pieces[struck])
    if kind == "flip":
        data[len(data) // 2] ^= 0x10
    else:
        # The last digit of the exposure, if the header has one.
        data[(data.find(b"EXPTIME =") + 29) % len(data)] ^= 1
    return [*pieces[:struck], bytes(data), *pieces[struck + 1 :]]
