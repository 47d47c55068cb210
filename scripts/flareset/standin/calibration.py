"""AIA's tables of calibration, made up: the responses and the pointings of the telescopes.

Their form is that of JSOC's series aia.response and aia.master_pointing3h.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flareset.standin.frames import POINTING
from flareset.standin.sun import FULL_SIZE

SERIES = ("aia.response", "aia.master_pointing3h")
_RANGE = re.compile(r"\[([\dT:-]+)Z?-([\dT:-]+)Z?\]")
_STEP = timedelta(hours=3)
_FIRST, _EPOCHS, _VERSIONS = 2010, 12, (8, 9, 10)


def columns_of(recordset: str) -> dict[str, list[str]]:
    """Return the values of the records of a recordset by keyword; empty if there are none."""
    rows = _responses() if recordset.lower().startswith(SERIES[0]) else _pointings(recordset)
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _responses() -> list[dict[str, str]]:
    """Each year the sensitivity of each channel is lower, and each version says so otherwise."""
    return [
        {
            "DATE": f"{2012 + version}-01-01T00:00:00Z",
            "T_START": f"{_FIRST + year}-03-24T00:00:00Z",
            "T_STOP": f"{_FIRST + year + 1}-03-24T00:00:00Z",
            "VER_NUM": str(version),
            "WAVE_STR": str(wave) if wave > 1000 else f"{wave}_THIN",
            "WAVELNTH": str(wave),
            "EFF_AREA": f"{1.5 * (1 - 0.004 * version) ** year:.5f}",
            "EFF_WVLN": f"{wave:.2f}",
            "EFFA_P1": f"{-1e-5 * version:.5f}",
            "EFFA_P2": "0.00000",
            "EFFA_P3": "0.00000",
        }
        for version in _VERSIONS
        for wave in POINTING
        for year in range(_EPOCHS)
    ]


def _pointings(recordset: str) -> list[dict[str, str]]:
    """A row for each 3 hours of a range, both ends counted."""
    match = _RANGE.search(recordset)
    if match is None:
        return []
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in match.groups())
    day = first.replace(hour=0, minute=0, second=0)
    begin = day + _STEP * -(-(first - day) // _STEP)
    starts = [begin + n * _STEP for n in range((last - begin) // _STEP + 1)]
    parts: dict[str, str] = {}
    for wave, (scale, turn, x, y) in POINTING.items():
        middle = (FULL_SIZE - 1) / 2
        values = {"X0": middle + x, "Y0": middle + y, "IMSCALE": scale, "INSTROT": turn}
        parts |= {f"A_{wave:03}_{part}": f"{value:.6f}" for part, value in values.items()}
    return [
        {"T_START": f"{at:%Y-%m-%dT%H:%M:%S}Z", "T_STOP": f"{at + _STEP:%Y-%m-%dT%H:%M:%S}Z"}
        | parts
        for at in starts
    ]
