"""The archive over HTTP: one file whole into a `.part`, or a reason why not."""

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
from flareset.store.store import note_of
from flareset.system.files import boot_id, sync, write_all, write_json, writing
from flareset.system.retry import backoff, retry_after

_CHUNK = 1 << 20
_CONNECT = 10.0
# A connection that gives less (bytes/s) is as good as one that stands still.
_SLOWEST = 1000
# A try that brought less (bytes) got no further.
_LEAST_GAIN = 1 << 16
# What a power loss may cost of a file that is under way (bytes).
_SYNCED_EVERY = 64 << 20
_MOST_REDIRECTS = 5
_MOST_BAD_CONTENT = 3
_MOST_TRIES = 8
# After so many failures in a row it may be the archive, and not a file.
_DOUBTFUL = 3
_REDIRECTS = (301, 302, 303, 307, 308)
# Answers that another try does not change.
_PERMANENT = (400, 401, 403, 404, 405, 406, 410, 414, 451)
# Answers that, as those from 500 on, say nothing of the file.
_BUSY = (408, 425, 429)

T = TypeVar("T")


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A file that arrived: what its check found, its bytes and the number of tries."""

    found: T
    bytes: int
    tries: int


class Transfer:
    """GET with allowed hosts, a size cap, resume, and retries with back-off.

    `stall` (seconds) is how long a connection may give nothing, or next to nothing; `arrived` is
    told of bytes as they come. `connections` bear the failures of the archive as a whole. `sleep`
    and `jitter` (0 to 1) are passed in by tests.
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
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.data_url = data_url
        self.hosts = [host.lower() for host in hosts]
        self.connections = connections
        self.max_file_size = max_file_size
        self._stall = stall
        self._arrived = arrived
        self._sleep = sleep or connections.stopping.wait
        self._jitter = jitter
        # The URL of another file, at best one that came: it tells a file in trouble from an archive
        # in trouble.
        self.witness = ""

    def url_of(self, link: str) -> str:
        """Where a listed file is fetched: the link's path on `data_url`."""
        return self.data_url.rstrip("/") + urlsplit(link).path

    def fetch(self, link: str, part: Path, check: Begin[T], largest: int = 0) -> Fetched[T]:
        """Bring a listed file into `part`, proven and synced, trying again while that can help.

        The part's note stays, so that a run that is killed now need not fetch the file again.
        `largest` (bytes) stands in for the archive's cap. A try that got further than any before it
        does not count as failed, nor does one while the archive fails at everything. Raises
        TransferError with the last reason and the number of tries.
        """
        url = self.url_of(link)
        under_way = _Part(part, url)
        tries = failed = bad = reached = 0
        while True:
            tries += 1
            failed += 1
            begun = time.monotonic()
            try:
                # The connection is free for another file before this one is proven and synced.
                with self.connections.lease() as session:
                    begun = time.monotonic()
                    proving, size = self._transfer(
                        session, under_way, check, largest or self.max_file_size
                    )
                found = proving.finish(part)
                with writing(part):
                    sync(part)
            except VerificationError as error:
                under_way.throw_away()
                bad += 1
                mismatch = isinstance(error, ProcessingError)
                useless = bad >= _MOST_BAD_CONTENT or mismatch
                problem = TransferError(str(error), permanent=useless, mismatch=mismatch)
            except TransferError as error:
                problem = error
                have = under_way.there()[0]
                if not have:
                    under_way.forget()
                gained, reached = have - reached, max(have, reached)
                if gained > max(_LEAST_GAIN, _SLOWEST * (time.monotonic() - begun)):
                    failed = 1
                elif error.unavailable and not self._works():
                    failed -= 1
            else:
                self.witness = url
                return Fetched(found, size, tries)
            if problem.permanent or failed >= _MOST_TRIES:
                raise _final(problem, tries, url)
            if not problem.unavailable:
                self._sleep(backoff(failed, self._jitter()))
            self.connections.stop_here()

    def _works(self) -> bool:
        """Whether the archive does give something, so that it is a file that it cannot give."""
        if self.connections.failures < _DOUBTFUL:
            return True
        if not self.witness:
            return False
        try:
            with (
                self.connections.lease() as session,
                self._get(session, self.witness, {"Range": "bytes=0-63"}) as response,
            ):
                _no_page(next(self._chunks(response), b""))
        except TransferError as error:
            return not error.unavailable and not error.down
        return True

    def _transfer(
        self, session: requests.Session, part: _Part, check: Begin[T], largest: int
    ) -> tuple[Check[T], int]:
        """The begun check and the size of a file that has come, going on where an earlier try
        ended.

        Only a part that the server can vouch for (ETag or Last-Modified) is gone on with.
        """
        have, validator = part.there()
        headers = {"Range": f"bytes={have}-", "If-Range": validator} if have else {}
        size = have
        with self._get(session, part.url, headers) as response:
            if response.status_code == 416 and have:
                if response.headers.get("Content-Range", "") == f"bytes */{have}":
                    return check(part.path), have  # it was whole already
                # The file has shrunk: begin again.
                part.forget()
                raise TransferError(f"HTTP 416: nothing to go on with from byte {have}")
            if have and response.status_code == 200:
                size = have = 0  # it comes whole, from its start
            elif have and (why := _mismatch(response, have, validator)):
                part.forget()
                raise TransferError(why)
            if response.status_code == 206 and not have:
                raise TransferError("the server sent a part that was not asked for")
            length = _length(response)
            if length is not None and have + length > largest:
                raise _too_large(have + length, largest)
            chunks = self._chunks(response)
            first = next(chunks, b"")
            if not have:
                _no_page(first)  # before what is there is thrown away
            with part.opened(response, have) as write:
                proving = check(part.path)
                for chunk in chain([first], chunks):
                    size += len(chunk)
                    if size > largest:
                        part.throw_away()
                        raise _too_large(size, largest)
                    write(chunk)
                    proving.feed(chunk)
            if length is not None and size - have != length:
                raise TransferError(f"{size - have} of {length} announced bytes came")
        return proving, size

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The bytes of an answer's body, as they come; TransferError where they but trickle."""
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
        """The answer to a GET, after redirects within the allowed hosts."""
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
        """Where a redirect leads, if that is allowed."""
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
    """A file under way, and beside it a note: from where it comes, what vouches for it, and how
    much of it a power loss cannot take."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self._note = note_of(path)
        self._synced = 0

    def there(self) -> tuple[int, str]:
        """Bytes that can be gone on with and what vouches for them; (0, "") where there are none.

        What may have been lost with the power is cut off.
        """
        try:
            note = json.loads(self._note.read_text())
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
    def opened(self, response: requests.Response, have: int) -> Iterator[Callable[[bytes], None]]:
        """A function that writes the next bytes of an answer, behind the `have` first ones."""
        validator = _validator(response)
        if not have:
            self._synced = 0
            self.throw_away()
        with ExitStack() as opened:
            with writing(self.path):
                if validator and self._synced:
                    write_json(self._note, self._facts(validator))
                elif validator:
                    self._note.write_text(json.dumps(self._facts(validator)))
                # Not buffered: nothing is left to be written on the way out of a full disk.
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
        """Nothing is to be gone on with."""
        self._note.unlink(missing_ok=True)

    def throw_away(self) -> None:
        """Begin again."""
        self.forget()
        with writing(self.path):
            self.path.write_bytes(b"")


def _final(problem: TransferError, tries: int, url: str) -> TransferError:
    """What is said of a file that is given up."""
    times = f"{tries} {'tries' if tries > 1 else 'try'}"
    return TransferError(
        str(problem) if problem.down else f"{problem} ({times}, {url})",
        permanent=problem.permanent,
        gone=problem.gone,
        mismatch=problem.mismatch,
        down=problem.down,
        tries=tries - problem.down,
    )


def _too_large(size: int, largest: int) -> TransferError:
    return TransferError(
        f"the file has {size} bytes or more, over archive.max_file_size {largest}", permanent=True
    )


def _no_page(start: bytes) -> None:
    """TransferError where a page came in place of a file: so speaks a server that is in trouble."""
    if start.lstrip(b"\0 \r\n\t")[:1] == b"<":
        raise TransferError(f"it is an HTML page: it begins with {start[:24]!r}", unavailable=True)


def _read(response: requests.Response) -> bytes:
    """The next bytes of an answer that has begun; if none come, the archive works all the same."""
    try:
        return response.raw.read1(_CHUNK, decode_content=True)
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise TransferError(f"the connection failed: {_root_cause(error)}") from None


def _validator(response: requests.Response) -> str:
    """What tells that a file is still the same; empty where a part cannot be gone on with."""
    etag = response.headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return "" if encoded else strong or response.headers.get("Last-Modified", "")


def _mismatch(response: requests.Response, have: int, validator: str) -> str:
    """Why an answer does not go on with the same file at byte `have`; empty where it does.

    A server may send a part of what is now another file, in spite of If-Range.
    """
    place = response.headers.get("Content-Range", "")
    names = {"ETag", "Last-Modified"} & set(response.headers)
    known = {response.headers[name] for name in names}
    if place.startswith(f"bytes {have}-") and (validator in known or not known):
        return ""
    which = ", ".join(sorted(known))
    return f"the server sent {place!r} ({which}), asked was from byte {have} of {validator}"


def _length(response: requests.Response) -> int | None:
    """Content-Length where it counts the bytes that arrive."""
    text = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity" or not text.isdigit():
        return None
    return int(text)


def _root_cause(error: BaseException) -> str:
    """The first of the errors that led to this one; those of parsing say less than what follows."""
    while (cause := error.__cause__ or error.__context__) and not isinstance(cause, ValueError):
        error = cause
    return f"{type(error).__name__}: {error}"
