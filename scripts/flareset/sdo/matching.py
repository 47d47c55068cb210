"""Find the same flare in two lists, by the times of start, peak and end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

_MINUTE = timedelta(minutes=1)
_NEVER = timedelta(days=1)


class Span(Protocol):
    """The times of a flare. `peak` and `end` are None if the list does not have them."""

    @property
    def start(self) -> datetime: ...
    @property
    def peak(self) -> datetime | None: ...
    @property
    def end(self) -> datetime | None: ...


def match(first: Sequence[Span], second: Sequence[Span]) -> dict[int, int]:
    """Return the pairs of the same flare, as a map from index in `second` to index in `first`.

    Two rows may be one flare if their starts or peaks lie within a minute, or if the peak of
    either lies in the other's interval. Each row is matched at most once, the best pairs first:
    starts within a minute, then nearest peaks, then nearest ends. Classes play no part.
    """
    pairs = sorted(_candidates(first, second), key=lambda pair: _distance(first, second, *pair))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for i, j in pairs:
        if i not in taken and j not in found:
            found[j] = i
            taken.add(i)
    return found


def may_be_one(a: Span, b: Span) -> bool:
    """Return whether two intervals may belong to the same flare."""
    if abs(a.start - b.start) <= _MINUTE or peaks_apart(a, b) <= _MINUTE:
        return True
    return holds(a, b.peak) or holds(b, a.peak)


def holds(span: Span, moment: datetime | None) -> bool:
    """Return whether a moment lies in a flare's interval; False if either is unknown."""
    return moment is not None and span.end is not None and span.start <= moment <= span.end


def peaks_apart(a: Span, b: Span) -> timedelta:
    """Return the time between two peaks; a day if either is unknown."""
    return _apart(a.peak, b.peak)


def overlap(a: Span, b: Span) -> timedelta:
    """Return how long two intervals overlap; zero or negative if they do not."""
    if a.end is None or b.end is None:
        return -_NEVER
    return min(a.end, b.end) - max(a.start, b.start)


def near(spans: Sequence[Span], wanted: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of intervals that lie within a minute of each other.

    A pair is an index in `spans` and an index in `wanted`.
    """
    order = sorted(range(len(spans)), key=lambda place: spans[place].start)
    starts = [spans[place].start for place in order]
    longest = max((last(span) - span.start for span in spans), default=_MINUTE)
    for j, span in enumerate(wanted):
        low = bisect_left(starts, span.start - longest - _MINUTE)
        high = bisect_right(starts, last(span) + _MINUTE)
        for i in order[low:high]:
            if last(spans[i]) + _MINUTE >= span.start:
                yield i, j


def last(span: Span) -> datetime:
    """Return a flare's last known moment: the latest of start, peak and end."""
    return max(moment for moment in span_moments(span) if moment is not None)


def span_moments(span: Span) -> tuple[datetime | None, ...]:
    """Return start, peak and end."""
    return span.start, span.peak, span.end


def _candidates(first: Sequence[Span], second: Sequence[Span]) -> Iterator[tuple[int, int]]:
    return ((i, j) for i, j in near(first, second) if may_be_one(first[i], second[j]))


def _distance(first: Sequence[Span], second: Sequence[Span], i: int, j: int) -> tuple[object, ...]:
    """Return the sort key of a pair, best first. Earlier flares, then lower indices win ties."""
    a, b = first[i], second[j]
    apart = abs(a.start - b.start) > _MINUTE
    return apart, peaks_apart(a, b), _apart(a.end, b.end), a.start, b.start, i, j


def _apart(a: datetime | None, b: datetime | None) -> timedelta:
    return abs(a - b) if a is not None and b is not None else _NEVER
