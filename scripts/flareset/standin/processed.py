"""Process frames as JSOC does: cut-outs, level 1.5, resized and binned frames, maps.

A step has two results: the header's view afterwards (a View), and actions on the pixels. Actions
compare by value, so that equal actions are done once. Source: im_patch.c and jsoc_rebin.c of JSOC;
Calabretta & Greisen 2002, A&A 395, 1077 for maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from flareset.sdo import geometry
from flareset.standin.drmstime import moment, scan
from flareset.standin.steps import Step
from flareset.standin.sun import FULL_SCALE, FULL_SIZE

_STRIP = 256  # rows resampled at a time
# im_patch crops at this fraction of the squared radius.
_LIMB = 0.9995
_PROJECTIONS = {"cyleqa": "CEA", "orthographic": "SIN", "postel": "ARC"}


@dataclass(frozen=True)
class View:
    """The view of an image: its shape and world coordinates (FITS conventions)."""

    columns: int
    rows: int
    crpix: tuple[float, float]
    cdelt: float
    crota: float = 0.0
    crval: tuple[float, float] = (0.0, 0.0)
    ctype: tuple[str, str] = ("HPLN-TAN", "HPLT-TAN")
    unit: str = "arcsec"
    level: float = 1.0

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the column and row (from 0) of a point (arcsec from Sun centre)."""
        turn = math.radians(self.crota)
        dx = (x * math.cos(turn) + y * math.sin(turn)) / self.cdelt
        dy = (y * math.cos(turn) - x * math.sin(turn)) / self.cdelt
        return self.crpix[0] - 1 + dx, self.crpix[1] - 1 + dy

    def arcsec(self, column: float, row: float) -> tuple[float, float]:
        """Return the position (arcsec from Sun centre) of a pixel (counted from 0)."""
        turn = math.radians(self.crota)
        dx, dy = (
            (at + 1 - reference) * self.cdelt
            for at, reference in zip((column, row), self.crpix, strict=True)
        )
        return dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn)


def centred(columns: int, rows: int, cdelt: float, crota: float = 0.0) -> View:
    """Return a view with Sun centre in the middle of the image."""
    return View(columns, rows, ((columns + 1) / 2, (rows + 1) / 2), cdelt, crota)


Action = Callable[[np.ndarray], np.ndarray]


def _blank(pixels: np.ndarray) -> int:
    """Return the value of a missing pixel."""
    return int(np.iinfo(pixels.dtype).min)


@dataclass(frozen=True)
class Cut:
    """Cut out a box of pixels. Pixels outside of the frame are missing."""

    column: int
    row: int
    columns: int
    rows: int

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        out = np.full((self.rows, self.columns), _blank(pixels), dtype=pixels.dtype)
        top, left = max(0, self.row), max(0, self.column)
        part = pixels[top : max(0, self.row + self.rows), left : max(0, self.column + self.columns)]
        y, x = top - self.row, left - self.column
        out[y : y + part.shape[0], x : x + part.shape[1]] = part
        return out


@dataclass(frozen=True)
class Crop:
    """Make pixels off the disk missing."""

    column: float
    row: float
    radius: float

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        y, x = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        away = (x - self.column) ** 2 + (y - self.row) ** 2
        return np.where(away < _LIMB * self.radius**2, pixels, _blank(pixels)).astype(pixels.dtype)


