"""Exports: ask for each once, note it on disk, wait for it, ask again when it has expired.

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
from flareset.archive.responses import Answer, State, mark_retry
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
# Polls in a row after which a state is believed. A request that has just finished looks expired for
# a moment; a new request looks unknown.
_BELIEVED_AFTER = {State.EXPIRED: 5, State.UNKNOWN: 20}
# A finished request is cancelled after JSOC has named it so often as pending.
_STUCK_AFTER = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What we ask JSOC for: a recordset, and the form of its files.

    `process` is JSOC's text. `size_ratio` is the export's size divided by that of the stored files.
    """

    recordset: str
    method: str
    protocol: str
    filename_format: str
    process: str
    size_ratio: float = 1.0

    @property
    def key(self) -> str:
        """Return a hash (20 hex digits) of all that shapes the export."""
        text = json.dumps(asdict(self), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:20]

    def form(self, tries: int) -> dict[str, str]:
        """Return the arguments of the request.

        After `tries` failed requests it has other file names, so that JSOC takes it for a new one.
        """
        return {
            "ds": self.recordset,
            "method": self.method,
            "protocol": self.protocol,
            "filenamefmt": mark_retry(tries, self.filename_format),
            "process": self.process,
            "sizeratio": f"{self.size_ratio:.6g}",
        }


def parts_needed(records: int, megabytes: float, protocol: str) -> int:
    """Return the number of requests that an export of this size needs."""
    most = MOST_MEGABYTES["**none**" in protocol.lower()]
    return max(1, math.ceil(records / MOST_RECORDS), math.ceil(megabytes / most))


class _Outcome(Enum):
    """The meaning of JSOC's answer for a request."""

    DONE = auto()
    ACCEPTED = auto()
    KNOWN_TO_FAIL = auto()
    BLOCKED = auto()
    TOO_LARGE = auto()
    OFFLINE = auto()
    EXPIRED = auto()
    FAILED = auto()


# The meaning of a state in the answer to a new request, and after a wait for a request. All other
# states are failures.
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
    """The state of an order, as noted on disk.

    `requestid` names the request that is pending, or that brought `answer`. `failed` are the
    RequestIDs of requests that failed. JSOC may give a failed request back instead of making a new
    one; `again` is how often the order was reworded for that reason. An order that is too large has
    `parts`, and nothing else.
    """

    requestid: str = ""
    again: int = 0
    failed: tuple[str, ...] = ()
    answer: Answer | None = None
    parts: tuple[Order, ...] = ()

    @classmethod
    def from_json(cls, note: dict[str, Any]) -> Request:
        """Return the request in a value that `to_json` made."""
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
        """Return the fields of the request that are not empty, for JSON."""
        return {key: value for key, value in asdict(self).items() if value}

    def is_answered(self, *, anew: bool) -> bool:
        """Return whether JSOC need not be asked. With `anew`, an old answer does not count."""
        return bool(self.parts) or (self.answer is not None and not anew)

    def outcome(self, answer: Answer) -> _Outcome:
        """Return the meaning of JSOC's answer for this request."""
        if self.requestid:
            return _AFTER_THE_WAIT.get(answer.state, _Outcome.FAILED)
        if answer.requestid in self.failed:
            return _Outcome.KNOWN_TO_FAIL
        if answer.state in (State.PENDING, State.UNKNOWN) and answer.requestid:
            return _Outcome.ACCEPTED
        return _OF_A_NEW_REQUEST.get(answer.state, _Outcome.FAILED)

    def given_up(self) -> Request:
        """Return the order's next request, which notes that this one failed."""
        failed = (*self.failed, self.requestid) if self.requestid else self.failed
        return Request(again=self.again, failed=failed)


