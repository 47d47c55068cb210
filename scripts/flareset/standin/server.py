"""The stand-in over HTTP, as a thread of the process that needs it or as a server by hand."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from flareset.errors import FlaresetError
from flareset.events import Flare
from flareset.standin import catalogue
from flareset.standin.frames import Frame, Frames, frame_name

_FILE = re.compile(r"/SUM\d+/D\d+/S\d+/[^/]+")
_FOLDER = re.compile(r"/SUM\d+/D\d+/S\d+/?")
_MODIFIED = formatdate(1735689600, usegmt=True)
FAULTS = ("status", "cut", "empty", "html", "flip", "other", "reset", "stall")


@dataclass
class Fault:
    """A fault for file names that match `pattern`, the first `times` requests of each.

    `kind` is one of FAULTS: `status` (answers `code`), `cut` (half the bytes, full
    Content-Length), `empty`, `html` (a page with status 200), `flip` (one byte of the data),
    `other` (the image of another record), `reset` in mid-file, `stall` for `seconds` first.
    """

    kind: str
    pattern: str = ""
    times: int = 10**9
    code: int = 503
    seconds: float = 1.0


class StandIn(ThreadingHTTPServer):
    """The server; `log` counts the requests for each path, `most_at_once` the simultaneous ones,
    and `ranges` has the Range header of every request for a file, empty where there was none."""

    daemon_threads = True

    def __init__(
        self,
        *,
        port: int = 0,
        frame_size: int = 256,
        flares: list[Flare] | None = None,
        faults: list[Fault] | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.frame_size = frame_size
        self.frames = Frames(frame_size, flares or [])
        self.faults = faults or []
        self.verbose = verbose
        self.log: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.pages: dict[str, str] = {}
        self.most_at_once = 0
        self.lock = threading.Lock()
        self._at_once = 0

    @property
    def url(self) -> str:
        """The base URL, to be used as `archive.data_url`."""
        return f"http://127.0.0.1:{self.server_port}"

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

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        path = unquote(target.path)
        with self.server.counted(path) as before:
            if _FILE.fullmatch(path):
                self._file(frame_name(path), before)
            elif _FOLDER.fullmatch(path) and path.rstrip("/") in self.server.pages:
                self._text(200, self.server.pages[path.rstrip("/")])
            elif path == "/export":
                self._export(parse_qs(target.query).get("ds", [""])[0])
            elif path == "/":
                self._text(200, _FRONT)
            else:
                self._text(404, _error(404, "Not Found"))

    def _export(self, recordset: str) -> None:
        try:
            self._text(200, self.server.page(recordset))
        except (FlaresetError, ValueError) as error:
            self._text(400, _error(400, str(error)))

    def _file(self, name: str, before: int) -> None:
        frame = Frame.of(name)
        if frame is None:
            self._text(404, _error(404, "Not Found"))
            return
        fault = next(
            (f for f in self.server.faults if before < f.times and re.search(f.pattern, name)), None
        )
        if fault and fault.kind == "other":
            second = frame.time.replace(second=(frame.time.second + 24) % 60)
            frame = Frame(frame.name, frame.series, frame.wavelength, frame.segment, second)
        if fault and fault.kind == "status":
            self._text(fault.code, _error(fault.code, "the stand-in was told to fail"))
        elif fault and fault.kind == "html":
            self._text(200, _error(200, "We are sorry, the archive is being repaired"))
        else:
            if fault and fault.kind == "stall":
                time.sleep(fault.seconds)
            self._send(self.server.frames.file(frame), f'"{name}"', fault.kind if fault else "")

    def _send(self, pieces: list[bytes], etag: str, fault: str) -> None:
        if fault == "flip":
            data = bytearray(pieces[-1])
            data[len(data) // 2] ^= 0x10
            pieces = [*pieces[:-1], bytes(data)]
        if fault == "empty":
            pieces = []
        size = sum(len(piece) for piece in pieces)
        begin = self._range_start(etag)
        if begin and begin >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", "application/fits")
        self.send_header("Content-Length", str(size - begin))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", _MODIFIED)
        self.send_header("ETag", etag)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            if fault in ("cut", "reset"):
                self._send_half(b"".join(pieces), fault)
                return
            for piece in pieces:
                if begin < len(piece):
                    self.wfile.write(memoryview(piece)[begin:])
                begin = max(0, begin - len(piece))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send_half(self, whole: bytes, fault: str) -> None:
        self.wfile.write(whole[: len(whole) // 2])
        self.wfile.flush()
        self.close_connection = True
        if fault == "reset":
            # Linger 0 makes close() send a reset instead of an orderly end.
            linger = b"\1\0\0\0\0\0\0\0"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _range_start(self, etag: str) -> int:
        """The first byte of a `Range: bytes=N-` that still holds, else 0."""
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        if not match or self.headers.get("If-Range", etag) not in (etag, _MODIFIED):
            return 0
        return int(match[1])

    def _text(self, status: int, text: str) -> None:
        body = text.encode("latin-1", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        if self.server.verbose:
            super().log_message(format, *args)


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
