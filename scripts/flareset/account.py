"""The account of one event and wavelength: times, counts, and where its files came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from flareset.job import Job
from flareset.phases import PHASES, bins_of
from flareset.sdo.recordset import window_recordset
from flareset.sdo.times import iso
from flareset.tables.rows import Row


def make_account(
    job: Job,
    chosen: Iterable[Row],
    statuses: Iterable[str],
    manifest: Iterable[Row],
    short_outside: int = 0,
) -> dict[str, Any]:
    """Return the account of one event and wavelength.

    `chosen` are the drawn images. `statuses` are those of the ledger. `short_outside` is the number
    of short exposures outside all listed flares. The RequestIDs are those of the listing and of all
    later exports.
    """
    event = job.event
    window = event.window_start, event.window_end
    recordset = job.facts.recordset or str(window_recordset(job.series, *window, [job.wavelength]))
    counted, drawn = (Counter(row["phase"] for row in rows) for rows in (job.inside, chosen))
    asked = " ".join(row["requestid"] for row in manifest)
    return {
        "event_id": event.event_id,
        "wavelength": job.wavelength,
        "flare_start": iso(event.flare_start),
        "flare_end": iso(event.flare_end),
        "window_start": iso(event.window_start),
        "window_end": iso(event.window_end),
        "duration_minutes": round((event.flare_end - event.flare_start).total_seconds() / 60, 2),
        "minute_bins": sum(1 for each in bins_of(event) if each.name),
        "drawn": {phase.name: drawn[phase.name] for phase in PHASES},
        "listed": {phase.name: counted[phase.name] for phase in PHASES},
        "short_outside": short_outside,
        "statuses": dict(sorted(Counter(map(str, statuses)).items())),
        "recordset": recordset,
        "request_ids": sorted({*job.facts.requestid.split(), *asked.split()}),
        "export": asdict(job.facts),
    }
