"""Times as the field writes them, read into timezone-aware UTC.

JSOC's forms: `2014-01-07T15:07:01Z`, `2014-01-07T15:07:10.340` (a FITS header, UTC),
`2011.02.14_02:00:00_TAI` (HMI). File names: `2014-01-07T150710Z`, `20110214_020000_TAI`.
A zone left out is UTC (JSOC wiki, JsocTimes).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_JSOC_TIME = re.compile(
    r"(?P<date>\d{4}[.-]\d{2}[.-]\d{2})[T_ ](?P<hm>\d{2}:\d{2}):(?P<s>\d{2}(?:\.\d+)?)"
    r"(?P<zone>Z|_UTC|_TAI|)"
)
_NAME_UTC = re.compile(r"\.(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(\d{2})Z?\.")
_NAME_TAI = re.compile(r"\.(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})_TAI\.")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def tai_minus_utc(when: datetime) -> timedelta:
    """TAI - UTC at a UTC time, whole seconds (35 s in 2014), from the IAU SOFA table in erfa."""
    return _tai_minus_utc(when.year, when.month, when.day)


# Asked for each record of a listing, and the same for days on end.
@cache
def _tai_minus_utc(year: int, month: int, day: int) -> timedelta:
    import erfa  # brings numpy, which reading events.csv does without

    return timedelta(seconds=float(erfa.dat(year, month, day, 0.0)))


def from_tai(when: datetime) -> datetime:
    """UTC of a TAI reading that is held in an aware datetime."""
    return when - tai_minus_utc(when - timedelta(seconds=37))


def to_tai(when: datetime) -> datetime:
    """The TAI reading of a UTC time, in an aware datetime."""
    return when + tai_minus_utc(when)


def parse_utc(text: str) -> datetime:
    """A user's time, `YYYY-MM-DD HH:MM:SS` or ISO 8601 with T, Z, an offset or fractions, as UTC.

    Raises ValueError where the text is no such time or has no time of day.
    """
    text = text.strip()
    if ":" not in text:
        raise ValueError(f"{text!r} has no time of day")
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def parse_jsoc_time(text: str) -> datetime:
    """UTC of a time as JSOC writes it in records and headers; ValueError where it is none.

    Second 60, which JSOC prints when it rounds up, is the next minute's second 0.
    """
    match = _JSOC_TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time as JSOC writes it")
    minute = datetime.fromisoformat(f"{match['date'].replace('.', '-')}T{match['hm']}:00").replace(
        tzinfo=UTC
    )
    when = minute + timedelta(seconds=float(match["s"]))
    return from_tai(when) if match["zone"] == "_TAI" else when


def name_time(filename: str) -> datetime | None:
    """The UTC second in a JSOC file name, or None where the name carries none."""
    if match := _NAME_UTC.search(filename):
        date, *hms = match.groups()
    elif match := _NAME_TAI.search(filename):
        year, month, day, *hms = match.groups()
        date = f"{year}-{month}-{day}"
    else:
        return None
    hour, minute, second = (int(part) for part in hms)
    midnight = datetime.fromisoformat(date).replace(tzinfo=UTC)
    when = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
    return from_tai(when) if "_TAI." in match[0] else when


def parse_duration(text: str) -> timedelta:
    """A duration like `178m`, `12s`, `1.5h`, `2d`; ValueError where the text is none."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no duration; write a number and s, m, h or d, like 178m")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"{text!r} is longer than any window") from None


def duration_text(duration: timedelta) -> str:
    """Return a duration as `parse_duration` reads it, in the largest unit without a fraction."""
    seconds = duration.total_seconds()
    unit = next((unit for unit in "dhm" if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds / _SECONDS[unit]:.15g}{unit}"


def iso(when: datetime) -> str:
    """ISO 8601 with Z, fractions only where there are any."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def floor_minute(when: datetime) -> datetime:
    """The start of the minute that holds `when`."""
    return when.replace(second=0, microsecond=0)


def iso_column(times: pd.Series) -> np.ndarray:
    """ISO 8601 with Z of each UTC time of a column, fractions only where any time has one."""
    import numpy as np  # as erfa above

    moments = times.dt.tz_convert(None).to_numpy()
    whole = moments.astype("datetime64[s]")
    texts = np.datetime_as_string(whole if (whole == moments).all() else moments)
    return np.char.add(texts, "Z").astype(object)