@dataclass(frozen=True)
class Flip:
    """Turn an image by 180 degrees."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pixels[::-1, ::-1])


@dataclass(frozen=True)
class Bin:
    """Average squares of pixels. A square with a missing pixel is missing."""

    side: int

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        rows, columns = (length // self.side for length in pixels.shape)
        squares = pixels[: rows * self.side, : columns * self.side].reshape(
            rows, self.side, columns, self.side
        )
        blank = _blank(pixels)
        means = np.rint(squares.mean(axis=(1, 3)))
        return np.where((squares == blank).any(axis=(1, 3)), blank, means).astype(pixels.dtype)


@dataclass(frozen=True)
class Resample:
    """Resample an image to another view, by bilinear interpolation."""

    source: View
    target: View

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        out = np.empty((self.target.rows, self.target.columns), dtype=pixels.dtype)
        factor = self.target.cdelt / self.source.cdelt
        turn = math.radians(self.target.crota - self.source.crota)
        along, across = factor * math.cos(turn), factor * math.sin(turn)
        x = np.arange(self.target.columns) + 1 - self.target.crpix[0]
        for top in range(0, len(out), _STRIP):
            y = np.arange(top, min(top + _STRIP, len(out)))[:, None] + 1 - self.target.crpix[1]
            column = self.source.crpix[0] - 1 + along * x - across * y
            row = self.source.crpix[1] - 1 + across * x + along * y
            out[top : top + _STRIP] = self._at(pixels, column, row)
        return out

    def _at(self, pixels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        return _between(pixels, column, row)


@dataclass(frozen=True)
class Point(Resample):
    """Resample a drawn frame to the view of a telescope, which sees the sky beyond it too."""

    def _at(self, pixels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        rows, columns = pixels.shape
        return _between(pixels, np.clip(column, 0, columns - 1), np.clip(row, 0, rows - 1))


@dataclass(frozen=True)
class Project:
    """Project a frame to a heliographic map. `longitude` is the centre's Stonyhurst longitude.

    Angles are in degrees; `radius` is the Sun's (arcsec).
    """

    source: View
    target: View
    longitude: float
    disk_latitude: float
    radius: float

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        step = math.radians(self.target.cdelt)
        x = (np.arange(self.target.columns) + 1 - self.target.crpix[0])[None, :] * step
        y = (np.arange(self.target.rows) + 1 - self.target.crpix[1])[:, None] * step
        lon, lat = self._heliographic(x, y)
        tilt = math.radians(self.disk_latitude)
        front = np.cos(lat) * np.cos(lon)
        near = front * math.cos(tilt) + np.sin(lat) * math.sin(tilt)
        west = np.cos(lat) * np.sin(lon) * self.radius
        north = (np.sin(lat) * math.cos(tilt) - front * math.sin(tilt)) * self.radius
        turn = math.radians(self.source.crota)
        along = (west * math.cos(turn) + north * math.sin(turn)) / self.source.cdelt
        up = (north * math.cos(turn) - west * math.sin(turn)) / self.source.cdelt
        found = _nearest(pixels, self.source.crpix[0] - 1 + along, self.source.crpix[1] - 1 + up)
        return np.where(near > 0, found, _blank(pixels)).astype(pixels.dtype)

    def _heliographic(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Stonyhurst longitude and latitude (radians) of points of the map; NaN off it."""
        centre, latitude = math.radians(self.longitude), math.radians(self.target.crval[1])
        projection = self.target.ctype[0][-3:]
        x, y = np.broadcast_arrays(x, y)
        if projection == "CAR":
            return x + centre, np.where(np.abs(y + latitude) <= math.pi / 2, y + latitude, np.nan)
        with np.errstate(invalid="ignore"):
            if projection == "CEA":
                return x + centre, np.arcsin(y + math.sin(latitude))
            away = np.hypot(x, y)
            angle = np.arcsin(away) if projection == "SIN" else np.where(away < 3, away, np.nan)
        part = np.sin(angle) / np.maximum(away, 1e-12)
        sine = np.cos(angle) * math.sin(latitude) + y * part * math.cos(latitude)
        front = np.cos(angle) * math.cos(latitude) - y * part * math.sin(latitude)
        return centre + np.arctan2(x * part, front), np.arcsin(np.clip(sine, -1, 1))


