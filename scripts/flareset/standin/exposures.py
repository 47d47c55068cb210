"""When AIA exposes within a slot, and for how long.

As in the real listing of 2014-01-07 at 131 angstrom: normal exposures come equally far into their
slot. In a flare the exposure control shortens every other one. Short ones come later: 115 of 134
by two seconds, 19 by one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from flareset.sdo.series import SERIES, Series
from flareset.standin.slots import slots_of

# Commanded exposures (s): normal ones, and shortened ones of a bright and of a faint flare.
_NORMAL = {171: 2.0, 193: 2.0, 1700: 1.0, 4500: 0.5}
_NORMAL_ELSE = 2.9
_BRIGHT, _FAINT = 0.25, 1.0
# A fainter flare shortens nothing; one that is fainter than the second strength, less.
_SHORTENED, _MUCH = 0.3, 0.4
# Seconds from T_REC to T_OBS of normal exposures; those of 131 and 171 are as in JSOC's exports.
_OFFSETS = {
    94: 2, 131: 9, 171: 11, 193: 7, 211: 1, 304: 8, 335: 4, 1600: 16, 1700: 6, 4500: 7
}  # fmt: skip
# By so many seconds (rounded) are shortened exposures later. A real header at 171: 1.54 s.
_LATER = {_BRIGHT: 2, _FAINT: 1}
# The series whose exposures make up aia.lev1.
SOURCES = [SERIES[f"aia.lev1_{name}"] for name in ("euv_12s", "uv_24s", "vis_1h")]
_SOURCE_OF = {wavelength: series for series in SOURCES for wavelength in series.wavelengths}


def normal_second(slot: datetime, wavelength: int) -> datetime:
    """Return the second of a normal exposure in the slot with this T_REC."""
    return slot + timedelta(seconds=_OFFSETS[wavelength])


def second(slot: datetime, wavelength: int, exposure: float) -> datetime:
    """Return the second (T_OBS rounded) of an exposure in the slot with this T_REC.

    A short exposure at 171 comes after the end of its slot, as at JSOC (aia_slot.c).
    """
    late = _LATER.get(exposure, 0) if exposure < _normal(wavelength) else 0
    return normal_second(slot, wavelength) + timedelta(seconds=late)


def slot_of(when: datetime, wavelength: int, series: Series | None = None) -> datetime:
    """Return the T_REC of the slot with an exposure at this second.

    Without `series` the slot is one of the series that the exposures of aia.lev1 come from.
    """
    series = series or _SOURCE_OF[wavelength]
    slots = slots_of(series)
    if wavelength in _OFFSETS and not series.step:
        latest = _OFFSETS[wavelength] + max(_LATER.values())
        when -= timedelta(seconds=max(0, latest - (series.cadence - 1)))
    return slots.t_rec(slots.exposed(when))


def commanded(slot: datetime, wavelength: int, strength: float) -> float:
    """Return the commanded exposure (s) of a slot. `strength` is the flare's, from 0 to 1."""
    number = int(slot.timestamp()) // _SOURCE_OF[wavelength].cadence
    if strength <= _SHORTENED or number % 2 == 0:
        return _normal(wavelength)
    return _BRIGHT if strength > _MUCH else min(_FAINT, _normal(wavelength))


def _normal(wavelength: int) -> float:
    return _NORMAL.get(wavelength, _NORMAL_ELSE)
