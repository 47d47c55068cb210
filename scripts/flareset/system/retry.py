"""How failures are borne: growing, jittered pauses, and an end to them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST, _LONGEST = 0.5, 60.0
# A year: nobody waits so long, and sums of it stay in bounds.
_FOR_EVER = 366 * 86400.0


def backoff(failures: int, jitter: float, longest: float = _LONGEST) -> float:
    """Seconds to wait after so many failures in a row; `jitter` from 0 to 1."""
    return min(_FIRST * 2 ** min(failures - 1, 20), longest) * (0.5 + jitter)


class Patience:
    """Pauses between tries, until `limit` seconds have passed with failures alone.

    `clock` and `jitter` (0 to 1) are passed in by tests.
    """

    def __init__(
        self,
        limit: float,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.limit = limit
        self.clock = clock
        self._jitter = jitter
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """An answer came: the next failure is the first."""
        self._failing_since = None

    def pause(self, tries: int) -> float | None:
        """Seconds to wait after this many failed tries; None where patience is at its end."""
        pause = backoff(tries, self._jitter())
        now = self.clock()
        if self._failing_since is None:
            self._failing_since = now
        return None if now - self._failing_since + pause > self.limit else pause


def retry_after(text: str) -> float:
    """Seconds of a Retry-After header, in either of its forms; 0 where there is none."""
    try:
        if text.strip().isdecimal():
            return min(float(text), _FOR_EVER)
        passes = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        return min(max(0.0, passes), _FOR_EVER)
    except (TypeError, ValueError):
        return 0.0
