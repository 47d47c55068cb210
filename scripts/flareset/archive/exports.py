"""An export's life: asked for once, remembered on disk, waited for, asked again when it expired.

Source: jsoc_fetch.c (statuses, duplicates, pending requests), jsoc_export_manage.c.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer, again, request_ids
from flareset.errors import ExportError
from flareset.sdo.recordset import Recordset, Times, jsoc_time
from flareset.sdo.series import Series
from flareset.sdo.times import from_tai, to_tai
from flareset.system.files import make_folder, sync, write_json, writing
from flareset.system.locks import held
from flareset.system.retry import Patience

# Below JSOC's own limits (some 15000 records and 100 GB, 10 GB where Rice is undone).
MOST_RECORDS = 10_000
MOST_MEGABYTES = {False: 90_000, True: 9_000}
PENDING = {1: "being processed", 2: "queued", 6: "not known yet", 12: "queued for a test"}
# JSOC's texts for what passes by itself.
_TEMPORARY = (
    "cant save new export-request hash",
    "cant get new requestid",
    "cant create new export control record",
    "sums is down",
    "error checking list of pending export requests",
    "index.json file not found",
)
_FIRST_POLL, _LONGEST_POLL = 5.0, 60.0
# A request that was just finished may look expired, and a new one unknown, for a moment.
_BELIEVED_AFTER = 5
_STUCK_AFTER = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What is asked of JSOC: a recordset, and how it is delivered; `process` as on the wire."""

    recordset: str
    method: str
    protocol: str
    filename_format: str
    process: str
    size_ratio: float = 1.0

    @property
    def key(self) -> str:
        """A name for all that shapes what comes back."""
        text = json.dumps(asdict(self), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:20]

    def form(self, tries: int) -> dict[str, str]:
        """The arguments of the request; `tries` that failed make JSOC forget an identical one."""
        return {
            "ds": self.recordset,
            "method": self.method,
            "protocol": self.protocol,
            "filenamefmt": again(tries, self.filename_format),
            "process": self.process,
            "sizeratio": f"{self.size_ratio:.6g}",
        }


def parts_needed(records: int, megabytes: float, protocol: str) -> int:
    """Into how many requests an export of that size has to be split."""
    most = MOST_MEGABYTES["**none**" in protocol.lower()]
    return max(1, math.ceil(records / MOST_RECORDS), math.ceil(megabytes / most))


