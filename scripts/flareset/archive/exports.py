"""Exports: asked for once, noted on disk, waited for, asked for again when they have expired.

Source: jsoc_fetch.c (statuses, duplicates, pending requests), jsoc_export_manage.c.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import random
from typing import Any

from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer, State, again
from flareset.errors import ExportError
from flareset.sdo.recordset import split
from flareset.sdo.series import Series
from flareset.system.files import make_folder, sync, write_json, writing
from flareset.system.locks import held
from flareset.system.retry import backoff

# Below JSOC's own limits: some 15000 records and 100 GB, or 10 GB of files without Rice.
MOST_RECORDS = 10_000
MOST_MEGABYTES = {False: 90_000, True: 9_000}
# First and longest pause between two polls (seconds).
_FIRST_POLL, _LONGEST_POLL = 5.0, 60.0
# Polls in a row after which a state is believed: for a moment, a request that was just finished
# looks expired, and a new one unknown.
_BELIEVED_AFTER = {State.EXPIRED: 5, State.UNKNOWN: 20}
# A finished request that JSOC has named so often as pending is cancelled.
_STUCK_AFTER = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What is asked of JSOC: a recordset, and how it is delivered.

    `process` is JSOC's text. `size_ratio` is the size of the export over that of the stored files.
    """

    recordset: str
    method: str
    protocol: str
    filename_format: str
    process: str
    size_ratio: float = 1.0

    @property
    def key(self) -> str:
        """Return a name for all that shapes the export, hex."""
        text = json.dumps(asdict(self), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:20]

    def form(self, tries: int) -> dict[str, str]:
        """Return the arguments of the request.

        After `tries` failed requests its file names differ, so that JSOC takes it for a new one.
        """
        return {
            "ds": self.recordset,
            "method": self.method,
            "protocol": self.protocol,
            "filenamefmt": again(tries, self.filename_format),
            "process": self.process,
            "sizeratio": f"{self.size_ratio:.6g}",
        }


def parts_needed(records: int, megabytes: float, protocol: str) -> int:
    """Return the number of requests that an export of that size needs."""
    most = MOST_MEGABYTES["**none**" in protocol.lower()]
    return max(1, math.ceil(records / MOST_RECORDS), math.ceil(megabytes / most))


class _Outcome(Enum):
    """What JSOC's answer means for a request."""

    DONE = auto()
    ACCEPTED = auto()
    KNOWN_TO_FAIL = auto()
    BLOCKED = auto()
    TOO_LARGE = auto()
    OFFLINE = auto()
    EXPIRED = auto()
    FAILED = auto()


# What a state means when it answers a new request, and for a request that was waited for. Any other
# one is a failure.
_OF_A_NEW_REQUEST = {
    State.DONE: _Outcome.DONE,
    State.TOO_LARGE: _Outcome.TOO_LARGE,
    State.BLOCKED: _Outcome.BLOCKED,
    State.OFFLINE: _Outcome.OFFLINE,
}
_AFTER_THE_WAIT = {
    State.DONE: _Outcome.DONE,
    State.TOO_LARGE: _Outcome.TOO_LARGE,
    State.EXPIRED: _Outcome.EXPIRED,
    State.OFFLINE: _Outcome.OFFLINE,
}


