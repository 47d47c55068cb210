"""Times as users and JSOC write them, parsed to timezone-aware UTC.

JSOC's forms: `2014-01-07T15:07:01Z`, `2014-01-07T15:07:10.340` (a FITS header, UTC),
`2011.02.14_02:00:00_TAI` (HMI). File names: `2014-01-07T150710Z`, `20110214_020000_TAI`.
A time without zone is UTC (JSOC wiki, JsocTimes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

_JSOC_TIME = re.compile(
    r"(?P<date>\d{4}[.-]\d{2}[.-]\d{2})[T_ ](?P<hm>\d{2}:\d{2}):(?P<s>\d{2}(?:\.\d+)?)"
    r"(?P<zone>Z|_UTC|_TAI|)"
)
# What `datetime` reads to the same moment, six times as fast: most of the times in a listing.
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?Z")
_NAME_UTC = re.compile(r"\.(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(\d{2})Z?\.")
_NAME_TAI = re.compile(r"\.(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})_TAI\.")
# Forms beyond ISO 8601 that users write.
_UTC_WORD = re.compile(r"\s*UTC$")
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
_MIDNIGHT = re.compile(r"(.*[T ])24:00((?::00(?:\.0+)?)?.*)")
_SECOND_60 = re.compile(r"(.*[T ]\d{2}:\d{2}:)60((?:\.0+)?(?:Z|[+-][\d:]+)?)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def tai_minus_utc(when: datetime) -> timedelta:
    """Return TAI - UTC at a UTC time, in whole seconds (35 s in 2014).

    Source: the IAU SOFA table in erfa.
    """
    return _tai_minus_utc(when.year, when.month, when.day)


# Called for each record of a listing, mostly with the same day.
@cache
def _tai_minus_utc(year: int, month: int, day: int) -> timedelta:
    import erfa  # brings numpy, which most stages do without

    return timedelta(seconds=float(erfa.dat(year, month, day, 0.0)))


def from_tai(when: datetime) -> datetime:
    """Return the UTC of a TAI reading in an aware datetime.

    A leap second becomes the next day's second 0.
    """
    # Just after midnight in TAI, UTC is still in the day before, perhaps before a leap second.
    return when - tai_minus_utc(when - tai_minus_utc(when))


def to_tai(when: datetime) -> datetime:
    """Return the TAI reading of a UTC time, in an aware datetime."""
    return when + tai_minus_utc(when)


def parse_utc(text: str) -> datetime:
    """Return the UTC of a user's time: `YYYY-MM-DD HH:MM:SS`, or ISO 8601.

    The text may have T, Z, UTC, an offset, fractions, and slashes in the date. 24:00:00 is the next
    day's first second; second 60 is the next minute's first. Raises ValueError if the text is not
    such a time, or has no time of day.
    """
    text = _UTC_WORD.sub("Z", text.strip())
    if ":" not in text:
        raise ValueError(f"{text!r} has no time of day")
    if slashes := _SLASHES.match(text):
        text = "-".join(part.zfill(2) for part in slashes.groups()) + text[slashes.end() :]
    rolled = timedelta(0)
    if midnight := _MIDNIGHT.fullmatch(text):
        text, rolled = f"{midnight[1]}00:00{midnight[2]}", timedelta(days=1)
    elif leap := _SECOND_60.fullmatch(text):
        text, rolled = f"{leap[1]}59{leap[2]}", timedelta(seconds=1)
    when = datetime.fromisoformat(text) + rolled
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def parse_jsoc_time(text: str) -> datetime:
    """Return the UTC of a time as JSOC writes it in records and headers.

    JSOC prints second 60 when it rounds up: that is the next minute's second 0. Raises ValueError
    if the text is not such a time.
    """
    if _ISO_TIME.fullmatch(text):
        return datetime.fromisoformat(text)
    match = _JSOC_TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time as JSOC writes it")
    minute = datetime.fromisoformat(f"{match['date'].replace('.', '-')}T{match['hm']}:00").replace(
        tzinfo=UTC
    )
    if float(match["s"]) >= 61:
        raise ValueError(f"{text!r} has a second above 60")
    try:
        when = minute + timedelta(seconds=float(match["s"]))
        return from_tai(when) if match["zone"] == "_TAI" else when
    except OverflowError:
        raise ValueError(f"{text!r} is at the end of the calendar") from None


def name_time(filename: str) -> datetime | None:
    """Return the time (UTC, whole seconds) in a JSOC file name; None if the name has no time.

    Raises ValueError if the digits in its place are no time.
    """
    if match := _NAME_UTC.search(filename):
        date, *hms = match.groups()
        return parse_jsoc_time(f"{date}T{':'.join(hms)}Z")
    if match := _NAME_TAI.search(filename):
        year, month, day, *hms = match.groups()
        return parse_jsoc_time(f"{year}.{month}.{day}_{':'.join(hms)}_TAI")
    return None


def parse_duration(text: str) -> timedelta:
    """Return a duration like `178m`, `12s`, `1.5h`, `2d`.

    Raises ValueError if the text is not a duration.
    """
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
    """Return a time in ISO 8601 with Z. Fractions of a second appear only if not zero."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def floor_minute(when: datetime) -> datetime:
    """Return the start of the minute that contains `when`."""
    return when.replace(second=0, microsecond=0)


def iso_column(times: Iterable[datetime | None]) -> list[str]:
    """Return a column of UTC times in ISO 8601 with Z; None becomes an empty text.

    All have fractions of a second if any time has one.
    """
    moments = [time and time.replace(tzinfo=None) for time in times]
    finest = "microseconds" if any(m and m.microsecond for m in moments) else "seconds"
    return [f"{moment.isoformat(timespec=finest)}Z" if moment else "" for moment in moments]


def read_iso(text: str) -> datetime | None:
    """Return the time (UTC) that `iso` or `iso_column` wrote; None for an empty text."""
    return datetime.fromisoformat(text) if text else None
