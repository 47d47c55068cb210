"""Fetch files over HTTP. A file arrives complete in a `.part`, or an error says why it does not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import random
from typing import Generic, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from flareset.archive.connections import Connections
from flareset.errors import ProcessingError, TransferError, VerificationError
from flareset.proof.check import Begin, Check
from flareset.sdo.numbers import whole
from flareset.store.store import note_of
from flareset.system.files import boot_id, sync, write_all, write_json, writing
from flareset.system.retry import backoff, retry_after

_CHUNK = 1 << 20
# Time-out of a connection (seconds).
_CONNECT = 10.0
# A connection that is slower (bytes/s) counts as stalled.
_SLOWEST = 1000
# A try that gains less (bytes) counts as failed.
_LEAST_GAIN = 1 << 16
# A download is synced after so many bytes: a power loss costs no more.
_SYNCED_EVERY = 64 << 20
_MOST_REDIRECTS = 5
# A file is given up after so many tries in a row without gain, or with bad content.
_MOST_FRUITLESS = 8
_MOST_BAD_CONTENT = 3
# After so many failures in a row, the archive may be at fault, and not the file.
_DOUBTFUL = 3
_REDIRECTS = (301, 302, 303, 307, 308)
# Statuses that another try does not change.
_PERMANENT = (400, 401, 403, 404, 405, 406, 410, 414, 451)
# Statuses that tell nothing about the file, besides those from 500 on.
_BUSY = (408, 425, 429)

T = TypeVar("T")


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A file that arrived: what its check found, its size (bytes) and the number of tries."""

    found: T
    bytes: int
    tries: int


