"""Redirects, as no stand-in of JSOC sends them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.bench import connected

from flareset.archive.transfer import Transfer
from flareset.errors import TransferError
from flareset.proof.check import AtEnd


def CONTENT(_: Path) -> AtEnd[bytes]:
    return AtEnd(Path.read_bytes)


def content(_: Path) -> AtEnd[bytes]:
    return AtEnd(Path.read_bytes)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_port
        goals = {
            "/loop": "/loop",
            "/file": "file:///etc/passwd",
            "/other": "http://evil.example/x.fits",
            "/here": f"http://127.0.0.1:{port}/there",
            "/there": None,
            "/port": f"http://127.0.0.1:{port + 1}/x.fits",
        }
        goal = goals[self.path]
        self.send_response(302 if goal else 200)
        if goal:
            self.send_header("Location", goal)
        self.send_header("Content-Length", "0" if goal else "5")
        self.end_headers()
        if not goal:
            self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Transfer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    connections = connected(url, tmp_path / "meet")
    yield Transfer(url, ["jsoc1.stanford.edu"], connections=connections, max_file_size=100)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/loop", "more than 5 redirects"),
        ("/file", "redirects to file:///etc/passwd, which is not in archive.hosts"),
        ("/other", "redirects to http://evil.example/x.fits"),
        ("/port", "which is not in archive.hosts"),
    ],
)
def test_refused(archive: Transfer, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(TransferError, match=message):
        archive.fetch(f"https://jsoc1.stanford.edu{path}", tmp_path / "part", content)


def test_followed_on_the_same_server(archive: Transfer, tmp_path: Path) -> None:
    got = archive.fetch("https://jsoc1.stanford.edu/here", tmp_path / "part", content)
    assert got.found == b"hello"
    assert got.tries == 1
