"""The ledger: what became of every slot and file of a window, with the reason."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flareset.candidates import ACCEPTED
from flareset.job import Job
from flareset.phases import OUTSIDE, PHASES, find_phase
from flareset.sdo.exposure import SHORT, kind_of
from flareset.sdo.recordset import Recordset, jsoc_time
from flareset.sdo.times import iso
from flareset.tables.csv import write_rows
from flareset.tables.rows import Row, in_order
from flareset.tables.status import Status

_UNLISTED = "short outside the listed flares: of a flare that events.csv lacks?"
COLUMNS = ["time", "record", "filename", "phase", "status", "reason", "proof", "tries", "bytes"]
# What a row of the manifest tells of its file.
_OF_FILE = ("filename", "status", "reason", "proof", "tries", "bytes")


def make_ledger(job: Job, manifest: Sequence[Row], shortages: Iterable[Row] = ()) -> list[Row]:
    """Return a row per record, picture, slot without a record, and bin with too few images.

    `manifest` has the files of the job that were tried. Rows are in time order.
    """
    rows = [*_records(job, manifest), *_products(job, manifest), *_without_record(job)]
    rows += [_short(each) for each in shortages]
    if job.facts.accepted:
        note = f"accept_pages took the page as it is: {job.facts.accepted}"
        rows = [{**row, "reason": _and(row["reason"], note)} for row in rows]
    return [
        {**row, "time": iso(row["time"].replace(microsecond=0))}
        for row in in_order(rows, "time", "record", "filename")
    ]


def _and(first: str, second: str) -> str:
    """Return two remarks in one; either may be empty."""
    return "; ".join(remark for remark in (first, second) if remark)


def short_outside(job: Job, manifest: Iterable[Row]) -> list[str]:
    """Return the records of short exposures before and after the flare, outside other flares.

    AIA shortens exposures only during flares: they are a sign of a flare that is not listed. If
    only files tell the exposure, the fetched files are looked at.
    """
    found = {row["record"]: row["exposure"] for row in job.candidates}
    for row in manifest:
        lasted = row["AIMGSHCE"], row["EXPTIME"]
        found[row["record"]] = found.get(row["record"]) or kind_of(job.wavelength, *lasted)
    quiet = [phase.name for phase in PHASES if not phase.label]
    return [
        row["record"]
        for row in job.candidates
        if row["phase"] in quiet and not row["other_flare"] and found[row["record"]] == SHORT
    ]


def _records(job: Job, manifest: Sequence[Row]) -> list[Row]:
    """Return a row per record: its row in the manifest, else the verdict of the draw."""
    tried = {row["record"]: row for row in manifest}
    unlisted = {*short_outside(job, manifest)}
    rows = []
    for candidate in job.candidates:
        record = candidate["record"]
        file = tried.get(record)
        if job.facts.pictured and _is_shown(candidate, file):
            continue
        row = _of_file(file, candidate) if file else _of_draw(candidate)
        if record in unlisted:
            row["reason"] = _and(row["reason"], _UNLISTED)
        if not row["filename"] and row["status"] != Status.NO_IMAGE:
            row["filename"] = job.filenames.get(record, "")
        rows.append({**row, **{name: candidate[name] for name in ("time", "record", "phase")}})
    return rows


def _is_shown(candidate: Row, file: Row | None) -> bool:
    """Return whether a picture or a movie shows a record, so that the record has no row."""
    # An accepted record of which nothing is said is in the movie.
    return bool(file["filename"]) if file else candidate["verdict"] == ACCEPTED


def _of_file(file: Row, candidate: Row) -> Row:
    """Return what the ledger tells of a record that was tried: what its file's row tells."""
    row = {name: file[name] for name in _OF_FILE}
    if other := candidate["other_flare"]:
        row["reason"] = _and(f"in the flare of event {other}", row["reason"])
    return row


def _of_draw(candidate: Row) -> Row:
    """Return what the ledger tells of a record that was not tried: the verdict of the draw."""
    verdict, reason = candidate["verdict"], candidate["reason"]
    if verdict == ACCEPTED:
        verdict, reason = Status.NOT_NEEDED, "not drawn"
    return {"filename": "", "status": verdict, "reason": reason}


