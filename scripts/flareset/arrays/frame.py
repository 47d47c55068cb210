"""A frame of the Sun and what can be done to it: plain functions of pixels and their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flareset.errors import ArraysError
from flareset.proof.image import MISSING
from flareset.sdo.geometry import pixel_of

# What 14 bits hold: AIA's pixels saturate there.
SATURATED = 16383


@dataclass(frozen=True)
class Frame:
    """Pixels (float32, NaN where missing) and where they are.

    `crpix` is the pixel (from 1) at `crval` (arcsec), `cdelt` arcsec a pixel, `crota` degrees.
    """

    pixels: np.ndarray
    crpix: tuple[float, float]
    crval: tuple[float, float]
    cdelt: tuple[float, float]
    crota: float

    def place_of(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel (column, row; from 1) of a point in arcsec; a plane will do."""
        return pixel_of(x, y, self.crpix, self.crval, self.cdelt, self.crota)


def frame_of(header: Mapping[str, Any], pixels: np.ndarray) -> Frame:
    """Return the frame of an image as it was read. Raises ArraysError."""
    try:
        pairs = [(float(header[f"{key}1"]), float(header[f"{key}2"])) for key in _PLACE]
    except KeyError as error:
        raise ArraysError(
            f"its header has no {error.args[0]}: it is not known where it is"
        ) from None
    exact = pixels.astype(np.float32)
    if pixels.dtype.kind == "i":
        exact[pixels == MISSING] = np.nan
    return Frame(exact, *pairs, float(header.get("CROTA2", 0)))


_PLACE = ("CRPIX", "CRVAL", "CDELT")


def refuse_unregistered(frame: Frame) -> None:
    """Raise ArraysError where a frame is not as `aia_scale` leaves it: north up, square pixels."""
    if abs(frame.crota) > 1e-3 or abs(frame.cdelt[0] - frame.cdelt[1]) > 1e-6:
        raise ArraysError(
            f"it is not registered: CROTA2 is {frame.crota:g}, CDELT {frame.cdelt[0]:g},"
            f" {frame.cdelt[1]:g}; let JSOC do it (source: export, export.processing:"
            " [aia_scale: {}]), or leave arrays.register out"
        )


def scaled(frame: Frame, factor: float) -> Frame:
    """Return a frame whose pixels are multiplied by a factor, in float32."""
    return replace(frame, pixels=frame.pixels * np.float32(factor))


def block_mean(frame: Frame, block: int) -> Frame:
    """Return the means of blocks of pixels; of a block with a missing pixel, NaN.

    The sum of the means times the pixels of a block is that of the frame. Raises ArraysError where
    blocks do not fill the frame.
    """
    rows, columns = frame.pixels.shape
    if rows % block or columns % block:
        raise ArraysError(f"{columns} x {rows} pixels are no whole blocks of {block}")
    blocks = frame.pixels.reshape(rows // block, block, columns // block, block)
    means = blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    at, steps = frame.crpix, frame.cdelt
    return replace(
        frame,
        pixels=means,
        crpix=((at[0] - 0.5) / block + 0.5, (at[1] - 0.5) / block + 0.5),
        cdelt=(steps[0] * block, steps[1] * block),
    )


def crop(frame: Frame, centre: tuple[float, float], side: int) -> Frame:
    """Return a square of whole pixels around a point (arcsec), NaN where the frame has none."""
    column, row = frame.place_of(*centre)
    left, low = (round(place - 0.5 - side / 2) for place in (column, row))
    found = np.full((side, side), np.nan, dtype=np.float32)
    low_in, left_in = max(low, 0), max(left, 0)
    there = frame.pixels[low_in : max(low + side, 0), left_in : max(left + side, 0)]
    found[low_in - low :, left_in - left :][: there.shape[0], : there.shape[1]] = there
    return replace(frame, pixels=found, crpix=(frame.crpix[0] - left, frame.crpix[1] - low))


def as_integers(pixels: np.ndarray) -> np.ndarray:
    """Return pixels rounded to int16, MISSING for NaN. ArraysError: one does not fit."""
    highest = np.nanmax(np.abs(pixels), initial=0)
    if highest > -MISSING - 1:
        raise ArraysError(f"a value of {highest:g} does not fit: set arrays.dtype: float32")
    return np.where(np.isnan(pixels), MISSING, np.rint(pixels)).astype(np.int16)
