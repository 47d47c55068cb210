"""Flare lists of other servers: HEK's answers to a query, and files by URL, all of them pinned.

HEK is asked month by month for every flare, and selected from here: it compares classes as texts,
and has no place for a flare is the whole disk. Source: HEK's API (lmsal.com/hek/api.html).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlencode

from flareset.archive.endpoints import Site, hek_at
from flareset.archive.pins import Pin, Pins, fetch_into
from flareset.archive.transfer import Transfer
from flareset.errors import TransferError, VerificationError
from flareset.intake.reading import read_list
from flareset.intake.rows import FlareList, Row
from flareset.sdo.times import iso

log = logging.getLogger(__name__)
_PAGE_LIMIT = 200
_MOST_PAGES = 1000
# How often a month is read whose pages differ each time.
_MOST_ROUNDS = 4
# How often the log says how far it is (s).
_OFTEN = 10.0
_URL = re.compile(r"https?://", re.IGNORECASE)
_FIELDS = (
    "kb_archivid", "revision", "active", "event_type", "event_starttime", "event_peaktime",
    "event_endtime", "frm_name", "obs_observatory", "obs_instrument", "obs_channelid", "fl_goescls",
    "fl_peakflux", "fl_peakfluxunit", "ar_noaanum", "noposition", "event_coordsys",
    "event_coordunit", "event_coord1", "event_coord2", "hgs_x", "hgs_y", "hpc_x", "hpc_y",
    "hpc_coord", "boundbox_c1ll", "boundbox_c1ur", "boundbox_c2ll", "boundbox_c2ur",
)  # fmt: skip
# All flares that overlap a range, wherever they are; the answer in JSON.
_QUESTION = {
    "cosec": "2",
    "cmd": "search",
    "type": "column",
    "event_type": "FL",
    "event_coordsys": "helioprojective",
    "x1": "-5000",
    "x2": "5000",
    "y1": "-5000",
    "y2": "5000",
    "order_by": "event_starttime",
    "result_limit": str(_PAGE_LIMIT),
    "return": ",".join(_FIELDS),
}


def is_url(text: str) -> bool:
    """Return whether a list is named by a URL."""
    return _URL.match(text) is not None


@dataclass(frozen=True)
class Asker:
    """Asks for flare lists where they are not pinned; with `refresh`, where they are, too.

    `site` opens the connections, when they are needed. `clock` is monotonic (s).
    """

    pins: Pins
    site: Callable[[], Site]
    refresh: bool = False
    clock: Callable[[], float] = time.monotonic

    def file(self, url: str) -> FlareList:
        """Return the list at a URL. Raises TransferError, IntakeError and StoreError."""

        def ask(folder: Path) -> None:
            transfer = self.site().lists(url)
            fetch_into(transfer, url, folder / "list", lambda path: read_list(path, url))

        pins = self.pins.brought({"url": url}, ask, again=self.refresh)
        found, *before = [read_list(pin.files[0], url) for pin in pins[:2]]
        return _told(found, before[0] if before else found, pins[:1])

    def hek(self, begin: datetime, end: datetime, url: str, *, rehearses: bool) -> FlareList:
        """Return the flares of HEK that begin in a time range. Raises as `file` does."""
        server = "rehearsal" if rehearses else url
        months = list(_months(begin, end))
        asked, told = [], self.clock()
        connected = cache(lambda: self._connected(url))
        for month in months:
            question = {"server": server, "from": iso(month[0]), "to": iso(month[1])}
            ask = partial(_fetch_month, connected, month)
            asked.append(self.pins.brought(question, ask, again=self.refresh))
            if self.clock() - told > _OFTEN:
                log.info("HEK: %d of %d months", len(asked), len(months))
                told = self.clock()
        name = f"HEK {_day(begin)} to {_day(end)}"
        now = FlareList(name, "HEK", tuple(_rows(pins[0] for pins in asked)))
        before = replace(now, rows=tuple(_rows(pins[:2][-1] for pins in asked)))
        found = _told(now, before, [pins[0] for pins in asked])
        made_up = ("made up by the stand-in: archive.kind is rehearsal",) if rehearses else ()
        return replace(found, remarks=(*made_up, *found.remarks))

    def _connected(self, url: str) -> tuple[Transfer, str]:
        """Return the client of HEK, and where it is."""
        place = hek_at(self.site(), url)
        return self.site().lists(place), place


def _fetch_month(
    connected: Callable[[], tuple[Transfer, str]], month: tuple[datetime, datetime], folder: Path
) -> None:
    transfer, place = connected()
    times = zip(("event_starttime", "event_endtime"), month, strict=True)
    question = _QUESTION | {name: f"{when:%Y-%m-%dT%H:%M:%S}" for name, when in times}
    fetch_pages(transfer, f"{place}?{urlencode(question)}", folder)


def fetch_pages(transfer: Transfer, url: str, folder: Path) -> None:
    """Fetch all pages of an answer of HEK into a folder. TransferError where they have no end.

    Where a page repeats an event of another, HEK may have changed meanwhile: all are fetched anew,
    until they come as before.
    """
    before: list[bytes] = []
    for _ in range(_MOST_ROUNDS):
        shifted = _fetch_round(transfer, url, folder)
        now = [path.read_bytes() for path in sorted(folder.iterdir())]
        if not shifted or now == before:
            return
        before = now
        for path in folder.iterdir():
            path.unlink()
    raise TransferError(
        f"HEK changes while it is read: its pages differed {_MOST_ROUNDS} times in a row"
    )


def _fetch_round(transfer: Transfer, url: str, folder: Path) -> bool:
    """Fetch each page once; return whether one repeats an event of another. TransferError."""
    seen: set[str] = set()
    shifted = False
    for number in range(1, _MOST_PAGES + 1):
        path = folder / f"page-{number:04}.json"
        names, more = fetch_into(transfer, f"{url}&page={number}", path, _page)
        shifted |= bool(seen & names)
        if not more:
            return shifted
        if names <= seen:
            raise TransferError(
                f"HEK says after page {number} that there are more flares (overmax), and gives no"
                " other"
            )
        seen |= names
    raise TransferError(f"HEK's answer has over {_MOST_PAGES} pages")


def _page(path: Path) -> tuple[set[str], bool]:
    """Return the names of a page's events, and whether another page follows.

    VerificationError: it is no page of an answer of HEK.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    try:
        answer = json.loads(text)
        names = {str(row["kb_archivid"]) for row in answer["result"]}
        return names, bool(answer["overmax"])
    except (ValueError, KeyError, TypeError, RecursionError):
        begin = " ".join(text[:80].split())
        raise VerificationError(
            f"no answer of HEK, which has `result` and `overmax`: {begin!r}"
        ) from None


