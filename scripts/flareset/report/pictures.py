"""Thumbnails of images: small JPEGs in the colours of their channel, inside the page itself."""

from __future__ import annotations

import base64
import io
import logging
import math
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from PIL import Image as Pillow

from flareset.campaign.events import Event
from flareset.errors import VerificationError
from flareset.proof.pixels import pixels_of
from flareset.report.colours import colour_table
from flareset.report.facts import Image
from flareset.sdo.geometry import pixel_of, seen_later

log = logging.getLogger(__name__)

# The longer side of a thumbnail (pixels), and the quality of its JPEG.
_SIDE = 192
_QUALITY = 80
# Values above this quantile of the pixels are shown in the brightest colour.
_BRIGHTEST = 0.9995


class Thumbnail(NamedTuple):
    """A picture of an image; `here` is the flare's place in the picture (per cent from left, top).

    `source` is empty where the file cannot be read.
    """

    image: Image
    source: str
    width: int
    height: int
    here: tuple[float, float] | None


class Set(NamedTuple):
    """Thumbnails of one channel on one colour scale from `low` to `high` (both in `unit`).

    `side` is the length of the longer side (arcsec), None if the header does not tell it.
    """

    wavelength: int
    thumbnails: list[Thumbnail]
    low: float
    high: float
    unit: str
    side: float | None


class _Small(NamedTuple):
    """A reduced image: north up, rows from the top, in DN/s if the image has an exposure."""

    values: np.ndarray
    here: tuple[float, float] | None
    side: float | None
    unit: str


def some_of(images: Sequence[Image], number: int, peak: datetime) -> list[Image]:
    """Return `number` of the images, spread over them; among these, the nearest to the peak."""
    if len(images) <= number:
        return list(images)
    places = np.rint(np.linspace(0, len(images) - 1, number)).astype(int)
    at_peak = min(range(len(images)), key=lambda n: abs(images[n].time - peak))
    if 0 < at_peak < len(images) - 1 and number > 2:
        places[1 + np.argmin(np.abs(places[1:-1] - at_peak))] = at_peak
    return [images[place] for place in sorted(set(places.tolist()))]


def picture(images: Sequence[Image], folder: Path, event: Event) -> Set:
    """Return the thumbnails of images of one channel; `folder` holds their files.

    A file that cannot be read is logged, and its thumbnail has no picture.
    """
    small = [_read(image, folder / image.filename, event) for image in images]
    there = [each for each in small if each is not None]
    signed = any((each.values < 0).mean() > 0.2 for each in there)
    low, high = _limits(there, signed=signed)
    wavelength = images[0].wavelength
    middle = float(np.median([np.median(each.values) for each in there])) if there else low
    thumbnails = []
    for image, each in zip(images, small, strict=True):
        if each is None:
            thumbnails.append(Thumbnail(image, "", _SIDE, _SIDE, None))
            continue
        levels = _level(each.values, low, high, None if signed else middle)
        colours = colour_table(wavelength)[np.rint(255 * levels).astype(np.uint8)]
        height, width = each.values.shape
        thumbnails.append(Thumbnail(image, _jpeg(colours), width, height, each.here))
    unit = there[0].unit if there else ""
    side = next((each.side for each in there if each.side), None)
    return Set(wavelength, thumbnails, low, high, unit, side)


def _level(values: np.ndarray, low: float, high: float, middle: float | None) -> np.ndarray:
    """Return the values scaled to 0 to 1 between `low` and `high`.

    The scale is nearly linear below `middle` and logarithmic above; without `middle`, linear.
    """
    size = high - low or 1.0
    part = np.clip(values, low, high) - low
    if middle is None:
        return part / size
    soft = max(middle - low, size / 1000)
    return np.arcsinh(part / soft) / np.arcsinh(size / soft)


def _limits(small: Sequence[_Small], *, signed: bool) -> tuple[float, float]:
    """Return the values that the first and the last colour stand for."""
    if not small:
        return 0.0, 1.0
    if signed:
        most = max(float(np.quantile(np.abs(each.values), _BRIGHTEST)) for each in small)
        return -most, most
    low = min(float(np.quantile(each.values, 0.02)) for each in small)
    return max(low, 0.0), max(float(np.quantile(each.values, _BRIGHTEST)) for each in small)


def _read(image: Image, path: Path, event: Event) -> _Small | None:
    """Return a file's image, reduced; None if the file cannot be read."""
    try:
        with warnings.catch_warnings(action="ignore"), fits.open(path, memmap=False) as hdus:
            hdu = next(hdu for hdu in hdus if hdu.header.get("NAXIS") == 2)
            header, shape = hdu.header, hdu.shape
            pixels = pixels_of(hdu, shape)
    except (OSError, StopIteration, VerificationError) as error:
        log.info("%s has no picture: %s", path, error)
        return None
    # Of a full frame every second pixel is enough, and a quarter of the work.
    step = max(1, max(shape) // (8 * _SIDE))
    values = np.nan_to_num(pixels[::step, ::step].astype(np.float32), copy=False)
    values /= image.seconds or 1
    factor = max(1.0, max(shape) / _SIDE)
    size = (max(1, round(shape[1] / factor)), max(1, round(shape[0] / factor)))
    values = np.asarray(Pillow.fromarray(values).resize(size, Pillow.Resampling.BOX))
    here = _place(header, shape, event, image.time)
    turned = math.cos(math.radians(float(header.get("CROTA2") or 0))) < 0
    # FITS counts rows from the bottom; HMI's frames are turned, with north at the bottom.
    values = values[:, ::-1] if turned else values[::-1]
    if here and turned:
        here = 100 - here[0], 100 - here[1]
    scale = header.get("CDELT1")
    side = abs(scale) * max(shape) if scale and _seen_from_earth(header) else None
    unit = str(header.get("BUNIT") or "DN")
    return _Small(values, here, side, f"{unit}/s" if image.seconds else unit)


def _seen_from_earth(header: fits.Header) -> bool:
    """Return whether an image's axes are arcsec from the Sun's centre; a map's axes are not."""
    return str(header.get("CTYPE1", "HPLN")).startswith("HPLN")


def _place(
    header: fits.Header, shape: tuple[int, ...], event: Event, time: datetime
) -> tuple[float, float] | None:
    """Return the flare's place in an image (per cent from left and top); None outside the image.

    The listed place holds at the peak: the Sun's rotation carries it to the image's time.
    """
    names = ("CRPIX1", "CRPIX2", "CDELT1", "CDELT2")
    known = _seen_from_earth(header) and all(header.get(name) for name in names)
    if event.hpc_x is None or event.hpc_y is None or not known:
        return None
    peak = event.flare_peak or event.flare_start
    crval, crpix, cdelt = (
        (float(header.get(f"{key}1") or 0), float(header.get(f"{key}2") or 0))
        for key in ("CRVAL", "CRPIX", "CDELT")
    )
    x, y = seen_later((event.hpc_x, event.hpc_y), peak, time)
    column, row = pixel_of(x, y, crpix, crval, cdelt, float(header.get("CROTA2") or 0))
    # Pixels are counted from 1 at their middle, the picture from 0 at its edge.
    column, row = column - 0.5, row - 0.5
    left, top = 100 * column / shape[1], 100 - 100 * row / shape[0]
    return (left, top) if 0 <= left <= 100 and 0 <= top <= 100 else None


def _jpeg(colours: np.ndarray) -> str:
    """Return a picture as a data URL."""
    out = io.BytesIO()
    Pillow.fromarray(colours).save(out, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
