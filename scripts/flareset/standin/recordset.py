"""Recordsets as DRMS reads them: grammar, slots, and the WHERE clause for the database.

There are two passes. The first finds series, filters and segments; the second reads each filter by
the series' prime keys. Each has errors of its own, and some texts crash the real program. Source:
drms_names.c; formats and limits from recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from flareset.errors import ListingError
from flareset.standin.drmstime import scan
from flareset.standin.structure import Slots, Structure

# The most characters of a WHERE clause; the rest is cut off.
LONGEST = 8191
# A filter that is longer than its buffer by this much crashes the program. Observed: 8 characters
# do not, 3000 do.
_OVERRUN = 64
_SERIES = re.compile(r"\s*([A-Za-z]\w*(?:\.\w+)*)\s*")
_SEGMENTS = re.compile(r"\{([^{}]*)\}\s*")
_DURATION = re.compile(r"([+-]?\d+(?:\.\d*)?)([smhdu])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A time without slots is compared by the second.
_NO_SLOTS = Slots(0.0, 1.0)
_INTEGER = re.compile(r"\s*([+-]?\d+)")
_NAMED = re.compile(r"\s*([A-Za-z][\w.]*)\s*=\s*")
_INDEX = re.compile(
    r"#(?:(?P<end>[\^$])|(?P<a>\d+)(?:-#(?P<b>\d+)|/(?P<n>\d+))?(?:@(?P<skip>\d+))?) *"
)
_TIME_FUNCTION = re.compile(r"\$\(([^()]{1,38})\)")


class BadQuery(ListingError):
    """A recordset that the stand-in refuses."""


class NoRecordset(BadQuery):
    """A text with brackets or a name that no recordset can have."""


class BadFilter(BadQuery):
    """A filter that has no values of the series' prime keys."""


class UnknownSeries(BadQuery):
    """A recordset of an unknown series."""


class Crash(BadQuery):
    """A recordset that crashes the real program, which sends no answer."""


@dataclass(frozen=True)
class Subset:
    """One series' part of a recordset: filters (the text between their brackets), segments."""

    series: str
    filters: tuple[str, ...]
    segments: tuple[str, ...]

    def __str__(self) -> str:
        segments = f"{{{','.join(self.segments)}}}" if self.segments else ""
        return self.series + "".join(f"[{body}]" for body in self.filters) + segments


@dataclass(frozen=True)
class Hull:
    """Bounds of what a clause can select: slots, recnums and values of keys; None for no bound.

    Pairs include both ends. `extreme` is `first` or `last` if only that record can be selected.
    """

    slots: tuple[int, int] | None = None
    recnums: tuple[tuple[int, int], ...] | None = None
    values: tuple[tuple[str, frozenset[int]], ...] = ()
    extreme: str = ""

    def and_also(self, other: Hull) -> Hull:
        """Return the bounds of two clauses joined by AND."""
        slots = self.slots or other.slots
        if self.slots and other.slots:
            slots = max(self.slots[0], other.slots[0]), min(self.slots[1], other.slots[1])
        return Hull(
            slots,
            self.recnums or other.recnums,
            (*self.values, *other.values),
            self.extreme or other.extreme,
        )


@dataclass(frozen=True)
class Clause:
    """A WHERE clause, the bounds of what it selects, and the text `behind` it."""

    text: str
    hull: Hull
    behind: str


@dataclass(frozen=True)
class _Range:
    """A range of a prime key's values. `kind` is `single`, `range`, `span`, `first` or `last`.

    A `range` is `start` to `end`, both included. A `span` has `end` values from `start` on.
    """

    kind: str
    start: int = 0
    end: int = 0
    skip: int | None = None

    def last(self) -> int:
        """Return the highest value."""
        return {"single": self.start, "range": self.end}.get(self.kind, self.start + self.end - 1)


def parse(text: str) -> list[Subset]:
    """Return the subsets of a recordset. Raise NoRecordset if the text is not one."""
    if text.startswith("@"):
        return []  # the name of a file with recordsets, which no client can have put there
    found: list[Subset] = []
    rest = text
    while rest.strip() or not found:
        subset, rest = _subset(rest, text)
        found.append(subset)
        if rest[:1] not in ("", ",", ";"):
            raise NoRecordset(text)
        rest = rest[1:]
    return found


def _subset(rest: str, text: str) -> tuple[Subset, str]:
    """Return the subset at the start of a text, and the rest of the text."""
    match = _SERIES.match(rest)
    if match is None:
        raise NoRecordset(text)
    rest = rest[match.end() :]
    filters: list[str] = []
    while rest.startswith("["):
        mark = rest[1:2] if rest[1:2] in ("?", "!") else ""
        end = rest.find(f"{mark}]", 1 + len(mark))
        if end < 0:
            raise NoRecordset(text)
        filters.append(rest[1 : end + len(mark)])
        rest = rest[end + len(mark) + 1 :].lstrip(" ")
    segments: tuple[str, ...] = ()
    if braces := _SEGMENTS.match(rest):
        segments = tuple(filter(None, (part.strip() for part in braces[1].split(","))))
        rest = rest[braces.end() :]
    return Subset(match[1], tuple(filters), segments), rest


