"""One event and channel: the tables that the stages `list` and `draw` have written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flareset.campaign.events import Event, read_event
from flareset.candidates import ACCEPTED, REJECTED, read_candidates
from flareset.sdo.series import Series
from flareset.tables.listing import ExportFacts, read_facts, read_listing
from flareset.tables.records import read_records
from flareset.tables.rows import Row


@dataclass(frozen=True)
class Job:
    """The tables of one event and channel: its records, known links, export and candidates."""

    event: Event
    wavelength: int
    series: Series
    segment: str
    records: list[Row]
    listing: list[Row]
    facts: ExportFacts
    candidates: list[Row]

    @cached_property
    def filenames(self) -> dict[str, str]:
        """The file of each record that is listed. Of several files, it is the first."""
        return {row["record"]: row["filename"] for row in reversed(self.listing)}

    @property
    def with_image(self) -> list[Row]:
        """The records that have an image."""
        return [row for row in self.records if not row["status"]]

    @property
    def inside(self) -> list[Row]:
        """The candidates that have an image within the event's window, rejected ones too."""
        return [row for row in self.candidates if row["verdict"] in (ACCEPTED, REJECTED)]

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
