"""Retries: exponential back-off with jitter, and the Retry-After header."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# First and longest pause (seconds), before jitter.
_FIRST, _LONGEST = 0.5, 60.0
# The longest wait (seconds) that a server may ask for: a year, so that no sum overflows.
_LONGEST_ASKED = 366 * 86400.0


def backoff(failures: int, jitter: float, longest: float = _LONGEST) -> float:
    """Return the pause (seconds) after `failures` failures in a row. `jitter` is from 0 to 1."""
    return min(_FIRST * 2 ** min(failures - 1, 20), longest) * (0.5 + jitter)


def retry_after(text: str) -> float:
    """Return the wait (seconds) of a Retry-After header, a number or a date; 0 if unreadable."""
    try:
        if text.strip().isdecimal():
            return min(float(text), _LONGEST_ASKED)
        left = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        return min(max(0.0, left), _LONGEST_ASKED)
    except (TypeError, ValueError):
        return 0.0
