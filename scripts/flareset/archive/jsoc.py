"""The client of JSOC's CGI: look up records, and request exports.

Requests are tried again with back-off if that can help. No message contains the e-mail address.
Source: jsoc_fetch.c, jsoc_info.c, checkAddress.py and manage-request.py of JSOC's drms.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import requests
import urllib3

from flareset.archive.answers import Answers
from flareset.archive.connections import Connections
from flareset.archive.responses import (
    Answer,
    InfoKind,
    Registration,
    State,
    classify_info,
    read_answer,
    read_object,
    read_registration,
    read_rows,
)
from flareset.errors import ExportError, ListingError, TransferError
from flareset.sdo.drms import (
    Record,
    Structure,
    keyword_requests,
    parse_records,
    parse_structure,
)
from flareset.system.retry import retry_after

T = TypeVar("T")
log = logging.getLogger(__name__)
# Time-outs of a connection and of an answer (seconds). JSOC needs a while for thousands of records.
_TIMEOUT = (10.0, 300.0)
_MOST_REDIRECTS = 5
# A longer recordset (characters) is sent by POST.
_LONGEST_GET = 1000
# A question that JSOC answers whenever its CGI works.
_KNOWN_TO_BE_RIGHT = {"op": "series_struct", "ds": "aia.lev1_euv_12s"}
# What a reader raises if JSOC's answer is not of the expected form.
OTHERWISE = (
    ArithmeticError,
    AttributeError,
    KeyError,
    ListingError,
    RecursionError,
    TypeError,
    ValueError,
)
# The longest answer (bytes). The list of a day's files in seven channels has some 10 MB.
_LARGEST = 100_000_000
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
# Messages for an address that JSOC accepts no export from.
_WHAT_TO_DO = {
    Registration.WAITING: (
        "the address in JSOC_EMAIL waits for its registration ({message}): answer the mail that"
        " JSOC sent, then run again"
    ),
    Registration.MALFORMED: "JSOC refuses the address in JSOC_EMAIL as malformed: {message}",
    Registration.NOT_NOW: "JSOC cannot look up the address now ({message}); run again later",
    Registration.UNKNOWN: (
        "the address in JSOC_EMAIL is not registered with JSOC ({message}): register it once on"
        " JSOC's export page (http://jsoc.stanford.edu/ajax/register_email.html), answer the mail"
        " that comes, then run again"
    ),
}


class _Crash(TransferError):
    """HTTP 500: the request has crashed JSOC's program, or the server has a fault."""


