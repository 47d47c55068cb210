"""What a campaign will ask for and download, before anything is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from flareset.campaign.config import Draw
from flareset.campaign.events import read_event
from flareset.campaign.settings import PlanSettings
from flareset.download import store_of
from flareset.job import Job
from flareset.partition import OUTSIDE, partition
from flareset.sample import Quota, choose, draw
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import Series
from flareset.sources.planning import Plan
from flareset.sources.records import observed_second

_COUNTS = ["requests", "records", "images", "needed", "in_store", "GB"]


def listed_row(job: Job, store: Path, settings: PlanSettings) -> dict[str, Any]:
    """Return a row of the plan for a job that is listed: nothing more is asked for."""
    shelf = store_of(job, store, settings.archive_of(job.event))
    inside, needed = _needed(job.images, job.event.event_id, job.wavelength, settings.fetched)
    have = sum(
        shelf.facts(shelf.path_of(row.wavelength, row.filename, row.t_rec), row.record) is not None
        for row in pd.concat([needed, job.products]).itertuples()
    )
    facts = job.facts
    # The export's size is that of all its files; spikes weigh next to nothing.
    files = max(1, round(facts.rows * len(job.images) / max(1, len(job.listing))))
    return {
        "event_id": job.event.event_id,
        "wavelength": job.wavelength,
        "requests": 0,
        "records": len(job.records) or job.listing["record"].nunique(),
        "images": len(inside),
        "needed": len(needed) + len(job.products),
        "in_store": have,
        "GB": (len(needed) + len(job.products) - have) * facts.megabytes / files / 1000,
    }


def export_row(plan: Plan, requests: int, settings: PlanSettings) -> dict[str, Any]:
    """A row of the plan for a job whose export takes so many requests still."""
    wish = plan.wish
    records = plan.records[plan.records["status"] == ""]
    times = records["t_obs"].fillna(records["t_rec"]).map(observed_second)
    images = pd.DataFrame(
        {"record": records["record"], "filename": records["record"], "time": times}
    )
    images = partition(images.reset_index(drop=True), wish.event)
    inside, needed = _needed(images, wish.event.event_id, wish.wavelength, settings.fetched)
    kind = kind_of_protocol(wish.protocol)
    if kind == "jpg":
        needed = records
    elif kind in ("mpg", "mp4"):
        needed = records.head(1)
    return {
        "event_id": wish.event.event_id,
        "wavelength": wish.wavelength,
        "requests": requests,
        "records": len(plan.records),
        "images": len(inside),
        "needed": len(needed),
        "in_store": 0,
        "GB": len(needed) / max(1, len(records)) * plan.megabytes / 1000,
    }


def _needed(
    images: pd.DataFrame, event_id: str, wavelength: int, fetched: Draw | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images in the window, and those of them that are to be fetched."""
    inside = images[images["phase"] != OUTSIDE]
    if fetched is None:
        return inside, inside
    quota = Quota.of(fetched.model_dump())
    candidates = draw(images, event_id, wavelength, quota)
    return inside, choose(candidates, pd.Series(True, index=candidates.index), quota)


def plan_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row per event and wavelength and a TOTAL row.

    `requests` to be made, `records` in the export, `images` in the window, `needed` for the data
    set, `in_store` of those, and `GB` to download (10^9 bytes).
    """
    counts = {name: sum(row[name] for row in rows) for name in _COUNTS}
    total = {"event_id": "TOTAL", "wavelength": "", **counts}
    table = pd.DataFrame([*rows, total], columns=["event_id", "wavelength", *_COUNTS])
    return table.astype(dict.fromkeys(_COUNTS[:-1], int))


def pages_wanted(jobs: list[str], events: Path, series: Series, folder: str) -> pd.DataFrame:
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
        wanted = str(window_recordset(series, event.window_start, event.window_end, asked))
        rows.append((event_id, f"{wanted}{{image}}", f"{folder}/{event_id}.html"))
    return pd.DataFrame(rows, columns=["event_id", "recordset", "save the listing as"])
