"""The stand-in over HTTP: a thread of the process that needs it, or a server started by hand."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from flareset.errors import FlaresetError
from flareset.sdo.flares import Flare
from flareset.standin import catalogue
from flareset.standin.body import JUNK, Body
from flareset.standin.exports import (
    Exports,
    Limits,
    check_address,
    error_answer,
    plain_error,
)
from flareset.standin.faults import FAULTS, REQUEST_FAULTS, Fault, damaged
from flareset.standin.frames import Frame, Frames, frame_name
from flareset.standin.given import Given
from flareset.standin.hek import HEK
from flareset.standin.hek import answer as hek_answer
from flareset.standin.holdings import Holdings
from flareset.standin.info import REGIONS, Info, Regions, rows_of
from flareset.standin.madeup import MadeUp
from flareset.standin.products import fits_file, original
from flareset.standin.wire import Answer

__all__ = ["CGI", "FAULTS", "Fault", "Limits", "StandIn", "running"]

CGI = "/cgi-bin/ajax/"
_FOLDER = re.compile(r"(/SUM\d+/D\d+/S\d+)(?:/([^/]*))?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
# Last-Modified of a file, and of a file that has changed.
_MODIFIED = [formatdate(day * 86400, usegmt=True) for day in (20089, 20090)]
_TRICKLE = 8
_TYPES = {
    ".fits": "application/fits", ".tar": "application/x-tar", ".html": "text/html",
    ".json": "application/json", ".jpg": "image/jpeg", ".png": "image/png", ".mpg": "video/mpeg",
    ".mp4": "video/mp4",
}  # fmt: skip

# The socket option SO_LINGER: on, for 0 seconds.
_LINGER = b"\1\0\0\0\0\0\0\0"


class StandIn(ThreadingHTTPServer):
    """The server of the stand-in.

    `log` counts the requests for each path. `most_at_once` is the largest number of simultaneous
    requests, `most_connected` that of open connections, busy or not. `ranges` has the Range header
    of every request for a file, empty if there was none. `calls` has the endpoint and arguments of
    every request to the CGI and to HEK; `asked` counts them by `<endpoint> <op>`. `created` has the
    RequestIDs of the exports that this server began.

    The exports are in `state`, a JSON file that several servers may share, or in memory. An export
    is queued for `delay` seconds, then processed for as long. `clock` returns seconds since 1970.
    `holdings` are series and records as plain data (`given.Given`); without them the stand-in makes
    records up.
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
        holdings: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.frame_size = frame_size
        self.frames = Frames(frame_size, flares or [])
        self.faults = faults or []
        self.verbose = verbose
        known = MadeUp(self.frames) if holdings is None else Given(holdings)
        self.holdings = Holdings(known, self.frames)
        own = {number: rows_of(region) for number, region in self.frames.regions.items()}
        self.info = Info(self.holdings, {**regions, **own}, self.faults)
        self.exports = Exports(
            self.holdings,
            state=state,
            clock=clock,
            delay=delay,
            limits=limits,
            faults=self.faults,
        )
        self.log: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.ranges: list[str] = []
        self.pages: dict[str, str] = {}
        self.most_at_once = 0
        self.most_connected = 0
        self.lock = threading.Lock()
        self._at_once = 0
        self._connections: set[socket.socket] = set()
        self._ended = threading.Event()
        try:
            self.server_bind()
            self.server_activate()
        except OSError:
            self.server_close()
            raise

    @property
    def url(self) -> str:
        """The base URL, for `archive.data_url`."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def cgi_url(self) -> str:
        """The base URL of the CGI, for `archive.cgi_url`."""
        return self.url + CGI

    @property
    def created(self) -> list[str]:
        """The RequestIDs of the exports that this server began."""
        return self.exports.created

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, unless a client has just closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection."""
        with self.lock:
            self._connections.add(request)
            self.most_connected = max(self.most_connected, sum(map(_held, self._connections)))
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection. A connection to be reset is closed without an orderly shutdown."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_LINGER)) == _LINGER:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def close_request(self, request: Any) -> None:
        """Close a connection."""
        with self.lock:
            self._connections.remove(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Stop listening, and close the tars."""
        self._ended.set()
        super().server_close()
        self.exports.close()

    def page(self, recordset: str) -> str:
        """Return the listing page of a recordset, and serve it from its folder from now on."""
        made = catalogue.export(recordset, self.frame_size, self.frames.flares)
        page = catalogue.listing_page(made)
        self.pages[made.folder] = page
        return page

    @contextmanager
    def counted(self, path: str) -> Iterator[int]:
        """Count a request, and yield the number of earlier requests for this path."""
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

    def fault(self, texts: list[str], before: int) -> Fault | None:
        """Return the first fault that matches any of these texts, after `before` requests."""
        struck = (f for f in self.faults if f.kind in REQUEST_FAULTS and f.strikes(before))
        return next((f for f in struck if any(re.search(f.pattern, t) for t in texts)), None)

    def pause(self, seconds: float) -> None:
        """Let a client wait. Raise ConnectionAbortedError if the server ends meanwhile."""
        if self._ended.wait(seconds):
            raise ConnectionAbortedError("the stand-in ends")


def _held(connection: socket.socket) -> bool:
    """Return whether the client's end is still open. A killed client's end is closed."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


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
            elif path == HEK:
                self._hek(_arguments(target.query))
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

    def _called(self, endpoint: str, args: dict[str, str], op: str) -> Fault | None:
        """Count a call of a program; return the fault that strikes it."""
        server, what = self.server, f"{endpoint} {op}".strip()
        with server.lock:
            server.calls.append((endpoint, args))
            before = server.asked[what]
            server.asked[what] += 1
        return server.fault([what], before)

    def _hek(self, args: dict[str, str]) -> None:
        fault = self._called("hek", args, args.get("cmd", ""))
        if not (fault and self._refused(fault)):
            found = hek_answer(args, self.server.frames.flares, fault.kind if fault else "")
            self._send(Body.of([found], "application/json"), fault)

    def _cgi(self, endpoint: str, query: str) -> None:
        args = _arguments(query)
        fault = self._called(endpoint, args, args.get("op") or args.get("operation", ""))
        if fault and self._refused(fault):
            return
        answer = self._cgi_answer(endpoint, args)
        if answer is None:
            self._text(404, _error(404, "Not Found"))
        elif answer.status != 200:
            self._text(answer.status, answer.text)
        else:
            text = answer.text.encode("latin-1", "replace")
            pieces = damaged([text], fault.kind if fault else "")
            self._send(Body.of(pieces, answer.type), fault)

    def _cgi_answer(self, endpoint: str, args: dict[str, str]) -> Answer | None:
        """Return an endpoint's answer; None if there is no such endpoint."""
        if endpoint == "jsoc_info":
            return self.server.info.answer(args)
        if endpoint in ("show_series", "showextseries"):
            return self.server.info.series(args)
        if endpoint == "checkAddress.sh":
            only = args.get("checkonly", "0") == "1"
            status, message = check_address(args.get("address"), check_only=only)
            known = 1 if status == 2 else -1
            return Answer(json.dumps({"status": status, "msg": message, "user_id": known}))
        if endpoint == "manage-request.sh":
            asked = args.get("address", ""), args.get("operation", "")
            return Answer(json.dumps(self.server.exports.manage(*asked)))
        if endpoint == "jsoc_fetch":
            return self._fetch(args)
        return None

    def _fetch(self, args: dict[str, str]) -> Answer:
        text = "".join(args.values())
        if ";" in text:
            return plain_error("Illegal text in arg: ';' not allowed")
        if text.count("'") % 2:
            return plain_error('Unbalanced "\'" not allowed.')
        args = {key: value.replace("'", '"') for key, value in args.items()}
        operation = args.get("op", "")
        if operation == "exp_request":
            return self.server.exports.request(args, self.client_address[0])
        if operation == "exp_repeat":
            return error_answer(4, "Re-Export requests temporarily disabled.")
        # Any other operation is read as exp_status.
        known = operation == "exp_status"
        return self.server.exports.status(args.get("requestid", "") if known else "")

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
        known, product = self.server.exports.find(folder)
        if known and product is None:
            self._text(404, _error(404, "Not Found"))
            return
        members = product.members(name) if product else None
        fault = self.server.fault([name, *(members or [])], before)
        kind = fault.kind if fault else ""
        media = _TYPES.get(name[name.rfind(".") :], "text/plain")
        body: Body | None = None
        if product and members is not None:
            body = Body.on_disk(product.tar(fault).fileno(), media)
        elif pieces := product.file(name, kind) if product else self._stored(folder, name, kind):
            body = Body.of(pieces, media)
        if body is None:
            self._text(404, _error(404, "Not Found"))
        elif not (fault and self._refused(fault)):
            version = int(kind == "changed")
            etag = f'"{folder.split("/")[2]}.{name}{".2" * version}"'
            self._send(replace(body, etag=etag, modified=_MODIFIED[version]), fault)

    def _stored(self, folder: str, name: str, fault: str) -> list[bytes] | None:
        """Return a file outside of exports, in pieces: a record's, or one made from its name."""
        frames = self.server.frames
        if pieces := original(f"{folder}/{name}", self.server.holdings, fault):
            return pieces
        frame = Frame.of(frame_name(name))
        return fits_file(frames, frame, fault) if frame else None

    def _refused(self, fault: Fault) -> bool:
        """Answer a request by a fault. Return False if the fault has no answer of its own."""
        if fault.kind == "status":
            page = _error(fault.code, "the stand-in was told to fail")
            self._text(fault.code, page, retry_after=fault.retry_after)
        elif fault.kind == "html":
            self._text(200, _REPAIRED)
        elif fault.kind == "notjson":
            self._text(200, fault.text or "jsoc_fetch: cannot connect to the database\n")
        elif fault.kind == "jsoc":
            answer = error_answer(fault.code, fault.text)
            self._text(200, answer.text, kind=answer.type)
        elif fault.kind == "redirect":
            self.send_response(302)
            self.send_header("Location", fault.text or self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            return False
        return True

    def _send(self, body: Body, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        body = body.struck(kind, _REPAIRED.encode())
        if fault and kind == "stall":
            self.server.pause(fault.seconds)
        begin, end = self._range(body)
        if begin >= body.size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{body.size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "no_range":
            begin, end = 0, body.size
        partial = (begin, end) != (0, body.size)
        if kind == "wrong_range":
            begin //= 2
        self.send_response(206 if partial else 200)
        self.send_header("Content-Type", body.type)
        if kind in ("cut_unannounced", "big_unannounced"):
            self.send_header("Connection", "close")
        elif kind == "cut_chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(end - begin))
        if body.etag:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Last-Modified", body.modified)
            self.send_header("ETag", body.etag)
        if body.encoding:
            self.send_header("Content-Encoding", body.encoding)
        if partial:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{body.size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self._write(body, begin, end, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _write(self, body: Body, begin: int, end: int, fault: Fault | None) -> None:
        """Send the bytes from `begin` to `end` as far as the fault lets them through."""
        kind = fault.kind if fault else ""
        half = begin + (end - begin) // 2
        if kind == "reset" or kind.startswith("cut"):
            end = half
            self.close_connection = True
        elif kind == "longer":
            end += JUNK
            self.close_connection = True
        if fault and kind == "stall_body":
            for piece in body.read(begin, half):
                self.wfile.write(piece)
            self.server.pause(fault.seconds)
            begin = half
        for piece in body.read(begin, end):
            if kind == "cut_chunked":
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif fault and kind == "trickle":
                for at in range(0, len(piece), _TRICKLE):
                    self.wfile.write(piece[at : at + _TRICKLE])
                    self.server.pause(fault.seconds)
            else:
                self.wfile.write(piece)
        if kind == "reset":
            # Linger 0 makes close() send a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)

    def _range(self, body: Body) -> tuple[int, int]:
        """Return begin and end of a valid `Range: bytes=N-` or `N-M`, else of all bytes."""
        if not body.etag:
            return 0, body.size
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        match = _RANGE.fullmatch(wanted)
        known = body.etag, body.modified
        if not match or self.headers.get("If-Range", body.etag) not in known:
            return 0, body.size
        begin = int(match[1])
        return begin, min(body.size, int(match[2]) + 1) if match[2] else body.size

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
    """Return the arguments of a form. As in JSOC's wrapper, `=` may be URL-encoded."""
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


_REPAIRED = _error(200, "We are sorry, the archive is being repaired")
