"""The candidates of an event: which records may be drawn, and what speaks against the others.

A verdict is made here and nowhere else: from what JSOC says of a record before any download, or,
where a saved page says nothing, from the file's own header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flareset.campaign.events import Event
from flareset.partition import OUTSIDE, partition
from flareset.sdo.quality import quality_of, rejected_by
from flareset.sdo.times import iso_column
from flareset.tables.csv import write_table
from flareset.tables.status import Status

ACCEPTED, REJECTED = "accepted", Status.REJECTED.value
COLUMNS = [
    "wavelength", "record", "slot", "time", "phase", "bin", "other_flare", "verdict", "reason",
    "rank",
]  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What an image must pass: QUALITY bits that reject it, and whether other flares do.

    `unproven` says what becomes of a stored file that nothing but its header proves.
    """

    reject: tuple[str, ...]
    other_flares: str = "exclude"
    unproven: str = "reject"


def candidates_of(records: pd.DataFrame, event: Event, rules: Rules) -> pd.DataFrame:
    """Return a row for each record of one channel, in time order, with its verdict.

    `records` has record, t_rec, time, wavelength, QUALITY, status and reason. The verdict is
    `accepted`, `rejected`, `no_image` or `outside`, each but the first with the reason.
    """
    table = partition(records, event)
    verdicts = [
        _verdict(row, rules)
        for row in table[["phase", "other_flare", "status", "reason", "QUALITY"]].itertuples()
    ]
    verdict, reason = zip(*verdicts, strict=True) if verdicts else ((), ())
    table = table.assign(
        slot=iso_column(table["t_rec"].dt.floor("s")) if len(table) else "",
        verdict=pd.Series(verdict, index=table.index, dtype="str"),
        reason=pd.Series(reason, index=table.index, dtype="str"),
        rank=-1,
    )
    return table[COLUMNS].sort_values(["time", "record"], kind="stable", ignore_index=True)


def _verdict(row: Any, rules: Rules) -> tuple[str, str]:
    """Return the verdict on a partitioned record, and the reason."""
    if row.phase == OUTSIDE:
        return OUTSIDE, "outside the event's window"
    if row.status:
        return row.status, row.reason
    if row.other_flare and rules.other_flares == "exclude":
        return REJECTED, f"in the flare of event {row.other_flare}"
    if why := judge({"QUALITY": row.QUALITY}, rules):
        return REJECTED, why
    return ACCEPTED, ""


def judge(keywords: Mapping[str, Any], rules: Rules) -> str:
    """Return why the keywords of an image reject it; empty where they do not.

    A keyword that is not known rejects nothing.
    """
    quality = quality_of(str(keywords.get("QUALITY", "")))
    if quality is not None and (bits := rejected_by(quality, list(rules.reject))):
        return f"QUALITY {quality:#010x}: {', '.join(bits)}"
    return ""


def write_candidates(candidates: pd.DataFrame, path: str | Path) -> None:
    """Write the candidates of an event as CSV."""
    write_table(candidates.assign(time=iso_column(candidates["time"])), path)


def read_candidates(path: str | Path, wavelength: int) -> pd.DataFrame:
    """Return the candidates of one channel of an event."""
    texts = dict.fromkeys([n for n in COLUMNS if n not in ("wavelength", "rank")], "str")
    table = pd.read_csv(
        path, dtype={**texts, "wavelength": "int64", "rank": "int64"}, keep_default_na=False
    )
    table = table[table["wavelength"] == wavelength].reset_index(drop=True)
    return table.assign(time=pd.to_datetime(table["time"], utc=True, format="ISO8601"))
