"""Time from a CSV to the labelled set of one flare, by each source and by what people do today.

The archive is as slow as JSOC over a distant line (`slow.py`), but it makes exports at once. What
JSOC would need for that is computed from the number of exported files, and is a column of its own.

- direct, export, page: the workflow, which fetches what it draws, over 2 connections, verified.
  The page is that of an export of the whole window, which the user has made by hand.
- notebook: an export of the whole window by hand, then a loop over all its links.
- drms: `Client.export` of the whole window and `download`.
- query: `drms.Client.query`, then a loop over the stored files of the wanted images alone: no
  header, no check.

Run: .venv/bin/python benchmarks/sources.py [--drawn 115] [--ways direct,export]
The window has five times as many images as are drawn, like that of the flare of 2014-01-07.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flare import MadeFlare
from notebook import fetch_all, run_workflow, split_and_draw
from slow import LATENCY, RATE, slow_archive

from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import SERIES

EMAIL = "rehearsal@example.org"
CONNECTIONS = 2
# Files a second that JSOC exports: 15,456 files in 25 hours (soho-ml-data-ready, README).
STAGED = 0.17


class Way(NamedTuple):
    """How a labelled set came about: exported and fetched files, bytes, drawn images, seconds."""

    exported: int
    fetched: int
    bytes: int
    drawn: int
    seconds: float
    connections: int


def main() -> None:
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drawn", type=int, default=115, help="images that are drawn, about")
    parser.add_argument("--frame-size", type=int, default=4096, help="smaller: to try it out")
    parser.add_argument("--ways", default=",".join(WAYS), help="default: %(default)s")
    parser.add_argument("--target", type=Path, default=temporary, help="where they are fetched to")
    args = parser.parse_args()

    flare = MadeFlare(5 * args.drawn)
    print(
        f"{RATE / 1e6:.0f} MB/s a connection, {LATENCY} s a call, {STAGED} exported files a second"
    )
    print("| way | exported | fetched | GB | drawn | seconds | of the bytes' time | with staging |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in args.ways.split(","):
        with (
            slow_archive(args.frame_size, flare.records) as (files, cgi),
            tempfile.TemporaryDirectory(prefix="sources-", dir=args.target) as folder,
        ):
            way = WAYS[name](flare, Path(folder), files, cgi)
        least = way.bytes / RATE / way.connections
        cells = [
            name, way.exported, way.fetched, f"{way.bytes / 1e9:.2f}", way.drawn,
            f"{way.seconds:.0f}", f"{way.seconds / least:.2f}",
            f"{way.seconds + way.exported / STAGED:.0f}",
        ]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def workflow(source: str) -> Callable[[MadeFlare, Path, str, str], Way]:
    """Return the way of the workflow with a source."""

    def run(flare: MadeFlare, folder: Path, files: str, cgi: str) -> Way:
        archive = {"data_url": files, "cgi_url": cgi, "connections": CONNECTIONS, "email": EMAIL}
        config = {**flare.campaign(folder, archive), "source": source}
        seconds, drawn, sizes = run_workflow(folder, config)
        exported = {"direct": 0, "export": len(sizes), "page": flare.images}[source]
        return Way(exported, len(sizes), sum(sizes), drawn, seconds, CONNECTIONS)

    return run


def by_notebook(flare: MadeFlare, folder: Path, files: str, _cgi: str) -> Way:
    """Fetch all images of the window one after the other, split them by time, and draw."""
    return _drawn(flare, folder, fetch_all(flare, files, folder), exported=flare.images)


def by_drms(flare: MadeFlare, folder: Path, files: str, cgi: str) -> Way:
    """Export the whole window by drms, let it download all, split the files by time, and draw."""
    begun = time.perf_counter()
    client = _client(files, cgi)
    request = client.export(
        f"{_window(flare)}{{image}}", email=EMAIL, method="url", protocol="fits",
        filenamefmt="{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}",
    )  # fmt: skip
    request.wait(sleep=1)
    request.download(folder)
    return _drawn(flare, folder, time.perf_counter() - begun, exported=flare.images)


def by_query(flare: MadeFlare, folder: Path, files: str, cgi: str) -> Way:
    """Ask by drms for records and paths, and fetch the stored file of every fifth record."""
    import requests

    begun = time.perf_counter()
    _, segments = _client(files, cgi).query(
        _window(flare), key="T_REC,T_OBS,QUALITY,EXPTIME", seg="image"
    )
    paths = [path for path in segments["image"] if path.startswith("/SUM")][::5]
    for number, path in enumerate(paths):
        answer = requests.get(files + path, timeout=60)
        answer.raise_for_status()
        (folder / f"{number}.fits").write_bytes(answer.content)
    seconds = time.perf_counter() - begun
    sizes = [path.stat().st_size for path in folder.glob("*.fits")]
    return Way(0, len(sizes), sum(sizes), len(sizes), seconds, 1)


def _drawn(flare: MadeFlare, folder: Path, seconds: float, exported: int) -> Way:
    """Return the way of those who fetch the whole window, after their split and draw."""
    sizes = [path.stat().st_size for path in folder.glob("*.fits")]
    begun = time.perf_counter()
    drawn = split_and_draw(flare, folder)
    seconds += time.perf_counter() - begun
    return Way(exported, len(sizes), sum(sizes), drawn, seconds, 1)


def _client(files: str, cgi: str) -> object:
    import drms
    from drms.config import ServerConfig

    # A line for each file would drown the table.
    logging.getLogger("drms").setLevel(logging.WARNING)

    server = ServerConfig(
        name="slow", cgi_baseurl=cgi, cgi_show_series="show_series", cgi_jsoc_info="jsoc_info",
        cgi_jsoc_fetch="jsoc_fetch", cgi_check_address="checkAddress.sh",
        http_download_baseurl=f"{files}/",
    )  # fmt: skip
    return drms.Client(server=server)


def _window(flare: MadeFlare) -> str:
    begin, _, _, end = flare.times
    series = SERIES["aia.lev1_euv_12s"]
    return str(window_recordset(series, begin, end, [flare.records[0].wavelength])).partition("{")[
        0
    ]


WAYS: dict[str, Callable[[MadeFlare, Path, str, str], Way]] = {
    "direct": workflow("direct"),
    "export": workflow("export"),
    "page": workflow("page"),
    "notebook": by_notebook,
    "drms": by_drms,
    "query": by_query,
}

if __name__ == "__main__":
    main()
