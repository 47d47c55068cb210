"""Tell an image that shows nothing: one value everywhere, or no value at all.

Archives have written such images with a QUALITY of 0; they pass every check of form.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError

# Compressed images of the Sun take more than this: bytes a pixel, and bytes a tile.
_OF_PIXEL, _OF_TILE = 0.2, 64


def is_blank(path: Path, index: int, header: Mapping[str, Any]) -> bool:
    """Return whether the pixels of an image HDU are all equal, NaN apart, or all NaN.

    Compressed data are decoded only where they are as small as those of equal pixels. Raises
    VerificationError where they cannot be decoded.
    """
    if header.get("ZIMAGE") is True:
        shape = [int(header[f"ZNAXIS{axis + 1}"]) for axis in range(int(header["ZNAXIS"]))]
        little = _OF_PIXEL * np.prod(shape, dtype=float) + _OF_TILE * int(header["NAXIS2"])
        if int(header.get("PCOUNT", 0)) > little:
            return False
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False) as hdus:
                pixels = np.asarray(hdus[index].data)
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None
    first = pixels[np.isfinite(pixels)][:1]
    return bool(not len(first) or ((pixels == first) | ~np.isfinite(pixels)).all())
