"""Find the faults of a campaign's processing steps that do not depend on the event."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from flareset.campaign.config import ImPatch, ProcessingStep, Resize
from flareset.sdo.processing import FULL_PIXELS, FULL_SCALE
from flareset.sdo.series import Series

# The Sun's largest radius (arcsec), and its centre's largest distance from the frame's (pixels).
_LARGEST_RADIUS, _OFF_CENTRE = 976.0, 20.0
_MIDDLE = (FULL_PIXELS + 1) / 2
_Rule = Callable[[ImPatch, Series], bool]


def step_problems(steps: tuple[ProcessingStep, ...], series: Series) -> Iterator[str]:
    """Yield a sentence for each fault of a campaign's steps."""
    names = [step.name for step in steps]
    for number, step in enumerate(steps):
        for problem in _problems_of(step, names[:number], series):
            yield f"export.processing.{number}.{step.name}: {problem}"
    for name in dict.fromkeys(names):
        if names.count(name) > 1 and name != "no_op":
            yield f"export.processing: {name} is there {names.count(name)} times"


def _problems_of(step: ProcessingStep, before: list[str], series: Series) -> Iterator[str]:
    """Yield the faults of a step that follows the steps `before`."""
    match step.settings:
        case ImPatch() as box:
            for wrong, sentence in _BOX_RULES:
                if wrong(box, series):
                    yield sentence.format(box=box, series=series, **_numbers(box))
            if "maproj" in before:
                yield "nothing can be cut out of a map: put maproj last"
        case Resize(center_on="sun") if "im_patch" in before:
            yield (
                "center_on: sun moves the Sun's centre to the middle of the cut-out: write"
                " center_on: none"
            )
    if step.name == "aia_scale" and set(before) - {"no_op"}:
        yield "it needs full frames: put it first"


def _numbers(box: ImPatch) -> dict[str, str]:
    """Return a cut-out's center and size as text, as written in the settings."""
    pairs = {"center": box.center, "size": box.size}
    return {
        key: f"[{', '.join(f'{number:g}' for number in pair)}]"
        for key, pair in pairs.items()
        if isinstance(pair, tuple)
    }


def _exceeds_the_frame(box: ImPatch, series: Series) -> bool:
    if box.size is None or box.size_units is None:
        return False
    per_pixel = {"pixels": 1.0, "arcsec": FULL_SCALE[series.instrument]}
    largest = FULL_PIXELS * per_pixel[box.size_units] if box.size_units in per_pixel else 180.0
    return max(box.size) > largest


def _placed(units: str, outside: Callable[[float, float], bool]) -> _Rule:
    """Return the rule that is broken if a center in these units is `outside`."""

    def check(box: ImPatch, series: Series) -> bool:  # noqa: ARG001 - one signature for all
        in_units = isinstance(box.center, tuple) and box.center_units == units
        return in_units and outside(*box.center)

    return check


def _is_off_the_disk(box: ImPatch, series: Series) -> bool:
    """Return whether a center to be tracked lies beyond the limb, but within the frame."""
    pixels = _LARGEST_RADIUS / FULL_SCALE[series.instrument] + _OFF_CENTRE
    return box.track and (
        _placed("arcsec", lambda x, y: math.hypot(x, y) > _LARGEST_RADIUS)(box, series)
        or _placed(
            "pixels",
            lambda x, y: (
                not _is_off_the_frame(x, y) and math.hypot(x - _MIDDLE, y - _MIDDLE) > pixels
            ),
        )(box, series)
    )


def _is_off_the_frame(x: float, y: float) -> bool:
    return not (1 <= x <= FULL_PIXELS and 1 <= y <= FULL_PIXELS)


# For each fault of a cut-out: a function that finds it, and the message.
_BOX_RULES: list[tuple[_Rule, str]] = [
    (
        lambda _, series: series.keys[0] != "T_REC",
        "a record of {series.name} is a patch already: leave im_patch out",
    ),
    (
        lambda box, _: box.center is None and box.noaa_ar is None,
        "say where: center: [x, y], center: event, or noaa_ar",
    ),
    (
        lambda box, _: box.center is not None and box.noaa_ar is not None,
        "center and noaa_ar both say where: leave one out",
    ),
    (
        lambda box, _: isinstance(box.center, tuple) and box.center_units is None,
        "center has no units: add center_units: arcsec, pixels, carrington or stonyhurst",
    ),
    (
        lambda box, _: (
            not isinstance(box.center, tuple) and box.center_units not in (None, "arcsec")
        ),
        "center_units: {box.center_units} goes with center: [x, y] only; leave it out",
    ),
    (
        lambda box, _: box.size is None or box.size_units is None,
        "say how large: size: [width, height] with size_units: arcsec, pixels or degrees",
    ),
    (
        _exceeds_the_frame,
        "size: {size} {box.size_units} is more than a full frame; without im_patch JSOC sends full"
        " frames",
    ),
    (
        lambda box, _: box.center_units == "carrington" and not box.track,
        "a Carrington longitude moves with the Sun: set track: true, or write the center in"
        " stonyhurst or arcsec",
    ),
    (
        lambda box, _: box.car_rot is not None and box.center_units != "carrington",
        "car_rot goes with center_units: carrington only; leave it out",
    ),
    (
        _placed("stonyhurst", lambda x, y: not (abs(x) <= 90 and abs(y) <= 90)),
        "center: {center} is not on the side of the Sun that we see: Stonyhurst longitude and"
        " latitude lie between -90 and 90",
    ),
    (
        _placed("carrington", lambda x, y: not (0 <= x <= 360 and abs(y) <= 90)),
        "center: {center} is no Carrington longitude (0 to 360) and latitude (-90 to 90)",
    ),
    (
        _placed("pixels", _is_off_the_frame),
        f"center: {{center}} is not in the frame: pixels count from 1 to {FULL_PIXELS}",
    ),
    (
        _is_off_the_disk,
        "center: {center} is off the disk, where nothing can be tracked: set track: false",
    ),
]
