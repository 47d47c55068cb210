"""What is known of JSOC's image series: cadence and wavelengths.

Source: prime keys and T_REC steps of the series, JSOC's series pages; the grid of slots is
multiples of the cadence in TAI (drms_keyword_priv.h, CalcSlot).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flareset.times import iso, tai_minus_utc

_EPOCH = datetime(1977, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """A series with one record per slot and wavelength; `cadence` in seconds."""

    name: str
    cadence: int
    wavelengths: tuple[int, ...]

    def slot(self, when: datetime) -> datetime:
        """The T_REC (UTC) of the slot that holds `when`."""
        offset = tai_minus_utc(when)
        seconds = (when + offset - _EPOCH) // timedelta(seconds=1)
        return _EPOCH + timedelta(seconds=seconds - seconds % self.cadence) - offset


SERIES = {
    series.name: series
    for series in (
        Series("aia.lev1_euv_12s", 12, (94, 131, 171, 193, 211, 304, 335)),
        Series("aia.lev1_uv_24s", 24, (1600, 1700)),
        Series("aia.lev1_vis_1h", 3600, (4500,)),
    )
}


def recordset(series: Series, begin: datetime, end: datetime, wavelengths: list[int]) -> str:
    """The recordset of a window: `series[start/span][wavelengths]`, half-open."""
    minutes, rest = divmod(round((end - begin).total_seconds()), 60)
    span = f"{minutes}m" if not rest else f"{minutes * 60 + rest}s"
    asked = ",".join(str(wavelength) for wavelength in wavelengths)
    return f"{series.name}[{iso(begin)}/{span}][{asked}]"
