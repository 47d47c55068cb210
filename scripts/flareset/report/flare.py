"""One flare as the page shows it: its figure, its pictures, and its row among all flares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from flareset.campaign.events import Event
from flareset.report import charts, words
from flareset.report.charts import Span, Tick
from flareset.report.facts import FlareFacts
from flareset.report.pictures import Set, picture, some_of
from flareset.sdo.exposure import SHORT
from flareset.sdo.flares import class_flux
from flareset.sdo.geometry import arcsec_to_stonyhurst
from flareset.tables.status import Status

_PANEL = 120.0
# The lowest and the highest class of an axis (W m-2): B1 and X10.
CLASSES = (1e-7, 1e-3)


class Panel(NamedTuple):
    """A part of a flare's figure: its name, and a drawing with what its edges stand for."""

    name: str
    drawing: Markup
    top: str
    bottom: str


class Lane(NamedTuple):
    """The slots of one status: how many, where, and what the word means."""

    status: str
    count: int
    meaning: str
    drawing: Markup


@dataclass(frozen=True)
class Row:
    """A flare in the table of all flares."""

    event: Event
    href: str
    goes_class: str
    split: str
    place: str
    counts: dict[str, int]
    short: int
    failed: int
    spark: Markup


@dataclass(frozen=True)
class View:
    """A flare as its section shows it."""

    facts: FlareFacts
    row: Row
    panels: list[Panel]
    lanes: list[Lane]
    ticks: list[Tick]
    shorts: int
    others: int
    phases: list[tuple[str, Set]]
    channels: list[Set]


def view_of(facts: FlareFacts, phases: Sequence[str], files: Path, images: int, href: str) -> View:
    """Return a flare as its section shows it, with so many images of each phase.

    `files` is the folder of the drawn images, `href` where the section is.
    """
    event = facts.event
    span = Span(event.window_start, event.window_end)
    peak = event.flare_peak or event.flare_start + (event.flare_end - event.flare_start) / 2
    statuses = Counter(entry.status for entry in facts.ledger)
    behind = _behind(facts, span, 100.0)
    row = Row(
        event=event,
        href=href,
        goes_class=facts.goes_class,
        split=facts.split,
        place=_place(event),
        counts={n: sum(int(r[n]) for r in facts.counts) for n in (*phases, "total")},
        short=statuses[Status.SHORT],
        failed=statuses[Status.FAILED],
        spark=charts.sparkline(_points(facts, facts.wavelengths[0]), span, behind),
    )
    return View(
        facts=facts,
        row=row,
        panels=[*_curves(facts, span), *_known(facts, span)],
        lanes=list(_lanes(facts, span, statuses)),
        ticks=charts.clock(span),
        shorts=sum(image.exposure == SHORT for image in facts.images),
        others=len(_others(facts)),
        phases=list(_phases(facts, phases, peak, files, images)),
        channels=list(_channels(facts, peak, files)) if images else [],
    )


def flux_of(goes_class: str) -> float | None:
    """Return the peak flux of a class (W m-2); None where the text is no class."""
    try:
        return class_flux(goes_class.strip().upper())
    except (KeyError, ValueError):  # the class is a text of the user's
        return None


def _place(event: Event) -> str:
    """Return where a flare is on the Sun, as people write it, like N12W34."""
    if event.hpc_x is None or event.hpc_y is None:
        return ""
    when = event.flare_peak or event.flare_start
    try:
        longitude, latitude = arcsec_to_stonyhurst(event.hpc_x, event.hpc_y, when)
    except ValueError:
        return "limb"
    north, west = "NS"[latitude < 0], "WE"[longitude < 0]
    return f"{north}{abs(latitude):02.0f}{west}{abs(longitude):02.0f}"


def _others(facts: FlareFacts) -> list[tuple[datetime, datetime]]:
    """Return the other flares of a window."""
    own = facts.event.event_id
    return [(f.start, f.end) for f in facts.event.other_flares if f.event_id != own]


