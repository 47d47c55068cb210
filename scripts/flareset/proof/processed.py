"""Check that an image was processed as asked.

JSOC ignores what it does not understand and delivers full frames with status 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flareset.errors import ProcessingError
from flareset.sdo import geometry
from flareset.sdo.processing import Step
from flareset.sdo.recordset import parse_time

# How far a cut-out's centre may always lie from where it was asked (arcsec, and fraction of its
# size): rounding, registration, and models of solar rotation that differ over half a day.
_NEAR_ARCSEC, _NEAR_PART = 20.0, 0.1


def check_processed(
    header: Mapping[str, Any], shape: tuple[int, int], steps: list[Step], time: datetime
) -> None:
    """Raise ProcessingError if a header and shape do not agree with the steps asked for.

    `shape` is (rows, columns). The image was observed at `time`.
    """
    _check_series(header)
    for number, step in enumerate(steps):
        _check_step(header, shape, step, steps[number + 1 :], time)


def _check_step(
    header: Mapping[str, Any],
    shape: tuple[int, int],
    step: Step,
    later: list[Step],
    time: datetime,
) -> None:
    """Raise ProcessingError if an image does not agree with a step. `later` steps follow it."""
    names = {other.name for other in later}
    if step.name.startswith("aia_scale"):
        _check_level(header, resized=bool(names & {"resize", "rebin", "Maproj"}))
    elif "Maproj" in names:
        return  # a map's header does not describe the frame that it was made of
    elif step.name == "Maproj" and not names:
        _check_map(shape, step)
    elif step.name == "resize" and "scale_to" in step.args:
        _check_scale(header, float(step.args["scale_to"]) / _binning(later))
    elif step.name == "im_patch":
        _check_box(header, shape, step.args, later, time)


def _binning(steps: list[Step]) -> float:
    """Return the factor by which steps change the number of pixels along a side."""
    return math.prod(float(step.args["scale"]) for step in steps if step.name == "rebin")


def _check_series(header: Mapping[str, Any]) -> None:
    """Raise ProcessingError if a header names a series of unprocessed images."""
    drms_id = str(header.get("DRMS_ID") or "")
    if drms_id and not drms_id.partition(":")[0].lower().endswith(("_mod", ".lev1p5")):
        raise ProcessingError(f"it is not processed: its DRMS_ID is {drms_id}")


def _check_level(header: Mapping[str, Any], *, resized: bool) -> None:
    """Raise ProcessingError if an image is not of level 1.5. A `resized` image has any scale."""
    scale = _float(header, "CDELT1")
    # HMI's images have no LVL_NUM: only their scale is checked.
    level = _float(header, "LVL_NUM") if "LVL_NUM" in header else 1.5
    # Level 1.5 has 0.6 arcsec per pixel, a rehearsal's smaller frames 0.6 times a power of 2.
    octave = math.log2(scale / 0.6) if scale > 0 else 0.5
    if level < 1.5 or (not resized and abs(octave - round(octave)) > 1e-4):
        raise ProcessingError(
            f"it is not scaled to level 1.5: LVL_NUM is {level}, CDELT1 is {scale}"
        )


def _check_map(shape: tuple[int, int], step: Step) -> None:
    rows, columns = shape
    asked = int(float(step.args["rows"])), int(float(step.args["cols"]))
    if shape != asked:
        raise ProcessingError(
            f"it has {columns} x {rows} pixels, the map asked for {asked[1]} x {asked[0]}"
        )


def _check_scale(header: Mapping[str, Any], asked: float) -> None:
    scale = _float(header, "CDELT1")
    if not math.isclose(scale, asked, rel_tol=1e-3):
        raise ProcessingError(f"CDELT1 is {scale:g}, asked was {asked:g}")


def _check_box(
    header: Mapping[str, Any],
    shape: tuple[int, int],
    args: dict[str, str],
    later: list[Step],
    time: datetime,
) -> None:
    # A box in pixels gets an unknown number of pixels from a new scale: it depends on the frame.
    rescaled = any("scale_to" in step.args for step in later)
    _check_size(header, shape, args, time, None if rescaled else _binning(later))
    _check_center(header, shape, args, time)


def _check_size(
    header: Mapping[str, Any],
    shape: tuple[int, int],
    args: dict[str, str],
    time: datetime,
    binned: float | None,
) -> None:
    """Compare a cut-out's size with its step. `binned` is None if later steps set the size.

    The size may be off by 2 pixels or 2 %: JSOC rounds to whole pixels of a scale that is not
    exactly the nominal one. A later step that makes the pixels smaller multiplies that error.
    """
    scale = abs(_float(header, "CDELT1"))
    if not scale:
        raise ProcessingError("its CDELT1 is 0")
    for pixels, side in ((shape[1], float(args["width"])), (shape[0], float(args["height"]))):
        near = max(2.0, 0.02 * pixels) if binned is not None else max(4.0, 0.2 * pixels)
        if args["boxunits"] == "degrees":
            # Degrees are foreshortened away from the disk's centre, never stretched.
            arcsec = math.radians(side) * geometry.solar_radius_arcsec(time)
            wrong = pixels > 1.05 * arcsec / scale + near
        elif args["boxunits"] == "arcsec":
            wrong = abs(pixels - side / scale) > near
        else:
            wrong = binned is not None and abs(pixels - side * binned) > near
        if wrong:
            raise ProcessingError(
                f"it has {shape[1]} x {shape[0]} pixels of {scale:g} arcsec, asked was a cut-out"
                f" of {args['width']} x {args['height']} {args['boxunits']}"
            )


def _check_center(
    header: Mapping[str, Any], shape: tuple[int, int], args: dict[str, str], time: datetime
) -> None:
    """Compare a cut-out's centre with its step, if the step tells where the centre is."""
    asked = _box_center(args, time)
    if asked is None:
        return
    x, y = _center(header, shape)
    scale = abs(_float(header, "CDELT1"))
    near = max(_NEAR_ARCSEC, _NEAR_PART * max(shape) * scale, 3 * scale)
    if math.hypot(x - asked[0], y - asked[1]) > near:
        raise ProcessingError(
            f"it shows {x:.0f}, {y:.0f} arcsec, asked was {asked[0]:.0f}, {asked[1]:.0f}"
        )


