"""Where AIA's telescopes pointed, by JSOC's table of limb fits every 3 hours.

Source: JSOC's series aia.master_pointing3h, and the keywords of level 1 (AIA02840_H_AIA-SDO_FITS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flareset.arrays.frame import Frame
from flareset.errors import ArraysError
from flareset.sdo.times import parse_jsoc_time

SERIES = "aia.master_pointing3h"
_PARTS = ("X0", "Y0", "IMSCALE", "INSTROT")


@dataclass(frozen=True)
class Pointings:
    """The rows of a table, and its name."""

    name: str
    rows: pd.DataFrame

    def repointed(self, frame: Frame, header: Mapping[str, Any], wavelength: int) -> Frame:
        """Return a frame of level 1 where the table says that it is. Raises ArraysError.

        The row is that of T_OBS, as in aiapy.
        """
        try:
            at = self._of(str(header["T_OBS"]), wavelength)
            moved = (at["X0"] - float(header["X0_MP"]), at["Y0"] - float(header["Y0_MP"]))
            turned = float(header["SAT_ROT"])
        except KeyError as error:
            raise ArraysError(f"its header has no {error.args[0]}: it is not level 1") from None
        except ValueError as error:
            raise ArraysError(f"its pointing cannot be read: {error}") from None
        return replace(
            frame,
            crpix=(frame.crpix[0] + moved[0], frame.crpix[1] + moved[1]),
            cdelt=(at["IMSCALE"], at["IMSCALE"]),
            crota=at["INSTROT"] + turned,
        )

    def _of(self, t_obs: str, wavelength: int) -> dict[str, float]:
        """Return the pointing of a channel at a time, as JSOC writes it."""
        when = parse_jsoc_time(t_obs)
        rows = self.rows[(self.rows["T_START"] <= when) & (when < self.rows["T_STOP"])]
        if rows.empty:
            raise ArraysError(
                f"{self.name} has no pointing for {t_obs}: it is of {self.rows['T_START'].min()} to"
                f" {self.rows['T_STOP'].max()}; `snakemake fetch_tables --config refresh=true`"
                " asks for the campaign's anew"
            )
        names = [f"A_{wavelength:03}_{part}" for part in _PARTS]
        if lacking := [name for name in names if name not in rows]:
            raise ArraysError(f"{self.name} lacks {', '.join(lacking)}")
        found = {part: float(rows.iloc[0][name]) for part, name in zip(_PARTS, names, strict=True)}
        if not all(map(math.isfinite, found.values())):
            raise ArraysError(f"{self.name}: the pointing of {wavelength} for {t_obs} is missing")
        return found


def read_pointings(path: Path) -> Pointings:
    """Return a table of pointings (CSV). Raises ArraysError."""
    try:
        table = pd.read_csv(path, na_values=["MISSING"])
        for column in ("T_START", "T_STOP"):
            table[column] = pd.to_datetime(table[column], utc=True, format="ISO8601")
    except (OSError, ValueError, KeyError) as error:
        raise ArraysError(f"{path}: no table of pointings, as {SERIES} has it: {error}") from None
    return Pointings(path.name, table)
