"""Progress of a download: a terminal shows one line that is rewritten, a log gets plain lines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

log = logging.getLogger(__name__)
# Starts a line that replaces the last one on a terminal.
CLEARED = "\r\033[K"


class Line:
    """A line of progress: a terminal gets it every `often` seconds, in place of the last one.

    Any other stream gets a plain line every `rarely` seconds. Threads may share it.
    """

    def __init__(
        self,
        streams: list[TextIO],
        *,
        clock: Callable[[], float] = time.monotonic,
        often: float = 0.5,
        rarely: float = 10.0,
    ) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._begun = clock()
        self._streams = [(stream, often if stream.isatty() else rarely) for stream in streams]
        self._last = [self._begun] * len(streams)

    @property
    def seconds(self) -> float:
        """How long it has gone on."""
        return self._clock() - self._begun

    def tell(self, text: Callable[[], str]) -> None:
        """Write a line to each stream whose turn it is."""
        with self._lock:
            now = self._clock()
            for index, (stream, pause) in enumerate(self._streams):
                if now - self._last[index] >= pause:
                    self._last[index] = now
                    moves = stream.isatty()
                    stream.write(f"{CLEARED}{text()}" if moves else f"{text()}\n")
                    stream.flush()

    def close(self) -> None:
        """Take the line that moved away."""
        with self._lock:
            for stream, _ in self._streams:
                if stream.isatty():
                    stream.write(CLEARED)
                    stream.flush()


class Progress:
    """Counters of files and bytes, which tell a line from time to time (`Line`)."""

    def __init__(self, name: str, streams: list[TextIO], **timing: Any) -> None:
        self.name = name
        self.total = 0
        self.done = 0
        self.fetched = 0
        self.failed = 0
        self.bytes = 0
        self._lock = threading.RLock()
        self._line = Line(streams, **timing)

    def add(self, *, fetched: bool, failed: bool) -> None:
        """Count a file that is done; `fetched` if it was not in the store before."""
        with self._lock:
            self.done += 1
            self.fetched += fetched
            self.failed += failed
            self._line.tell(self.__str__)

    def receive(self, size: int) -> None:
        """Count bytes that arrived over the network."""
        with self._lock:
            self.bytes += size
            self._line.tell(self.__str__)

    def close(self) -> None:
        """Log what came of all files, in place of the line that moved."""
        with self._lock:
            self._line.close()
            seconds = self._line.seconds
            log.info(
                "%d of %d images%s: %d fetched (%.1f MB), %d in the store before, %s",
                self.done - self.failed, self.total,
                f", {self.failed} failed" if self.failed else "",
                self.fetched, self.bytes / 1e6, self.done - self.fetched - self.failed,
                f"{seconds:.0f} s" if seconds < 100 else clock_text(seconds),
            )  # fmt: skip

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        seconds = max(self._line.seconds, 1e-3)
        return (
            f"{self.name}: {self.done}/{self.total} images{failed}, {self.bytes / 1e6:.1f} MB,"
            f" {self.bytes / 1e6 / seconds:.1f} MB/s{time_left(seconds, self.done, self.total)}"
        )


def time_left(seconds: float, done: int, total: int) -> str:
    """Return how long the rest will take, behind a comma; nothing where that is not known."""
    left = total - done
    return f", {clock_text(seconds / done * left)} left" if done and left else ""


def clock_text(seconds: float) -> str:
    """Return a duration as minutes and seconds, or as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
