"""Turn JSOC's answers into plain data and states. No other module knows JSOC's words.

Source: jsoc_fetch.c, jsoc_info.c, the CGI wrappers, and jsoc_export_make_index.c for the list of a
finished export.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

_REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*")
_AGAIN = re.compile(r"again\d+\.")
# JSOC's texts of status 4 for temporary troubles.
_TEMPORARY = (
    "cant save new export-request hash",
    "cant get new requestid",
    "cant create new export control record",
    "sums is down",
    "error checking list of pending export requests",
    "index.json file not found",
)
# JSOC's CGI wrapper knows only the statuses 0 to 7. It reports any other status within a text.
_UNKNOWN_TO_THE_WRAPPER = re.compile(r"not return a known status code \(code (\d+)\)")
_WARNING = "warning="
_NO_FILE = "NoDataFile"


class State(Enum):
    """The state of a request for an export, by JSOC's answer."""

    DONE = auto()
    PENDING = auto()
    TOO_LARGE = auto()
    TROUBLE = auto()
    """JSOC has a temporary trouble."""
    FAILED = auto()
    EXPIRED = auto()
    UNKNOWN = auto()
    BLOCKED = auto()
    """Another request of the address, or of its machine, is pending."""
    OFFLINE = auto()


# Any other status is a failure (jsoc_fetch.c).
_STATES = {
    0: State.DONE,
    1: State.PENDING,
    2: State.PENDING,
    3: State.TOO_LARGE,
    5: State.EXPIRED,
    6: State.UNKNOWN,
    7: State.BLOCKED,
    12: State.PENDING,
    25: State.OFFLINE,
}
_PROGRESS = {1: "being processed", 2: "queued", 6: "not known yet", 12: "queued for a test"}


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

    @property
    def state(self) -> State:
        """The state of the request."""
        if self.status == 4 and any(text in self.error.lower() for text in _TEMPORARY):
            return State.TROUBLE
        return _STATES.get(self.status, State.FAILED)

    @property
    def progress(self) -> str:
        """The progress of a request that is not finished, in words."""
        return _PROGRESS.get(self.status, self.error or f"status {self.status}")

    @property
    def named(self) -> list[str]:
        """The RequestIDs that JSOC names in its refusal: the pending ones."""
        return _REQUEST_ID.findall(self.error)

    @property
    def files(self) -> list[tuple[str, str]]:
        """Record and name of each file. The name is empty if JSOC lists a record without a name."""
        return [
            (record, name.strip())
            for record, name in self.data
            if not record.startswith(_WARNING) and name != _NO_FILE
        ]

    @property
    def without_file(self) -> list[str]:
        """The records that have no file of a segment (`NoDataFile`)."""
        return [record for record, name in self.data if name == _NO_FILE]

    @property
    def warnings(self) -> list[str]:
        """The warnings that JSOC wrote among the files."""
        return [
            record.removeprefix(_WARNING) for record, _ in self.data if record.startswith(_WARNING)
        ]


def read_answer(text: str) -> Answer:
    """Return the answer in a JSON text of jsoc_fetch. Its numbers may be strings.

    Raises ValueError if the text is not an answer.
    """
    found = read_object(text)
    if "status" not in found:
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
    error = _text(found, "error").strip()
    if hidden := _UNKNOWN_TO_THE_WRAPPER.search(error):
        status = int(hidden[1])
    return Answer(
        status=status,
        requestid="" if requestid == "VOID" else requestid,
        error=error,
        method=_text(found, "method"),
        protocol=_text(found, "protocol", "filefmt"),
        count=whole_or_0(found.get("rcount", found.get("count"))),
        size=whole_or_0(found.get("size")),
        exptime=_text(found, "exptime"),
        folder=_text(found, "dir"),
        tarfile=_text(found, "tarfile"),
        data=data,
    )


def _text(found: dict[str, Any], *keys: str) -> str:
    """Return the first value of these keys that is not empty, as text."""
    return next((str(found[key]) for key in keys if found.get(key)), "")


def read_object(text: str) -> dict[str, Any]:
    """Return the object in a JSON text, or in JSOC's plain text that refuses arguments.

    Raises ValueError if the text is neither.
    """
    if text.startswith("status="):
        pairs = (line.partition("=")[::2] for line in text.splitlines())
        return {key.strip(): value.strip() for key, value in pairs if key.strip()}
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


class Registration(Enum):
    """The state of an e-mail address, by checkAddress."""

    REGISTERED = auto()
    WAITING = auto()
    """The user has not answered JSOC's mail yet."""
    UNKNOWN = auto()
    MALFORMED = auto()
    NOT_NOW = auto()
    """JSOC cannot look the address up at the moment."""


def read_registration(found: dict[str, Any]) -> Registration:
    """Return the state of an address in an answer of checkAddress (checkAddress.py)."""
    status = whole_or_0(found.get("status"))
    known = {
        2: Registration.REGISTERED,
        3: Registration.WAITING,
        -2: Registration.MALFORMED,
    }
    return known.get(status, Registration.NOT_NOW if status < 0 else Registration.UNKNOWN)


class InfoKind(Enum):
    """The kind of an answer of `jsoc_info`."""

    ANSWERED = auto()
    REFUSED = auto()
    STORAGE_DOWN = auto()
    """JSOC's storage (SUMS) is down for a while: the answer is just status -1."""


def classify_info(found: dict[str, Any]) -> InfoKind:
    """Return the kind of an answer of `jsoc_info`."""
    match whole_or_0(found.get("status")):
        case 0:
            return InfoKind.ANSWERED
        case -1:
            return InfoKind.STORAGE_DOWN
        case _:
            return InfoKind.REFUSED


def mark_retry(tries: int, filename: str) -> str:
    """Return a file name that makes a request differ from the `tries` failed ones before it."""
    return f"again{tries}.{filename}" if tries else filename


def strip_retry(filename: str) -> str:
    """Return a file's name without the prefix that `mark_retry` adds."""
    return filename[match.end() :] if (match := _AGAIN.match(filename)) else filename


def whole_or_0(value: object) -> int:
    """Return a count that JSOC writes as a number or as text; 0 if it is neither."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return 0


def read_rows(found: dict[str, Any]) -> list[dict[str, str]]:
    """Return the records in an answer to `rs_list`: keywords, and `segment:<name>`, as text.

    Raises ValueError if a column does not have as many values as the count says.
    """
    count = whole_or_0(found.get("count"))
    columns = {str(entry["name"]): entry["values"] for entry in found.get("keywords") or []}
    for entry in found.get("segments") or []:
        columns[f"segment:{entry['name']}"] = entry["values"]
    lists = all(isinstance(values, list) and len(values) == count for values in columns.values())
    if not lists or (count and not columns):
        raise ValueError(f"it announces {count} records, but lists another number")
    return [{name: str(values[n]) for name, values in columns.items()} for n in range(count)]
