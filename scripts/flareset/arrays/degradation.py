"""How much of AIA's sensitivity is left, by SolarSoft's table of responses.

Source: aia_bp_corrections.pro of SolarSoft. The table is `aia_V<version>_*_response_table.txt`, in
SolarSoft's sdo/aia/response/.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from flareset.errors import ArraysError

_COLUMNS = (
    "T_START", "T_STOP", "VER_NUM", "WAVE_STR", "EFF_AREA", "EFFA_P1", "EFFA_P2", "EFFA_P3"
)  # fmt: skip
_ULTRAVIOLET = (1600, 1700)


@dataclass(frozen=True)
class Responses:
    """The rows of one version of a table; its name and sha256 (hex)."""

    name: str
    version: int
    sha256: str
    rows: pd.DataFrame

    def factor(self, wavelength: int, when: datetime) -> float:
        """Return the response at a time (UTC) in parts of that at launch. Raises ArraysError.

        The area at the begin of the epoch over that of the first, times a cubic in days since then.
        Where epochs overlap the last row holds, as in aiapy.
        """
        name = str(wavelength) if wavelength in _ULTRAVIOLET else f"{wavelength}_THIN"
        rows = self.rows[self.rows["WAVE_STR"] == name]
        epochs = rows[(rows["T_START"] <= when) & (when < rows["T_STOP"])]
        if epochs.empty:
            raise ArraysError(
                f"{self.name}: version {self.version} has no response at {wavelength} for {when}"
            )
        first, epoch = rows.iloc[0], epochs.iloc[-1]
        days = (when - epoch["T_START"]) / pd.Timedelta(days=1)
        change = sum(epoch[f"EFFA_P{power}"] * days**power for power in (1, 2, 3))
        return float(epoch["EFF_AREA"] / first["EFF_AREA"] * (1 + change))


def read_responses(path: Path, version: int) -> Responses:
    """Return the rows of a version in a table. Raises ArraysError."""
    try:
        raw = path.read_bytes()
        table = pd.read_csv(path, sep=r"\s+", dtype={"WAVE_STR": "str"})
    except (OSError, ValueError) as error:
        raise ArraysError(f"{path}: cannot be read: {error}") from None
    if lacking := [name for name in _COLUMNS if name not in table]:
        raise ArraysError(
            f"{path}: no table of responses, it lacks {', '.join(lacking)}: take"
            " aia_V*_response_table.txt from SolarSoft"
        )
    for column in ("T_START", "T_STOP"):
        table[column] = pd.to_datetime(table[column], utc=True)
    rows = table[table["VER_NUM"] == version]
    if rows.empty:
        there = ", ".join(map(str, sorted({*table["VER_NUM"]})))
        raise ArraysError(f"{path}: has version {there}, and arrays.tables.version is {version}")
    return Responses(path.name, version, hashlib.sha256(raw).hexdigest(), rows)


def pinned(path: Path, version: int, sha256: str) -> Responses:
    """Return the rows of a version, of the table that has a sha256. Raises ArraysError."""
    found = read_responses(path, version)
    if sha256 and found.sha256 != sha256:
        raise ArraysError(
            f"{path}: its sha256 is {found.sha256}, and arrays.tables.sha256 {sha256}"
        )
    return found
