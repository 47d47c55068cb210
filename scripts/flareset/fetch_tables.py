"""Fetch AIA's tables of calibration from JSOC: asked for once, and pinned.

Source: JSOC's series aia.response, by which SolarSoft's tables are made, and aia.master_pointing3h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from flareset.archive.endpoints import Site
from flareset.archive.pins import Pin, Pins, fetch_into
from flareset.archive.responses import InfoKind, classify_info, read_object, read_rows
from flareset.errors import ArraysError, VerificationError
from flareset.sdo.times import iso, parse_jsoc_time

# All versions: by its prime keys alone, JSOC lists the newest of each epoch.
_RESPONSES = "aia.response[][!1=1!]"
_OF_RESPONSES = (
    "DATE", "T_START", "T_STOP", "VER_NUM", "WAVE_STR", "WAVELNTH", "EFF_AREA", "EFF_WVLN",
    "EFFA_P1", "EFFA_P2", "EFFA_P3",
)  # fmt: skip
_POINTINGS = "aia.master_pointing3h[{}-{}]"
# A row begins at most so long before the times that it is for.
_LONGEST_ROW = timedelta(days=1)


@dataclass(frozen=True)
class Fetched:
    """A table as text, and where it came from."""

    text: str
    origin: dict[str, Any]


@dataclass(frozen=True)
class Fetching:
    """Asks JSOC for tables where they are not pinned; with `again`, where they are, too.

    `site` opens the connections, when they are needed. `server` names JSOC in the pins.
    """

    pins: Pins
    site: Callable[[], Site]
    server: str
    again: bool = False

    def responses(self) -> Fetched:
        """Return the table of responses, in the form of SolarSoft's. Raises ArraysError."""
        pins = [self._pinned(_RESPONSES, ",".join(_OF_RESPONSES))]
        table = _table(pins)
        if lacking := [name for name in _OF_RESPONSES if name not in table]:
            raise ArraysError(
                f"{_RESPONSES}: JSOC's answer lacks {', '.join(lacking)}; it is in {pins[0].folder}"
            )
        table = table[[*_OF_RESPONSES]]
        return Fetched(table.to_string(index=False) + "\n", self._origin([_RESPONSES], pins))

    def pointings(self, windows: Iterable[tuple[datetime, datetime]]) -> Fetched:
        """Return the table of pointings (CSV) for the months of these times (UTC)."""
        asked = [_POINTINGS.format(*map(iso, month)) for month in months(windows)]
        pins = [self._pinned(recordset, "**ALL**") for recordset in asked]
        table = _table(pins).sort_values("T_START", kind="stable").drop_duplicates("T_START")
        return Fetched(table.to_csv(index=False, lineterminator="\n"), self._origin(asked, pins))

    def _pinned(self, recordset: str, keys: str) -> Pin:
        form = {"op": "rs_list", "ds": recordset, "key": keys}

        def ask(folder: Path) -> None:
            site = self.site()
            url = f"{site.cgi_url.rstrip('/')}/jsoc_info?{urlencode(form)}"
            fetch_into(site.lists(url), url, folder / "answer.json", _rows)

        return self.pins.brought({"server": self.server, **form}, ask, again=self.again)[0]

    def _origin(self, asked: list[str], pins: list[Pin]) -> dict[str, Any]:
        answers = [
            {"recordset": recordset, "asked": pin.at, "sha256": pin.sha256}
            for recordset, pin in zip(asked, pins, strict=True)
        ]
        return {"server": self.server, "answers": answers}


def months(windows: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the begin and end of each month that windows touch, in the order of time."""
    found = set()
    for begin, end in windows:
        first = begin - _LONGEST_ROW
        count = (end.year - first.year) * 12 + end.month - first.month
        found |= {first.year * 12 + first.month - 1 + n for n in range(count + 1)}
    return [(_month(number), _month(number + 1)) for number in sorted(found)]


def _month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the records of an answer, their times in ISO 8601. Raises VerificationError."""
    text = path.read_text(encoding="latin-1")
    try:
        found = read_object(text)
        if classify_info(found) is InfoKind.ANSWERED:
            return [_in_iso(row) for row in read_rows(found)]
        why = str(found.get("error") or found.get("status"))
    except (ValueError, KeyError, TypeError) as error:
        why = f"{error}: {' '.join(text[:80].split())!r}"
    raise VerificationError(f"JSOC lists no table: {why}")


def _table(pins: list[Pin]) -> pd.DataFrame:
    """Return the rows of answers. Raises ArraysError."""
    rows = [row for pin in pins for path in pin.files for row in _rows(path)]
    if not rows:
        raise ArraysError(f"JSOC has no row of it; the answer is in {pins[0].folder}")
    return pd.DataFrame(rows)


def _in_iso(row: dict[str, str]) -> dict[str, str]:
    return row | {key: iso(parse_jsoc_time(row[key])) for key in ("T_START", "T_STOP")}
