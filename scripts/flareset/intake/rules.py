"""The rules of the intake, in one table: what each does, and what a user may do about it."""

from __future__ import annotations

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """A rule: what it does, what a user may do, and whether its name stays with the flare."""

    does: str
    advice: str = ""
    flags: bool = False


_SEE = "look at the lines in changes.csv"
RULES: dict[str, Rule] = {
    "table.unnamed_index": Rule(
        "the first cell of each row is an index that the header does not name: left out",
        "write the list with `index=False`",
    ),
    "event.no_flare": Rule("an event that HEK calls no flare (`event_type`): the row is dropped"),
    "start.unreadable": Rule("the start is missing or no time: the row is dropped", _SEE),
    "time.unreadable": Rule("a peak or an end that is no time is left out", _SEE),
    "time.next_day": Rule(
        "a peak or an end more than 6 h before the start, on its date: it is of the next day"
    ),
    "time.clock_only": Rule("a peak or an end without a date: that of the start"),
    "time.qualifier": Rule(
        "a letter before a time, B before, U uncertain, A after: the time is kept", flags=True
    ),
    "peak.missing": Rule("no peak: taken from a matched list, else empty"),
    "peak.outside": Rule("a peak outside the flare is left out, the flare is kept", _SEE),
    "end.missing": Rule("no end: taken from a matched list"),
    "end.not_after_start": Rule(
        "an end that is not after the start: taken from a matched list", _SEE
    ),
    "end.is_peak": Rule(
        "an end that equals the peak is none: taken from a matched list",
        "add a list that has the ends, like SWPC's",
    ),
    "end.too_late": Rule(
        "an end later than `intake.longest` after the start, or of SSW with seconds (a time stamp):"
        " taken from a matched list",
        "add a list that has the ends, or raise `intake.longest`",
    ),
    "class.unreadable": Rule("a class that cannot be read is left out", _SEE),
    "class.letter_only": Rule(
        "a class without its figure: the letter is kept, no class threshold takes the flare",
        flags=True,
    ),
    "class.cut": Rule("a class cut behind its point (`X17.`): read as X17.0", _SEE, flags=True),
    "class.no_decimal": Rule("a class without a decimal (`C9`): read as C9.0", flags=True),
    "class.decimal_comma": Rule("a class with a decimal comma", flags=True),
    "class.implied_decimal": Rule("a class in tenths, as NCEI writes it: `X 12` is X1.2"),
    "class.from_label": Rule("the class is in a label alone (Helioviewer): taken from there"),
    "class.flux_mismatch": Rule(
        "class and peak flux differ by more than 0.1 in the class's figure: the class is kept, the"
        " flux left out",
        "see the unit of the list's flux",
    ),
    "ar.leading_digit": Rule("a region of four digits since 2002-06-14 lacks its leading 1: added"),
    "ar.blank": Rule("no region: 0, blanks, `?`, `////`"),
    "ar.unreadable": Rule("a region that is no number is left out", _SEE),
    "position.none": Rule(
        "no position: HEK's `noposition`, exactly (0, 0), a box of the whole disk, -9999,"
        " `S**E**`, nothing"
    ),
    "position.unreadable": Rule("a position that cannot be read is left out", _SEE),
    "position.polar": Rule(
        "a latitude above 45° is false and left out: SSW's locator gives them, most while SDO is"
        " eclipsed",
        flags=True,
    ),
    "position.off_sun": Rule("a position far off the Sun is left out", _SEE),
    "before_sdo": Rule("before SDO's first images, 2010-05-13: never selected", flags=True),
    "eclipse_season": Rule(
        "06:00 to 07:40 within three weeks of an equinox: SDO may be eclipsed",
        "see the ledger of the event",
        flags=True,
    ),
    "parts.joined": Rule("a flare over midnight, half in each of two daily files: joined"),
    "duplicate.exact": Rule("a row that a source has already, letter by letter: left out"),
    "duplicate.satellites": Rule(
        "one flare twice in one source, mostly by two satellites: merged, all intervals are kept"
    ),
    "near_duplicate": Rule(
        "two flares of a source overlap and peak within a minute, but differ in class: both kept",
        _SEE,
        flags=True,
    ),
    "observer.attached": Rule(
        "a row of AIA's detector or of an observer is a GOES flare's: it is no flare of its own"
    ),
    "observer.alone": Rule(
        "a row of AIA's detector or of an observer overlaps no GOES flare: left out",
        "name its source alone in `intake.sources` to have it as a flare",
    ),
    "peak.filled": Rule("the peak is another list's"),
    "end.filled": Rule("the end is another list's"),
    "conflict.peak": Rule("lists differ by more than a minute in the peak: the first list's"),
    "conflict.class": Rule("lists differ in the class: the first list's on `intake.scale`"),
    "conflict.ar": Rule("lists differ in the region: as `intake.conflicts.ar` says", flags=True),
    "conflict.position": Rule(
        "lists differ by more than 15° in the position: as `intake.conflicts.position` says",
        flags=True,
    ),
    "position.off_ar": Rule(
        "more than 15° from every other flare of its region on that day: kept",
        "region or position is wrong: trust neither where both matter",
        flags=True,
    ),
    "position.other_source": Rule(
        "the position is of a list that does not name the flare's region",
        "trust neither where both matter",
        flags=True,
    ),
    "dropped.no_end": Rule(
        "no list has an end of this flare: dropped", "add a list that has it, like SWPC's"
    ),
}
# Rows that a reader understood wrongly look like these.
UNREADABLE = ("start.unreadable", "time.unreadable", "class.unreadable", "position.unreadable")
_TABLE = re.compile(r"(<!-- rules of the intake -->\n).*?(<!-- end of rules -->)", re.DOTALL)


def with_rules(manual: str) -> str:
    """Return the manual with its table of rules made anew."""
    rows = [f"| `{name}` | {rule.does} | {rule.advice} |" for name, rule in RULES.items()]
    table = "\n".join(["| rule | what it does | what to do |", "|---|---|---|", *rows])
    return _TABLE.sub(lambda match: f"{match[1]}{table}\n{match[2]}", manual)