class Exporter:
    """A client that brings exports. It asks for each once, however often the run is killed.

    Every order has a note in `folder`, a JSON file without the e-mail address. Only one request is
    pending at a time: `lock` keeps other jobs from asking. `wait` is how long an export may take,
    `poll` the first pause between two polls (seconds). `jitter` returns 0 to 1.
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
        """Return the answers that list an order's files, one for each request of the order.

        An answer in state OFFLINE lists no files. With `anew`, an export whose files are gone is
        asked for again, even if JSOC calls it finished. Raises ExportError if JSOC refuses or
        fails.
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
        """Return the answers that an order brought before; None if JSOC would have to be asked."""
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
        """Forget the request of an order, whose export lacks files: the next time asks again."""
        request = self._read(order)
        if request.requestid:
            self._write(order, request.given_up())

    def wait_for(self, requestid: str) -> Answer:
        """Return the answer of an export that a user made. JSOC is asked only the first time.

        Raises ExportError if the export failed or has expired.
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
                    log.info("%s: its files are gone; asking again", request.requestid)
                    request = self._write(order, request.given_up())
                case _Outcome.DONE:
                    return self._write(order, replace(request, answer=answer))
                case _Outcome.ACCEPTED:
                    request = self._write(order, replace(request, requestid=answer.requestid))
                    many = "s" * (answer.count != 1)
                    log.info("%s: accepted, %d record%s", answer.requestid, answer.count, many)
                case _Outcome.KNOWN_TO_FAIL:
                    # JSOC gives a failed request back for a day: change the request's words.
                    request = replace(request, again=request.again + 1)
                case _Outcome.BLOCKED:
                    self._let_pass(answer, blockers, deadline)
                case _Outcome.TOO_LARGE:
                    return self._write(order, Request(parts=self._halves(order, answer)))
                case _Outcome.OFFLINE:
                    # The answer is not noted, since the data may be online the next time.
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
        """Return JSOC's answer to a new request, or the answer that ends a wait for a request."""
        if request.requestid:
            return self._wait_for(request.requestid, deadline)
        if not self._registered:
            # Checked before the request, since this message says what to do.
            self.jsoc.check_address()
            self._registered = True
        self._write(order, request)
        return self._ask(partial(self.jsoc.submit, order.form(request.again)))

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Return JSOC's answer. Back off and ask again while JSOC has a temporary trouble.

        The back-off of the connections does not notice this trouble, since the server answers.
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
        """Poll a request with growing pauses. Return the first answer that ends the wait."""
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
        """Wait for the pending requests that JSOC names. Cancel a finished one that still counts.

        `blockers` counts how often JSOC has named each. Raises ExportError after the deadline.
        """
        named = answer.named
        log.info("JSOC accepts no new request: %s", answer.error)
        for requestid in named:
            self._wait_for(requestid, deadline)
        blockers.update(named)
        if named and min(blockers[requestid] for requestid in named) >= _STUCK_AFTER:
            names = ", ".join(named)
            log.warning("%s is finished but still counts: %s", names, self.jsoc.cancel())
            blockers.clear()
        if self.clock() > deadline:
            raise ExportError(
                f"JSOC has accepted no new request for {timedelta(seconds=round(self.wait))}"
                f" (export.wait): {answer.error}. Run again later"
            )
        self.sleep(self.poll if named else _LONGEST_POLL * self.poll / _FIRST_POLL)

    def _halves(self, order: Order, refusal: Answer) -> tuple[Order, ...]:
        """Return the two orders that replace an order that is too large."""
        why = refusal.error or f"status {refusal.status}"
        log.info("too large for one request, split in two: %s", why)
        halves = split(order.recordset, 2, self.series)
        return tuple(replace(order, recordset=half) for half in halves)

    def _path(self, order: Order) -> Path:
        return self.folder / f"{order.key}.json"

    def _read(self, order: Order) -> Request:
        """Return the noted request of an order; an empty request if there is no readable note."""
        try:
            return Request.from_json(
                json.loads(self._path(order).read_text(encoding="utf-8"))["note"]
            )
        except (OSError, ValueError, KeyError):
            return Request()

    def _write(self, order: Order, request: Request) -> Request:
        """Note the state of an order durably, and return it."""
        path = self._path(order)
        with writing(path):
            make_folder(path.parent)
            write_json(path, {"order": asdict(order), "note": request.to_json()})
            sync(path.parent)
        return request


class _Watch:
    """A log of the state of a pending request: a line at each change, and every minute."""

    def __init__(self, requestid: str, clock: Callable[[], float]) -> None:
        self._requestid = requestid
        self._clock = clock
        self._begun = self._told_at = clock()
        self._told = ""

    def tell(self, state: str) -> None:
        """Log the state if it has changed, or after a minute."""
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
        " Run again to ask once more, or change the request"
    )
