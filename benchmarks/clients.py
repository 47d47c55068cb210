"""Two other ways to fetch a list of URLs into a folder: parfive, and the notebook's loop.

Run: python clients.py parfive|requests URLS FOLDER CONNECTIONS
"""

from __future__ import annotations

import sys
from pathlib import Path


def by_parfive(urls: list[str], folder: Path, connections: int) -> None:
    """As sunpy's Fido fetches, with one connection for each file."""
    from parfive import Downloader

    downloader = Downloader(max_conn=connections, max_splits=1, progress=False)
    for url in urls:
        downloader.enqueue_file(url, path=folder)
    results = downloader.download()
    if results.errors:
        sys.exit(f"{len(results.errors)} errors, the first: {results.errors[0]}")


def by_requests(urls: list[str], folder: Path, connections: int) -> None:  # noqa: ARG001 - one
    """One file after the other, each over a connection of its own, as the notebook does."""
    import requests

    for url in urls:
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
        (folder / url.rpartition("/")[2]).write_bytes(answer.content)


if __name__ == "__main__":
    way = {"parfive": by_parfive, "requests": by_requests}[sys.argv[1]]
    way(Path(sys.argv[2]).read_text().split(), Path(sys.argv[3]), int(sys.argv[4]))