@dataclass(frozen=True)
class Request:
    """What became of an order: its state, as it is noted on disk.

    `requestid` names the request that is pending, or that brought `answer`. `failed` are the
    RequestIDs that JSOC failed; `again` is how often the order was reworded because JSOC gave one
    of these back. An order that is too large has `parts`, and nothing else.
    """

    requestid: str = ""
    again: int = 0
    failed: tuple[str, ...] = ()
    answer: Answer | None = None
    parts: tuple[Order, ...] = ()

    @classmethod
    def from_json(cls, note: dict[str, Any]) -> Request:
        """Return the request that `to_json` gave."""
        answer = note.get("answer")
        if answer:
            answer = Answer(**{**answer, "data": [tuple(row) for row in answer["data"]]})
        return cls(
            requestid=note.get("requestid", ""),
            again=note.get("again", 0),
            failed=tuple(note.get("failed", [])),
            answer=answer,
            parts=tuple(Order(**part) for part in note.get("parts", [])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what is known of the request, as JSON holds it."""
        return {key: value for key, value in asdict(self).items() if value}

    def is_answered(self, *, anew: bool) -> bool:
        """Return whether there is nothing to ask; with `anew`, an old answer does not count."""
        return bool(self.parts) or (self.answer is not None and not anew)

    def outcome(self, answer: Answer) -> _Outcome:
        """Return what JSOC's answer means for this request."""
        if self.requestid:
            return _AFTER_THE_WAIT.get(answer.state, _Outcome.FAILED)
        if answer.requestid in self.failed:
            return _Outcome.KNOWN_TO_FAIL
        if answer.state in (State.PENDING, State.UNKNOWN) and answer.requestid:
            return _Outcome.ACCEPTED
        return _OF_A_NEW_REQUEST.get(answer.state, _Outcome.FAILED)

    def given_up(self) -> Request:
        """Return the order's next request, which remembers that this one is of no use."""
        failed = (*self.failed, self.requestid) if self.requestid else self.failed
        return Request(again=self.again, failed=failed)


class Exporter:
    """Brings exports. Each is asked for once, however often the run is killed.

    Every order has a note in `folder`, a JSON file without the address. One request is pending at
    a time: `lock` keeps other jobs from asking. `wait` is how long an export may take, `poll` the
    first pause between two polls (seconds). `jitter` gives 0 to 1.
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
        jitter: Callable[[], float] = random,
    ) -> None:
        self.jsoc = jsoc
        self.folder = folder
        self.lock = lock
        self.series = series
        self.wait = wait
        self.clock = clock
        self.sleep = sleep
        self.poll = poll
        self._jitter = jitter
        self._registered = False

    def bring(self, order: Order, *, anew: bool = False) -> list[Answer]:
        """Return the answers that list an order's files, one for each request that it took.

        An answer whose state is OFFLINE lists none. With `anew`, an export whose files are gone is
        asked for again, whatever JSOC says of it. Raises ExportError where JSOC refuses or fails.
        """
        request = before = self._read(order)
        if not request.is_answered(anew=anew):
            with held(self.lock, waiting=_tell_of_another, sleep=self.sleep):
                # Another job may have brought the export while this one waited.
                request = self._read(order)
                if not request.is_answered(anew=anew and request == before):
                    request = self._pursue(order, request)
        if request.answer is not None:
            return [request.answer]
        return [answer for part in request.parts for answer in self.bring(part, anew=anew)]

    def remembered(self, order: Order) -> list[Answer] | None:
        """Return the answers that an order brought before, None where JSOC would be asked."""
        request = self._read(order)
        if not request.parts:
            return [request.answer] if request.answer is not None else None
        answers: list[Answer] = []
        for part in request.parts:
            if (found := self.remembered(part)) is None:
                return None
            answers += found
        return answers

    def is_asked(self, order: Order) -> bool:
        """Return whether an order needs no new request."""
        request = self._read(order)
        if request.parts:
            return all(self.is_asked(part) for part in request.parts)
        return request.answer is not None or bool(request.requestid)

    def forget(self, order: Order) -> None:
        """Ask for an order anew the next time: its export lacks files."""
        request = self._read(order)
        if request.requestid:
            self._write(order, request.given_up())

    def wait_for(self, requestid: str) -> Answer:
        """Return the answer of a user's finished export, from JSOC the first time alone.

        Raises ExportError where the export failed or has expired.
        """
        answer = self.jsoc.finished(requestid) or self._wait_for(
            requestid, self.clock() + self.wait
        )
        if answer.state is State.DONE:
            return answer
        why = answer.error or f"status {answer.status}"
        advice = (
            "JSOC keeps an export for a week: export again and set the new request_id"
            if answer.state is State.EXPIRED
            else "look at the RequestID, or export again"
        )
        raise ExportError(f"{requestid}: {why}; {advice}")

    def _pursue(self, order: Order, request: Request) -> Request:
        """Ask for an order and wait for it. Return the request with an answer or parts."""
        deadline = self.clock() + self.wait
        blockers: Counter[str] = Counter()
        while True:
            answer = self._next_answer(order, request, deadline)
            match request.outcome(answer):
                case _Outcome.DONE if request.answer is not None:
                    log.info("%s has lost its files; asking again", request.requestid)
                    request = self._write(order, request.given_up())
                case _Outcome.DONE:
                    return self._write(order, replace(request, answer=answer))
                case _Outcome.ACCEPTED:
                    request = self._write(order, replace(request, requestid=answer.requestid))
                    log.info("%s: accepted, %d records", answer.requestid, answer.count)
                case _Outcome.KNOWN_TO_FAIL:
                    # JSOC gives a failed request back for a day: ask in other words.
                    request = replace(request, again=request.again + 1)
                case _Outcome.BLOCKED:
                    self._let_pass(answer, blockers, deadline)
                case _Outcome.TOO_LARGE:
                    return self._write(order, Request(parts=self._halves(order, answer)))
                case _Outcome.OFFLINE:
                    # Not noted as answered: the data may be online the next time.
                    self._write(order, replace(request, requestid=""))
                    offline = replace(answer, requestid=request.requestid)
                    return replace(request, answer=offline)
                case _Outcome.EXPIRED:
                    log.info("%s has expired; asking again", request.requestid)
                    request = replace(request, requestid="", answer=None)
                case _Outcome.FAILED:
                    self._write(order, request.given_up())
                    raise _failure(order, request, answer)

    def _next_answer(self, order: Order, request: Request, deadline: float) -> Answer:
        """Return JSOC's answer to a new request, or what ends the wait for a pending one."""
        if request.requestid:
            return self._wait_for(request.requestid, deadline)
        if not self._registered:
            # Told here, it is in words that say what to do.
            self.jsoc.check_address()
            self._registered = True
        self._write(order, request)
        return self._ask(partial(self.jsoc.submit, order.form(request.again)))

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Return JSOC's answer. Back off and ask again while JSOC is in trouble for a moment.

        These refusals are answers, so that the back-off of the connections does not see them.
        Raises ExportError after archive.patience.
        """
        since = 0.0
        for refusals in count(1):
            answer = call()
            if answer.state is not State.TROUBLE:
                break
            now = self.clock()
            since = since if refusals > 1 else now
            pause = backoff(refusals, self._jitter())
            if now - since + pause > self.jsoc.connections.outage.patience:
                raise ExportError(
                    f"JSOC has said {answer.error!r} for longer than archive.patience; run again"
                    " later"
                )
            log.warning("JSOC: %s; again in %.0f s", answer.error, pause)
            self.sleep(pause)
        return answer

    def _wait_for(self, requestid: str, deadline: float) -> Answer:
        """Poll a request, less and less often. Return the first answer that ends the wait."""
        watch = _Watch(requestid, self.clock)
        poll, doubts = self.poll, 0
        while True:
            answer = self._ask(partial(self.jsoc.status, requestid))
            doubts = doubts + 1 if answer.state in _BELIEVED_AFTER else 0
            believed = doubts >= _BELIEVED_AFTER.get(answer.state, 0)
            if believed and answer.state is State.UNKNOWN:
                raise ExportError(f"JSOC does not know the request {requestid}: {answer.error}")
            if believed and answer.state is not State.PENDING:
                return answer
            progress = answer.progress
            watch.tell(progress)
            if self.clock() > deadline:
                raise ExportError(
                    f"{requestid} is still {progress} after {timedelta(seconds=round(self.wait))}"
                    " (export.wait). Run again to go on waiting: it is not asked for twice"
                )
            self.sleep(poll)
            poll = min(poll * 1.3, _LONGEST_POLL)

    def _let_pass(self, answer: Answer, blockers: Counter[str], deadline: float) -> None:
        """Wait for the pending requests that JSOC names, and free the slot of a finished one.

        `blockers` counts how often each was named. Raises ExportError after the deadline.
        """
        named = answer.named
        log.info("JSOC lets no new request in: %s", answer.error)
        for requestid in named:
            self._wait_for(requestid, deadline)
        blockers.update(named)
        if named and min(blockers[requestid] for requestid in named) >= _STUCK_AFTER:
            names = ", ".join(named)
            log.warning("%s is finished but still counts: %s", names, self.jsoc.cancel())
            blockers.clear()
        if self.clock() > deadline:
            raise ExportError(
                f"JSOC has let no new request in for {timedelta(seconds=round(self.wait))}"
                f" (export.wait): {answer.error}. Run again later"
            )
        self.sleep(self.poll if named else _LONGEST_POLL * self.poll / _FIRST_POLL)

    def _halves(self, order: Order, refusal: Answer) -> tuple[Order, ...]:
        """Return the two orders that take the place of one that is too large."""
        why = refusal.error or f"status {refusal.status}"
        log.info("too large for one request, split in two: %s", why)
        halves = split(order.recordset, 2, self.series)
        return tuple(replace(order, recordset=half) for half in halves)

    def _path(self, order: Order) -> Path:
        return self.folder / f"{order.key}.json"

    def _read(self, order: Order) -> Request:
        """Return what became of an order: nothing yet, where its note is missing or torn."""
        try:
            return Request.from_json(
                json.loads(self._path(order).read_text(encoding="utf-8"))["note"]
            )
        except (OSError, ValueError, KeyError):
            return Request()

    def _write(self, order: Order, request: Request) -> Request:
        """Note what became of an order, durably. Return the request."""
        path = self._path(order)
        with writing(path):
            make_folder(path.parent)
            write_json(path, {"order": asdict(order), "note": request.to_json()})
            sync(path.parent)
        return request


class _Watch:
    """Logs the state of a request that is waited for: at each change, and every minute."""

    def __init__(self, requestid: str, clock: Callable[[], float]) -> None:
        self._requestid = requestid
        self._clock = clock
        self._begun = self._told_at = clock()
        self._told = ""

    def tell(self, state: str) -> None:
        """Log the state, where that is due."""
        now = self._clock()
        if state != self._told or now - self._told_at >= _LONGEST_POLL:
            waited = timedelta(seconds=round(now - self._begun))
            log.info("%s: %s, waited %s", self._requestid, state, waited)
            self._told, self._told_at = state, now


def _tell_of_another(holder: str) -> None:
    log.info("waits for another export of this address (%s)", holder)


def _failure(order: Order, request: Request, answer: Answer) -> ExportError:
    return ExportError(
        f"JSOC failed the export {request.requestid or 'request'} of {order.recordset}"
        f" (status {answer.status}): {answer.error or 'no reason given'}."
        " Run again to ask once more, or change what is asked for"
    )