def _products(job: Job, manifest: Iterable[Row]) -> list[Row]:
    """Return a row per picture and movie."""
    if not job.facts.pictured:
        return []
    times = {row["record"]: row["time"] for row in job.candidates}
    begin = job.event.window_start
    return [
        {**row, "phase": "", "time": times.get(row["record"], begin)}
        for row in manifest
        if row["filename"]
    ]


def _without_record(job: Job) -> list[Row]:
    """Return a row per slot of the window without a record."""
    event = job.event
    known = sorted(row["t_rec"] for row in job.records)
    rows = []
    for time in empty_slots(known, event.window_start, event.window_end, job.series.cadence):
        status, reason = _why_empty(job, known, time)
        phase = find_phase(time, event)
        rows.append(
            {
                "time": time,
                "record": _slot_record(job, time),
                "filename": "",
                "phase": phase.name if phase else OUTSIDE,
                "status": status,
                "reason": reason,
            }
        )
    return rows


def _why_empty(job: Job, known: Sequence[datetime], time: datetime) -> tuple[Status, str]:
    """Return status and reason of a slot without a record. `known` are all T_REC, in order."""
    facts = job.facts
    if facts.source != "page":
        if asked := _asked_for(job, known, time):
            return Status.NOT_NEEDED, asked
        return Status.NO_RECORD, "JSOC has no record here"
    if known[0] <= time <= known[-1]:
        return Status.NO_RECORD, "the page lists no record here"
    beyond = f"{facts.edges}: no record, or not exported" if facts.edges else "no record here"
    return Status.NO_RECORD, beyond


def _asked_for(job: Job, known: Sequence[datetime], time: datetime) -> str:
    """Return why a slot was not asked for: the row's own recordset leaves it out; else empty."""
    text = job.event.columns.get("recordset", "")
    found = Recordset.parse(text).times if text else None
    if found is None:
        return ""
    _, times = found
    step = timedelta(seconds=times.cadence or job.series.cadence)
    if not times.hold(time):
        return "not asked for: beyond the row's recordset"
    if times.cadence and _gap(time, known) < step:
        return "not asked for: between the steps of the row's recordset"
    return ""


def _slot_record(job: Job, time: datetime) -> str:
    """Return the name that a slot's record would have, without prime keys that are not known."""
    known = {"T_REC": jsoc_time(job.series, time), "WAVELNTH": str(job.wavelength)}
    return job.series.name + "".join(f"[{known.get(key, '')}]" for key in job.series.keys)


def _short(shortage: Row) -> Row:
    """Return a row for a bin with too few images, at the bin's first second."""
    drawn, wanted = shortage["drawn"], shortage["wanted"]
    return {
        "time": shortage["begin"],
        "record": "",
        "filename": "",
        "phase": shortage["phase"],
        "status": Status.SHORT,
        "reason": f"the draw: {drawn} of {wanted} wanted could be drawn from this bin",
    }


def write_ledger(ledger: Iterable[Row], path: str | Path) -> None:
    """Write a ledger as CSV."""
    write_rows(ledger, COLUMNS, path)


def empty_slots(
    t_recs: Iterable[datetime], begin: datetime, end: datetime, cadence: int
) -> list[datetime]:
    """Return the T_REC of every slot in [begin, end) without a record, on the records' grid.

    Empty if the records have no common grid. A record fills a slot if it is less than half a
    cadence away: a leap second, which shifts the grid, empties no slot.
    """
    records = sorted({math.floor(t_rec.timestamp()) for t_rec in t_recs})
    counts = Counter(record % cadence for record in records)
    if not records or max(counts.values()) < 0.5 * len(records):
        return []
    phase = min(counts, key=lambda phase: (-counts[phase], phase))
    first = int(begin.timestamp())
    slots = range(first + (phase - first) % cadence, math.ceil(end.timestamp()), cadence)
    return [
        datetime.fromtimestamp(slot, UTC) for slot in slots if 2 * _gap(slot, records) >= cadence
    ]


def _gap(slot: Any, records: Sequence[Any]) -> Any:
    """Return the time from a slot to the nearest of the records, which are sorted."""
    after = bisect_left(records, slot)
    return min(abs(record - slot) for record in records[max(after - 1, 0) : after + 1])
