"""Declare the stand-in's series: make series_struct's answers from their headers."""

from __future__ import annotations

import re
from typing import Any

from flareset.sdo.series import Series
from flareset.standin.headers import DOUBLES, HMI_UNITS, Card
from flareset.standin.slots import epoch_of, slots_of
from flareset.standin.structure import Structure

# The only keywords that AIA's slotted series have themselves. All others link to aia.lev1.
_OWN = ("T_REC", "T_OBS", "WAVELNTH", "DATE", "FSN", "EXPTIME", "QUALITY")
_WORDS = ("QUALITY", "QUALLEV0", "QUALLEV1")
# Keywords of headers only: added by the exporter, or constants of T_REC.
_HEADER_ONLY = (
    "RECNUM", "DRMS_ID", "PRIMARYK", "LICENSE", "TRECSTEP", "TRECEPOC", "TRECUNIT",
)  # fmt: skip
# A header's comment: the unit, the note, and the keyword's name if the header has another.
_COMMENT = re.compile(r"(?:\[([^\]]*)\] )?(.*?)(?: \{\w+\})?")
# JSOC's notes are not all UTF-8. These contain an Angstrom sign in Latin-1.
_ANGSTROM = "(\N{LATIN CAPITAL LETTER A WITH RING ABOVE})"
_NEVER = "-4712.01.01_11:59:28"


def declare(series: Series, cards: list[Card]) -> Structure:
    """Return the structure of a series whose records have these header cards."""
    linked = series.instrument == "aia" and not series.step
    slots = slots_of(series)
    primes = [
        {"name": "T_REC", "slotted": 1, "step": f"{slots.step:.6f}"}
        if key == "T_REC"
        else {"name": key, "slotted": 0}
        for key in series.keys
    ]
    link = {"name": "lev1", "target": "aia.lev1", "kind": "STATIC", "note": "link to source"}
    return Structure(
        series.name,
        {
            "note": f"flareset stand-in of {series.name} {_ANGSTROM}",
            "retention": 60,
            "stagingretention": 3,
            "unitsize": 1,
            "archive": 1,
            "tapegroup": 1,
            "primekeys": [*series.keys],
            "primekeysinfo": primes,
            "dbindex": [*series.keys],
            "keywords": [_ordered(entry) for entry in _keywords(series, cards, linked=linked)],
            "segments": [_segment(series, name, linked=linked) for name in series.segments],
            "links": [link] if linked else [],
        },
    )


def _keywords(series: Series, cards: list[Card], *, linked: bool) -> list[dict[str, Any]]:
    """Return the keywords of a series: its own, the linked ones, and the index of slots."""
    declared = [
        _keyword(key, value, comment) for key, value, comment in cards if key not in _HEADER_ONLY
    ]
    own = [entry for entry in declared if not linked or entry["name"] in _OWN]
    place = [entry["name"] for entry in own].index("T_REC")
    own[place]["recscope"] = "ts_slot" if series.step else "ts_eq"
    own[place + 1 : place + 1] = _slot_constants(series)
    others = [
        {**entry, "linkinfo": f"lev1->{entry['name']}"}
        for entry in declared
        if linked and entry["name"] not in _OWN
    ]
    index = _keyword("T_REC_index", 0, "Index keyword associated with T_REC")
    index |= {"type": "longlong", "recscope": "index", "defval": "0"}
    return [*own, *others, index]


def _slot_constants(series: Series) -> list[dict[str, Any]]:
    """Return the constant keywords that define the slots of a series."""
    epoch = {"type": "time", "units": "TAI", "defval": epoch_of(series), "note": "T_REC epoch"}
    step = {
        "type": "double",
        "units": "second",
        "defval": f"{slots_of(series).step:.6f}",
        "note": "T_REC step",
    }
    unit = {"type": "string", "units": "none", "defval": "secs", "note": "ts_eq unit"}
    return [
        {"name": "T_REC_epoch", "recscope": "constant", **epoch},
        {"name": "T_REC_step", "recscope": "constant", **step},
        *([{"name": "T_REC_unit", "recscope": "constant", **unit}] if series.zone == "TAI" else []),
    ]


def _keyword(key: str, value: object, comment: str) -> dict[str, Any]:
    """Return the declaration of a header's keyword. Its note begins with a different FITS name."""
    match = _COMMENT.fullmatch(comment)
    unit, note = (match[1], match[2]) if match else (None, comment)
    name = key.replace("-", "__")
    if name != key:
        note = f"[{key}] {note}"
    kind, default = _type(name, value, unit)
    return {
        "name": name,
        "type": kind,
        "recscope": "variable",
        "defval": default,
        "units": unit or "none",
        "note": note,
    }


def _type(name: str, value: object, unit: str | None) -> tuple[str, str]:
    """Return a keyword's type and its default, which shows how it is printed."""
    if unit in ("ISO", "TAI"):
        zone = "Z" if unit == "ISO" else "_TAI"
        decimals = {"T_OBS": 2, "DATE__OBS": 2}.get(name, 0)
        return "time", f"{_NEVER}{'.' + '0' * decimals if decimals else ''}{zone}"
    if name in _WORDS:
        return "int", "0x80000000"
    if name == "AECTYPE":
        return "short", "-32768"
    if isinstance(value, int):
        return "int", "-2147483648"
    if isinstance(value, float):
        return "double" if name in DOUBLES else "float", "nan"
    return "string", ""


def _ordered(entry: dict[str, Any]) -> dict[str, Any]:
    order = ("name", "linkinfo", "type", "recscope", "defval", "units", "note")
    return {key: entry[key] for key in order if key in entry}


def _segment(series: Series, name: str, *, linked: bool) -> dict[str, Any]:
    if linked:
        return {
            "name": name,
            "type": "int",
            "units": None,
            "protocol": "link via lev1",
            "dims": None,
            "note": f"AIA level 1 {name}",
        }
    unit = "DN" if series.instrument == "aia" else HMI_UNITS.get(name, ("none", 1.0))[0]
    return {
        "name": name,
        "type": "int",
        "units": unit,
        "protocol": "fits",
        "dims": "VARxVAR" if name == "spikes" or "HARPNUM" in series.keys else "4096x4096",
        "note": name,
    }
