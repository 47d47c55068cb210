"""One event and wavelength: what was listed of it, and who works on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from flareset.campaign.events import Event, read_event
from flareset.partition import partition
from flareset.sdo.series import Series
from flareset.tables.listing import MOVIE, PICTURE, PageFacts, images_of, read_facts, read_listing
from flareset.tables.records import read_records


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
    def read(cls, folder: Path, series: Series, segment: str) -> Job:
        """The job of a folder `<event_id>/<wavelength>`, its event.json beside it."""
        return cls(
            read_event(folder.parent / "event.json"),
            int(folder.name),
            series,
            segment,
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
