"""How failures of the archive are borne: growing, jittered pauses, and an end to them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST, _LONGEST = 0.5, 60.0


class Patience:
    """Pauses between tries, until `limit` seconds have passed with failures alone.

    `clock`, `sleep` and `jitter` (0 to 1) are passed in by tests.
    """

    def __init__(
        self,
        limit: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.limit = limit
        self.clock = clock
        self.sleep = sleep
        self._jitter = jitter
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """The archive answered: the next failure is the first."""
        self._failing_since = None

    def pause(self, tries: int, at_least: float = 0.0) -> float | None:
        """Seconds to wait after this many failed tries; None where patience is at its end."""
        backoff = min(_FIRST * 2 ** min(tries - 1, 20), _LONGEST)
        pause = max(backoff * (0.5 + self._jitter()), at_least)
        now = self.clock()
        if self._failing_since is None:
            self._failing_since = now
        return None if now - self._failing_since + pause > self.limit else pause


def retry_after(text: str) -> float:
    """Seconds of a Retry-After header, in either of its forms; 0 where there is none."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
