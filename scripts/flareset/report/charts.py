"""Charts as SVG: drawn 1000 units wide and as high as their panel, and stretched by the page.

A chart holds only marks. The page sets the words beside the chart, so that words keep their size
on a phone. Marks have CSS classes: the page's style gives them colours for day, night and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from markupsafe import Markup

WIDTH = 1000
# Marks nearer to each other than this (units of WIDTH) are drawn as one mark.
_APART = 1.0
# The GOES classes by the power of ten (W m-2) at which each begins, and the lowest that is drawn.
_LETTERS = {-8: "A", -7: "B", -6: "C", -5: "M", -4: "X", -3: "X10"}
_LOWEST = -9


class Span(NamedTuple):
    """An interval of time that is drawn over the whole width."""

    start: datetime
    end: datetime

    def place(self, when: datetime) -> float:
        """Return the x of a time: 0 at the interval's start, WIDTH at its end."""
        return (when - self.start) / (self.end - self.start) * WIDTH

    def cut(self, start: datetime, end: datetime) -> tuple[float, float]:
        """Return the left end and the width of the part of another interval inside this one."""
        left, right = (min(max(self.place(when), 0), WIDTH) for when in (start, end))
        return left, right - left


class Curve(NamedTuple):
    """A curve's drawing, and the values at its lower and upper edge."""

    svg: Markup
    low: float
    high: float


class Tick(NamedTuple):
    """A word on an axis, and its place (per cent of the axis, from the left or the top)."""

    place: float
    text: str


def svg(marks: Iterable[str], height: float, kind: str) -> Markup:
    """Return a drawing, `height` units high, that the page stretches to any size."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:g}" preserveAspectRatio="none"'
        f' aria-hidden="true">{"".join(marks)}</svg>'
    )


def bands(span: Span, height: float, spans: Iterable[tuple[str, datetime, datetime]]) -> str:
    """Return intervals as bands from top to bottom, each with its CSS class."""
    found = []
    for kind, start, end in spans:
        left, width = span.cut(start, end)
        if width > 0:
            box = f'x="{left:.1f}" width="{width:.1f}" height="{height:g}"'
            found.append(f'<rect class="{kind}" {box}/>')
    return "".join(found)


def rule(span: Span, when: datetime, height: float, kind: str) -> str:
    """Return a time as a line from top to bottom."""
    return f'<path class="line {kind}" d="M{span.place(when):.1f} 0V{height:g}"/>'


def curve(
    span: Span, series: Sequence[tuple[str, list[tuple[datetime, float]]]], height: float,
    behind: str,
) -> Curve:  # fmt: skip
    """Return values over time as dots, each series with its CSS class, above the marks `behind`.

    The scale is logarithmic where all values are positive and the highest is 20 times the lowest.
    """
    low, high = _limits([value for _, points in series for _, value in points])
    logarithmic = low > 0 and high > 20 * low
    scaled = math.log10 if logarithmic else float
    bottom, top = scaled(low), scaled(high)
    margin = 6.0
    dots = [
        (kind, span.place(when), height - margin - _part(scaled(value), bottom, top)
         * (height - 2 * margin))
        for kind, points in series
        for when, value in points
    ]  # fmt: skip
    paths = [
        f'<path class="dots {name}" d="'
        + "".join(f"M{x:.1f} {y:.1f}h0" for kind, x, y in dots if kind == name)
        + '"/>'
        for name, _ in series
    ]
    return Curve(svg([behind, *paths], height, "panel"), low, high)


def flux(span: Span, pieces: Iterable[Sequence[tuple[datetime, float]]], height: float,
         behind: str) -> tuple[Markup, list[Tick]]:  # fmt: skip
    """Return a GOES flux (W m-2) as a line in pieces, and the letters of its classes.

    The scale is logarithmic, in whole classes. Of values nearer than a unit of the width, the
    highest is drawn.
    """
    thinned = [_thinned([(span.place(when), value) for when, value in piece]) for piece in pieces]
    values = [value for piece in thinned for _, value in piece]
    lowest = max(math.floor(math.log10(min(values))), _LOWEST)
    highest = max(math.ceil(math.log10(max(values))), lowest + 1)
    decades = range(lowest, highest)

    def y(power: float) -> float:
        return height * (1 - _part(max(power, lowest), lowest, highest))

    marks = [f'<path class="grid" d="M0 {y(power):.1f}H{WIDTH}"/>' for power in decades[1:]]
    for piece in thinned:
        line = "L".join(f"{x:.1f} {y(math.log10(value)):.1f}" for x, value in piece)
        marks.append(f'<path class="line xrs" d="M{line}{"h0" if len(piece) == 1 else ""}"/>')
    letters = [
        Tick(y(power + 0.5) / height * 100, _LETTERS[power])
        for power in decades
        if power in _LETTERS
    ]
    return svg([behind, *marks], height, "panel"), letters


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the highest point of each unit of the width."""
    return [max(each, key=itemgetter(1)) for _, each in groupby(points, lambda p: int(p[0]))]


