"""One event and wavelength: what was listed of it, and who works on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from flareset.events import Event, read_event
from flareset.lease import held
from flareset.listing import MOVIE, PICTURE, PageFacts, images_of, read_facts, read_listing
from flareset.partition import partition
from flareset.records import read_records
from flareset.run import tried_once
from flareset.series import SERIES, Series
from flareset.store import Store, shelf

# Snakemake removes what a job that failed has left, a moment after its script ended (s).
_CLEARED = 5.0


@dataclass(frozen=True)
class Job:
    """What the stage `list` left for one event and wavelength."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    listing: pd.DataFrame
    facts: PageFacts
    records: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, settings: dict[str, Any]) -> Job:
        """The job of a folder `<event_id>/<wavelength>`, its event.json beside it."""
        return cls(
            read_event(folder.parent / "event.json"),
            int(folder.name),
            SERIES[settings["series"]],
            settings["segment"],
            read_listing(folder / "listing.csv"),
            read_facts(folder / "page.json"),
            read_records(folder / "records.csv"),
        )

    @cached_property
    def images(self) -> pd.DataFrame:
        """The listed images, partitioned."""
        return partition(images_of(self.listing, self.segment), self.event)

    @property
    def products(self) -> pd.DataFrame:
        """The listed pictures and movies."""
        return self.listing[self.listing["segment"].isin([PICTURE, MOVIE])]

    def store(self, root: Path, archive_name: str) -> Store:
        """Where its files are kept."""
        return Store(root, archive_name, shelf(self.series.name, self.facts))


@contextmanager
def alone(
    folder: Path,
    say: Callable[[str], object] = print,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Hold a folder of results while the block writes there.

    A Snakemake that was killed leaves its jobs on the cluster, and the next one starts them anew:
    one waits for the other here, and then finds what that has done.
    """
    others: list[str] = []

    def waiting(holder: str) -> None:
        others.append(holder)
        say(f"waits for {holder}, which does the same (of a run that was killed?)")

    with held(folder / ".lock", waiting=waiting, sleep=sleep):
        if others:
            sleep(_CLEARED)
        with tried_once(folder / ".failed"):
            yield