def clause(subset: Subset, structure: Structure) -> Clause:
    """Return the WHERE clause of a subset. Raise BadFilter or Crash if DRMS cannot make it."""
    reader = _Reader(structure)
    text, hull = "", Hull()
    for body in subset.filters:
        if not body:
            reader.place += 1
            continue
        part, bounds = reader.read(body)
        if len(part) > LONGEST + _OVERRUN:
            raise Crash(f"a filter of {len(part)} characters")
        if bounds.extreme and text:
            # The first or last record of those that the earlier filters select.
            part = f"{part.removesuffix(') ) )')} WHERE ( {text} ) ) ) )"
        text = f"{text} AND {part}" if text else part
        hull = hull.and_also(bounds)
    every = any(body.startswith((":", "!")) for body in subset.filters)
    return Clause(text[:LONGEST], hull, "order by" if every else "group by")


class _Reader:
    """A reader of one subset's filters. `place` is the next prime key for a filter without name."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self.place = 0

    def read(self, body: str) -> tuple[str, Hull]:
        """Return a filter's clause and its bounds."""
        if body[0] in "?!":
            condition = _with_times(body[1:-1].rstrip())
            return f"( {condition}  )", _bounds(condition)
        if body.startswith(":"):
            return _recnum_clause(_indices(body[1:]), self._structure.name)
        name, rest = self._key(body)
        column, slots = self._structure.index_name(name), self._structure.slots(name)
        if slots is None and self._structure.keywords[name.lower()].type == "time":
            slots = _NO_SLOTS
        if rest.startswith("#"):
            ranges, unit = _indices(rest), "((%d*1)+0)"
        elif slots:
            ranges, unit = _list(rest, lambda text: _times(text, slots)), "%d"
        else:
            ranges, unit = _list(rest, _whole_numbers), "%d"
        parts = [_text(found, column, self._structure.name, unit) for found in ranges]
        return f"( {' OR '.join(parts)} )", self._hull(name, ranges)

    def _key(self, body: str) -> tuple[str, str]:
        """Return the prime key of a filter, and the text of its values."""
        primes = self._structure.primes
        match = _NAMED.match(body)
        if match is None:
            self.place += 1
            if self.place > len(primes):
                raise BadFilter(body)
            return primes[self.place - 1], body
        for prime in primes:
            if match[1].lower() == prime.lower():
                return prime, body[match.end() :]
        raise BadFilter(body)

    def _hull(self, name: str, ranges: list[_Range]) -> Hull:
        if ranges[0].kind in ("first", "last"):
            return Hull(extreme=ranges[0].kind)
        if self._structure.slots(name):
            return Hull(
                (min(found.start for found in ranges), max(found.last() for found in ranges))
            )
        if any(found.last() - found.start > 1000 for found in ranges):
            return Hull()
        values = {n for found in ranges for n in range(found.start, found.last() + 1)}
        return Hull(values=((name.upper(), frozenset(values)),))


def _list(body: str, read: Callable[[str], tuple[_Range, str]]) -> list[_Range]:
    """Return the ranges of a list. Raise BadFilter if text is left over."""
    found: list[_Range] = []
    rest = body
    while True:
        if rest[:1] in ("^", "$"):
            found.append(_Range("first" if rest[0] == "^" else "last"))
            rest = rest[1:]
        else:
            item, rest = read(rest)
            found.append(item)
        if not rest.startswith(","):
            break
        rest = rest[1:]
    if rest.strip(" "):
        raise BadFilter(body)
    return found


def _times(rest: str, slots: Slots) -> tuple[_Range, str]:
    """Return the first range of a list of times, in slots, and the rest of the text."""
    begin, rest = _start(rest.lstrip(" "), slots)
    first = slots.index(begin)
    if rest[:1] not in ("-", "/"):
        return _Range("single", first), rest
    mark, rest = rest[0], rest[1:].lstrip(" ")
    if mark == "/":
        duration, rest = _duration(rest, slots)
        found = _Range("span", first, slots.count(duration))
    else:
        end = scan(rest)
        if end is None:
            raise Crash(f"no time at {rest!r}")
        found, rest = _Range("range", first, slots.index(end[0])), rest[end[1] :]
    if rest.startswith("@"):
        cadence, rest = _duration(rest[1:], slots)
        found = replace(found, skip=slots.skip(cadence))
    return found, rest


