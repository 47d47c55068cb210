"""The candidates of an event: which records may be drawn, and why the others may not.

Only this module makes a verdict. It uses JSOC's keywords of a record before any download or, if a
saved page has no keywords, the file's header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flareset.campaign.events import Event
from flareset.phases import OUTSIDE, PHASES, bin_name, bin_start
from flareset.sdo.exposure import KINDS, kind_of, seconds_of
from flareset.sdo.keywords import LISTED
from flareset.sdo.quality import quality_of, rejected_by
from flareset.sdo.times import duration_text, iso_column
from flareset.tables.csv import write_table
from flareset.tables.rows import each, in_order, rows_of
from flareset.tables.status import Status

if TYPE_CHECKING:
    from flareset.campaign.config import Quality

# The word under quality.reject for an image that shows nothing, and the reason in the ledger.
BLANK = "blank"
SHOWS_NOTHING = "blank: every pixel has the same value, or none"
ACCEPTED, REJECTED = "accepted", Status.REJECTED.value
_READ = ["wavelength", "record", "t_rec", "time", *LISTED, "status", "reason"]
_PLACED = ["phase", "other_flare", "guarded", "status", "reason"]
# The phases with a guard: those with label 0.
_GUARDED = [phase.name for phase in PHASES if not phase.label]
COLUMNS = [
    "wavelength", "record", "slot", "time", "phase", "bin", "other_flare", *LISTED, "exposure",
    "verdict", "reason", "rank",
]  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The rules for accepting images.

    `quality` are the settings of that section. `exposure` is the kind of exposures that is drawn,
    or `any`. `other_flares`: `exclude` rejects images in other flares. Images before and after the
    flare that are nearer to it than `guard` are rejected.
    """

    quality: Quality
    exposure: str
    other_flares: str = "exclude"
    guard: timedelta = timedelta(0)


def candidates_of(records: pd.DataFrame, event: Event, rules: Rules) -> pd.DataFrame:
    """Return a row for each record of one channel, in time order, with its verdict.

    `records` has record, t_rec, time, wavelength, keywords, status and reason. The verdict is
    `accepted`, `outside`, `rejected`, or the record's status (like `no_image`). All but `accepted`
    have a reason.
    """
    table = place(records[_READ], event)
    begin, end = event.flare_start - rules.guard, event.flare_end + rules.guard
    table["guarded"] = (table["time"] > begin) & (table["time"] < end)
    judged = each(lambda row: _judged(row, rules), rows_of(table[["wavelength", *LISTED]]))
    rows = zip(rows_of(table[_PLACED]), judged, strict=True)
    verdicts = [_verdict(*row, why, rules) for row, (_, why) in rows]
    verdict, reason = zip(*verdicts, strict=True) if verdicts else ((), ())
    exposure = [kind for kind, _ in judged]
    texts = {"exposure": exposure, "verdict": verdict, "reason": reason}
    table = table.assign(
        slot=iso_column(table["t_rec"].dt.floor("s")) if len(table) else "",
        rank=-1,
        **{name: pd.Series(values, table.index, "str") for name, values in texts.items()},
    )
    return in_order(table[COLUMNS], ["time", "record"]).reset_index(drop=True)


def _judged(row: tuple[Any, ...], rules: Rules) -> tuple[str, str]:
    """Return a record's kind of exposure, and why its keywords reject it (`judge`).

    `row` has its wavelength and the keywords of LISTED.
    """
    wavelength, *values = row
    keywords = dict(zip(LISTED, values, strict=True))
    kind = kind_of(wavelength, keywords["AIMGSHCE"], keywords["EXPTIME"])
    return kind, judge(keywords, wavelength, rules)


def place(images: pd.DataFrame, event: Event) -> pd.DataFrame:
    """Return the images (with `time`) with their `phase`, `bin` and `other_flare`.

    `bin` is empty if the whole phase is one bin. `other_flare` is set only for images that would
    get the label 0: the id of a listed flare during which the image was taken.
    """
    found = phases_of(images["time"], event)
    bins, others = (np.full(len(images), "", dtype=object) for _ in range(2))
    for phase in PHASES:
        inside = found == phase.name
        times = images["time"][inside]
        if phase.bin is not None:
            starts = [bin_start(time, phase.bin) for time in times.dt.to_pydatetime()]
            bins[inside] = [bin_name(start, phase.bin) for start in starts]
        if not phase.label:
            others[inside] = _other_flare(times, event)
    return images.assign(phase=found, bin=bins, other_flare=others)


def phases_of(times: pd.Series, event: Event) -> np.ndarray:
    """Return the name of the phase that contains each UTC time; `outside` if there is none."""
    moments = _moments(times)
    found = np.full(len(times), OUTSIDE, dtype=object)
    for phase in PHASES:
        begin, end = _moments(pd.Series(phase.interval(event)))
        after = moments > begin if phase.closed == "right" else moments >= begin
        found[after & (moments < end if phase.closed == "left" else moments <= end)] = phase.name
    return found


def _moments(times: pd.Series) -> np.ndarray:
    """Return UTC times as numpy compares them: a tenth of the time that pandas takes."""
    return times.dt.tz_convert(None).to_numpy()


def _other_flare(times: pd.Series, event: Event) -> np.ndarray:
    """Return the id of a listed flare that contains each time; empty if there is none."""
    found = np.full(len(times), "", dtype=object)
    for flare in event.other_flares:
        inside = (times >= pd.Timestamp(flare.start)) & (times <= pd.Timestamp(flare.end))
        found[inside.to_numpy() & (found == "")] = flare.event_id
    return found


def _verdict(
    phase: str, other_flare: str, guarded: bool, status: str, reason: str, why: str, rules: Rules
) -> tuple[str, str]:
    """Return the verdict on a record with its place, and the reason.

    `status` and `reason` are those of its row, `why` is the verdict on its keywords.
    """
    if phase == OUTSIDE:
        return OUTSIDE, "outside the event's window"
    if status:
        return status, reason
    if other_flare and rules.other_flares == "exclude":
        return REJECTED, f"in the flare of event {other_flare}"
    if guarded and phase in _GUARDED:
        return REJECTED, f"within {duration_text(rules.guard)} of the flare"
    return (REJECTED, why) if why else (ACCEPTED, "")


def judge(keywords: Mapping[str, Any], wavelength: int, rules: Rules) -> str:
    """Return why an image's keywords reject it; empty if they do not.

    A missing keyword does not reject an image.
    """
    if BLANK in rules.quality.reject and keywords.get(BLANK):
        return SHOWS_NOTHING
    quality = quality_of(str(keywords.get("QUALITY", "")))
    if quality is not None and (bits := rejected_by(quality, rules.quality.reject)):
        return f"QUALITY {quality:#010x}: {', '.join(bits)}"
    lasted = tuple(str(keywords.get(name, "")) for name in ("AIMGSHCE", "EXPTIME"))
    kind = kind_of(wavelength, *lasted)
    if rules.exposure in KINDS and kind and kind != rules.exposure:
        return f"{kind} exposure, {float(seconds_of(*lasted)):.2g} s"
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
