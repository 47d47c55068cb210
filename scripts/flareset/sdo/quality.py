"""The bits of JSOC's QUALITY keyword (lev0/apps/quallev1.h) by name."""

from __future__ import annotations

from collections.abc import Iterable

from flareset.sdo.numbers import integer

BITS = {
    "no_flat": 0x1,
    "no_orbit": 0x2,
    "no_asd": 0x4,
    "no_pointing": 0x8,
    "no_limb_fit": 0x10,
    "instrument_anomaly": 0x20,
    "misconfiguration": 0x40,
    "camera_anomaly": 0x80,
    "missing_any": 0x100,
    "missing_1_percent": 0x200,
    "missing_5_percent": 0x400,
    "missing_25_percent": 0x800,
    "not_science": 0x1000,
    "eclipse": 0x2000,
    "no_sun": 0x4000,
    "safe_mode": 0x8000,
    "dark": 0x10000,
    "iss_loop_open": 0x20000,
    "calibration": 0x40000,
    "hmi_calibration": 0x80000,
    "aia_focus": 0x100000,
    "aia_register": 0x200000,
    "hmi_thermal": 0x400000,
    "lunar_transit": 0x800000,
    "occulted": 0x1000000,
    "atmosphere": 0x2000000,
    "nrt": 0x40000000,
    "no_image": 0x80000000,
}


def rejected_by(quality: int, reject: Iterable[str]) -> list[str]:
    """Return the names in `reject` whose bit is set in a QUALITY word (signed or unsigned 32 bits).

    Names that are not in BITS are ignored.
    """
    return [name for name in reject if quality & BITS.get(name, 0)]


def quality_of(text: str) -> int | None:
    """Return the QUALITY word of a text (`0x2000`, `8192`, `8192.0`); None if it is no number.

    A negative number stands for a signed word.
    """
    try:
        return integer(text) & 0xFFFFFFFF
    except ValueError:
        return None
