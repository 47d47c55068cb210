"""JSOC's answers about an export, as plain data.

Source: jsoc_fetch.c, and jsoc_export_make_index.c for the list of a finished one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*")
_AGAIN = re.compile(r"again\d+\.")


@dataclass(frozen=True)
class Answer:
    """JSOC's answer to a request for an export or for its status.

    `data` has (record, file name) of every file; `size` is in MB; `exptime` as JSOC wrote it.
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
    """The answer in a JSON text of jsoc_fetch, numbers as numbers or strings.

    ValueError where it is none.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or "status" not in found:
        raise ValueError("it has no status")
    rows = found.get("data") or []
    if not isinstance(rows, list):
        raise ValueError("its data is no list")
    requestid = str(found.get("requestid") or found.get("reqid") or "")
    try:
        status = int(found["status"])
        data = [(str(row["record"]), str(row["filename"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(f"its status or data cannot be read: {error}") from None
    return Answer(
        status=status,
        requestid="" if requestid == "VOID" else requestid,
        error=str(found.get("error") or "").strip(),
        method=str(found.get("method") or ""),
        protocol=str(found.get("protocol") or found.get("filefmt") or ""),
        count=whole(found.get("rcount", found.get("count"))),
        size=whole(found.get("size")),
        exptime=str(found.get("exptime") or ""),
        folder=str(found.get("dir") or ""),
        tarfile=str(found.get("tarfile") or ""),
        data=data,
    )


def request_ids(text: str) -> list[str]:
    """The RequestIDs that a text names."""
    return _REQUEST_ID.findall(text)


def again(tries: int, filename: str) -> str:
    """A file name by which JSOC takes a request for another than the `tries` that failed."""
    return f"again{tries}.{filename}" if tries else filename


def without_again(filename: str) -> str:
    """A file's name as the order asked for it."""
    return filename[match.end() :] if (match := _AGAIN.match(filename)) else filename


def whole(value: object) -> int:
    """A count that JSOC writes as a number or as text; 0 where it is neither."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return 0