def _behind(facts: FlareFacts, span: Span, height: float) -> str:
    """Return what stands behind the curves: the flare, other flares, the peak."""
    event = facts.event
    spans = [("flare", event.flare_start, event.flare_end)]
    spans += [("other", *times) for times in _others(facts)]
    marks = charts.bands(span, height, spans)
    return marks + (charts.rule(span, event.flare_peak, height, "peak") if event.flare_peak else "")


def _points(facts: FlareFacts, wavelength: int) -> list[tuple[datetime, float]]:
    return [(image.time, image.rate) for image in facts.images
            if image.wavelength == wavelength and image.rate is not None]  # fmt: skip


def _curves(facts: FlareFacts, span: Span) -> Iterator[Panel]:
    """Yield the light curve of each channel, of which the mean of the pixels is known."""
    behind = _behind(facts, span, _PANEL)
    for wavelength in facts.wavelengths:
        of_channel = [i for i in facts.images if i.wavelength == wavelength and i.rate is not None]
        if not of_channel:
            continue
        normal = [(i.time, i.rate) for i in of_channel if i.exposure != SHORT]
        short = [(i.time, i.rate) for i in of_channel if i.exposure == SHORT]
        found = charts.curve(span, [("normal", normal), ("short", short)], _PANEL, behind)
        unit = "DN/s" if of_channel[0].seconds else "mean"
        top, bottom = words.value(found.high), words.value(found.low)
        yield Panel(f"{wavelength} Å, {unit}", found.svg, top, bottom if top != bottom else "")


def _known(facts: FlareFacts, span: Span) -> Iterator[Panel]:
    """Yield what GOES saw: the known flares of the window, as high as their class."""
    flares = [
        (flare.start, flare.peak or flare.start, flare.end or flare.peak or flare.start, flux)
        for flare in facts.known
        if (flux := flux_of(flare.goes_class))
    ]
    if flares:
        marks = charts.class_marks(span, flares, _PANEL / 2, *CLASSES)
        behind = _behind(facts, span, _PANEL / 2)
        yield Panel(
            "GOES class", charts.svg([behind, *marks], _PANEL / 2, "panel low"), "X10", "B1"
        )


def _lanes(facts: FlareFacts, span: Span, statuses: Counter[str]) -> Iterator[Lane]:
    """Yield a lane for each status of the ledger; a mark is a slot in any channel."""
    step = _cadence(facts)
    for status, meaning in words.MEANINGS.items():
        if statuses[status]:
            times = {entry.time for entry in facts.ledger if entry.status == status}
            drawing = charts.lane(span, times, step, status.value)
            yield Lane(status.replace("_", " "), statuses[status], meaning, drawing)


def _cadence(facts: FlareFacts) -> timedelta:
    """Return the time that a slot takes: the window over the slots of a channel."""
    window = facts.event.window_end - facts.event.window_start
    return window / max(1, len(facts.ledger) / len(facts.counts))


def _phases(
    facts: FlareFacts, phases: Sequence[str], peak: datetime, files: Path, number: int
) -> Iterator[tuple[str, Set]]:
    """Yield pictures of each phase in the first channel, all in the same colours."""
    lead = facts.wavelengths[0]
    chosen = []
    for phase in phases:
        images = [i for i in facts.images if i.phase == phase and i.wavelength == lead]
        chosen += some_of(images, number, peak)
    if not chosen:
        return
    shown = picture(chosen, files, facts.event)
    for phase in phases:
        thumbnails = [each for each in shown.thumbnails if each.image.phase == phase]
        if thumbnails:
            yield phase, shown._replace(thumbnails=thumbnails)


def _channels(facts: FlareFacts, peak: datetime, files: Path) -> Iterator[Set]:
    """Yield a picture of each channel at the time of the peak, where there are several."""
    if len(facts.wavelengths) == 1:
        return
    for wavelength in facts.wavelengths:
        images = [image for image in facts.images if image.wavelength == wavelength]
        if images:
            nearest = min(images, key=lambda image: abs(image.time - peak))
            yield picture([nearest], files, facts.event)
