"""What the stand-in can be told to do wrong."""

from __future__ import annotations

from dataclasses import dataclass

# Of any request: in place of the answer, or to its body.
_ANSWERS = ("status", "html", "notjson", "jsoc")
_BODIES = (
    "cut", "cut_unannounced", "cut_chunked", "reset", "stall", "empty", "flip", "other",
    "no_range", "wrong_range",
)  # fmt: skip
# Of an export when it is made, and of the moment when it is finished.
EXPORT_FAULTS = ("missing", "nodata", "noname", "unprocessed", "offline", "jobfail")
FAULTS = (*_ANSWERS, *_BODIES, *EXPORT_FAULTS, "noindex")


@dataclass
class Fault:
    """A fault of what matches `pattern`: the first `times` requests of each, after `skip` of them.

    The pattern is sought in file names and, of the CGI, in `<endpoint> <op>` such as
    `jsoc_fetch exp_status`; for exports in `<record> <file name>`, and `times` counts exports.

    `kind` is one of FAULTS. Answers: `status` (HTTP `code`, `retry_after` seconds), `html` (a page
    with status 200), `notjson` (plain text), `jsoc` (JSON with status `code` and error `text`).
    Bodies: `cut` (half the bytes of the Content-Length), `cut_unannounced` (without one),
    `cut_chunked`, `reset` in the middle, `stall` for `seconds` first, `empty`, `flip` (one bit
    of the data), `other` (the image of another record), `no_range` (a Range is ignored),
    `wrong_range` (other bytes than the range asked for). Exports: `missing` (a record is left
    out), `nodata` (its file is NoDataFile), `noname` (its name is empty), `unprocessed` (full
    frames), `offline` (no immediate answer; with `code` 25 that is final), `jobfail` (status 4
    without a reason), `noindex` (finished, but index.json is not found yet).
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
        """Whether it holds for a request that so many came before."""
        return self.skip <= before < self.skip + self.times
