"""One event and channel: the tables that the stages `list` and `draw` have written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flareset.campaign.events import Event, read_event
from flareset.candidates import read_candidates
from flareset.sdo.series import Series
from flareset.tables.listing import ExportFacts, read_facts, read_listing
from flareset.tables.records import read_records


@dataclass(frozen=True)
class Job:
    """The tables of one event and channel: its records, known links, export and candidates."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    records: pd.DataFrame
    listing: pd.DataFrame
    facts: ExportFacts
    candidates: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, series: Series, segment: str) -> Job:
        """Return the job in a folder `<event_id>/<wavelength>`.

        The event's event.json and candidates.csv lie in the folder above.
        """
        wavelength = int(folder.name)
        return cls(
            read_event(folder.parent / "event.json"),
            wavelength,
            series,
            segment,
            read_records(folder / "records.csv"),
            read_listing(folder / "listing.csv"),
            read_facts(folder / "export.json"),
            read_candidates(folder.parent / "candidates.csv", wavelength),
        )
