"""Read JSOC's answers about an export into plain data.

Source: jsoc_fetch.c, and jsoc_export_make_index.c for the list of a finished export.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*")
_AGAIN = re.compile(r"again\d+\.")


@dataclass(frozen=True)
class Answer:
    """JSOC's answer to a request for an export or for its status.

    `data` has (record, file name) of every file; `size` is in MB; `exptime` is JSOC's text.
    """

    status: int
    requestid: str = ""
    error: str = ""
    method: str = ""
    protocol: str = ""
    count: int = 0
    size: int = 0
    exptime: str = ""
    folder: str = ""
    tarfile: str = ""
    data: list[tuple[str, str]] = field(default_factory=list)


def read_answer(text: str) -> Answer:
    """Return the answer in a JSON text of jsoc_fetch, whose numbers may be strings.

    Raises ValueError where the text is no answer.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or "status" not in found:
        raise ValueError("it has no status")
    rows = found.get("data") or []
    if not isinstance(rows, list):
        raise ValueError("its data is no list")
    try:
        status = int(found["status"])
        data = [(str(row["record"]), str(row["filename"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(f"its status or data cannot be read: {error}") from None
    requestid = _text(found, "requestid", "reqid")
    return Answer(
        status=status,
        requestid="" if requestid == "VOID" else requestid,
        error=_text(found, "error").strip(),
        method=_text(found, "method"),
        protocol=_text(found, "protocol", "filefmt"),
        count=whole(found.get("rcount", found.get("count"))),
        size=whole(found.get("size")),
        exptime=_text(found, "exptime"),
        folder=_text(found, "dir"),
        tarfile=_text(found, "tarfile"),
        data=data,
    )


def _text(found: dict[str, Any], *keys: str) -> str:
    """Return the first value that is not empty, as text."""
    return next((str(found[key]) for key in keys if found.get(key)), "")


def request_ids(text: str) -> list[str]:
    """Return the RequestIDs that a text names."""
    return _REQUEST_ID.findall(text)


def again(tries: int, filename: str) -> str:
    """Return a file name that tells a request from the `tries` before it, which failed."""
    return f"again{tries}.{filename}" if tries else filename


def without_again(filename: str) -> str:
    """Return a file's name as the order asked for it."""
    return filename[match.end() :] if (match := _AGAIN.match(filename)) else filename


def whole(value: object) -> int:
    """Return a count that JSOC writes as a number or as text, 0 where it is neither."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return 0
