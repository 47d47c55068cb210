"""The stand-in over HTTP, as a thread of the process that needs it or as a server by hand."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from flareset.errors import FlaresetError
from flareset.events import Flare
from flareset.standin import catalogue
from flareset.standin.exports import Exports, Limits, check_address, error_text
from flareset.standin.faults import FAULTS, Fault
from flareset.standin.frames import Frame, Frames, frame_name
from flareset.standin.info import REGIONS, Info, Regions
from flareset.standin.products import original

__all__ = ["CGI", "FAULTS", "Fault", "Limits", "StandIn", "running"]

CGI = "/cgi-bin/ajax/"
_FOLDER = re.compile(r"(/SUM\d+/D\d+/S\d+)(?:/([^/]*))?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_MODIFIED = formatdate(1735689600, usegmt=True)
_CHUNK = 1 << 20
_TYPES = {
    ".fits": "application/fits", ".tar": "application/x-tar", ".html": "text/html",
    ".json": "application/json", ".jpg": "image/jpeg", ".png": "image/png", ".mpg": "video/mpeg",
    ".mp4": "video/mp4",
}  # fmt: skip


class StandIn(ThreadingHTTPServer):
    """The server; `log` counts the requests for each path, `most_at_once` the simultaneous ones,
    and `ranges` has the Range header of every request for a file, empty where there was none.
    `calls` has the endpoint and arguments of every request to the CGI, `asked` counts them by
    `<endpoint> <op>`, and `created` has the RequestIDs of the exports that are new.

    The exports are in `state`, a JSON file that several servers may share, or in memory; each is
    queued and processed for `delay` seconds. `clock` gives seconds since 1970.
    """

    daemon_threads = True

    def __init__(
        self,
        *,
        port: int = 0,
        frame_size: int = 256,
        flares: list[Flare] | None = None,
        faults: list[Fault] | None = None,
        verbose: bool = False,
        state: Path | None = None,
        delay: float = 0.2,
        clock: Callable[[], float] = time.time,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        regions: Regions = REGIONS,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.frame_size = frame_size
        self.frames = Frames(frame_size, flares or [])
        self.faults = faults or []
        self.verbose = verbose
        self.info = Info(self.frames, regions)
        self.exports = Exports(
            self.frames, state=state, clock=clock, delay=delay, limits=limits, faults=self.faults
        )
        self.log: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.ranges: list[str] = []
        self.pages: dict[str, str] = {}
        self.most_at_once = 0
        self.lock = threading.Lock()
        self._at_once = 0

    @property
    def url(self) -> str:
        """The base URL, to be used as `archive.data_url`."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def cgi_url(self) -> str:
        """The base URL of the CGI, to be used as `archive.cgi_url`."""
        return self.url + CGI

    @property
    def created(self) -> list[str]:
        """The RequestIDs of the exports that this server began."""
        return self.exports.created

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Stop listening, and let go of the files of tars."""
        super().server_close()
        self.exports.close()

    def page(self, recordset: str) -> str:
        """The listing page of a recordset, served from its folder from then on."""
        made = catalogue.export(recordset, self.frame_size)
        page = catalogue.listing_page(made)
        self.pages[made.folder] = page
        return page

    @contextmanager
    def counted(self, path: str) -> Iterator[int]:
        """Count a request; yields how many came for this path before."""
        with self.lock:
            before = self.log[path]
            self.log[path] += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield before
        finally:
            with self.lock:
                self._at_once -= 1

    def fault(self, text: str, before: int) -> Fault | None:
        """The first fault that holds for a request of this kind that so many came before."""
        return next(
            (f for f in self.faults if f.strikes(before) and re.search(f.pattern, text)), None
        )


@contextmanager
def running(server: StandIn) -> Iterator[StandIn]:
    """Serve in a thread while the block runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.daemon = True
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class _Body:
    """What is sent: its size, and how to read it from one byte to another."""

    size: int
    read: Callable[[int, int], Iterator[bytes]]
    type: str
    # Where a flipped bit does harm.
    middle: int = 0

    @classmethod
    def of(cls, pieces: list[bytes], kind: str) -> _Body:
        size = sum(len(piece) for piece in pieces)

        def read(begin: int, end: int) -> Iterator[bytes]:
            for piece in pieces:
                if begin < len(piece) and end > 0:
                    yield piece[max(begin, 0) : end]
                begin, end = begin - len(piece), end - len(piece)

        return cls(size, read, kind, size - (len(pieces[-1]) + 1) // 2 if pieces else 0)

    @classmethod
    def on_disk(cls, descriptor: int, kind: str) -> _Body:
        def read(begin: int, end: int) -> Iterator[bytes]:
            while begin < end:
                piece = os.pread(descriptor, min(_CHUNK, end - begin), begin)
                begin += len(piece)
                yield piece

        size = os.fstat(descriptor).st_size
        return cls(size, read, kind, size // 2)

    def flipped(self) -> _Body:
        """The same with one bit of the data changed."""

        def read(begin: int, end: int) -> Iterator[bytes]:
            for piece in self.read(begin, end):
                place = self.middle - begin
                if 0 <= place < len(piece):
                    piece = piece[:place] + bytes([piece[place] ^ 0x10]) + piece[place + 1 :]
                begin += len(piece)
                yield piece

        return replace(self, read=read)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn
    # Without this, a small answer waits for the client's acknowledgement of the header.
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body.decode("latin-1"))

    def do_GET(self) -> None:
        self._answer("")

    def _answer(self, form: str) -> None:
        target = urlsplit(self.path)
        path = unquote(target.path)
        with self.server.counted(path) as before:
            if path.startswith(CGI):
                self._cgi(path.removeprefix(CGI), f"{target.query}&{form}")
            elif match := _FOLDER.fullmatch(path):
                if match[2]:
                    self._file(match[1], match[2], before)
                else:
                    self._folder(match[1])
            elif path == "/export":
                self._export(parse_qs(target.query).get("ds", [""])[0])
            elif path == "/":
                self._text(200, _FRONT)
            else:
                self._text(404, _error(404, "Not Found"))

    def _cgi(self, endpoint: str, query: str) -> None:
        args = _arguments(query)
        server = self.server
        what = f"{endpoint} {args.get('op') or args.get('operation', '')}".strip()
        with server.lock:
            server.calls.append((endpoint, args))
            before = server.asked[what]
            server.asked[what] += 1
        fault = server.fault(what, before)
        if fault and self._refused(fault):
            return
        text = self._cgi_text(endpoint, args)
        if text is None:
            self._text(404, _error(404, "Not Found"))
            return
        body = _Body.of([text.encode("latin-1", "replace")], "application/json")
        self._send(body, None, fault.kind if fault else "")

    def _cgi_text(self, endpoint: str, args: dict[str, str]) -> str | None:
        """What an endpoint answers, or None where there is no such endpoint."""
        if endpoint == "jsoc_info":
            return self.server.info.answer(args)
        if endpoint in ("show_series", "showextseries"):
            return self.server.info.series(args)
        if endpoint == "checkAddress.sh":
            only = args.get("checkonly", "0") == "1"
            status, message = check_address(args.get("address", ""), check_only=only)
            return json.dumps({"status": status, "msg": message, "user_id": 1})
        if endpoint == "manage-request.sh":
            asked = args.get("address", ""), args.get("operation", "")
            return json.dumps(self.server.exports.manage(*asked))
        if endpoint == "jsoc_fetch":
            return self._fetch(args)
        return None

    def _fetch(self, args: dict[str, str]) -> str:
        text = "".join(args.values())
        if ";" in text:
            return error_text(4, "Illegal text in arg: ';' not allowed")
        if text.count("'") % 2:
            return error_text(4, 'Unbalanced "\'" not allowed.')
        args = {key: value.replace("'", '"') for key, value in args.items()}
        operation = args.get("op", "")
        if operation == "exp_request":
            return self.server.exports.request(args, self.client_address[0])
        if operation == "exp_status":
            return self.server.exports.status(args.get("requestid", ""))
        if operation == "exp_repeat":
            return error_text(4, "Re-Export requests temporarily disabled.")
        return error_text(4, f"Operation {operation} is not known.")

    def _export(self, recordset: str) -> None:
        try:
            self._text(200, self.server.page(recordset))
        except (FlaresetError, ValueError) as error:
            self._text(400, _error(400, str(error)))

    def _folder(self, folder: str) -> None:
        if folder in self.server.pages:
            self._text(200, self.server.pages[folder])
        else:
            self._file(folder, "index.html", 0)

    def _file(self, folder: str, name: str, before: int) -> None:
        fault = self.server.fault(name, before)
        body = self._body(folder, name, other=fault is not None and fault.kind == "other")
        if body is None:
            self._text(404, _error(404, "Not Found"))
        elif not (fault and self._refused(fault)):
            kind = fault.kind if fault else ""
            if fault and kind == "stall":
                time.sleep(fault.seconds)
            self._send(body, f'"{folder.split("/")[2]}.{name}"', kind)

    def _body(self, folder: str, name: str, *, other: bool) -> _Body | None:
        """What lies in a folder: an export's, a record's own, or what the name alone says."""
        kind = _TYPES.get(name[name.rfind(".") :], "text/plain")
        known, product = self.server.exports.find(folder)
        pieces: list[bytes] | None
        if known:
            if product is None:
                return None
            packed = product.form.method == "url-tar"
            if packed and name == product.tar_name:
                return _Body.on_disk(product.tar().fileno(), kind)
            if name in product.index and (not packed or name.startswith("index.")):
                pieces = [product.index[name]]
            else:
                pieces = None if packed else product.file(name, other=other)
        elif (pieces := original(f"{folder}/{name}", self.server.frames)) is None:
            frame = Frame.of(frame_name(name))
            if frame and other:
                second = frame.time.replace(second=(frame.time.second + 24) % 60)
                frame = replace(frame, time=second)
            pieces = self.server.frames.file(frame) if frame else None
        return None if pieces is None else _Body.of(pieces, kind)

    def _refused(self, fault: Fault) -> bool:
        """Whether a fault's own answer stands in place of what was asked for."""
        if fault.kind == "status":
            page = _error(fault.code, "the stand-in was told to fail")
            self._text(fault.code, page, retry_after=fault.retry_after)
        elif fault.kind == "html":
            self._text(200, _error(200, "We are sorry, the archive is being repaired"))
        elif fault.kind == "notjson":
            self._text(200, fault.text or "jsoc_fetch: cannot connect to the database\n")
        elif fault.kind == "jsoc":
            self._text(200, error_text(fault.code, fault.text), kind="application/json")
        else:
            if fault.kind == "stall":
                time.sleep(fault.seconds)
            return False
        return True

    def _send(self, body: _Body, etag: str | None, fault: str) -> None:
        if fault == "flip":
            body = body.flipped()
        if fault == "empty":
            body = replace(body, size=0)
        begin, end = self._range(body.size, etag) if etag else (0, body.size)
        if begin >= body.size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{body.size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "no_range":
            begin, end = 0, body.size
        partial = (begin, end) != (0, body.size)
        if fault == "wrong_range":
            begin //= 2
        self.send_response(206 if partial else 200)
        self.send_header("Content-Type", body.type)
        if fault == "cut_unannounced":
            self.send_header("Connection", "close")
        elif fault == "cut_chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(end - begin))
        if etag:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Last-Modified", _MODIFIED)
            self.send_header("ETag", etag)
        if partial:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{body.size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            if fault == "reset" or fault.startswith("cut"):
                self._send_half(body, begin, end, fault)
                return
            for piece in body.read(begin, end):
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send_half(self, body: _Body, begin: int, end: int, fault: str) -> None:
        for piece in body.read(begin, begin + (end - begin) // 2):
            frame = (b"%x\r\n" % len(piece), b"\r\n") if fault == "cut_chunked" else (b"", b"")
            self.wfile.write(frame[0] + piece + frame[1])
        self.wfile.flush()
        self.close_connection = True
        if fault == "reset":
            # Linger 0 makes close() send a reset instead of an orderly end.
            linger = b"\1\0\0\0\0\0\0\0"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _range(self, size: int, etag: str) -> tuple[int, int]:
        """The bytes of a `Range: bytes=N-` or `N-M` that still holds, else all of them."""
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        match = _RANGE.fullmatch(wanted)
        if not match or self.headers.get("If-Range", etag) not in (etag, _MODIFIED):
            return 0, size
        begin = int(match[1])
        return begin, min(size, int(match[2]) + 1) if match[2] else size

    def _text(
        self, status: int, text: str, *, kind: str = "text/html", retry_after: int = 0
    ) -> None:
        body = text.encode("latin-1", "replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        if self.server.verbose:
            super().log_message(format, *args)


def _arguments(query: str) -> dict[str, str]:
    """The arguments of a form; `=` in a name is as good as behind it, as in JSOC's wrapper."""
    pairs = (
        f"{unquote_plus(key)}={unquote_plus(value)}"
        for key, _, value in (part.partition("=") for part in query.split("&") if part)
    )
    return dict(pair.partition("=")[::2] for pair in pairs)


_FRONT = """<!DOCTYPE html><html><body><h2>flareset stand-in archive</h2>
<p>Nothing here was observed. The listing page of a recordset:</p>
<form action="/export"><input name="ds" size="70"
 value="aia.lev1_euv_12s[2014-01-07T15:07:00Z/459m][131]"><input type="submit"></form>
</body></html>
"""


def _error(status: int, text: str) -> str:
    return (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN"><html><head>'
        f"<title>{status}</title></head><body><h1>{text}</h1></body></html>\n"
    )
