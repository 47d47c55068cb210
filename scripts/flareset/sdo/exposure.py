"""Short and normal exposures of AIA, and how long an exposure was.

The automatic exposure control shortens every other image of a flare. What JSOC calls short is the
commanded exposure AIMGSHCE below a limit of the channel: aia_slot.c moves T_OBS of such images back
before it looks for their slot. AECTYPE is not the mark: normal exposures at 171 have it as 2.
"""

from __future__ import annotations

SHORT, NORMAL = "short", "normal"
KINDS = (SHORT, NORMAL)
# Below so many milliseconds an exposure is short (aia_slot.c).
LIMITS = {
    94: 2800, 131: 2800, 171: 1931, 193: 1931, 211: 2800, 304: 2800, 335: 2800,
    1600: 2800, 1700: 966, 4500: 483,
}  # fmt: skip
# Where the two differ by this part, EXPTIME is wrong (sdo2map.pro of SolarSoft).
_DIFFERENT = 0.1


def kind_of(wavelength: int, commanded: str, measured: str) -> str:
    """Return `short` or `normal`; empty where the channel has no limit or nothing is known.

    `commanded` is AIMGSHCE (ms) and `measured` EXPTIME (s), as text; the latter counts where there
    is no other.
    """
    milliseconds = _number(commanded) or 1000 * _number(measured)
    limit = LIMITS.get(wavelength)
    if limit is None or not milliseconds:
        return ""
    return SHORT if milliseconds < limit else NORMAL


def seconds_of(commanded: str, measured: str) -> str:
    """Return how long an exposure was (s, as text): EXPTIME, or AIMGSHCE where they differ by 10 %.

    Empty where neither is known.
    """
    said, found = _number(commanded) / 1000, _number(measured)
    if (found and abs(found - said) < _DIFFERENT * said) or not said:
        return measured if found else ""
    return f"{said:g}"


def _number(text: str) -> float:
    """Return the number in a text; 0 where there is none."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < float("inf") else 0.0
