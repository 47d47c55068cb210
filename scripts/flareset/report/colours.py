"""The colours in which images are shown: AIA's own for each channel, grey for all others.

AIA's tables are computed as `aia_lct.pro` of SolarSoft does (K. Schrijver, 2010), from IDL's table
3, red temperature. tests/test_report_page.py compares them with sunpy's.
"""

from __future__ import annotations

import numpy as np

_LEVELS = np.arange(256.0)


def _ramp(first: int, length: int) -> np.ndarray:
    """Return a ramp of whole steps: 0 at level `first`, 255 `length` levels above `first`."""
    return np.clip(np.floor((_LEVELS - first) * 255 / length), 0, 255)


_RED, _GREEN, _BLUE = _ramp(0, 176), _ramp(120, 135), _ramp(190, 65)
_ROOT, _SQUARE = np.sqrt(_LEVELS * 255), _LEVELS**2 / 255
_BOTH = (_ROOT + _SQUARE / 2) / 1.5
_AIA = {
    94: (_SQUARE, _BOTH, _LEVELS),
    131: (_GREEN, _RED, _RED),
    171: (_RED, _LEVELS, _BLUE),
    193: (_ROOT, _LEVELS, _SQUARE),
    211: (_ROOT, _LEVELS, _BOTH),
    304: (_RED, _GREEN, _BLUE),
    335: (_SQUARE, _LEVELS, _ROOT),
    1600: (_BOTH, _BOTH, _SQUARE),
    1700: (_ROOT, _LEVELS, _LEVELS),
    4500: (_LEVELS, _LEVELS, _BLUE / 2),
}


def colour_table(wavelength: int) -> np.ndarray:
    """Return red, green and blue (bytes) of a channel's 256 levels; `wavelength` in Angstrom."""
    columns = _AIA.get(wavelength, (_LEVELS, _LEVELS, _LEVELS))
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)
