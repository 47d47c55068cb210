"""Register frames by aiapy: north up, 0.6 arcsec a pixel, the Sun's centre in the middle.

aiapy is optional. It is refused where it would be wrong, or would only warn.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flareset.arrays.aiapy import refuse_without_aiapy
from flareset.arrays.frame import Frame
from flareset.arrays.pointing import Pointings, read_pointings
from flareset.errors import ArraysError
from flareset.sdo.processing import FULL_PIXELS

_MODULES = ("sunpy.map", "aiapy.calibrate")


@dataclass(frozen=True)
class Registration:
    """aiapy's `register` after the pointing of a table."""

    pointings: Pointings

    @classmethod
    def of(cls, path: Path) -> Registration:
        """Return the registration by a table of pointings. Raises ArraysError."""
        refuse_without_aiapy()
        return cls(read_pointings(path))

    def registered(self, frame: Frame, header: Mapping[str, Any], wavelength: int) -> Frame:
        """Return a frame of level 1 at level 1.5. Raises ArraysError for any other frame."""
        if frame.pixels.shape != (FULL_PIXELS, FULL_PIXELS):
            rows, columns = frame.pixels.shape
            raise ArraysError(
                f"it has {columns} x {rows} pixels, and aiapy registers whole frames of"
                f" {FULL_PIXELS}"
            )
        if float(header.get("LVL_NUM", 1)) > 1:
            raise ArraysError(f"it is of level {header['LVL_NUM']:g}: it is registered already")
        frame = self.pointings.repointed(frame, header, wavelength)
        there = {"CRPIX": frame.crpix, "CDELT": frame.cdelt}
        cards = {
            f"{key}{n}": value for key, pair in there.items() for n, value in enumerate(pair, 1)
        }
        sunpy_map, prep = (importlib.import_module(name) for name in _MODULES)
        seen = sunpy_map.Map(frame.pixels, {**header, **cards, "CROTA2": frame.crota})
        try:
            made = prep.register(seen, missing=np.nan, order=3, method="opencv")
        except ValueError as error:
            raise ArraysError(f"aiapy refuses it: {error}") from None
        crpix, cdelt = ((float(made.meta[f"{key}1"]), float(made.meta[f"{key}2"])) for key in there)
        pixels = np.asarray(made.data, dtype=np.float32)
        return replace(frame, pixels=pixels, crpix=crpix, cdelt=cdelt, crota=0.0)