def _months(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield a time range as parts that end with a month."""
    while begin < end:
        year, month = divmod(begin.year * 12 + begin.month, 12)
        after = min(end, datetime(year, month + 1, 1, tzinfo=UTC))
        yield begin, after
        begin = after


def _rows(pins: Iterable[Pin]) -> Iterator[Row]:
    """Yield each row once: two months have the flare between them."""
    seen = set()
    for pin in pins:
        for path in pin.files:
            for row in read_list(path).rows:
                if row.key not in seen:
                    seen.add(row.key)
                    yield row


def _told(found: FlareList, before: FlareList, pins: Sequence[Pin]) -> FlareList:
    """Return a list with what has to be known of its pins, and what changed since the last ones."""
    times = sorted({pin.at for pin in pins})
    asked = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    folder = pins[0].folder.parent if len(pins) == 1 else pins[0].folder.parents[1]
    changed = differences(before.rows, found.rows)
    remarks = (*found.remarks, f"asked {asked}, kept in {folder}", *changed)
    sums = Pin(Path(), "", {str(pin.folder): pin.sha256 for pin in pins})
    return replace(found, sha256=sums.sha256, remarks=remarks)


def differences(before: Sequence[Row], now: Sequence[Row]) -> list[str]:
    """Return in words which rows of a list were added, are gone and changed, by their names."""
    old, new = ({row.key or row.whole: row.whole for row in rows} for rows in (before, now))
    kinds = {
        "added": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }
    return [
        f"{len(names)} {kind} ({', '.join(name[:80] for name in names[:3])}"
        f"{', …' if len(names) > 3 else ''})"
        for kind, names in kinds.items()
        if names
    ]


def _day(when: datetime) -> str:
    return iso(when).removesuffix("T00:00:00Z")