def _center(header: Mapping[str, Any], shape: tuple[int, int]) -> tuple[float, float]:
    """Return the position of an image's middle (arcsec) from its WCS keywords."""
    turned = header.get("CROTA2") not in (None, "")
    turn = math.radians(_float(header, "CROTA2")) if turned else 0.0
    dx = ((shape[1] + 1) / 2 - _float(header, "CRPIX1")) * _float(header, "CDELT1")
    dy = ((shape[0] + 1) / 2 - _float(header, "CRPIX2")) * _float(header, "CDELT2")
    x = _float(header, "CRVAL1") + dx * math.cos(turn) - dy * math.sin(turn)
    y = _float(header, "CRVAL2") + dx * math.sin(turn) + dy * math.cos(turn)
    return x, y


def _box_center(args: dict[str, str], time: datetime) -> tuple[float, float] | None:
    """Return where a cut-out's centre should be at a time (arcsec); None if that is unknown."""
    x, y = float(args["x"]), float(args["y"])
    units = args["locunits"]
    try:
        if units == "carrlong":
            longitude = (x - geometry.carrington(time)[1] + 180) % 360 - 180
            return geometry.stonyhurst_to_arcsec(longitude, y, time)
        reference = parse_time(args["t_ref"])
        if units == "stony":
            x, y = geometry.stonyhurst_to_arcsec(x, y, reference)
        elif units == "pixels":
            return None
        if args["t"] == "1":
            return x, y
        return geometry.rotated(x, y, (time - reference).total_seconds(), reference)
    except ValueError:
        return None  # beyond the limb, where no model of rotation holds


def _float(header: Mapping[str, Any], key: str) -> float:
    """Return a keyword's number. Raise ProcessingError if the header has none."""
    try:
        value = float(header[key])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ProcessingError(f"its header has no {key}, which the processing sets")
    return value