class Jsoc:
    """JSOC's CGI, for one registered e-mail address.

    Raises ExportError if JSOC refuses, or is down for longer than the patience of `connections`.
    """

    def __init__(
        self,
        cgi_url: str,
        email: str,
        *,
        connections: Connections,
        answers: Answers,
        requestor: str = "",
        largest: int = _LARGEST,
    ) -> None:
        self.email = email
        self.requestor = requestor
        self.connections = connections
        self._answers = answers
        self._largest = largest
        self._base = cgi_url.rstrip("/") + "/"

    def masked(self, text: str) -> str:
        """Return a text in which every spelling of the address is masked."""
        if self.email:
            once = quote(self.email, safe="")
            for spelling in (self.email, once, quote_plus(once), quote(self.email)):
                text = re.sub(re.escape(spelling), "<address>", text, flags=re.IGNORECASE)
        return text

    def check_address(self) -> None:
        """Raise ExportError if the address is not registered with JSOC. It says what to do."""
        if not self.email:
            raise ExportError(
                "an export needs an address that is registered with JSOC: set JSOC_EMAIL in the"
                " environment (register once on JSOC's export page)"
            )
        if "+" in self.email:
            raise ExportError(
                "JSOC's export reads the plus sign of the address in JSOC_EMAIL as a blank and"
                " refuses it: register an address without one"
            )
        # This endpoint decodes twice, so the address is encoded twice.
        form = {"address": quote_plus(self.email), "checkonly": "1"}
        found = self._json("checkAddress.sh", form)
        state, message = read_registration(found), self.masked(str(found.get("msg", "")))
        if state is not Registration.REGISTERED:
            raise ExportError(_WHAT_TO_DO[state].format(message=message))

    def records(self, recordset: str, keys: list[str], segment: str = "") -> list[dict[str, str]]:
        """Return the keywords of every record of a recordset, as text.

        With `segment`, `segment:<name>` is the path of its file. Raises ExportError.
        """
        form = {"op": "rs_list", "ds": recordset, "key": ",".join(keys)}
        if segment:
            form["seg"] = segment
        return self._known(form, read_rows)

    def series_keywords(self, series: str) -> set[str]:
        """Return the names of a series' keywords, in upper case."""
        return {keyword.name.upper() for keyword in self.structure(series).keywords}

    def structure(self, series: str) -> Structure:
        """Return the keywords and segments of a series."""
        return self._known({"op": "series_struct", "ds": series}, parse_structure)

    def keywords(self, series: str, recnums: Iterable[int], segment: str) -> dict[int, Record]:
        """Return all keywords of records and the path of a segment, by record number.

        Raises ExportError if JSOC's answer lacks a record.
        """
        numbers = sorted(set(recnums))
        found: dict[int, Record] = {}
        for form in keyword_requests(series, numbers, segment):
            found |= {record.recnum: record for record in self._known(form, parse_records)}
        if lost := [number for number in numbers if number not in found]:
            raise ExportError(
                f"jsoc_info has no record {lost[0]} of {series}, which it listed before"
            )
        return found

    def forget_keywords(self, series: str, recnums: Iterable[int], segment: str) -> None:
        """Forget the kept keywords and paths of these records: the next question goes to JSOC."""
        for form in keyword_requests(series, recnums, segment):
            self._answers.forget(form)

    def submit(self, form: dict[str, str]) -> Answer:
        """Ask for an export. Return the answer, whose status may be a refusal."""
        notify = {"notify": self.email, "requestor": self.requestor or "flareset"}
        asked = {"op": "exp_request", "format": "json", **form, **notify}
        # A recordset may be too long for a URL.
        return self._masked(self._call("POST", "jsoc_fetch", asked, read_answer))

    def status(self, requestid: str) -> Answer:
        """Return the state of a request. If the request is done, the answer lists its files.

        That answer is kept for `finished`.
        """
        form = _status_form(requestid)
        text = self._call("GET", "jsoc_fetch", form, _answer_text)
        answer = self._masked(read_answer(text))
        if answer.state is State.DONE:
            self._answers.keep(form, self.masked(text))
        return answer

    def finished(self, requestid: str) -> Answer | None:
        """Return the kept answer of an export that has finished; None if there is none.

        JSOC itself deletes an export after a week.
        """
        text = self._answers.read(_status_form(requestid))
        return read_answer(text) if text else None

    def cancel(self) -> str:
        """Cancel the pending request of the address. Return JSOC's message."""
        form = {"address": self.email, "operation": "cancel"}
        return self.masked(str(self._json("manage-request.sh", form).get("msg", "")))

    def _known(self, form: dict[str, str], read: Callable[[dict[str, Any]], T]) -> T:
        """Return what `read` makes of the kept or new answer of jsoc_info to a question.

        Raises ExportError if JSOC refuses.
        """
        with suppress(*OTHERWISE):
            if kept := self._answers.read(form):
                return read(read_object(kept))
        # A list of records may be too long for a URL.
        method = "POST" if len(form["ds"]) > _LONGEST_GET else "GET"
        text, refused, answer = self._call(method, "jsoc_info", form, partial(_info, read))
        if refused is not None:
            raise ExportError(f"jsoc_info refuses {form['ds']}: {refused or 'no reason given'}")
        # An empty answer is not kept: JSOC may have the records the next time.
        if answer:
            self._answers.keep(form, text)
        return answer

    def _masked(self, answer: Answer) -> Answer:
        return replace(answer, error=self.masked(answer.error))

    def _json(self, endpoint: str, form: dict[str, str]) -> dict[str, Any]:
        return self._call("GET", endpoint, form, read_object)

    def _call(
        self, method: str, endpoint: str, form: dict[str, str], read: Callable[[str], Any]
    ) -> Any:
        """Return an endpoint's answer, after as many tries as archive.patience allows.

        A request that crashes JSOC's program looks like an outage (HTTP 500), and would crash the
        program again. So after the second HTTP 500 a question is asked that is known to be right.
        Raises ExportError at once if JSOC answers that question.
        """
        crashes = 0
        while True:
            try:
                with self.connections.lease() as session:
                    return self._answer(session, method, endpoint, form, read)
            except TransferError as error:
                if error.down:
                    raise ExportError(f"{endpoint} of {self._base}: {error}") from None
                crashes += isinstance(error, _Crash)
                if isinstance(error, _Crash) and crashes == 2 and self._answers_others():
                    asked = self.masked(form.get("ds", form.get("requestid", "")))
                    raise ExportError(
                        f"{endpoint} of {self._base} fails at this request but answers others:"
                        f" {error}; check {asked!r}"
                    ) from None
                log.info("%s: %s; again in %.0f s", endpoint, error, self.connections.outage.pause)

    def _answers_others(self) -> bool:
        """Return whether JSOC answers a request that is known to be right."""
        try:
            with self.connections.lease() as session:
                self._answer(session, "GET", "jsoc_info", _KNOWN_TO_BE_RIGHT, read_object)
        except TransferError:
            return False
        return True

    def _answer(
        self,
        session: requests.Session,
        method: str,
        endpoint: str,
        form: dict[str, str],
        read: Callable[[str], Any],
    ) -> Any:
        """Return an endpoint's answer. Raise TransferError if another try may help."""
        try:
            response = self._send(session, method, urljoin(self._base, endpoint), form)
            text = _text_of(response, self._largest)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            problem = f"no connection: {type(error).__name__}"
            raise TransferError(problem, unavailable=True) from None
        if response.status_code != 200:
            problem = f"HTTP {response.status_code} {response.reason}"
            if response.status_code not in _RETRIED:
                raise ExportError(f"{endpoint} of {self._base}: {problem}")
            wait = retry_after(response.headers.get("Retry-After", ""))
            kind = _Crash if response.status_code == 500 else TransferError
            raise kind(problem, unavailable=True, retry_after=wait)
        try:
            return read(text)
        except OTHERWISE as error:
            no_json = isinstance(error, json.JSONDecodeError)
            why = "no JSON" if no_json else f"otherwise than expected ({error})"
            start = " ".join(self.masked(text[:500]).split())[:80]
            problem = f"it answers {why}: {start!r}"
            raise TransferError(problem, unavailable=True) from None

    def _send(
        self, session: requests.Session, method: str, url: str, form: dict[str, str]
    ) -> requests.Response:
        """Return the response to a form. Redirects to the same host are followed with the form."""
        place = "data" if method == "POST" else "params"
        for _ in range(_MOST_REDIRECTS + 1):
            response = session.request(
                method, url, **{place: form}, timeout=_TIMEOUT, allow_redirects=False, stream=True
            )
            if not response.is_redirect:
                return response
            response.close()
            target = urljoin(url, response.headers["Location"])
            if urlsplit(target).hostname != urlsplit(url).hostname:
                raise ExportError(
                    f"{url} redirects to {urlsplit(target).hostname}: set archive.cgi_url if JSOC"
                    " has moved there"
                )
            url = target.partition("?")[0]
        raise ExportError(f"{url}: more than {_MOST_REDIRECTS} redirects")


