"""The candidates of an event: which records may be drawn, and why the others may not.

Only this module makes a verdict. It uses JSOC's keywords of a record before any download or, if a
saved page has no keywords, the file's header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flareset.campaign.events import Event
from flareset.phases import OUTSIDE, bin_name, bin_start, find_phase
from flareset.sdo.exposure import KINDS, kind_of, seconds_of
from flareset.sdo.keywords import LISTED
from flareset.sdo.quality import quality_of, rejected_by
from flareset.sdo.times import duration_text, iso, read_iso
from flareset.tables.csv import read_rows, write_rows
from flareset.tables.rows import Row, each, in_order
from flareset.tables.status import Status

if TYPE_CHECKING:
    from flareset.campaign.config import Quality

# The word under quality.reject for an image that shows nothing, and the reason in the ledger.
BLANK = "blank"
SHOWS_NOTHING = "blank: every pixel has the same value, or none"
ACCEPTED, REJECTED = "accepted", Status.REJECTED.value
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


class Place(NamedTuple):
    """Where an image lies among the phases of its event, by its time.

    `bin` is empty if the whole phase is one bin. `other_flare` is set only for images that would
    get the label 0: the id of a listed flare during which the image was taken. `guarded`: such an
    image is too near to the flare.
    """

    phase: str
    bin: str = ""
    other_flare: str = ""
    guarded: bool = False


def candidates_of(records: Sequence[Row], event: Event, rules: Rules) -> list[Row]:
    """Return a row for each record of one channel, in time order, with its verdict.

    `records` has record, t_rec, time, wavelength, keywords, status and reason. The verdict is
    `accepted`, `outside`, `rejected`, or the record's status (like `no_image`). All but `accepted`
    have a reason.
    """
    told = [(row["wavelength"], *(row[name] for name in LISTED)) for row in records]
    judged = each(lambda values: _judged(values, rules), told)
    rows = []
    for row, (exposure, why) in zip(records, judged, strict=True):
        place = find_place(row["time"], event, rules.guard)
        verdict, reason = _verdict(row, place, why, rules)
        rows.append(
            {
                "wavelength": row["wavelength"],
                "record": row["record"],
                "slot": iso(row["t_rec"].replace(microsecond=0)),
                "time": row["time"],
                "phase": place.phase,
                "bin": place.bin,
                "other_flare": place.other_flare,
                **{name: row[name] for name in LISTED},
                "exposure": exposure,
                "verdict": verdict,
                "reason": reason,
                "rank": -1,
            }
        )
    return in_order(rows, "time", "record")


def _judged(values: tuple[Any, ...], rules: Rules) -> tuple[str, str]:
    """Return a record's kind of exposure, and why its keywords reject it (`judge`).

    `values` are its wavelength and the keywords of LISTED.
    """
    wavelength, *told = values
    keywords = dict(zip(LISTED, told, strict=True))
    kind = kind_of(wavelength, keywords["AIMGSHCE"], keywords["EXPTIME"])
    return kind, judge(keywords, wavelength, rules)


def find_place(time: datetime, event: Event, guard: timedelta = timedelta(0)) -> Place:
    """Return the place of an image by its time (UTC)."""
    phase = find_phase(time, event)
    if phase is None:
        return Place(OUTSIDE)
    name = "" if phase.bin is None else bin_name(bin_start(time, phase.bin), phase.bin)
    if phase.label:
        return Place(phase.name, name)
    others = (flare.event_id for flare in event.other_flares if flare.start <= time <= flare.end)
    guarded = event.flare_start - guard < time < event.flare_end + guard
    return Place(phase.name, name, next(others, ""), guarded)


def _verdict(record: Row, place: Place, why: str, rules: Rules) -> tuple[str, str]:
    """Return the verdict on a record, and the reason. `why` is the verdict on its keywords."""
    if place.phase == OUTSIDE:
        return OUTSIDE, "outside the event's window"
    if record["status"]:
        return record["status"], record["reason"]
    if place.other_flare and rules.other_flares == "exclude":
        return REJECTED, f"in the flare of event {place.other_flare}"
    if place.guarded:
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


def write_candidates(candidates: Iterable[Row], path: str | Path) -> None:
    """Write the candidates of an event as CSV."""
    write_rows(candidates, COLUMNS, path, ["time"])


def read_candidates(path: str | Path, wavelength: int) -> list[Row]:
    """Return the candidates of one channel of an event."""
    return [
        {**row, "wavelength": wavelength, "time": read_iso(row["time"]), "rank": int(row["rank"])}
        for row in read_rows(path)
        if row["wavelength"] == str(wavelength)
    ]
