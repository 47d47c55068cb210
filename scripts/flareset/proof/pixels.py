"""Decode the pixels of an image, and recognise blank images.

Archives have written blank images with a QUALITY of 0, which pass every check of form.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError

MOST_PIXELS = 8192 * 8192
# Compressed images of the Sun are larger than this: bytes per pixel, and bytes per tile. Equal
# pixels take at most 0.02 and 32 (RICE_1, GZIP_1 or GZIP_2, by CFITSIO).
_OF_PIXEL, _OF_TILE = 0.2, 32


def decode(path: Path, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of an image HDU of a file, as `pixels_of` does."""
    with _decoding(), open(path, "rb") as file, fits.open(file, memmap=False) as hdus:
        return pixels_of(hdus[index], shape)


def pixels_of(hdu: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of an open image HDU with `shape` in its header.

    Raises VerificationError if the pixels cannot be decoded, if there are none, or if there are
    more than in any image of SDO.
    """
    if prod(shape) > MOST_PIXELS:
        raise VerificationError(f"its header says that the image has {shape} pixels")
    with _decoding():
        pixels = hdu.data
    if pixels is None or pixels.size == 0:
        raise VerificationError("it holds no pixels")
    return pixels


@contextmanager
def _decoding() -> Iterator[None]:
    """Raise VerificationError if the pixels cannot be decoded. Warnings are not printed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except VerificationError:
        raise
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None


def is_blank(path: Path, index: int, header: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """Return whether all finite pixels of an image HDU are equal, or none is finite.

    Compressed data are decoded only if they are as small as those of a blank image. Raises
    VerificationError if they cannot be decoded.
    """
    if header.get("ZIMAGE") is True:
        little = _OF_PIXEL * prod(shape) + _OF_TILE * int(header["NAXIS2"])
        if int(header.get("PCOUNT", 0)) > little:
            return False
    return all_equal(decode(path, index, shape))


def all_equal(pixels: np.ndarray) -> bool:
    """Return whether all finite pixels are equal, or none is finite."""
    first = pixels[np.isfinite(pixels)][:1]
    return bool(not len(first) or ((pixels == first) | ~np.isfinite(pixels)).all())
