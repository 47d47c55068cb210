"""Saved export pages: find them and read their text.

Imports nothing heavy: every job that Snakemake starts looks for pages.
"""

from __future__ import annotations

import os
from pathlib import Path

from flareset.campaign.events import Event
from flareset.errors import ListingError
from flareset.sdo.times import iso

_LARGEST = 20_000_000


class SavedPages:
    """The pages in a folder. The folder is listed once: a campaign has thousands of jobs."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        found = os.scandir(folder) if os.path.isdir(folder) else ()
        self._names = {entry.name for entry in found if entry.is_file()}

    def find(self, event: Event, wavelength: int) -> Path | None:
        """Return the path of an event's saved page; None if there is none.

        Its name is the event's id or the flare's date, with or without the wavelength.
        """
        date = event.flare_start.strftime("%Y-%m-%d")
        for stem in (event.event_id, date):
            for name in (f"{stem}.{wavelength}.html", f"{stem}.html"):
                if name in self._names:
                    return self.folder / name
        return None


def missing_page(folder: str | Path, event: Event, wavelength: int) -> ListingError:
    """Return the error for an event without a saved page: what to export, where to save it."""
    date = event.flare_start.strftime("%Y-%m-%d")
    return ListingError(
        f"{folder}: no saved export page for event {event.event_id}; looked for"
        f" {event.event_id}.html and {date}.html. Export the window {iso(event.window_start)} to"
        f" {iso(event.window_end)} at {wavelength} on JSOC's page and save the listing there."
    )


def page_text(path: str | Path) -> str:
    """Return the text of a saved page, in UTF-8 or Latin-1. JSOC's pages may be either.

    Raises ListingError if the file is larger than any page.
    """
    size = Path(path).stat().st_size
    if size > _LARGEST:
        raise ListingError(
            f"{path}: {size / 1e6:.0f} MB is more than a page of JSOC has"
            f" ({_LARGEST / 1e6:.0f} MB, some 60000 files): save only the page's source"
        )
    raw = Path(path).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
