"""The ledger: what became of every slot and file of a window, with the reason."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from flareset.job import Job
from flareset.partition import OUTSIDE, phases_of
from flareset.sdo.recordset import Recordset, jsoc_time
from flareset.sdo.times import iso_column
from flareset.tables.csv import write_table
from flareset.tables.status import Status

COLUMNS = ["time", "record", "filename", "phase", "status", "reason", "tries", "bytes"]


def ledger(job: Job, manifest: pd.DataFrame, shortages: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row per listed image, record or slot without one, and bin that came short, in time order.

    `manifest` has what was tried of a job's files.
    """
    images = job.images
    parts = [
        _files(images, manifest),
        _products(job, manifest),
        _without_image(job, images),
        _not_exported(job),
        _without_record(job),
    ]
    if shortages is not None:
        parts.append(_short(shortages))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table = table.sort_values(["time", "record", "filename"], kind="stable", ignore_index=True)
    table["time"] = iso_column(table["time"].dt.floor("s"))
    if job.facts.accepted:
        note = f"accept_pages took the page as it is: {job.facts.accepted}"
        table["reason"] = [f"{reason}; {note}".removeprefix("; ") for reason in table["reason"]]
    return table.reindex(columns=COLUMNS)


def _files(images: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    tried = manifest[["record", "status", "reason", "tries", "bytes"]]
    table = images[["time", "record", "filename", "phase", "other_flare"]].merge(
        tried, how="left", on="record", validate="one_to_one"
    )
    outside = table["phase"] == OUTSIDE
    untried = table["status"].isna()
    table["status"] = np.where(outside, Status.OUTSIDE, table["status"].fillna(Status.NOT_NEEDED))
    reason = table["reason"].fillna("").astype(str).to_numpy(dtype=object)
    other = (table["other_flare"] != "").to_numpy()
    reason[other] = (
        "in the flare of event "
        + table["other_flare"][other]
        + np.where(reason[other], "; ", "")
        + reason[other]
    )
    reason[(untried & ~outside).to_numpy() & ~other] = "not drawn"
    reason[outside] = "outside the event's window"
    table["reason"] = reason
    return table.drop(columns="other_flare")


def _products(job: Job, manifest: pd.DataFrame) -> pd.DataFrame:
    """Pictures and movies."""
    tried = manifest[["filename", "status", "reason", "tries", "bytes"]]
    rows = job.products[["time", "record", "filename"]].merge(tried, how="left", on="filename")
    return rows.assign(phase="", reason=rows["reason"].fillna(""))


def _without_image(job: Job, images: pd.DataFrame) -> pd.DataFrame:
    """Records that are listed with other segments only."""
    others = job.listing[~job.listing["filename"].isin(job.products["filename"])]
    bare = others[~others["record"].isin(images["record"])].drop_duplicates("record")
    return pd.DataFrame(
        {
            "time": bare["time"],
            "record": bare["record"],
            "filename": "",
            "phase": phases_of(bare["time"], job.event),
            "status": Status.NO_IMAGE,
            "reason": "the record lists only " + bare["segment"],
        }
    )


def _not_exported(job: Job) -> pd.DataFrame:
    """Records that JSOC has and for which its export has no file."""
    bare = job.records[job.records["status"] != ""]
    times = bare["t_obs"].fillna(bare["t_rec"])
    return pd.DataFrame(
        {
            "time": times,
            "record": bare["record"],
            "filename": "",
            "phase": phases_of(times, job.event),
            "status": bare["status"],
            "reason": bare["reason"],
        }
    )


def _without_record(job: Job) -> pd.DataFrame:
    event, series, facts = job.event, job.series, job.facts
    known = job.records if len(job.records) else job.listing
    times = pd.Series(
        empty_slots(known, event.window_start, event.window_end, series.cadence),
        dtype="datetime64[s, UTC]",
    )
    status: list[Status] | Status = Status.NO_RECORD
    if len(job.records):
        asked = [_asked_for(job, time) for time in times]
        status = [Status.NOT_NEEDED if text else Status.NO_RECORD for text in asked]
        reason = [text or "JSOC has no record here" for text in asked]
    else:
        first, last = known["t_rec"].min(), known["t_rec"].max()
        beyond = f"{facts.edges}: no record, or not exported" if facts.edges else "no record here"
        reason = np.where((times < first) | (times > last), beyond, "the page lists no record here")
    return pd.DataFrame(
        {
            "time": times,
            "record": [_slot_record(job, time) for time in times],
            "filename": "",
            "phase": phases_of(times, event) if len(times) else [],
            "status": status,
            "reason": reason,
        }
    )


def _asked_for(job: Job, time: pd.Timestamp) -> str:
    """Why a slot was not asked for, where the row's own recordset leaves it out; else empty."""
    text = job.event.row.get("recordset", "")
    found = Recordset.parse(text).times if text else None
    if found is None:
        return ""
    _, times = found
    step = pd.Timedelta(seconds=times.cadence or job.series.cadence)
    if not times.hold(time):
        return "not asked for: beyond the row's recordset"
    if times.cadence and (abs(job.records["t_rec"] - time) < step).any():
        return "not asked for: between the steps of the row's recordset"
    return ""


def _slot_record(job: Job, time: pd.Timestamp) -> str:
    """The record that a slot would have, without the prime keys that only a record knows."""
    known = {"T_REC": jsoc_time(job.series, time.to_pydatetime()), "WAVELNTH": str(job.wavelength)}
    return job.series.name + "".join(f"[{known.get(key, '')}]" for key in job.series.keys)


def _short(shortages: pd.DataFrame) -> pd.DataFrame:
    """Return a line per bin that came short, at the bin's first second."""
    return pd.DataFrame(
        {
            "time": shortages["begin"],
            "record": "",
            "filename": "",
            "phase": shortages["phase"],
            "status": Status.SHORT,
            "reason": [
                f"the draw: {row.drawn} of {row.wanted} wanted could be drawn from this bin"
                for row in shortages.itertuples()
            ],
        }
    )


def write_ledger(table: pd.DataFrame, path: object) -> None:
    """Write a ledger as CSV; counts are whole numbers or empty."""
    for column in ("tries", "bytes"):
        table[column] = table[column].astype("Int64")
    write_table(table, path)


def empty_slots(
    listing: pd.DataFrame, begin: datetime, end: datetime, cadence: int
) -> pd.DatetimeIndex:
    """T_REC of every slot in [begin, end) without a record, on the grid of the listed records.

    None where the records lie on no common grid. A slot counts as filled by a record less than
    half a cadence away, so that a leap second, which shifts the grid, empties none.
    """
    records = np.sort(np.unique(_epoch_seconds(listing["t_rec"])))
    phases, counts = np.unique(records % cadence, return_counts=True)
    if not len(records) or counts.max() < 0.5 * len(records):
        return pd.to_datetime([], utc=True)
    first = int(begin.timestamp())
    first += int(phases[counts.argmax()] - first) % cadence
    slots = np.arange(first, end.timestamp(), cadence, dtype="int64")
    after = np.searchsorted(records, slots)
    gap_after = np.abs(records[np.minimum(after, len(records) - 1)] - slots)
    gap_before = np.abs(slots - records[np.maximum(after - 1, 0)])
    empty = slots[2 * np.minimum(gap_after, gap_before) >= cadence]
    return pd.to_datetime(empty, unit="s", utc=True)


def _epoch_seconds(times: pd.Series) -> np.ndarray:
    return ((times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).to_numpy("int64")