def _start(rest: str, slots: Slots) -> tuple[float, str]:
    """Return the time at the start of a text, as DRMS seconds, and the rest of the text.

    A duration counts from the epoch. DRMS reads the longest possible time. If none of `]`, `-` and
    `/` follows, it reads again only the text before the first `-`: the year of an ISO time.
    """
    if offset := _DURATION.match(rest):
        return slots.epoch + _seconds(offset, slots), rest[offset.end() :]
    found = scan(rest)
    left = rest[found[1] :].lstrip(" ") if found else rest
    if (found is None or left[:1] not in ("", "-", "/")) and "-" in rest:
        found = scan(rest.partition("-")[0])
        left = rest[found[1] :] if found else rest
    if found is None:
        raise Crash(f"no time at {rest!r}")
    return found[0], left


def _duration(rest: str, slots: Slots) -> tuple[float, str]:
    match = _DURATION.match(rest)
    if match is None:
        raise Crash(f"no duration at {rest!r}")
    return _seconds(match, slots), rest[match.end() :]


def _seconds(match: re.Match[str], slots: Slots) -> float:
    return float(match[1]) * (slots.step if match[2] == "u" else _SECONDS[match[2]])


def _whole_numbers(rest: str) -> tuple[_Range, str]:
    """Return the first range of a list of whole numbers, and the rest of the text."""
    start, rest = _whole_number(rest)
    if rest[:1] not in ("-", "/"):
        return _Range("single", start), rest
    kind = "range" if rest[0] == "-" else "span"
    end, rest = _whole_number(rest[1:])
    found = _Range(kind, start, end)
    if rest.startswith("@"):
        skip, rest = _whole_number(rest[1:])
        found = replace(found, skip=skip)
    return found, rest


def _whole_number(rest: str) -> tuple[int, str]:
    match = _INTEGER.match(rest)
    if match is None:
        raise Crash(f"no number at {rest!r}")
    return int(match[1]), rest[match.end() :]


def _indices(body: str) -> list[_Range]:
    """Return the ranges of a list of numbers with `#`. Raise BadFilter if it cannot be read."""
    found = []
    for part in body.split(","):
        match = _INDEX.fullmatch(part)
        if match is None:
            raise BadFilter(body)
        if match["end"]:
            found.append(_Range("first" if match["end"] == "^" else "last"))
            continue
        start, skip = int(match["a"]), int(match["skip"]) if match["skip"] else None
        if match["b"]:
            found.append(_Range("range", start, int(match["b"]), skip))
        elif match["n"]:
            found.append(_Range("span", start, int(match["n"]), skip))
        else:
            found.append(_Range("single", start))
    return found


def _text(found: _Range, column: str, series: str, unit: str) -> str:
    """Return a range's condition on a column. `unit` is the format of a number."""
    if found.kind in ("first", "last"):
        extreme = "min" if found.kind == "first" else "max"
        return f"( {column}=(select {extreme}({column}) from {series}) )"
    start, end = unit % found.start, unit % found.end
    if found.kind == "single":
        return f"( {column}={start} )"
    if found.kind == "range":
        text = f"{start}<={column} AND {column}<={end}"
    else:
        text = f"{start}<={column} AND {column}<( {start} + {found.end} )"
    if found.skip is not None:
        text += f" AND (cast(({column} - {found.start}) as integer) % {found.skip}) = 0"
    return f"( {text} )"


def _recnum_clause(ranges: list[_Range], series: str) -> tuple[str, Hull]:
    """Return the clause of a filter on record numbers."""
    singles = [found.start for found in ranges if found.kind == "single"]
    parts = [f"recnum in ({', '.join(map(str, singles))})"] if singles else []
    parts += [_text(found, "recnum", series, "%d") for found in ranges if found.kind != "single"]
    if ranges[0].kind in ("first", "last"):
        return f"( {' OR '.join(parts)} )", Hull(extreme=ranges[0].kind)
    bounds = tuple((found.start, found.last()) for found in ranges)
    return f"( {' OR '.join(parts)} )", Hull(recnums=bounds)


def _with_times(condition: str) -> str:
    """Return a condition with times in `$(...)` replaced by DRMS seconds."""

    def seconds(match: re.Match[str]) -> str:
        found = scan(match[1])
        if found is None:
            raise BadFilter(condition)
        return f"{found[0]:16.6f}"

    return _TIME_FUNCTION.sub(seconds, condition)


def _bounds(condition: str) -> Hull:
    """Return the bounds of a condition that is a single comparison, else no bounds."""
    match = re.fullmatch(
        r"\s*(\w+)\s*(?:=\s*'?(\d+)'?|in\s*\(([\d,\s]+)\))\s*", condition, re.IGNORECASE
    )
    if match is None:
        return Hull()
    numbers = frozenset(int(part) for part in (match[2] or match[3]).split(","))
    key = match[1].upper()
    if key == "RECNUM":
        return Hull(recnums=tuple((number, number) for number in sorted(numbers)))
    if key == "T_REC_INDEX":
        return Hull((min(numbers), max(numbers)))
    return Hull(values=((key, numbers),))
