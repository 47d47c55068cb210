"""Progress of a download: a terminal shows one line that is rewritten, a log gets plain lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TextIO

# Starts a line that replaces the last one on a terminal.
CLEARED = "\r\033[K"


class Progress:
    """Counters of files and bytes that write a line to each stream from time to time.

    A terminal gets a line every `often` seconds, any other stream every `rarely` seconds. Threads
    may share the counters.
    """

    def __init__(
        self,
        name: str,
        streams: list[TextIO],
        *,
        clock: Callable[[], float] = time.monotonic,
        often: float = 0.5,
        rarely: float = 10.0,
    ) -> None:
        self.name = name
        self.total = 0
        self.done = 0
        self.fetched = 0
        self.failed = 0
        self.bytes = 0
        self._lock = threading.RLock()
        self._clock = clock
        self._begun = clock()
        self._streams = [(stream, often if stream.isatty() else rarely) for stream in streams]
        self._last = [self._begun] * len(streams)

    def add(self, *, fetched: bool, failed: bool) -> None:
        """Count a file that is done. `fetched`: it was not in the store before."""
        with self._lock:
            self.done += 1
            self.fetched += fetched
            self.failed += failed
            self._tell()

    def receive(self, size: int) -> None:
        """Count bytes that arrived over the network."""
        with self._lock:
            self.bytes += size
            self._tell()

    def _tell(self) -> None:
        """Write a line to each stream whose turn it is."""
        now = self._clock()
        for index, (stream, pause) in enumerate(self._streams):
            if now - self._last[index] >= pause:
                self._last[index] = now
                self._write(stream, end="" if stream.isatty() else "\n")

    def close(self) -> None:
        """Write the last line: how many files were fetched, and how many were there before."""
        there = self.done - self.fetched - self.failed
        for stream, _ in self._streams:
            self._write(stream, end=f" ({self.fetched} fetched, {there} in the store before)\n")

    def _write(self, stream: TextIO, end: str) -> None:
        start = CLEARED if stream.isatty() else ""
        stream.write(f"{start}{self}{end}")
        stream.flush()

    def __str__(self) -> str:
        seconds = max(self._clock() - self._begun, 1e-3)
        failed = f", {self.failed} failed" if self.failed else ""
        left = self.total - self.done
        eta = f", {_clock_text(seconds / self.done * left)} left" if self.done and left else ""
        return (
            f"{self.name}: {self.done}/{self.total} images{failed}, {self.bytes / 1e6:.1f} MB,"
            f" {self.bytes / 1e6 / seconds:.1f} MB/s{eta}"
        )


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