def split(text: str, parts: int, series: Series) -> list[str]:
    """A recordset cut into so many by time, without overlap; ExportError where it cannot be."""
    if parts == 1:
        return [text]
    whole = Recordset.parse(text)
    found = whole.times
    if found is None:
        raise ExportError(f"{text} is too much for one request and has no filter on time to cut")
    place, times = found
    if times.values:
        values = [part.strip() for part in whole.filters[place].split(",")]
        size = -(-len(values) // parts)
        cut = [",".join(values[i : i + size]) for i in range(0, len(values), size)]
    else:
        cut = _spans(times, parts, series)
    if len(cut) < 2:
        raise ExportError(f"{text}: JSOC calls it too large, and one record cannot be split")
    return [str(whole.at(part)) for part in cut]


def _spans(times: Times, parts: int, series: Series) -> list[str]:
    """The filters of a span or range cut into equal parts; counted in TAI, as JSOC does."""
    step = times.cadence or series.cadence
    begin = to_tai(times.begin)
    total = (to_tai(times.end) - begin).total_seconds() + (1 if times.inclusive else 0)
    size = math.ceil(total / parts / step) * step
    suffix = f"@{times.cadence:.10g}s" if times.cadence else ""
    cut = []
    offset = 0.0
    while offset < total:
        seconds = min(size, total - offset)
        first = jsoc_time(series, from_tai(begin + timedelta(seconds=offset)))
        if times.inclusive:
            last = from_tai(begin + timedelta(seconds=offset + seconds - 1))
            cut.append(f"{first}-{jsoc_time(series, last)}{suffix}")
        else:
            cut.append(f"{first}/{seconds:.10g}s{suffix}")
        offset += size
    return cut


class _TooLarge(Exception):
    """JSOC's status 3."""


class Exporter:
    """Brings exports, each asked for once however often the run is killed.

    What was asked for is remembered in `folder`, one JSON file per order, without the address.
    One request is pending at a time, held by `lock` against other jobs. `wait` and `poll` are in
    seconds.
    """

    def __init__(
        self,
        jsoc: Jsoc,
        folder: Path,
        lock: Path,
        *,
        series: Series,
        wait: float,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        poll: float = _FIRST_POLL,
    ) -> None:
        self.jsoc = jsoc
        self.folder = folder
        self.lock = lock
        self.series = series
        self.wait = wait
        self.clock = clock
        self.sleep = sleep
        self.poll = poll
        # JSOC's temporary refusals are answers, which end no patience with its server.
        self._refusals = Patience(jsoc.connections.patience, clock=clock)

    def bring(self, order: Order, *, anew: bool = False) -> list[Answer]:
        """The answers that list an order's files, one for each request that it took.

        An answer with status 25 has none: its data are offline. With `anew`, what was brought
        before and has expired is asked for again. Raises ExportError where JSOC refuses or fails.
        """
        note = self._read(order)
        if "answer" in note and not anew:
            return [_answer(note)]
        if "parts" in note:
            return self._bring_parts(note["parts"], anew)
        with self._alone():
            # Another job may have brought it while this one waited.
            note = self._read(order)
            if "parts" not in note and ("answer" not in note or anew):
                try:
                    note = self._brought(order, note)
                except _TooLarge as refusal:
                    log.info("too large for one request, split in two: %s", refusal)
                    halves = split(order.recordset, 2, self.series)
                    orders = [Order(**{**asdict(order), "recordset": half}) for half in halves]
                    note = {"parts": [asdict(part) for part in orders]}
                    self._write(order, note)
        if "parts" in note:
            return self._bring_parts(note["parts"], anew)
        return [_answer(note)]

    def remembered(self, order: Order) -> list[Answer] | None:
        """What an order brought before; None where it would have to be asked for."""
        note = self._read(order)
        if "parts" in note:
            parts = [self.remembered(Order(**part)) for part in note["parts"]]
            return None if None in parts else [a for part in parts for a in part or []]
        return [_answer(note)] if "answer" in note else None

    def is_asked(self, order: Order) -> bool:
        """Whether an order needs no new request: it was made before."""
        note = self._read(order)
        if "parts" in note:
            return all(self.is_asked(Order(**part)) for part in note["parts"])
        return "answer" in note or bool(note.get("requestid"))

    def forget(self, order: Order) -> None:
        """Ask for an order anew the next time: what it brought is not all of it."""
        note = self._read(order)
        if note.get("requestid"):
            self._write(order, _failed(note))

    def wait_for(self, requestid: str) -> Answer:
        """The finished export of a RequestID; ExportError where it failed or has expired."""
        answer = self._wait_for(requestid, self.clock() + self.wait)
        if answer.status == 0:
            return answer
        why = answer.error or f"status {answer.status}"
        advice = (
            "JSOC keeps an export for a week: export again and set the new request_id"
            if answer.status == 5
            else "look at the RequestID, or export again"
        )
        raise ExportError(f"{requestid}: {why}; {advice}")

    def _bring_parts(self, parts: list[dict[str, Any]], anew: bool) -> list[Answer]:
        return [answer for part in parts for answer in self.bring(Order(**part), anew=anew)]

    def _brought(self, order: Order, note: dict[str, Any]) -> dict[str, Any]:
        """The order's note with the answer that lists its files."""
        deadline = self.clock() + self.wait
        while True:
            if not note.get("requestid"):
                answer = self._submit(order, note, deadline)
            elif (answer := self._wait_for(note["requestid"], deadline)).status == 5:
                log.info("%s has expired; asking again", note["requestid"])
                note["requestid"] = ""
                continue
            if answer.status == 0:
                note["answer"] = asdict(answer)
                self._write(order, note)
                return note
            if answer.status == 25 or "(code 25)" in answer.error:
                # Not remembered as done: the data may be online the next time.
                self._write(order, {**note, "requestid": ""})
                offline = {**asdict(answer), "status": 25, "requestid": note.get("requestid", "")}
                return {**note, "answer": offline}
            if answer.status in PENDING and answer.requestid:
                note["requestid"] = answer.requestid
                self._write(order, note)
                log.info("%s: accepted, %d records", answer.requestid, answer.count)
                continue
            if answer.status == 3:
                raise _TooLarge(answer.error or "status 3")
            failed = note.get("requestid", "")
            note = _failed(note)
            self._write(order, note)
            raise ExportError(
                f"JSOC failed the export {failed or 'request'} of {order.recordset}"
                f" (status {answer.status}): {answer.error or 'no reason given'}."
                " Run again to ask once more, or change what is asked for"
            )

    def _submit(self, order: Order, note: dict[str, Any], deadline: float) -> Answer:
        """JSOC's answer to the request: accepted, refused, or at once the files."""
        blocked: dict[str, int] = {}
        tries = 0
        while True:
            self._write(order, {**note, "requestid": ""})
            answer = self.jsoc.submit(order.form(note.get("again", 0)))
            if not (answer.status == 4 and _temporary(answer.error)):
                self._refusals.succeeded()
                tries = 0
            if answer.status == 7:
                self._let_pass(answer, blocked, deadline)
            elif answer.status == 4 and _temporary(answer.error):
                tries += 1
                self._pause(answer.error, tries)
            elif answer.requestid and answer.requestid in note.get("failed", []):
                # JSOC gives the failed request back for a day: ask in other words.
                note["again"] = note.get("again", 0) + 1
            else:
                return answer

    def _wait_for(self, requestid: str, deadline: float) -> Answer:
        """The first answer that is not one of waiting."""
        begun = said = self.clock()
        poll, tries, refused, state = self.poll, 0, 0, ""
        while True:
            answer = self.jsoc.status(requestid)
            now = self.clock()
            if answer.status == 4 and _temporary(answer.error):
                refused += 1
                self._pause(answer.error, refused)
                continue
            self._refusals.succeeded()
            refused = 0
            doubtful = answer.status in (5, 6)
            tries = tries + 1 if doubtful else 0
            if answer.status not in PENDING and not (doubtful and tries < _BELIEVED_AFTER):
                return answer
            if answer.status == 6 and tries >= 4 * _BELIEVED_AFTER:
                raise ExportError(f"JSOC does not know the request {requestid}: {answer.error}")
            news = PENDING.get(answer.status, answer.error or f"status {answer.status}")
            if news != state or now - said >= _LONGEST_POLL:
                waited = timedelta(seconds=round(now - begun))
                log.info("%s: %s, waited %s", requestid, news, waited)
                state, said = news, now
            if now > deadline:
                raise ExportError(
                    f"{requestid} is still {news} after {timedelta(seconds=round(self.wait))}"
                    " (export.wait). Run again to go on waiting: it is not asked for twice"
                )
            self.sleep(poll)
            poll = min(poll * 1.3, _LONGEST_POLL)

    def _let_pass(self, answer: Answer, blocked: dict[str, int], deadline: float) -> None:
        """Wait for the requests that hold the address; free a slot that a finished one holds."""
        named = request_ids(answer.error)
        log.info("JSOC lets no new request in: %s", answer.error)
        for requestid in named:
            self._wait_for(requestid, deadline)
            blocked[requestid] = blocked.get(requestid, 0) + 1
        if named and min(blocked[requestid] for requestid in named) >= _STUCK_AFTER:
            names = ", ".join(named)
            log.warning("%s is finished but still counts: %s", names, self.jsoc.cancel())
            blocked.clear()
        if self.clock() > deadline:
            raise ExportError(
                f"JSOC has let no new request in for {timedelta(seconds=round(self.wait))}"
                f" (export.wait): {answer.error}. Run again later"
            )
        self.sleep(self.poll if named else _LONGEST_POLL * self.poll / _FIRST_POLL)

    def _pause(self, problem: str, tries: int) -> None:
        """Wait for what passes by itself."""
        pause = self._refusals.pause(tries)
        if pause is None:
            raise ExportError(
                f"JSOC has said {problem!r} for longer than archive.patience; run again later"
            )
        log.warning("JSOC: %s; again in %.0f s", problem, pause)
        self.sleep(pause)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the one request that an address may have pending."""

        def waiting(holder: str) -> None:
            log.info("waits for another export of this address (%s)", holder)

        with held(self.lock, waiting=waiting, sleep=self.sleep):
            yield

    def _path(self, order: Order) -> Path:
        return self.folder / f"{order.key}.json"

    def _read(self, order: Order) -> dict[str, Any]:
        try:
            return json.loads(self._path(order).read_text())["note"]
        except (OSError, ValueError, KeyError):
            return {}

    def _write(self, order: Order, note: dict[str, Any]) -> None:
        path = self._path(order)
        with writing(path):
            make_folder(path.parent)
            write_json(path, {"order": asdict(order), "note": note})
            sync(path.parent)


def _failed(note: dict[str, Any]) -> dict[str, Any]:
    """The note of an order whose request is of no use."""
    failed = [*note.get("failed", []), *filter(None, [note.get("requestid")])]
    return {"again": note.get("again", 0), "failed": failed}


def _answer(note: dict[str, Any]) -> Answer:
    found = dict(note["answer"])
    return Answer(**{**found, "data": [(record, name) for record, name in found["data"]]})


def _temporary(error: str) -> bool:
    return any(text in error.lower() for text in _TEMPORARY)