def _text_of(response: requests.Response, largest: int) -> str:
    """Return the text of an answer as Latin-1, since JSOC's answers are not always UTF-8.

    Raises TransferError if the answer has more than `largest` bytes.
    """
    parts, size = [], 0
    for part in response.iter_content(1 << 16):
        size += len(part)
        if size > largest:
            response.close()
            raise TransferError(f"its answer has over {largest} bytes", unavailable=True)
        parts.append(part)
    return b"".join(parts).decode("latin-1")


def _status_form(requestid: str) -> dict[str, str]:
    return {"op": "exp_status", "requestid": requestid, "format": "json"}


def _answer_text(text: str) -> str:
    """Return the text of an answer about an export. Raise ValueError if it cannot be read."""
    read_answer(text)
    return text


def _info(read: Callable[[dict[str, Any]], T], text: str) -> tuple[str, str | None, T | None]:
    """Return an answer of `jsoc_info`, its refusal (or None), and what `read` makes of it.

    Raises TransferError if JSOC's storage is down, which JSOC reports as status -1.
    """
    found = read_object(text)
    state = classify_info(found)
    if state is InfoKind.STORAGE_DOWN:
        raise TransferError("JSOC's storage (SUMS) is down: status -1", unavailable=True)
    if state is not InfoKind.ANSWERED:
        return text, str(found.get("error") or ""), None
    return text, None, read(found)