class Attempts:
    """A count of the tries of one file, which decides when to give up.

    A try that gets more of the file than any before resets the number of fruitless tries.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.tries = 0
        # Failed tries in a row without gain. A failed try with gain sets it to 1, for its back-off.
        self.fruitless = 0
        self._bad = 0
        self._furthest = 0
        self._clock = clock
        self._begun = clock()

    def begin(self) -> None:
        """Count a try that begins now."""
        self.tries += 1
        self._begun = self._clock()

    def gained(self, there: int) -> bool:
        """Return whether the failed try got more of the file than any before, and fast enough.

        `there` is how much of the file has arrived (bytes).
        """
        gain = there - self._furthest
        self._furthest = max(self._furthest, there)
        if gain <= max(_LEAST_GAIN, _SLOWEST * (self._clock() - self._begun)):
            return False
        self.fruitless = 1
        return True

    def no_gain(self) -> None:
        """Count the try as fruitless."""
        self.fruitless += 1

    def bad_content(self) -> None:
        """Count the try as fruitless: the file arrived, but is not the one asked for."""
        self._bad += 1
        self.fruitless += 1

    @property
    def given_up(self) -> bool:
        """Whether another try is not worthwhile."""
        return self.fruitless >= _MOST_FRUITLESS or self._bad >= _MOST_BAD_CONTENT


class Transfer:
    """A client for files over HTTP: allowed hosts, a size limit, resume, and retries with back-off.

    A connection that delivers (almost) nothing for `stall` (seconds) is dropped. `arrived` is
    called with numbers of new bytes. `connections` do the back-off while the archive is down. With
    `pages`, a file may be an HTML page, which otherwise counts as a server's error page. `jitter`
    returns 0 to 1.
    """

    def __init__(
        self,
        data_url: str,
        hosts: list[str],
        *,
        connections: Connections,
        max_file_size: int,
        stall: float = 60.0,
        arrived: Callable[[int], object] = lambda _: None,
        pages: bool = False,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.data_url = data_url
        self.hosts = [host.lower() for host in hosts]
        self.connections = connections
        self.max_file_size = max_file_size
        self._stall = stall
        self._arrived = arrived
        self._pages = pages
        self._sleep = sleep or connections.stopping.wait
        self._jitter = jitter
        # The URL of another file, if possible one that has arrived. If the archive still delivers
        # that file, a failure is the wanted file's, not the archive's.
        self.witness = ""

    def url_of(self, link: str) -> str:
        """Return the URL of a listed file: its link's path, and query, on `data_url`."""
        parts = urlsplit(link)
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.data_url.rstrip('/')}{parts.path}{query}"

    def fetch(self, link: str, part: Path, check: Begin[T], largest: int = 0) -> Fetched[T]:
        """Fetch a listed file into `part`, prove and sync it, with as many tries as are useful.

        The part's note stays, so that a run that is killed now need not fetch the file again.
        `largest` (bytes) replaces `max_file_size`. A try does not count while the archive is down.
        Raises TransferError with the last reason and the number of tries.
        """
        url = self.url_of(link)
        under_way = _Part(part, url)
        attempts = Attempts()
        while True:
            try:
                found, size = self._try(under_way, check, largest or self.max_file_size, attempts)
            except (TransferError, VerificationError) as error:
                problem = self._count(error, attempts, under_way)
            else:
                self.witness = url
                return Fetched(found, size, attempts.tries)
            if problem.permanent or attempts.given_up:
                raise _final(problem, attempts.tries, url)
            if not problem.unavailable:
                self._sleep(backoff(attempts.fruitless, self._jitter()))
            self.connections.stop_here()

    def _count(
        self, error: TransferError | VerificationError, attempts: Attempts, part: _Part
    ) -> TransferError:
        """Count a failed try. Return its error, which is `permanent` if another try is useless."""
        if isinstance(error, VerificationError):
            part.empty()
            attempts.bad_content()
            mismatch = isinstance(error, ProcessingError)
            return TransferError(str(error), permanent=mismatch, mismatch=mismatch)
        gained = attempts.gained(part.resumable()[0])
        if not gained and (not error.unavailable or self._works()):
            attempts.no_gain()
        return error

    def _try(self, part: _Part, check: Begin[T], largest: int, attempts: Attempts) -> tuple[T, int]:
        """Fetch a file once. Return what its check found, and its size (bytes)."""
        # The connection is given back before the file is proven and synced: others can use it.
        with self.connections.lease() as session:
            attempts.begin()
            proving, size = self._transfer(session, part, check, largest)
        found = proving.finish(part.path)
        with writing(part.path):
            sync(part.path)
        return found, size

    def _works(self) -> bool:
        """Return whether the archive still delivers the witness: then the file is at fault."""
        if self.connections.outage.failures < _DOUBTFUL:
            return True
        if not self.witness:
            return False
        try:
            with (
                self.connections.lease() as session,
                self._get(session, self.witness, {"Range": "bytes=0-63"}) as response,
            ):
                _refuse_page(next(self._chunks(response), b""))
        except TransferError as error:
            return not error.unavailable and not error.down
        return True

    def _transfer(
        self, session: requests.Session, part: _Part, check: Begin[T], largest: int
    ) -> tuple[Check[T], int]:
        """Receive a file from where an earlier try ended. Return its fed check and size (bytes).

        A part is resumed only if ETag or Last-Modified shows that the server's file is the same.
        """
        have, validator = part.resumable()
        headers = {"Range": f"bytes={have}-", "If-Range": validator} if have else {}
        with self._get(session, part.url, headers) as response:
            if response.status_code == 416 and _content_range(response) == f"bytes */{have}":
                return check(part.path), have  # it was whole already
            if have and (why := _cannot_resume(response, have, validator)):
                part.forget()
                raise TransferError(why)
            if response.status_code == 206 and not have:
                raise TransferError("the server sent a part that was not asked for")
            start = have if response.status_code == 206 else 0
            return self._receive(response, part, start, check, largest)

    def _receive(
        self, response: requests.Response, part: _Part, start: int, check: Begin[T], largest: int
    ) -> tuple[Check[T], int]:
        """Write the body of a response behind the first `start` bytes, and feed the check."""
        length = _length(response)
        if length is not None and start + length > largest:
            raise _too_large(start + length, largest)
        chunks = self._chunks(response)
        first = next(chunks, b"")
        if not start and not self._pages:
            _refuse_page(first)  # before the bytes of an earlier try are thrown away
        size = start
        with part.appending(response, start) as write:
            proving = check(part.path)
            for chunk in chain([first], chunks):
                size += len(chunk)
                if size > largest:
                    part.empty()
                    raise _too_large(size, largest)
                write(chunk)
                proving.feed(chunk)
        if length is not None and size - start != length:
            raise TransferError(f"{size - start} of {length} announced bytes came")
        return proving, size

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body of a response as it arrives. Raise TransferError if it is too slow."""
        begun, size = time.monotonic(), 0
        while chunk := _read(response):
            self.connections.stop_here()
            self._arrived(len(chunk))
            yield chunk
            size += len(chunk)
            passed = time.monotonic() - begun
            if passed >= self._stall:
                if size < _SLOWEST * passed:
                    raise TransferError(f"the connection trickles: {size} bytes in {passed:.0f} s")
                begun, size = time.monotonic(), 0

    def _get(
        self, session: requests.Session, url: str, headers: dict[str, str]
    ) -> requests.Response:
        """Return the response to a GET, after redirects within the allowed hosts."""
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                response = session.get(
                    url,
                    headers=headers,
                    stream=True,
                    timeout=(_CONNECT, self._stall),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                problem = f"the connection failed: {_root_cause(error)}"
                raise TransferError(problem, unavailable=True) from None
            if response.status_code not in _REDIRECTS:
                return self._accepted(response)
            response.close()
            url = self._redirected(url, response.headers.get("Location", ""))
        raise TransferError(f"more than {_MOST_REDIRECTS} redirects", permanent=True)

    def _redirected(self, url: str, location: str) -> str:
        """Return the target of a redirect. Raise TransferError if its host is not allowed."""
        allowed = {*self.hosts, urlsplit(self.data_url).netloc}
        try:
            target = urljoin(url, location)
            goal = urlsplit(target)
            fine = goal.scheme in ("http", "https") and {goal.hostname, goal.netloc} & allowed
        except ValueError:
            target, fine = location, False
        if not fine:
            raise TransferError(
                f"the server redirects to {target}, which is not in archive.hosts", permanent=True
            )
        return target

    def _accepted(self, response: requests.Response) -> requests.Response:
        """Return the response if its body is useful. Raise TransferError if not."""
        status = response.status_code
        if status in (200, 206) or (status == 416 and "Range" in response.request.headers):
            return response
        response.close()
        permanent = status in _PERMANENT
        wait = 0.0 if permanent else retry_after(response.headers.get("Retry-After", ""))
        raise TransferError(
            f"HTTP {status} {response.reason}",
            permanent=permanent,
            gone=status in (404, 410),
            unavailable=status >= 500 or status in _BUSY or wait > 0,
            retry_after=wait,
        )


class _Part:
    """A file in progress, and the note beside it.

    The note has the file's URL, its validator (ETag or Last-Modified), the number of synced bytes,
    and the boot of the machine in which they were written.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self._note = note_of(path)
        self._synced = 0

    def resumable(self) -> tuple[int, str]:
        """Return how many bytes can be resumed, and their validator; (0, "") if there are none.

        After a power loss, bytes that were not synced are cut off. Without bytes, the note is
        removed.
        """
        have, validator = self._noted()
        if not have:
            self.forget()
        return have, validator

    def _noted(self) -> tuple[int, str]:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
            if note["url"] != self.url:
                return 0, ""
            self._synced = note["synced"]
            kept = size if note["boot"] == boot_id() else min(size, self._synced)
            if kept < size:
                os.truncate(self.path, kept)
            return kept, note["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""

    @contextmanager
    def appending(
        self, response: requests.Response, start: int
    ) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that appends bytes of a response to the first `start` bytes."""
        validator = _validator(response)
        if not start:
            self._synced = 0
            self.empty()
        with ExitStack() as opened:
            with writing(self.path):
                if validator and self._synced:
                    write_json(self._note, self._facts(validator))
                elif validator:
                    self._note.write_text(json.dumps(self._facts(validator)), encoding="utf-8")
                # Unbuffered: after a full disk, closing the file has nothing left to write.
                out = opened.enter_context(open(self.path, "ab", buffering=0))

            def write(chunk: bytes) -> None:
                with writing(self.path):
                    write_all(out, chunk)
                    if validator and out.tell() - self._synced >= _SYNCED_EVERY:
                        os.fsync(out.fileno())
                        self._synced = out.tell()
                        write_json(self._note, self._facts(validator))
                        sync(self.path.parent)

            yield write

    def _facts(self, validator: str) -> dict[str, str | int]:
        boot = {"boot": boot_id(), "synced": self._synced}
        return {"url": self.url, "validator": validator, **boot}

    def forget(self) -> None:
        """Remove the note: the next try begins with the first byte."""
        self._note.unlink(missing_ok=True)

    def empty(self) -> None:
        """Remove the note, and all bytes that have arrived."""
        self.forget()
        with writing(self.path):
            self.path.write_bytes(b"")


def _final(problem: TransferError, tries: int, url: str) -> TransferError:
    """Return the error of a file that is given up."""
    times = f"{tries} {'tries' if tries > 1 else 'try'}"
    return TransferError(
        str(problem) if problem.down else f"{problem} ({times}, {url})",
        permanent=problem.permanent,
        gone=problem.gone,
        mismatch=problem.mismatch,
        down=problem.down,
        tries=tries,
    )


def _too_large(size: int, largest: int) -> TransferError:
    return TransferError(
        f"the file has {size} bytes or more, over archive.max_file_size {largest}", permanent=True
    )


def _refuse_page(start: bytes) -> None:
    """Raise TransferError if a body begins as HTML: servers in trouble send it with status 200."""
    if start.lstrip(b"\0 \r\n\t")[:1] == b"<":
        raise TransferError(f"it is an HTML page: it begins with {start[:24]!r}", unavailable=True)


def _read(response: requests.Response) -> bytes:
    """Read the next bytes of a body. A failure here counts for the file, not for the server."""
    try:
        return response.raw.read1(_CHUNK, decode_content=True)
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise TransferError(f"the connection failed: {_root_cause(error)}") from None


def _validator(response: requests.Response) -> str:
    """Return the header that tells whether a file is unchanged; empty if it cannot be resumed."""
    etag = response.headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return "" if encoded else strong or response.headers.get("Last-Modified", "")


def _content_range(response: requests.Response) -> str:
    return response.headers.get("Content-Range", "")


def _cannot_resume(response: requests.Response, have: int, validator: str) -> str:
    """Return why a response neither continues a file at byte `have` nor restarts it; else empty.

    In spite of If-Range, a server may send a part of a file that has changed.
    """
    if response.status_code == 200:
        return ""
    if response.status_code == 416:  # the file has shrunk
        return f"HTTP 416: the server has nothing from byte {have} on"
    place = _content_range(response)
    names = {"ETag", "Last-Modified"} & set(response.headers)
    known = {response.headers[name] for name in names}
    if place.startswith(f"bytes {have}-") and (validator in known or not known):
        return ""
    which = ", ".join(sorted(known))
    return f"the server sent {place!r} ({which}), asked was from byte {have} of {validator}"


def _length(response: requests.Response) -> int | None:
    """Return Content-Length (bytes); None if it does not count the bytes that arrive."""
    text = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    try:
        return whole(text)
    except ValueError:
        return None


def _root_cause(error: BaseException) -> str:
    """Return the first cause of an error. A ValueError of a parser is skipped: it says less."""
    while (cause := error.__cause__ or error.__context__) and not isinstance(cause, ValueError):
        error = cause
    return f"{type(error).__name__}: {error}"
