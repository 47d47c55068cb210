"""Decode the pixels of an image, and tell one that shows nothing: one value, or none at all.

Archives have written blank images with a QUALITY of 0; they pass every check of form.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError

MOST_PIXELS = 8192 * 8192
# Compressed images of the Sun take more than this: bytes a pixel, and bytes a tile.
_OF_PIXEL, _OF_TILE = 0.2, 64


def decode(path: Path, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of an image HDU, whose header says that they have `shape`.

    Raises VerificationError where they cannot be decoded, are none, or are more than any image has.
    """
    if prod(shape) > MOST_PIXELS:
        raise VerificationError(f"its header says that the image has {shape} pixels")
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False) as hdus:
                pixels = hdus[index].data
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None
    if pixels is None or pixels.size == 0:
        raise VerificationError("it holds no pixels")
    return pixels


def is_blank(path: Path, index: int, header: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """Return whether the pixels of an image HDU are all equal, NaN apart, or all NaN.

    Compressed data are decoded only where they are as small as those of equal pixels. Raises
    VerificationError where they cannot be decoded.
    """
    if header.get("ZIMAGE") is True:
        little = _OF_PIXEL * prod(shape) + _OF_TILE * int(header["NAXIS2"])
        if int(header.get("PCOUNT", 0)) > little:
            return False
    pixels = decode(path, index, shape)
    first = pixels[np.isfinite(pixels)][:1]
    return bool(not len(first) or ((pixels == first) | ~np.isfinite(pixels)).all())
