"""The archive over HTTP: one file whole into a `.part`, or a reason why not."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from flareset.errors import (
    FlaresetError,
    ProcessingError,
    StoreError,
    TransferError,
    VerificationError,
)
from flareset.hosts import is_local
from flareset.jsoc import USER_AGENT
from flareset.patience import Patience, retry_after

_CHUNK = 1 << 18
_TIMEOUT = (10.0, 60.0)
_MOST_REDIRECTS = 5
_MOST_BAD_CONTENT = 3
_MOST_TRIES = 8
_REDIRECTS = (301, 302, 303, 307, 308)
# Answers that another try does not change.
_PERMANENT = (400, 401, 403, 404, 405, 406, 410, 414, 451)

T = TypeVar("T")


class Stopped(FlaresetError):
    """The job is ending; what was begun is left for the next run to resume."""


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A file that arrived: what its check found, its sha256, bytes and the number of tries."""

    found: T
    sha256: str
    bytes: int
    tries: int


class Archive:
    """GET with allowed hosts, a size cap, resume, and retries with back-off.

    `patience` (seconds) is how long the archive may fail at everything before a file is given up;
    `clock`, `sleep` and `jitter` are passed in by tests.
    """

    def __init__(
        self,
        data_url: str,
        hosts: list[str],
        *,
        connections: int,
        patience: float,
        max_file_size: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.data_url = data_url
        self.hosts = [host.lower() for host in hosts]
        self.max_file_size = max_file_size
        self.stopping = threading.Event()
        self._patience = Patience(
            patience, clock=clock, sleep=sleep or self.stopping.wait, jitter=jitter
        )
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=connections, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        # A proxy is for the archive; this machine is reached without it.
        self._session.trust_env = not is_local(data_url)

    def url_of(self, link: str) -> str:
        """Where a listed file is fetched: the link's path on `data_url`."""
        return self.data_url.rstrip("/") + urlsplit(link).path

    def fetch(
        self, link: str, part: Path, check: Callable[[Path], T], largest: int = 0
    ) -> Fetched[T]:
        """Bring a listed file into `part` and `check` it, trying again while that can help.

        `largest` (bytes) stands in for the archive's cap. A try that got further than any before it
        does not count as failed. Raises TransferError with the last reason and the number of tries.
        """
        url = self.url_of(link)
        largest = largest or self.max_file_size
        tries = failed = bad = reached = 0
        while True:
            tries += 1
            failed += 1
            try:
                digest, size = self._transfer(url, part, largest)
                found = check(part)
            except VerificationError as error:
                # Not removed: the claim of the part is a lock on this very file.
                os.truncate(part, 0)
                _note_of(part).unlink(missing_ok=True)
                bad += 1
                mismatch = isinstance(error, ProcessingError)
                useless = bad >= _MOST_BAD_CONTENT or mismatch
                problem = TransferError(str(error), permanent=useless, mismatch=mismatch)
            except TransferError as error:
                problem = error
                if _resumable(part, _note_of(part), url)[0] > reached:
                    reached, failed = part.stat().st_size, 1
                    self._patience.succeeded()
            else:
                _note_of(part).unlink(missing_ok=True)
                self._patience.succeeded()
                return Fetched(found, digest, size, tries)
            pause = self._patience.pause(failed, problem.retry_after)
            if problem.permanent or failed >= _MOST_TRIES or pause is None:
                times = f"{tries} {'tries' if tries > 1 else 'try'}"
                raise TransferError(
                    f"{problem} ({times}, {url})",
                    permanent=problem.permanent,
                    gone=problem.gone,
                    mismatch=problem.mismatch,
                    tries=tries,
                )
            self._patience.sleep(pause)
            self._stop_here()

    def _stop_here(self) -> None:
        if self.stopping.is_set():
            raise Stopped("stopped")

    def _transfer(self, url: str, part: Path, largest: int) -> tuple[str, int]:
        """The sha256 and size of a file brought into `part`, going on where an earlier try ended.

        Only a part that the server can vouch for (ETag or Last-Modified) is gone on with.
        """
        note = _note_of(part)
        have, validator = _resumable(part, note, url)
        headers = {"Range": f"bytes={have}-", "If-Range": validator} if have else {}
        try:
            with self._get(url, headers) as response:
                if response.status_code == 416 and have:
                    if response.headers.get("Content-Range", "") == f"bytes */{have}":
                        return _digest_of(part).hexdigest(), have  # it was whole already
                    # The file has shrunk: begin again.
                    note.unlink(missing_ok=True)
                    raise TransferError(f"HTTP 416: nothing to go on with from byte {have}")
                if have and not _continues(response, have):
                    have = 0
                if response.status_code == 206 and not have:
                    raise TransferError("the server sent a part that was not asked for")
                length = _length(response)
                if length is not None and have + length > largest:
                    raise _too_large(have + length, largest)
                digest = _digest_of(part) if have else hashlib.sha256()
                if not have:
                    _write_note(note, url, response)
                size = self._receive(response, part, have, digest, largest)
                if length is not None and size - have != length:
                    raise TransferError(f"{size - have} of {length} announced bytes came")
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise TransferError(f"the connection failed: {_root_cause(error)}") from None
        return digest.hexdigest(), size

    def _receive(
        self,
        response: requests.Response,
        part: Path,
        have: int,
        digest: hashlib._Hash,
        largest: int,
    ) -> int:
        size = have
        with open(part, "ab" if have else "wb") as out:
            for chunk in response.raw.stream(_CHUNK, decode_content=True):
                size += len(chunk)
                if size > largest:
                    raise _too_large(size, largest)
                _storing(part, lambda chunk=chunk: out.write(chunk))
                digest.update(chunk)
                self._stop_here()
            _storing(part, lambda: (out.flush(), os.fsync(out.fileno())))
        return size

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        """The answer to a GET, after redirects within the allowed hosts."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._session.get(
                url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
            )
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
        raise TransferError(
            f"HTTP {status} {response.reason}",
            permanent=status in _PERMANENT,
            gone=status in (404, 410),
            retry_after=retry_after(response.headers.get("Retry-After", "")),
        )


def _too_large(size: int, largest: int) -> TransferError:
    return TransferError(
        f"the file has {size} bytes or more, over archive.max_file_size {largest}", permanent=True
    )


def _note_of(part: Path) -> Path:
    """Where a part's URL and validator are written down."""
    return part.with_name(part.name + ".json")


def _resumable(part: Path, note: Path, url: str) -> tuple[int, str]:
    """Bytes that can be gone on with and what vouches for them; (0, "") where there are none."""
    try:
        begun = json.loads(note.read_text())
        have = part.stat().st_size
    except (OSError, ValueError):
        return 0, ""
    if begun.get("url") != url or not begun.get("validator"):
        return 0, ""
    return have, begun["validator"]


def _write_note(note: Path, url: str, response: requests.Response) -> None:
    etag = response.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else ""
    validator = strong or response.headers.get("Last-Modified", "")
    if validator and not response.headers.get("Content-Encoding"):
        _storing(note, lambda: note.write_text(json.dumps({"url": url, "validator": validator})))
    else:
        note.unlink(missing_ok=True)


def _continues(response: requests.Response, have: int) -> bool:
    """Whether an answer goes on at byte `have`; 200 means the whole file from the start."""
    if response.status_code == 200:
        return False
    if response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return True
    raise TransferError(f"the server sent {response.headers.get('Content-Range')!r} from {have}")


def _length(response: requests.Response) -> int | None:
    """Content-Length where it counts the bytes that arrive."""
    text = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity" or not text.isdigit():
        return None
    return int(text)


def _digest_of(part: Path) -> hashlib._Hash:
    with open(part, "rb") as file:
        return hashlib.file_digest(file, "sha256")


def _storing(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise StoreError(
            f"{path.parent}: cannot write: {error.strerror}; make room or choose another store"
        ) from error


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}"
