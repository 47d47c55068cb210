"""A downloader against a stand-in. Its clock advances only when it sleeps."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from flareset.archive.connections import Connections
from flareset.archive.transfer import Transfer
from flareset.download import Acquisition, Delivered, Downloader, manifest_of
from flareset.job import Job
from flareset.sdo.recordset import window_recordset
from flareset.sources.links import Listed
from flareset.standin import catalogue
from flareset.standin.server import StandIn
from flareset.store.store import Store
from flareset.system.progress import Progress
from flareset.tables.rows import Row
from support.factories import EUV, HOSTS, SHORT, a_job, rejecting
from support.rows import frame


def connected(url: str, folder: Path, **options: Any) -> Connections:
    """Return two connections to a server. Processes with the same `folder` share them."""
    usual = {"most": 2, "patience": 1.0, "folder": folder}
    return Connections(url, **{**usual, **options})


@cache
def listed(frame_size: int) -> Job:
    """Return the job of a short flare with a saved page, listed and drawn."""
    recordset = window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131])
    return a_job(catalogue.listing_page(catalogue.export(str(recordset), frame_size)), SHORT)


def inside(job: Job) -> list[Row]:
    """Return the links of a job's images within its window."""
    within = {row["record"] for row in job.candidates if row["verdict"] != "outside"}
    return [row for row in job.listing if row["segment"] == "image" and row["record"] in within]


class Bench:
    """A downloader, its store and images, against one stand-in."""

    def __init__(
        self,
        server: StandIn,
        folder: Path,
        *,
        patience: float = 600.0,
        shared: bool = False,
        outage: float = math.inf,
        **limits: object,
    ) -> None:
        self.server = server
        self.outage = outage
        self.images = inside(listed(server.frame_size))
        self.store = Store(folder, "test", EUV.name)
        self.waited: list[float] = []
        self.arrived: list[int] = []
        self.connections = connected(
            server.url,
            folder.parent / "meet",
            patience=patience,
            clock=lambda: 1e9 + sum(self.waited),
            sleep=self.sleep,
        )
        self.archive = Transfer(
            server.url,
            HOSTS,
            connections=self.connections,
            sleep=self.sleep,
            arrived=self.arrived.append,
            **{"max_file_size": 10**7, **limits},
        )
        self.downloader = Downloader(
            self.archive,
            self.store,
            delivered=Delivered(EUV, "image", shared=shared),
            rules=rejecting(),
        )

    def sleep(self, seconds: float) -> None:
        """Advance the clock. After an `outage` (s) the server has no more faults."""
        self.waited.append(seconds)
        if sum(self.waited) >= self.outage:
            self.server.faults.clear()

    def fetch(self, count: int = 4) -> pd.DataFrame:
        """Fetch so many images, and return the manifest."""
        return frame(manifest_of(self.downloader.fetch(self.images[:count])))

    def draw(self, job: Job, most: dict[str, int], terminal: TextIO | None = None) -> Acquisition:
        """Bring the files that a draw needs, from the job's page; a terminal shows each step."""
        source = Listed(job.listing, "the page")
        progress = Progress("test", [terminal] if terminal else [], rarely=0)
        acquisition = Acquisition(self.downloader, source, progress, ask_least=False)
        acquisition.draw(job, most)
        return acquisition

    def stored(self) -> list[Path]:
        return sorted(self.store.root.rglob("*.fits"))

    def ranges(self) -> list[str]:
        return [text for text in self.server.ranges if text]

    def requests(self, name: str) -> int:
        return sum(n for path, n in self.server.log.items() if path.endswith(name))

    def leftovers(self) -> list[Path]:
        return [p for p in self.store.root.rglob("*.part*") if p.is_file()]
