"""Find what is wrong with the processing steps of a campaign, whatever the event."""

from __future__ import annotations

import math
from typing import Any

from flareset.sdo.processing import FULL_PIXELS, FULL_SCALE
from flareset.sdo.series import Series
from flareset.sdo.times import parse_duration

# The Sun's radius in January, arcsec, and how far its centre may lie from the frame's, pixels.
_LARGEST_RADIUS, _OFF_CENTRE = 976.0, 20.0


def check_steps(steps: list[dict[str, Any]], series: Series) -> list[str]:
    """What is wrong with a campaign's processing for every event: a sentence each."""
    problems = []
    names = [name for step in steps for name in step]
    for number, step in enumerate(steps):
        ((name, given),) = step.items()
        where = f"export.processing.{number}.{name}"
        if name == "aia_scale" and number and names[number - 1] != "no_op":
            problems.append(f"{where}: it needs full frames: put it first")
        if name == "resize" and "im_patch" in names[:number] and given["center_on"] == "sun":
            problems.append(
                f"{where}: center_on: sun moves the Sun's centre to the middle of the cut-out:"
                " write center_on: none"
            )
        if name == "im_patch":
            problems += [f"{where}: {problem}" for problem in _box_problems(given, series)]
            if "maproj" in names[:number]:
                problems.append(f"{where}: a map has no place in the sky: put maproj last")
    for name in dict.fromkeys(names):
        if names.count(name) > 1 and name != "no_op":
            problems.append(f"export.processing: {name} stands there {names.count(name)} times")
    return problems


def _box_problems(box: dict[str, Any], series: Series) -> list[str]:
    """What is wrong with a cut-out, whatever the event."""
    problems = []
    center, units = box["center"], box["center_units"]
    numbers = [*(center if isinstance(center, list) else ()), *(box["size"] or ())]
    if not all(math.isfinite(number) for number in numbers):
        return ["center and size must be numbers"]
    if box["cadence"] and not parse_duration(box["cadence"]):
        problems.append("cadence: must be longer than 0; leave it out for the series' own")
    if series.keys[0] != "T_REC":
        problems.append(f"a record of {series.name} is a patch already: leave im_patch out")
    if center is None and box["noaa_ar"] is None:
        problems.append("say where: center: [x, y], center: event, or noaa_ar")
    if center is not None and box["noaa_ar"] is not None:
        problems.append("center and noaa_ar both say where: leave one out")
    if isinstance(center, list) and not units:
        problems.append("center has no units: add center_units: arcsec, pixels, carrington or"
                        " stonyhurst")  # fmt: skip
    if not isinstance(center, list) and units not in ("", "arcsec"):
        problems.append(f"center_units: {units} goes with center: [x, y] only; leave it out")
    if box["size"] is None or not box["size_units"]:
        problems.append("say how large: size: [width, height] with size_units: arcsec, pixels or"
                        " degrees")  # fmt: skip
    elif any(side > most for side in box["size"] if (most := _largest(box, series))):
        problems.append(
            f"size: {box['size']} {box['size_units']} is more than a full frame; without im_patch"
            " JSOC sends full frames"
        )
    if units == "carrington" and not box["track"]:
        problems.append(
            "a Carrington longitude moves with the Sun: set track: true, or write the center in"
            " stonyhurst or arcsec"
        )
    if box["car_rot"] is not None and units != "carrington":
        problems.append("car_rot goes with center_units: carrington only; leave it out")
    if isinstance(center, list) and units:
        problems += _place_problems(center, units, box["track"], series)
    return problems


def _largest(box: dict[str, Any], series: Series) -> float:
    sides = {"pixels": 1.0, "arcsec": FULL_SCALE[series.instrument]}
    return FULL_PIXELS * sides[box["size_units"]] if box["size_units"] in sides else 180.0


def _place_problems(center: list[float], units: str, track: bool, series: Series) -> list[str]:
    x, y = center
    if units == "stonyhurst" and not (abs(x) <= 90 and abs(y) <= 90):
        return [f"center: {center} is not on the side of the Sun that we see: Stonyhurst longitude"
                " and latitude lie between -90 and 90"]  # fmt: skip
    if units == "carrington" and not (0 <= x <= 360 and abs(y) <= 90):
        return [f"center: {center} is no Carrington longitude (0 to 360) and latitude (-90 to 90)"]
    if units == "pixels" and not (1 <= x <= FULL_PIXELS and 1 <= y <= FULL_PIXELS):
        return [f"center: {center} is not in the frame: pixels count from 1 to {FULL_PIXELS}"]
    middle = (FULL_PIXELS + 1) / 2
    off_disk = {
        "arcsec": math.hypot(x, y) > _LARGEST_RADIUS,
        "pixels": math.hypot(x - middle, y - middle)
        > _LARGEST_RADIUS / FULL_SCALE[series.instrument] + _OFF_CENTRE,
    }
    if track and off_disk.get(units):
        return [f"center: {center} is off the disk, where nothing can be tracked: set track: false"]
    return []
