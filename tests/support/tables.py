"""The tables that a campaign leaves, made up: for what is made of tables alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flareset.campaign.checks import check_config
from flareset.campaign.events import Event
from flareset.sdo.flares import Flare
from flareset.sdo.times import iso
from flareset.tables.images import COLUMNS

STEP = timedelta(seconds=12)
CLASSES = ("X1.2", "M3.4", "C9.9", "")
SPLITS = ("train", "validation", "test", "")
PHASES = ("pre", "flare", "post")


def write_tables(
    results: Path, *, flares: int = 2, wavelengths: tuple[int, ...] = (131,), failed: int = 0
) -> Path:
    """Write the tables of a campaign into a folder; return the file with its config.

    Of each flare and channel, so many images could not be had, and one minute came short.
    """
    events = [event_of(number) for number in range(flares)]
    tables: dict[str, list[dict[str, Any]]] = {"images": [], "summary": []}
    for event in events:
        path = results / "events" / event.event_id / "event.json"
        path.parent.mkdir(parents=True)
        path.write_text(event.to_json())
        for wavelength in wavelengths:
            ledger = list(_ledger(event, failed))
            _write(results / "ledger" / f"{event.event_id}.{wavelength}.csv", ledger)
            drawn = [row for row in ledger if row["status"] == "verified"]
            tables["images"] += [_image(event, wavelength, row) for row in drawn]
            tables["summary"].append(_counts(event, wavelength, ledger))
    data = results / "data_selection"
    _write(data / "images.csv", tables["images"])
    total = {"event_id": "TOTAL", "wavelength": ""}
    for key in list(tables["summary"][0])[2:]:
        total[key] = round(sum(row[key] for row in tables["summary"]), 2)
    _write(results / "summary.csv", [*tables["summary"], total])
    _write(data / "splits.csv", [_split(n, event) for n, event in enumerate(events)])
    _write(data / "leaks.csv", [_leak("EXPTIME", wave, "leak", 0.97) for wave in wavelengths])
    (data / "audit.json").write_text(json.dumps(AUDIT))
    config = results / "settings" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps(check_config({}).model_dump(mode="json")))
    return config


AUDIT = {
    "breaches": [],
    "folds": {},
    "groups": 4,
    "notes": ["there is no column noaa_ar: no event is linked by it"],
    "splits": {name: {"images": 100} for name in SPLITS[:3]},
}


def event_of(number: int) -> Event:
    """Return the event of a number: all differ in place, class and day."""
    start = datetime(2011, 2, 15, 1, 44, 10, tzinfo=UTC) + number * timedelta(days=37, hours=5)
    end, ahead = start + timedelta(minutes=12), timedelta(minutes=30)
    other = Flare("other", end + timedelta(minutes=10), end + timedelta(minutes=18))
    return Event(
        event_id=f"{start:%Y-%m-%dT%H%M%S}",
        flare_start=start,
        flare_end=end,
        flare_peak=start + timedelta(minutes=4),
        window_start=start - ahead,
        window_end=end + ahead,
        hpc_x=-900.0 + 211 * number % 1800 if number % 5 else None,
        hpc_y=-350.0 + 97 * number % 700 if number % 5 else None,
        columns={"goes_class": CLASSES[number % 4]},
        other_flares=(other,) if number % 2 else (),
    )


def _ledger(event: Event, failed: int) -> Iterable[dict[str, str]]:
    time, number = event.window_start, 0
    while time < event.window_end:
        phase = PHASES[(time >= event.flare_start) + (time > event.flare_end)]
        status, reason = ("verified", "") if number % 5 == 0 else ("not_needed", "not drawn")
        if phase == "flare" and number % 2:
            status, reason = "rejected", "short exposure, 0.25 s"
        if number % 97 == 3:
            status, reason = "no_record", "JSOC has no record here"
        if number in range(20, 20 + failed):
            status, reason = "failed", "HTTP 404"
        yield {"time": iso(time), "record": f"r{number}", "filename": f"{number}.fits",
               "phase": phase, "status": status, "reason": reason}  # fmt: skip
        time, number = time + STEP, number + 1
    if failed:
        yield {"time": iso(event.flare_start), "record": "", "filename": "", "phase": "flare",
               "status": "short", "reason": "0 of 1"}  # fmt: skip


def _image(event: Event, wavelength: int, row: dict[str, str]) -> dict[str, Any]:
    time = datetime.fromisoformat(row["time"])
    since = (time - event.flare_peak) / timedelta(minutes=1)
    short = since > 0 and time <= event.flare_end and time.second < 30
    known = {
        "event_id": event.event_id, "wavelength": wavelength, "phase": row["phase"],
        "label": int(row["phase"] == "flare"), "filename": f"{event.event_id}.{row['filename']}",
        "time": row["time"], "exposure": "short" if short else "normal",
        "exposure_seconds": 0.25 if short else 2.9,
        "DATAMEAN": round((0.25 if short else 2.9) * (3 + 40 / (1 + since**2)), 4),
    }  # fmt: skip
    return dict.fromkeys(COLUMNS, "") | known


def _counts(event: Event, wavelength: int, ledger: list[dict[str, str]]) -> dict[str, Any]:
    drawn = [row["phase"] for row in ledger if row["status"] == "verified"]
    listed = [row["phase"] for row in ledger if row["status"] in ("verified", "rejected")]
    return {
        "event_id": event.event_id,
        "wavelength": wavelength,
        "duration_minutes": 12.0,
        "minute_bins": 13,
        **{phase: drawn.count(phase) for phase in PHASES},
        "total": len(drawn),
        **{f"listed_{phase}": listed.count(phase) for phase in PHASES},
        "short_outside": 0,
    }


def _split(number: int, event: Event) -> dict[str, str]:
    return {"event_id": event.event_id, "group": event.event_id, "split": SPLITS[number % 4],
            "fold": "", "stratum": "", "reason": ""}  # fmt: skip


def _leak(keyword: str, wavelength: int, verdict: str, auc: float) -> dict[str, Any]:
    return {"wavelength": wavelength, "keyword": keyword, "kind": "instrument", "auc": auc,
            "verdict": verdict}  # fmt: skip


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
