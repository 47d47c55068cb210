"""The page's section on one flare: its figure, its pictures, and its row in the table."""

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
    """A part of a flare's figure: its name, its drawing, and the words at the drawing's edges.

    `letters` are words between the edges, each at its height.
    """

    name: str
    drawing: Markup
    top: str = ""
    bottom: str = ""
    letters: Sequence[Tick] = ()


class Lane(NamedTuple):
    """The slots of one status: their count, their marks, and the meaning of the status."""

    status: str
    count: int
    meaning: str
    drawing: Markup


@dataclass(frozen=True)
class Row:
    """A flare's row in the table of all flares."""

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
    """All that a flare's section shows."""

    facts: FlareFacts
    row: Row
    has_curves: bool
    panels: list[Panel]
    lanes: list[Lane]
    ticks: list[Tick]
    shorts: int
    others: int
    phases: list[tuple[str, Set]]
    channels: list[Set]


def view_of(facts: FlareFacts, phases: Sequence[str], files: Path, images: int, href: str) -> View:
    """Return all that a flare's section shows, with at most `images` pictures of each phase.

    `files` is the folder of the drawn images. `href` is the link to the section.
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
    curves = list(_curves(facts, span))
    return View(
        facts=facts,
        row=row,
        has_curves=bool(curves),
        panels=[*curves, *_flux(facts, span), *_known(facts, span)],
        lanes=list(_lanes(facts, span, statuses)),
        ticks=charts.clock(span),
        shorts=sum(image.exposure == SHORT for image in facts.images),
        others=len(_others(facts)),
        phases=list(_phases(facts, phases, peak, files, images)),
        channels=list(_channels(facts, peak, files)) if images else [],
    )


def flux_of(goes_class: str) -> float | None:
    """Return the peak flux of a GOES class (W m-2); None if the text is no class."""
    try:
        return class_flux(goes_class.strip().upper())
    except (KeyError, ValueError):  # the class is a text of the user's
        return None


def _place(event: Event) -> str:
    """Return a flare's place on the Sun in the usual form, like N12W34."""
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
    """Return start and end of the other flares in the window."""
    own = facts.event.event_id
    return [(f.start, f.end) for f in facts.event.other_flares if f.event_id != own]


def _behind(facts: FlareFacts, span: Span, height: float) -> str:
    """Return the marks behind the curves: the flare, other flares, the peak."""
    event = facts.event
    spans = [("flare", event.flare_start, event.flare_end)]
    spans += [("other", *times) for times in _others(facts)]
    marks = charts.bands(span, height, spans)
    return marks + (charts.rule(span, event.flare_peak, height, "peak") if event.flare_peak else "")


def _points(facts: FlareFacts, wavelength: int) -> list[tuple[datetime, float]]:
    return [(image.time, image.rate) for image in facts.images
            if image.wavelength == wavelength and image.rate is not None]  # fmt: skip


def _curves(facts: FlareFacts, span: Span) -> Iterator[Panel]:
    """Yield the light curve of each channel that has images whose mean pixel is known."""
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


def _flux(facts: FlareFacts, span: Span) -> Iterator[Panel]:
    """Yield the panel of the X-ray flux that GOES measured in the window."""
    if facts.flux:
        behind = _behind(facts, span, _PANEL)
        drawing, letters = charts.flux(span, facts.flux, _PANEL, behind)
        yield Panel("GOES, 1 to 8 Å", drawing, letters=letters)


def _known(facts: FlareFacts, span: Span) -> Iterator[Panel]:
    """Yield a panel of the known flares in the window, each as high as its GOES class."""
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
    """Yield a lane for each status of the ledger; a mark stands for a slot of any channel."""
    step = _cadence(facts)
    for status, meaning in words.MEANINGS.items():
        if statuses[status]:
            times = {entry.time for entry in facts.ledger if entry.status == status}
            drawing = charts.lane(span, times, step, status.value)
            yield Lane(status.replace("_", " "), statuses[status], meaning, drawing)


def _cadence(facts: FlareFacts) -> timedelta:
    """Return the length of a slot: the window divided by the number of slots of a channel."""
    window = facts.event.window_end - facts.event.window_start
    return window / max(1, len(facts.ledger) / len(facts.counts))


def _phases(
    facts: FlareFacts, phases: Sequence[str], peak: datetime, files: Path, number: int
) -> Iterator[tuple[str, Set]]:
    """Yield pictures of each phase in the first channel, all on the same colour scale."""
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
    """Yield a picture of each channel at the time of the peak, if there are several channels."""
    if len(facts.wavelengths) == 1:
        return
    for wavelength in facts.wavelengths:
        images = [image for image in facts.images if image.wavelength == wavelength]
        if images:
            nearest = min(images, key=lambda image: abs(image.time - peak))
            yield picture([nearest], files, facts.event)