def sparkline(points: Sequence[tuple[datetime, float]], span: Span, behind: str) -> Markup:
    """Return values over time as a small line of about sixty points; empty without points."""
    if not points:
        return Markup("")
    height, margin = 100.0, 8.0
    step = max(1, len(points) // 60)
    # Keep the highest of each few values: a flare may be no longer than those.
    some = [max(points[n : n + step], key=lambda p: p[1]) for n in range(0, len(points), step)]
    low, high = _limits([v for _, v in some])
    line = "L".join(
        f"{span.place(t):.0f} {height - margin - _part(v, low, high) * (height - 2 * margin):.0f}"
        for t, v in some
    )
    return svg([behind, f'<path class="line" d="M{line}"/>'], height, "spark")


def lane(span: Span, times: Iterable[datetime], step: timedelta, kind: str) -> Markup:
    """Return a mark, as wide as a slot, for each time; marks of neighbouring slots are joined."""
    width = max(step / (span.end - span.start) * WIDTH, _APART)
    runs: list[list[float]] = []
    for x in sorted(span.place(time) for time in times):
        if runs and x - runs[-1][1] < _APART:
            runs[-1][1] = x + width
        else:
            runs.append([x, x + width])
    path = "".join(f"M{x:.1f} 5h{min(end, WIDTH) - x:.1f}" for x, end in runs if x < WIDTH)
    return svg([f'<path class="{kind}" d="{path}"/>'], 10, "lane")


def class_marks(span: Span, flares: Iterable[tuple[datetime, datetime, datetime, float]],
                height: float, low: float, high: float) -> list[str]:  # fmt: skip
    """Return flares as triangles from start to peak to end; the height shows the peak flux.

    The scale is logarithmic, from `low` to `high` (W m-2).
    """
    found = []
    for start, peak, end, flux in flares:
        y = height * (1 - logarithmic(flux, low, high))
        x = [span.place(when) for when in (start, peak, end)]
        points = f"{x[0]:.1f},{height:g} {x[1]:.1f},{y:.1f} {x[2]:.1f},{height:g}"
        found.append(f'<polygon class="known" points="{points}"/>')
    return found


def clock(span: Span, most: int = 8) -> list[Tick]:
    """Return at most `most` ticks at round minutes, hours or days of an interval."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400)
    length = span.end - span.start
    minutes = next((step for step in steps if length / timedelta(minutes=step) < most), steps[-1])
    step = timedelta(minutes=minutes)
    midnight = span.start.replace(hour=0, minute=0, second=0, microsecond=0)
    when = midnight + step * math.ceil((span.start - midnight) / step)
    form = "%H:%M" if minutes < 1440 else "%m-%d"
    found = []
    while when <= span.end:
        found.append(Tick(span.place(when) / WIDTH * 100, when.strftime(form)))
        when += step
    # A word near the edge would pass it.
    return [tick for tick in found if 3 <= tick.place <= 97]


def disc(places: Iterable[tuple[float, float, str]]) -> Markup:
    """Return the Sun's disc with flares on it, x to the west and y to the north (solar radii).

    Each flare has a CSS class for its size. The grid has a line every 30 degrees, without tilt.
    """
    marks = ['<circle class="limb" r="1"/>']
    for degrees in (-60, -30, 0, 30, 60):
        turn = math.radians(degrees)
        across, along = math.cos(turn), math.sin(turn)
        marks.append(f'<path class="grid" d="M{-across:.3f} {along:.3f}H{across:.3f}"/>')
        sweep = int(degrees > 0)
        marks.append(
            f'<path class="grid" d="M0-1A{abs(along):.3f} 1 0 0 {sweep} 0 1"/>'
            if degrees
            else '<path class="grid" d="M0-1V1"/>'
        )
    radius = {"small": 0.03, "medium": 0.045, "large": 0.06}
    marks += [
        f'<circle class="flare {size}" cx="{x:.3f}" cy="{-y:.3f}" r="{radius[size]}"/>'
        for x, y, size in places
    ]
    return Markup(
        f'<svg class="disc" viewBox="-1.12 -1.12 2.24 2.24" aria-hidden="true">'
        f"{''.join(marks)}</svg>"
    )


def years(moments: Sequence[tuple[datetime, float]]) -> tuple[Markup, list[Tick]]:
    """Return flares over time as needles, each of its height (0 to 1), and the axis's words."""
    first, last = moments[0][0], moments[-1][0]
    span = Span(
        first.replace(month=1, day=1, hour=0, minute=0, second=0),
        last.replace(year=last.year + 1, month=1, day=1, hour=0, minute=0, second=0),
    )
    height = 100.0
    marks = []
    for when, part in moments:
        x, y = span.place(when), height * (1 - 0.85 * part)
        marks.append(f'<path class="line flare" d="M{x:.1f} {height:g}V{y:.1f}"/>')
        marks.append(f'<path class="dots flare" d="M{x:.1f} {y:.1f}h0"/>')
    several = span.end.year - span.start.year
    if several == 1:
        starts = [span.start.replace(month=month) for month in range(1, 13, 2)]
        words = [each.strftime("%Y" if each.month == 1 else "%b") for each in starts]
    else:
        step = math.ceil(several / 8)
        starts = [span.start.replace(year=y) for y in range(span.start.year, span.end.year, step)]
        words = [str(each.year) for each in starts]
    places = (span.place(each) / WIDTH * 100 for each in starts)
    return svg(marks, height, "years"), [Tick(*each) for each in zip(places, words, strict=True)]


def logarithmic(value: float, low: float, high: float) -> float:
    """Return a value's place between `low` and `high` on a logarithmic scale (0.05 to 1)."""
    return min(max(_part(math.log10(value), math.log10(low), math.log10(high)), 0.05), 1)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a scale for some values: a noise of less than 2 % shall look small."""
    low, high = min(values), max(values)
    lacking = 0.02 * max(abs(low), abs(high)) - (high - low)
    return (low - lacking / 2, high + lacking / 2) if lacking > 0 else (low, high)


def _part(value: float, low: float, high: float) -> float:
    """Return a value's place between `low` (0) and `high` (1); 0.5 where the two are equal."""
    return (value - low) / (high - low) if high > low else 0.5
