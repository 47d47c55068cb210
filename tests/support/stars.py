"""Frames with stars at known places, by astropy's WCS, which also judges where they come to lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

# In arcsec from Sun centre: near the middle, near the limb, off it.
STARS = ((37.0, -22.0), (-412.3, 655.1), (880.7, -305.5), (-905.2, -120.4), (140.9, 1105.6))


def header_of(
    side: int, crpix: tuple[float, float], cdelt: float, crota: float, **more: object
) -> fits.Header:
    """Return the cards of a frame's place."""
    header = fits.Header()
    header.update(
        NAXIS=2, NAXIS1=side, NAXIS2=side, CTYPE1="HPLN-TAN", CTYPE2="HPLT-TAN", CUNIT1="arcsec",
        CUNIT2="arcsec", CRPIX1=crpix[0], CRPIX2=crpix[1], CRVAL1=0.0, CRVAL2=0.0, CDELT1=cdelt,
        CDELT2=cdelt, CROTA2=crota, **more,
    )  # fmt: skip
    return header


def starry(header: Mapping[str, object], width: float = 2.5, bright: float = 8000) -> np.ndarray:
    """Return a frame (float64) with a star (Gaussian, `width` in pixels) at each place."""
    shape = int(header["NAXIS2"]), int(header["NAXIS1"])
    sky, reach = np.full(shape, 10.0), round(8 * width)
    for column, row in _pixels(header):
        low, left = (max(0, round(place) - reach) for place in (row, column))
        part = np.s_[low : low + 2 * reach, left : left + 2 * reach]
        y, x = np.indices(sky[part].shape)
        away = (x + left - column) ** 2 + (y + low - row) ** 2
        sky[part] += bright * np.exp(-away / (2 * width**2))
    return sky


def misplaced(pixels: np.ndarray, header: Mapping[str, object], width: float = 2.5) -> float:
    """Return how far (pixels) the centroid of a star is at most from its place by the header."""
    reach, found = round(6 * width), []
    for column, row in _pixels({**header, "NAXIS2": pixels.shape[0], "NAXIS1": pixels.shape[1]}):
        low, left = round(row) - reach, round(column) - reach
        light = pixels[low : low + 2 * reach + 1, left : left + 2 * reach + 1] - 10.0
        y, x = np.indices(light.shape)
        centre = [(light * at).sum() / light.sum() for at in (y, x)]
        found.append(np.hypot(centre[0] + low - row, centre[1] + left - column))
    return float(max(found))


def _pixels(header: Mapping[str, object]) -> np.ndarray:
    """Return the pixel (column, row; from 0) of each star."""
    place = header_of(0, (0, 0), 1, 0)
    place.update({card: header[card] for card in place})
    return WCS(place).all_world2pix(np.array(STARS) / 3600, 0)
