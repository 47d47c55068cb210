"""Read an image as it was observed: its header and its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError

# A missing pixel of an image of whole numbers: what BLANK is in AIA's headers.
MISSING = -32768


def read_header(path: Path) -> fits.Header:
    """Return the header of an image; its pixels are not decoded."""
    with fits.open(path, memmap=False) as hdus:
        return next(hdu.header.copy() for hdu in hdus if hdu.header["NAXIS"] >= 2)


def read_image(path: Path) -> tuple[fits.Header, np.ndarray]:
    """Return the header and the pixels of an image.

    Stored whole numbers stay as they are, with MISSING where a pixel has none; scaled ones become
    float32, with NaN. Raises VerificationError.
    """
    try:
        with fits.open(path, memmap=False, do_not_scale_image_data=True) as hdus:
            image = next(hdu for hdu in hdus if hdu.header["NAXIS"] >= 2)
            header, stored = image.header.copy(), image.data
    except (OSError, StopIteration, TypeError) as error:
        raise VerificationError(
            f"{path}: cannot be read: {error}; run `snakemake verify`"
        ) from None
    blank = header.get("BLANK") if stored.dtype.kind == "i" else None
    scale, zero = header.get("BSCALE", 1), header.get("BZERO", 0)
    if (scale, zero) == (1, 0):
        pixels, missing = stored.astype(stored.dtype.newbyteorder("=")), MISSING
    else:
        pixels, missing = (stored * scale + zero).astype("f4"), np.nan
    if blank not in (None, missing):
        pixels[stored == blank] = missing
    return header, pixels
