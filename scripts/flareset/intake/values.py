"""The values of flare lists: times, GOES classes, regions and places, each read from its text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

LETTERS = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}
# Operational data of GOES-8 to 15 are science data times this (NOAA, GOES XRS readme).
OPERATIONAL = 0.7
# From here on SWPC's primary satellite is GOES-16, whose operational data have no such factor.
GOES_16_PRIMARY = datetime(2019, 12, 9, tzinfo=UTC)
# NOAA gave number 10000 on 2002-06-14; regions from before were still counted for some weeks.
_AFTER_10000 = datetime(2002, 6, 14, tzinfo=UTC)
_OLD_REGIONS_GONE = datetime(2002, 8, 1, tzinfo=UTC)
_DAY = timedelta(days=1)

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?|(\d{1,4})")
_SLASHED = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})[ T_](.+)")
_NAMED_MONTH = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})[ T](.+)")
_ZONE = re.compile(r"\s*(?:UTC?|GMT)$")
MISSING = re.compile(r"[\s/?*\-]*|nan|nat|none|null|n/a|-9999(\.0*)?", re.IGNORECASE)
_CLASS = re.compile(r"([ABCMX])\s*(\d+(?:\.\d*)?)")
_PLACE = re.compile(
    r"([NS])(\d\d)([EW])(1[0-7]\d|180|\d\d)(?:[SB]?[FNB]?|[1-4][FNB]?)", re.IGNORECASE
)


def is_missing(text: str) -> bool:
    """Return whether a text says that there is no value."""
    return MISSING.fullmatch(text) is not None


def number(text: str) -> float | None:
    """Return a finite number, or None. A comma may stand for the decimal point."""
    try:
        found = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return found if abs(found) < float("inf") and found != -9999 else None


class Read(NamedTuple):
    """A time, and whether the text had no date of its own."""

    when: datetime
    clock_only: bool


def read_time(text: str, day: date | None) -> Read:
    """Return the UTC of a time in any form of the field. ValueError: it is none, or ambiguous.

    A clock alone (`1804`, `18:04`, `18:04:30`) is of the day given.
    """
    text = _ZONE.sub("", text.strip())
    if clock := _CLOCK.fullmatch(text):
        if day is None:
            raise ValueError(f"{text!r} has no date")
        return Read(_at(day, clock), True)
    if match := _SLASHED.fullmatch(text):
        text = f"{match[1]}-{match[2]:>02}-{match[3]:>02}T{match[4]}"
    elif match := _NAMED_MONTH.fullmatch(text):
        month = _MONTHS.index(match[2].lower()) + 1
        text = f"{match[3]}-{month:02}-{match[1]:>02}T{match[4]}"
    if not re.search(r"[T ]\d", text):
        raise ValueError(f"{text!r} has no time of day")
    when = datetime.fromisoformat(text)
    return Read(when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC), False)


def read_day(text: str) -> date:
    """Return a date like 20140107, 140107 or 2014-01-07. ValueError: it is none."""
    text = text.strip()
    if re.fullmatch(r"\d{6}", text):
        # Two digits of a year: X-rays have been measured since the 1970s.
        text = f"{'19' if text[:2] >= '70' else '20'}{text}"
    return date.fromisoformat(re.sub(r"[/. ]", "-", text)[:10])


def _at(day: date, clock: re.Match[str]) -> datetime:
    if clock[4]:
        hour, minute, second = *divmod(int(clock[4]), 100), 0.0
    else:
        hour, minute, second = int(clock[1]), int(clock[2]), float(clock[3] or 0)
    midnight = datetime.combine(day, time(), UTC)
    if (hour, minute) == (24, 0):
        return midnight + _DAY
    if hour > 23 or minute > 59 or second >= 60:
        raise ValueError(f"{clock[0]!r} is no time of day")
    return midnight + timedelta(hours=hour, minutes=minute, seconds=second)


def read_class(text: str) -> tuple[str, str]:
    """Return a GOES class as `X1.2`, and the rule that it took to read it, or nothing.

    The class is empty where it cannot be read, and a letter alone where there is no figure.
    """
    text = text.strip().upper()
    comma = "," in text
    if text in LETTERS:
        return text, "class.letter_only"
    match = _CLASS.fullmatch(text.replace(",", "."))
    if not match or not (figure := float(match[2])):
        return "", "class.unreadable"
    if figure >= 10 and match[1] != "X":
        return "", "class.unreadable"
    if comma:
        rule = "class.decimal_comma"
    elif match[2].isdecimal() or match[2].endswith("."):
        rule = "class.cut" if figure >= 10 or match[2].endswith(".") else "class.no_decimal"
    else:
        rule = ""
    return f"{match[1]}{_figure(match[2])}", rule


def _figure(text: str) -> str:
    """Return a class's figure with one decimal at least, and those that the list has."""
    whole, _, decimals = text.partition(".")
    return f"{int(whole)}.{decimals or '0'}"


def flux_class(flux: float) -> str:
    """Return the class of a peak flux (W m-2), with one decimal."""
    letter = next((name for name in "XMCB" if flux >= LETTERS[name]), "A")
    return f"{letter}{flux / LETTERS[letter]:.1f}"


def on_scale(flux: float, scale: str, wanted: str) -> float:
    """Return a flux of one scale (`operational`, `science`) on another."""
    if scale == wanted:
        return flux
    return flux * OPERATIONAL if wanted == "operational" else flux / OPERATIONAL


def same_class(a: str, b: str) -> bool:
    """Return whether two classes have one letter and figures within 0.2."""
    if len(a) < 2 or len(b) < 2 or a[0] != b[0]:
        return False
    return abs(float(a[1:]) - float(b[1:])) <= 0.2 + 1e-9


def read_satellite(text: str) -> str:
    """Return a satellite as `G15`; another name, like SDO, as it is."""
    match = re.fullmatch(r"\s*(?:G|GO|GOES)?[- ]?0*(\d{1,2})\s*", text, re.IGNORECASE)
    return f"G{int(match[1]):02}" if match else text.strip()


def scale_of(source: str, satellite: str, start: datetime) -> str:
    """Return on which scale a source gives classes.

    GOES-16 and later have one scale. Without a satellite it is that of SWPC's primary at the time.
    """
    if source.startswith("flsum") or re.fullmatch(r"G(1[6-9]|[2-9]\d)", satellite):
        return "science"
    if satellite.startswith("G") or start < GOES_16_PRIMARY:
        return "operational"
    return "science"


def read_region(text: str, start: datetime) -> tuple[int | None, str]:
    """Return the number of a NOAA active region (five digits since 10000), and the rule used.

    9000 to 9999 stay until August 2002: those regions were still on the disk.
    """
    found = number(text)
    if found is None or not 0 < found < 100_000 or found != int(found):
        return None, "ar.blank" if is_missing(text) or found == 0 else "ar.unreadable"
    region = int(found)
    renumbered = start >= _AFTER_10000 and (region < 9000 or start >= _OLD_REGIONS_GONE)
    if region < 10_000 and renumbered:
        return region + 10_000, "ar.leading_digit"
    return region, ""


def read_place(text: str) -> tuple[float, float] | None:
    """Return Stonyhurst longitude (west positive) and latitude of a text like S26W41, or None."""
    match = _PLACE.fullmatch(text.strip())
    if not match:
        return None
    latitude = float(match[2]) * (-1 if match[1] in "Ss" else 1)
    longitude = float(match[4]) * (-1 if match[3] in "Ee" else 1)
    return longitude, latitude
