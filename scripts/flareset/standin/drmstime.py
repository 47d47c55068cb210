"""Times as DRMS stores them (seconds since 1977.01.01_00:00:00_TAI): read them and print them.

Source: JsocTimes (JSOC wiki), and drms_names.c, which reads the longest time at a text's start.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flareset.sdo.times import tai_minus_utc

EPOCH = datetime(1977, 1, 1, tzinfo=UTC)
_CLOCK = r"(?P<h>\d{1,2})(?::(?P<m>\d{1,2})(?::(?P<s>\d{1,2}(?:\.\d*)?))?)?"
# DRMS also accepts an unknown zone as UTC: the `-2014` in a range of ISO times.
_ZONE = r"(?P<zone>_?Z|_(?:UTC|UT|TAI)|-\d+)?"
_DOTTED = re.compile(rf"(?P<date>\d+(?:\.\d+){{0,2}})(?:_{_CLOCK})?{_ZONE}")
_ISO = re.compile(rf"(?P<date>\d+(?:-\d+){{1,2}})[T_]{_CLOCK}{_ZONE}")
# Outside of these the table of leap seconds has no values or guesses. There are no records.
_LEAPS = datetime(1972, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def seconds_of(when: datetime) -> float:
    """Return the DRMS seconds of a UTC time."""
    return (when + _tai_minus_utc(when) - EPOCH).total_seconds()


def moment(seconds: float) -> datetime:
    """Return the UTC time of DRMS seconds."""
    tai = EPOCH + timedelta(seconds=seconds)
    return tai - _tai_minus_utc(tai - _tai_minus_utc(tai))


def _tai_minus_utc(when: datetime) -> timedelta:
    return tai_minus_utc(min(max(when, _LEAPS[0]), _LEAPS[1]))


def scan(text: str) -> tuple[float, int] | None:
    """Return the DRMS seconds of the time at the start of a text, and the time's length.

    An ISO time has at least an hour. A time without zone is UTC. Second 61 is the next minute's
    second 1. None if the text does not begin with a time.
    """
    match = _ISO.match(text) or _DOTTED.match(text)
    if match is None:
        return None
    year, *rest = (int(part) for part in re.split(r"[.-]", match["date"]))
    month, day = (*rest, 1, 1)[:2]
    clock = int(match["h"] or 0) * 3600 + int(match["m"] or 0) * 60 + float(match["s"] or 0)
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    if match["zone"] == "_TAI":
        return (midnight - EPOCH).total_seconds() + clock, match.end()
    return seconds_of(midnight) + clock, match.end()


def printed(seconds: float, unit: str, decimals: int = 0) -> str:
    """Return a time as DRMS prints it for a keyword's unit: ISO, or dotted with the zone `unit`."""
    scale = 10**decimals
    seconds = round(seconds * scale) / scale
    when = EPOCH + timedelta(seconds=seconds) if unit == "TAI" else moment(seconds)
    fraction = f".{when.microsecond:06d}"[: decimals + 1] if decimals else ""
    if unit == "ISO":
        return f"{when:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    return f"{when:%Y.%m.%d_%H:%M:%S}{fraction}_{unit}"
