"""Filters on time as a client reads them that compares T_REC with its times.

JSOC does otherwise (`slots`): this departure is for a client that has not learnt of it, and goes
with that.
"""

from __future__ import annotations

import math
import re

from flareset.standin.drmstime import scan
from flareset.standin.slots import Slots

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(
    r"(?P<date>\d{4}[.-]\d{1,2}[.-]\d{1,2})"
    r"(?P<clock>[_T]\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?)?(?P<zone>Z|_UTC|_UT|_TAI|)"
)


def compared(body: str, column: str, slots: Slots) -> tuple[str, tuple[int, int]] | None:
    """Return the condition of a filter on time, and its bounds; None where it is none.

    `[a/span]` is half-open, `[a-b]` includes both ends, and `@step` takes the first slot at or
    after each step.
    """
    body, _, step = body.partition("@")
    cadence = _span(step) if step else 0.0
    first = _time(body)
    if first is None or cadence is None:
        return None
    begin, rest = first
    if not rest or rest.startswith(","):
        return _listed(body, column, slots)
    if rest.startswith("/"):
        span = _span(rest[1:])
        if span is None:
            return None
        low, high = _at_or_after(begin, slots), _at_or_after(begin + span, slots) - 1
    else:
        end = _time(rest[1:])
        if not rest.startswith("-") or end is None or end[1]:
            return None
        low, high = _at_or_after(begin, slots), _before_or_at(end[0], slots)
    text = f"{low}<={column} AND {column}<={high}"
    if cadence:
        steps = range(int(max(0, high - low + 1) * slots.step // cadence) + 1)
        taken = sorted({_at_or_after(begin + n * cadence, slots) for n in steps})
        text += f" AND {column} in ({', '.join(map(str, taken))})"
    return f"( {text} )", (low, high)


def _listed(body: str, column: str, slots: Slots) -> tuple[str, tuple[int, int]] | None:
    """Return the condition of a list of times, each of which means the slot that it lies in."""
    found = [_time(part) for part in body.split(",")]
    if any(one is None or one[1] for one in found):
        return None
    places = sorted({_before_or_at(one[0], slots) for one in found if one})
    return f"( {column} in ({', '.join(map(str, places))}) )", (places[0], places[-1])


def _time(text: str) -> tuple[float, str] | None:
    """Return the time that a text begins with, and the rest."""
    match = _TIME.match(text.strip())
    if match is None:
        return None
    # An ISO date without an hour means the whole day's begin here, which it does not for JSOC.
    written = match[0] if match["clock"] else f"{match['date'].replace('-', '.')}{match['zone']}"
    found = scan(written)
    return (found[0], text.strip()[match.end() :].strip()) if found else None


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def _at_or_after(seconds: float, slots: Slots) -> int:
    return math.ceil(round((seconds - slots.epoch + slots.lead) / slots.step, 9))


def _before_or_at(seconds: float, slots: Slots) -> int:
    return math.floor(round((seconds - slots.epoch + slots.lead) / slots.step, 9))
