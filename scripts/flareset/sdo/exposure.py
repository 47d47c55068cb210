"""Short and normal exposures of AIA, and how long an exposure was.

The automatic exposure control shortens every other image of a flare. JSOC calls an exposure short
if the commanded exposure AIMGSHCE is below a limit of the channel: aia_slot.c moves T_OBS of such
images back before it finds their slot. AECTYPE does not tell: normal exposures at 171 have 2 too.
"""

from __future__ import annotations

SHORT, NORMAL = "short", "normal"
KINDS = (SHORT, NORMAL)
# A shorter exposure (ms) is `short`, by channel (aia_slot.c).
LIMITS = {
    94: 2800, 131: 2800, 171: 1931, 193: 1931, 211: 2800, 304: 2800, 335: 2800,
    1600: 2800, 1700: 966, 4500: 483,
}  # fmt: skip
# EXPTIME is wrong if it differs from AIMGSHCE by this fraction (sdo2map.pro of SolarSoft).
_DIFFERENT = 0.1


def kind_of(wavelength: int, commanded: str, measured: str) -> str:
    """Return `short` or `normal`; empty if the channel has no limit or no exposure is known.

    `commanded` is AIMGSHCE (ms), `measured` EXPTIME (s), both as text. EXPTIME counts only where
    AIMGSHCE is missing.
    """
    milliseconds = _number(commanded) or 1000 * _number(measured)
    limit = LIMITS.get(wavelength)
    if limit is None or not milliseconds:
        return ""
    return SHORT if milliseconds < limit else NORMAL


def seconds_of(commanded: str, measured: str) -> str:
    """Return the exposure time (s, as text): EXPTIME, or AIMGSHCE if they differ by 10 % or more.

    Empty if neither is known.
    """
    said, found = _number(commanded) / 1000, _number(measured)
    if (found and abs(found - said) < _DIFFERENT * said) or not said:
        return measured if found else ""
    return f"{said:g}"


def _number(text: str) -> float:
    """Return the positive, finite number that a text writes; 0 for any other text."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < float("inf") else 0.0
