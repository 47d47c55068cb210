"""What a campaign will download: records, images and bytes, before anything is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from flareset.events import read_event
from flareset.listing import images_of, read_facts, read_listing
from flareset.partition import OUTSIDE, partition
from flareset.sample import Quota, choose, draw
from flareset.recordset import window_recordset
from flareset.series import SERIES
from flareset.store import Store, archive_name


def plan_table(
    listings: list[Path], store: Path, settings: dict[str, Any], archive: dict[str, Any]
) -> pd.DataFrame:
    """A row per event and wavelength and a TOTAL row.

    `records` on the page, `images` in the window, `needed` for the data set, `in_store` of those,
    and `GB` to download (10^9 bytes, from the page's own size). A listing lies at
    `<event_id>/<wavelength>/listing.csv`, its facts and event.json beside and above it.
    """
    quota = Quota(**settings["quota"])
    rows = []
    for path in listings:
        event = read_event(path.parent.parent / "event.json")
        shelf = Store(store, archive_name(archive, event), settings["series"])
        wavelength = int(path.parent.name)
        listing, facts = read_listing(path), read_facts(path.with_name("page.json"))
        images = partition(images_of(listing, settings["segment"]), event)
        inside = images[images["phase"] != OUTSIDE]
        needed = inside
        if settings["fetch"] == "sampled":
            candidates = draw(images, event.event_id, wavelength, quota)
            everything = pd.Series(True, index=candidates.index)
            needed = choose(candidates, everything, quota)
        have = sum(
            shelf.facts(shelf.path_of(row.wavelength, row.filename, row.t_rec), row.record)
            is not None
            for row in needed.itertuples()
        )
        files = max(1, round(facts.rows * len(images) / max(1, len(listing))))
        rows.append(
            {
                "event_id": event.event_id,
                "wavelength": wavelength,
                "records": listing["record"].nunique(),
                "images": len(inside),
                "needed": len(needed),
                "in_store": have,
                # The page's size is that of all its files; spikes weigh next to nothing.
                "GB": (len(needed) - have) * facts.megabytes / files / 1000,
            }
        )
    counts = ["records", "images", "needed", "in_store", "GB"]
    table = pd.DataFrame(rows, columns=["event_id", "wavelength", *counts])
    table.loc[len(table)] = {"event_id": "TOTAL", "wavelength": "", **table[counts].sum()}
    return table.astype(dict.fromkeys(counts[:-1], int))


def pages_wanted(jobs: list[str], events: Path, series: str, folder: str) -> pd.DataFrame:
    """The exports to ask JSOC for where no page is saved: a row per event, with the recordset.

    `jobs` are `<event_id>/<wavelength>`, `events` the folder of their event.json, `folder` where
    pages are saved.
    """
    wavelengths: dict[str, list[int]] = {}
    for job in jobs:
        event_id, wavelength = job.split("/")
        wavelengths.setdefault(event_id, []).append(int(wavelength))
    rows = []
    for event_id, asked in wavelengths.items():
        event = read_event(events / event_id / "event.json")
        wanted = str(window_recordset(SERIES[series], event.window_start, event.window_end, asked))
        rows.append((event_id, f"{wanted}{{image}}", f"{folder}/{event_id}.html"))
    return pd.DataFrame(rows, columns=["event_id", "recordset", "save the listing as"])