def _nearest(pixels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the pixels nearest to places. They are missing where a place is outside or NaN."""
    rows, columns = pixels.shape
    inside = (column >= -0.5) & (column < columns - 0.5) & (row >= -0.5) & (row < rows - 0.5)
    x = np.rint(np.where(inside, column, 0)).astype(np.intp)
    y = np.rint(np.where(inside, row, 0)).astype(np.intp)
    return np.where(inside, pixels[y, x], _blank(pixels)).astype(pixels.dtype)


def _between(pixels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return values at places (floats) between the pixels around them.

    They are missing where a place is outside, or a pixel around it is missing.
    """
    rows, columns = pixels.shape
    inside = (column >= -0.5) & (column < columns - 0.5) & (row >= -0.5) & (row < rows - 0.5)
    x, y = np.clip(column, 0, columns - 1), np.clip(row, 0, rows - 1)
    left, low = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    # A place on a pixel has no other around it.
    right, high = np.ceil(x).astype(np.intp), np.ceil(y).astype(np.intp)
    along, up = x - left, y - low
    total, missing = np.zeros(inside.shape), ~inside
    for line, height in ((low, 1 - up), (high, up)):
        for place, width in ((left, 1 - along), (right, along)):
            corner = pixels[line, place]
            total += corner * (height * width)
            missing |= corner == _blank(pixels)
    return np.where(missing, _blank(pixels), np.rint(total)).astype(pixels.dtype)


def plan(view: View, steps: Sequence[Step], when: datetime) -> tuple[View, tuple[Action, ...]]:
    """Return a frame's view after steps, and the actions on its pixels.

    `when` is the time of observation. A step whose arguments cannot be read changes nothing, as at
    JSOC.
    """
    actions: tuple[Action, ...] = ()
    for step in steps:
        name = "aia_scale" if step.name.startswith("aia_scale") else step.name.lower()
        try:
            view, more = _STEPS[name](view, step.args, when)
        except (KeyError, ValueError, ZeroDivisionError, OverflowError):
            continue
        actions += more
    return view, actions


_Planned = tuple[View, tuple[Action, ...]]


def _aia_scale(view: View, args: dict[str, str], _when: datetime) -> _Planned:
    """Plan level 1.5: 0.6 arcsec per pixel of a full frame, Sun centre in the middle, north up."""
    full = max(view.columns, view.rows)
    columns, rows = int(args.get("wide", full)), int(args.get("high", full))
    at = [
        (full + 1) / 2 + (length + 1) / 2 - float(args.get(key, (full + 1) / 2))
        for key, length in (("xc", columns), ("yc", rows))
    ]
    scale = FULL_SCALE * FULL_SIZE / full
    target = replace(
        centred(columns, rows, scale), crpix=(at[0], at[1]), ctype=view.ctype, level=1.5
    )
    return target, (Resample(view, target),)


def _im_patch(view: View, args: dict[str, str], when: datetime) -> _Planned:
    column, row = _place(view, args, when)
    (left, columns), (low, rows) = _box(view, args, when)
    x, y = round(column + left), round(row + low)
    actions: list[Action] = [Cut(x, y, columns, rows)]
    crpix = view.crpix[0] - x, view.crpix[1] - y
    if args.get("c") == "1":
        actions.append(_crop(crpix, view.cdelt, when))
    crota = view.crota
    if abs(abs(crota) - 180) < 1:
        actions.append(Flip())
        crpix = columns + 1 - crpix[0], rows + 1 - crpix[1]
        crota = crota - math.copysign(180, crota)
    if args.get("r") == "1":
        # Registered: the box is shifted by the fraction of a pixel by which it misses its centre.
        crota = 0.0
        crpix = crpix[0] + x - (column + left), crpix[1] + y - (row + low)
    cut = replace(view, columns=columns, rows=rows, crpix=crpix, crota=crota)
    return cut, tuple(actions)


def _crop(crpix: tuple[float, float], cdelt: float, when: datetime) -> Crop:
    # Rounded to a tenth of a pixel, so that neighbours in time share their pixels.
    radius = round(geometry.solar_radius_arcsec(when) / cdelt, 1)
    return Crop(crpix[0] - 1, crpix[1] - 1, radius)


def _place(view: View, args: dict[str, str], when: datetime) -> tuple[float, float]:
    """Return the pixel (from 0) of a cut-out's centre. It is not tracked beyond the limb."""
    x, y = float(args["x"]), float(args["y"])
    units = args["locunits"].lower()
    tracked = args.get("t", "0") == "0"
    if units.startswith("carr"):
        longitude = (x - geometry.carrington(when)[1] + 180) % 360 - 180
        return view.pixel(*_seen(longitude, y, when))
    found = scan(args["t_ref"])
    if found is None:
        raise ValueError(args["t_ref"])
    reference = moment(found[0])
    if units.startswith("stony"):
        x, y = _seen(x, y, reference)
    elif units.startswith("pix"):
        if not tracked:
            return x - 1, y - 1
        x, y = view.arcsec(x - 1, y - 1)
    elif not units.startswith("arcsec"):
        raise ValueError(units)
    if tracked:
        with suppress(ValueError):
            x, y = geometry.rotated(x, y, (when - reference).total_seconds(), reference)
    return view.pixel(x, y)


def _seen(longitude: float, latitude: float, when: datetime) -> tuple[float, float]:
    """Return where a place on the Sun is seen (arcsec). The far side is seen at the near limb."""
    try:
        return geometry.stonyhurst_to_arcsec(longitude, latitude, when)
    except ValueError:
        lon, lat = math.radians(longitude), math.radians(latitude)
        radius = geometry.solar_radius_arcsec(when)
        x, y = math.cos(lat) * math.sin(lon), math.sin(lat)
        away = math.hypot(x, y) or 1.0
        return radius * x / away, radius * y / away


def _box(view: View, args: dict[str, str], when: datetime) -> list[tuple[float, int]]:
    """Return for x and y a box's begin relative to its centre, and its length (pixels)."""
    width, height = float(args["width"]), float(args["height"])
    units = args["boxunits"].lower()
    if units.startswith("pix"):
        lengths = [max(1, round(side)) for side in (width, height)]
        return [(-length / 2, length) for length in lengths]
    if units.startswith("deg"):
        # The box has the size that it would have on the central meridian.
        radius = geometry.solar_radius_arcsec(when)
        latitude = _latitude(view, args, when)
        up, down = (
            math.sin(math.radians(latitude + side - geometry.disk_latitude(when)))
            for side in (height / 2, -height / 2)
        )
        breadth = 2 * math.sin(math.radians(width / 2)) * math.cos(math.radians(latitude))
        width, height = breadth * radius, (up - down) * radius
    elif not units.startswith("arcsec"):
        raise ValueError(units)
    sides = [side / view.cdelt for side in (width, height)]
    return [(-side / 2, int(1 + side)) for side in sides]


def _latitude(view: View, args: dict[str, str], when: datetime) -> float:
    """Return the heliographic latitude of a cut-out's centre; 0 if it is off the disk."""
    if args["locunits"].lower().startswith(("carr", "stony")):
        return float(args["y"])
    try:
        return geometry.arcsec_to_stonyhurst(*view.arcsec(*_place(view, args, when)), when)[1]
    except ValueError:
        return 0.0


def _resize(view: View, args: dict[str, str], when: datetime) -> _Planned:
    scale = float(args["scale_to"]) if args.get("rescale") == "1" else view.cdelt
    factor = view.cdelt / scale
    target = centred(max(1, round(view.columns * factor)), max(1, round(view.rows * factor)), scale)
    if args.get("center_to", "0") != "0":
        target = replace(target, crpix=_scaled(view.crpix, factor))
    target = replace(target, ctype=view.ctype, level=view.level)
    actions: tuple[Action, ...] = (Resample(view, target),)
    if args.get("c") == "1":
        actions = (*actions, _crop(target.crpix, scale, when))
    return target, actions


def _rebin(view: View, args: dict[str, str], _when: datetime) -> _Planned:
    factor = float(args["scale"])
    side = round(1 / factor)
    target = replace(
        view,
        columns=max(1, int(view.columns * factor)),
        rows=max(1, int(view.rows * factor)),
        crpix=_scaled(view.crpix, factor),
        cdelt=view.cdelt / factor,
    )
    if side > 1 and math.isclose(side * factor, 1) and min(view.columns, view.rows) >= side:
        return target, (Bin(side),)
    return target, (Resample(view, target),)


def _scaled(crpix: tuple[float, float], factor: float) -> tuple[float, float]:
    return (crpix[0] - 0.5) * factor + 0.5, (crpix[1] - 0.5) * factor + 0.5


def _maproj(view: View, args: dict[str, str], when: datetime) -> _Planned:
    code = _PROJECTIONS.get(args.get("map", "carree").lower(), "CAR")
    columns, rows = int(args["cols"]), int(args["rows"])
    longitude, latitude, scale = (float(args[key]) for key in ("clon", "clat", "scale"))
    target = replace(
        centred(columns, rows, scale),
        crval=(longitude, latitude),
        ctype=(f"CRLN-{code}", f"CRLT-{code}"),
        unit="degree",
        level=view.level,
    )
    # Rounded to a quarter of a pixel, so that neighbours in time share their pixels.
    offset = longitude - geometry.carrington(when)[1]
    offset = round(((offset + 180) % 360 - 180) / scale * 4) * scale / 4
    tilt, radius = geometry.disk_latitude(when), geometry.solar_radius_arcsec(when)
    return target, (Project(view, target, offset, round(tilt, 1), round(radius)),)


_STEPS: dict[str, Callable[[View, dict[str, str], datetime], _Planned]] = {
    "aia_scale": _aia_scale,
    "im_patch": _im_patch,
    "resize": _resize,
    "rebin": _rebin,
    "maproj": _maproj,
    "map_proj": _maproj,
}
