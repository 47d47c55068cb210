"""What a campaign will ask for and download, before anything is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from flareset.campaign import environment
from flareset.campaign.events import Event, read_event
from flareset.campaign.pages import SavedPages
from flareset.campaign.settings import PlanSettings, Settings
from flareset.candidates import Rules
from flareset.draw import draw
from flareset.job import Job
from flareset.listing import Where, find
from flareset.sdo.processing import parse_process, size_ratio
from flareset.sources.query import Query
from flareset.system.progress import clock_text
from flareset.tables.rows import Row, of_records, records_in

_SIZES = ["GB", "GB_asked"]
_COUNTS = ["requests", "records", "images", "needed", "in_store", *_SIZES, "lacking"]


def look_up(
    event: Event,
    wavelengths: list[int],
    source: str,
    settings: PlanSettings,
    where: Where,
    *,
    accept: bool,
) -> list[Job]:
    """Return the jobs of an event as the stages `list` and `draw` would leave them.

    `accept` takes its pages as they are. Raises ListingError and ExportError.
    """
    pages = SavedPages(where.pages)
    every = environment.wavelengths() or wavelengths
    found = {
        wavelength: find(
            Query.of(event, wavelength, every, settings),
            source,
            where,
            page=pages.find(event, wavelength),
            accept=accept,
        )
        for wavelength in wavelengths
    }
    sample = settings.sample
    candidates = draw(
        [each.records for each in found.values()],
        event,
        Rules(settings.quality, settings.exposure, settings.other_flares, settings.guard),
        seed=sample.seed,
        channels=sample.channels,
    )
    series, segment = settings.image_series, settings.segment
    return [
        Job(event, wavelength, series, segment, each.records, each.listing, each.facts, of_channel)
        for wavelength, each in found.items()
        for of_channel in [[row for row in candidates if row["wavelength"] == wavelength]]
    ]


def needed_records(job: Job, chosen: list[Row] | None) -> list[Row]:
    """Return the records whose files will be wanted; `chosen` None wants all of the window."""
    if job.facts.pictured:
        return job.with_image
    wanted = job.inside if chosen is None else chosen
    return of_records(job.with_image, set(records_in(wanted)))


def plan_row(job: Job, needed: int, lacking: int, kept: int, requests: int) -> dict[str, Any]:
    """Return a row of the plan for one event and channel.

    Of the `needed` images, the store has `kept`. The others still take so many `requests`. The
    draw wants `lacking` more than there are.
    """
    gigabytes = (needed - kept) * _bytes_of(job) / 1e9
    return {
        "event_id": job.event.event_id,
        "wavelength": job.wavelength,
        "requests": requests,
        "records": len(job.records),
        "images": len(job.inside),
        "needed": needed,
        "in_store": kept,
        "GB": gigabytes,
        "GB_asked": gigabytes if requests else 0.0,
        "lacking": lacking,
    }


def _bytes_of(job: Job) -> float:
    """Return the expected size of an image of a job (bytes)."""
    facts = job.facts
    if facts.megabytes and facts.count:
        # The export's size is that of all its files; spikes weigh next to nothing.
        images = max(1, round(facts.count * len(job.records) / max(1, len(job.listing))))
        return facts.megabytes * 1e6 / images
    ratio = size_ratio(parse_process(facts.process)[1], job.series)
    return sum(row["bytes"] for row in job.records) / max(1, len(job.records)) * ratio


def plan_table(rows: list[dict[str, Any]], rate: float) -> pd.DataFrame:
    """Return a row per event and wavelength and a TOTAL row.

    `requests` to be made, `records` that the archive has, `images` in the window, `needed` for the
    data set, `in_store` of those, `GB` to fetch (10^9 bytes), `GB_asked` that JSOC has to export
    for that, `lacking` that the draw wants and nobody has, and the `time` of the download at so
    many bytes a second.
    """
    counts = {name: sum(row[name] for row in rows) for name in _COUNTS}
    total = {"event_id": "TOTAL", "wavelength": "", **counts}
    table = pd.DataFrame([*rows, total], columns=["event_id", "wavelength", *_COUNTS])
    table["time"] = [clock_text(gigabytes * 1e9 / rate) for gigabytes in table["GB"]]
    return table.astype({name: int for name in _COUNTS if name not in _SIZES})


def pages_wanted(jobs: list[str], events: Path, settings: Settings, folder: str) -> pd.DataFrame:
    """Return the exports to ask JSOC for where no page is saved: a row per event and channel.

    `jobs` are `<event_id>/<wavelength>`, `events` the folder of their event.json, `folder` where
    pages are saved. `process` are the steps to choose on JSOC's form.
    """
    rows = []
    for job in jobs:
        event_id, wavelength = job.split("/")
        event = read_event(events / event_id / "event.json")
        query = Query.of(event, int(wavelength), [int(wavelength)], settings)
        steps = ", ".join(step.name for step in query.processing) or "none"
        page = f"{folder}/{event_id}.{wavelength}.html"
        rows.append((event_id, query.recordset, steps, page))
    columns = ["event_id", "recordset", "processing", "save the listing as"]
    return pd.DataFrame(rows, columns=columns)
