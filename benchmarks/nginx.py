"""nginx on this machine, serving a folder with and without a limit for each connection."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# MiB/s; what JSOC gives a connection on a good day.
LIMIT = 20
_PATIENCE = 10.0
# A worker of root's would run as nobody, who may not read a temporary folder. In small pieces, the
# limit holds from the first byte of a file to its last.
_CONF = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    sendfile_max_chunk 128k;
    keepalive_requests 100000;
    types {{ application/fits fits; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    root {root};
    server {{ listen 127.0.0.1:{limited}; limit_rate {limit}m; }}
    server {{ listen 127.0.0.1:{unlimited}; }}
}}
"""


def needed(program: str, package: str) -> str:
    """The path of a program; ends the script with the Debian package where it is missing."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or sys.exit(f"{program} is missing: apt-get install {package}")


@contextmanager
def nginx(root: Path) -> Iterator[dict[str, str]]:
    """Serve `root` while the block runs; the base URLs `limited` and `unlimited`."""
    program = needed("nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        ports = dict(zip(("limited", "unlimited"), _free_ports(2), strict=True))
        user = "user root;" if os.geteuid() == 0 else ""
        conf = _CONF.format(folder=folder, root=root.resolve(), user=user, limit=LIMIT, **ports)
        (Path(folder) / "nginx.conf").write_text(conf)
        errors = Path(folder) / "error.log"
        server = subprocess.Popen([program, "-e", errors, "-p", folder, "-c", "nginx.conf"])
        try:
            _wait_for(server, ports["unlimited"], errors)
            yield {rate: f"http://127.0.0.1:{port}" for rate, port in ports.items()}
        finally:
            server.terminate()
            server.wait()


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(server: subprocess.Popen[bytes], port: int, errors: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    text = errors.read_text() if errors.exists() else ""
    sys.exit(f"nginx did not start:\n{text}")
