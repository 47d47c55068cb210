"""The ledger: what became of every slot and file of a window, with the reason."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from flareset.candidates import ACCEPTED, phases_of
from flareset.job import Job
from flareset.phases import PHASES
from flareset.sdo.exposure import SHORT, kind_of
from flareset.sdo.recordset import Recordset, jsoc_time
from flareset.sdo.times import iso_column
from flareset.tables.csv import write_table
from flareset.tables.status import Status

_UNLISTED = "short outside the listed flares: of a flare that events.csv lacks?"
COLUMNS = ["time", "record", "filename", "phase", "status", "reason", "proof", "tries", "bytes"]


def make_ledger(
    job: Job, manifest: pd.DataFrame, shortages: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per record, picture, slot without a record, and bin with too few images.

    `manifest` has the files of the job that were tried. Rows are in time order.
    """
    parts = [_records(job, manifest), _products(job, manifest), _without_record(job)]
    if shortages is not None:
        parts.append(_short(shortages))
    table = pd.concat([part for part in parts if len(part)])
    table = table.sort_values(["time", "record", "filename"], kind="stable", ignore_index=True)
    table["time"] = iso_column(table["time"].dt.floor("s"))
    if job.facts.accepted:
        note = f"accept_pages took the page as it is: {job.facts.accepted}"
        table["reason"] = _and(table["reason"], note)
    return table.reindex(columns=COLUMNS)


def _and(reasons: pd.Series, note: str) -> list[str]:
    """Return the reasons with a note appended to each."""
    return [f"{reason}; {note}".removeprefix("; ") for reason in reasons]


def short_outside(job: Job, manifest: pd.DataFrame) -> list[str]:
    """Return the records of short exposures before and after the flare, outside other flares.

    AIA shortens exposures only during flares: they are a sign of a flare that is not listed. If
    only files tell the exposure, the fetched files are looked at.
    """
    found = dict(zip(job.candidates["record"], job.candidates["exposure"], strict=True))
    told = manifest[["record", "AIMGSHCE", "EXPTIME"]].itertuples(index=False)
    for record, *lasted in told:
        found[record] = found.get(record) or kind_of(job.wavelength, *lasted)
    quiet = [phase.name for phase in PHASES if not phase.label]
    outside = job.candidates["phase"].isin(quiet) & (job.candidates["other_flare"] == "")
    return [record for record in job.candidates.loc[outside, "record"] if found[record] == SHORT]


def _records(job: Job, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a row per record: its row in the manifest, else the verdict of the draw."""
    tried = manifest[["record", "filename", "status", "reason", "proof", "tries", "bytes"]]
    if job.facts.pictured:
        tried = tried[tried["filename"] == ""]
    listed = job.listing.drop_duplicates("record").set_index("record")["filename"]
    table = job.candidates[["time", "record", "phase", "other_flare", "verdict", "reason"]].merge(
        tried, how="left", on="record", validate="one_to_one", suffixes=("_verdict", "")
    )
    if job.facts.pictured:
        table = table[~table["record"].isin(manifest.loc[manifest["filename"] != "", "record"])]
        # An accepted record of which nothing is said is in the movie.
        table = table[(table["verdict"] != ACCEPTED) | table["status"].notna()]
    untried = table["status"].isna()
    table["status"] = table["status"].where(
        ~untried, table["verdict"].replace(ACCEPTED, Status.NOT_NEEDED)
    )
    said = table["reason_verdict"].where(table["verdict"] != ACCEPTED, "not drawn")
    masked = table["other_flare"] != ""
    note = "in the flare of event " + table["other_flare"]
    reason = table["reason"].fillna("").astype("str")
    noted = note.where(masked, "") + pd.Series(
        ["; " if m and r else "" for m, r in zip(masked, reason, strict=True)],
        index=table.index,
        dtype="str",
    )
    table["reason"] = (noted + reason).where(~untried, said)
    unlisted = table["record"].isin(short_outside(job, manifest))
    table.loc[unlisted, "reason"] = _and(table.loc[unlisted, "reason"], _UNLISTED)
    names = table["filename"].fillna("")
    known = table["record"].map(listed).fillna("") if len(listed) else ""
    bare = table["status"].isin([Status.NO_IMAGE])
    table["filename"] = names.where((names != "") | bare, known)
    return table


def _products(job: Job, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a row per picture and movie."""
    if not job.facts.pictured:
        return manifest.iloc[:0]
    rows = manifest[manifest["filename"] != ""]
    times = job.records.drop_duplicates("record").set_index("record")["time"]
    time = rows["record"].map(times).fillna(pd.Timestamp(job.event.window_start))
    return rows.assign(phase="", time=pd.to_datetime(time, utc=True))


def _without_record(job: Job) -> pd.DataFrame:
    """Return a row per slot of the window without a record."""
    event, facts = job.event, job.facts
    known = job.records["t_rec"]
    times = pd.Series(
        empty_slots(known, event.window_start, event.window_end, job.series.cadence),
        dtype="datetime64[s, UTC]",
    )
    if facts.source == "page":
        beyond = f"{facts.edges}: no record, or not exported" if facts.edges else "no record here"
        edge = (times < known.min()) | (times > known.max())
        asked = [""] * len(times)
        reason = np.where(edge, beyond, "the page lists no record here").tolist()
    else:
        asked = [_asked_for(job, time) for time in times]
        reason = [text or "JSOC has no record here" for text in asked]
    return pd.DataFrame(
        {
            "time": times,
            "record": [_slot_record(job, time) for time in times],
            "filename": "",
            "phase": phases_of(times, event) if len(times) else [],
            "status": [Status.NOT_NEEDED if text else Status.NO_RECORD for text in asked],
            "reason": reason,
        }
    )


def _asked_for(job: Job, time: pd.Timestamp) -> str:
    """Return why a slot was not asked for: the row's own recordset leaves it out; else empty."""
    text = job.event.columns.get("recordset", "")
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
    """Return the name that a slot's record would have, without prime keys that are not known."""
    known = {"T_REC": jsoc_time(job.series, time.to_pydatetime()), "WAVELNTH": str(job.wavelength)}
    return job.series.name + "".join(f"[{known.get(key, '')}]" for key in job.series.keys)


def _short(shortages: pd.DataFrame) -> pd.DataFrame:
    """Return a row per bin with too few images, at the bin's first second."""
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
    """Write a ledger as CSV. Counts are whole numbers or empty."""
    for column in ("tries", "bytes"):
        table[column] = table[column].astype("Int64")
    write_table(table, path)


def empty_slots(
    t_recs: pd.Series, begin: datetime, end: datetime, cadence: int
) -> pd.DatetimeIndex:
    """Return the T_REC of every slot in [begin, end) without a record, on the records' grid.

    Empty if the records have no common grid. A record fills a slot if it is less than half a
    cadence away: a leap second, which shifts the grid, empties no slot.
    """
    records = np.sort(np.unique(_epoch_seconds(t_recs)))
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
