"""The FITS header that JSOC's exporter writes for a record.

A card reads `NAME = value / [unit] note {DRMS name if different}`. The exporter first writes the
record's cards into a header of their own, and computes HEADSUM over that header. It then reads the
cards back, and updates the stored file's header with them. A 4-byte number is written with 9
digits, read back as an 8-byte number and exported with 17: 9.6 becomes 9.6000003800000009.

Source: fitsexport.c and cfitsio.c of JSOC's drms, the cards of CFITSIO 3, files of that exporter.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flareset.sdo.checksum import ALL_ONES, BLOCK, ones_complement_sum
from flareset.sdo.drms import MISSING, Keyword, Record, Structure, Value, value_of

WIDTH = 80
# The cards with which CFITSIO begins a file that holds a table extension.
PRIMARY = [
    "SIMPLE  =                    T / file does conform to FITS standard",
    "BITPIX  =                    8 / number of bits per data pixel",
    "NAXIS   =                    0 / number of data axes",
    "EXTEND  =                    T / FITS dataset may contain extensions",
    "COMMENT   FITS (Flexible Image Transport System) format is defined in 'Astronomy",
    "COMMENT   and Astrophysics', volume 376, page 359; bibcode: 2001A&A...376..359H",
]
_LONG_STRINGS = [
    "LONGSTRN= 'OGIP 1.0'           / The HEASARC Long String Convention may be used.",
    "COMMENT   This FITS file may contain long string keyword values that are",
    "COMMENT   continued over multiple keywords.  The HEASARC convention uses the &",
    "COMMENT   character at the end of each substring which is then continued",
    "COMMENT   on the next keyword which has the name CONTINUE.",
]
_TEXTS = ("COMMENT", "HISTORY")
_DATES = ("DATE", "DATE__OBS")
_NO_DATE = "-4712.01.01_11:59:28.000"
# The exporter's values for missing numbers of the world coordinates.
_COORDINATES = {"CRPIX": 0.0, "CRVAL": 0.0, "CDELT": 1.0, "CROTA": 0.0, "CRDER": 0.0}
# Keywords of the file's own structure, which a record's cannot replace.
_STRUCTURAL = re.compile(
    r"SIMPLE|EXTEND|BLANK|BZERO|BSCALE|BITPIX|NAXIS\d*|END|XTENSION|PCOUNT|GCOUNT|GROUPS|TFIELDS"
    r"|THEAP|CONTINUE|T(?:TYPE|FORM|BCOL)\d+"
    r"|Z(?:IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|SCALE|ZERO|BLANK)"
)
_NAME = re.compile(r"[A-Z0-9_-]{1,8}")
_CAST = re.compile(r"\[([^ :]+)(?::([^ ]*))?\](?: (.*))?", re.DOTALL)
_CASTS = ("INTEGER", "FLOAT", "STRING", "LOGICAL")
_TIME = re.compile(r"(\d{4})([.-])(\d\d)\2(\d\d)([T_])(\d\d:\d\d:\d\d)(\.\d+)?(.*)")
_NO_UNIT = ("", "none", "na", "n/a")
# A comment as the exporter reads it back: [unit], (MISSING) or other text in brackets, the rest.
_COMMENT = re.compile(r" *(?:\[(.+)\] +)?(?:\(.+\) +)?(.*)")
# How many characters of a string one card holds, and of COMMENT and HISTORY.
_STRING, _TEXT = 68, 72


@dataclass(frozen=True)
class Card:
    """A keyword to be exported. `value` is None if missing; `single` marks a number of 4 bytes."""

    name: str
    value: Value
    comment: str = ""
    unit: str = ""
    single: bool = False

    def first(self) -> list[str]:
        """Return the lines over which HEADSUM is computed."""
        if self.name in _TEXTS:
            return _text_lines(self.name, str(self.value or ""))
        fields = _fields(self.name, self.value, 9 if self.single else 17)
        return _commented(fields, self._remark(fields))

    def final(self) -> list[str]:
        """Return the lines of the exported header: the first lines, read back and written anew."""
        if self.name in _TEXTS:
            return self.first()
        value = self.value
        if isinstance(value, float):
            value = float(_number(value, 9 if self.single else 17))
        elif isinstance(value, str):
            value = value.rstrip(" ") or " "
        fields = _fields(self.name, self.value, 9 if self.single else 17)
        unit, comment = _read_back(self._remark(fields)[: _room(fields)].rstrip(" "))
        again = replace(self, value=value, unit=unit, comment=comment)
        fields = _fields(self.name, value, 17)
        return _commented(fields, again._remark(fields))

    def _remark(self, fields: list[str]) -> str:
        """Return the comment with its unit, and with (MISSING) if there is no value.

        CFITSIO has no room for the unit of a string that takes more than one line.
        """
        comment = self.comment
        unit = f"[{self.unit[:45]}] "
        if self.unit.strip().lower() in _NO_UNIT or len(fields) > 1:
            unit = ""
        if self.value is None:
            comment = f"({MISSING}) {comment}" if comment else f"({MISSING})"
        elif unit and comment.startswith("[") and "]" in comment:
            comment = comment.partition("]")[2].lstrip(" ")
        return unit + comment


def record_cards(series: str, structure: Structure, record: Record, segment: str) -> list[Card]:
    """Return the cards of a record's keywords for one segment, in the exporter's order."""
    number = structure.number(segment)
    cards: list[Card] = []
    seen: list[tuple[str, str]] = []
    for keyword in structure.keywords:
        per_segment = keyword.scope == "segment"
        if per_segment:
            keyword = replace(keyword, name=f"{keyword.name}_{number:03d}")
        text = record.keywords.get(keyword.name)
        # An alias: its name is the FITS name of an earlier keyword.
        if text is None or (keyword.name, keyword.note) in seen:
            continue
        card = _card_of(keyword, text, per_segment)
        if card is not None and not _STRUCTURAL.fullmatch(card.name):
            cards.append(card)
            seen.append((card.name, keyword.note))
    drms_id = f"{series}:{record.recnum}:{structure.segments[number].name}"
    return [
        *cards,
        Card("RECNUM", record.recnum, "Recnum"),
        Card("DRMS_ID", drms_id, "DRMS ID"),
        Card("PRIMARYK", ", ".join(structure.keys), "DRMS primary key"),
        # The exporter has value and comment the wrong way round; so must these.
        Card("LICENSE", "LICENSE", "CC0 1.0"),
    ]


def head_sum(cards: Iterable[Card]) -> str:
    """Return the HEADSUM of a record's cards: the checksum of a header with these cards alone."""
    lines = [*PRIMARY, *(line for card in cards for line in card.first())]
    return encode_checksum(ones_complement_sum(header_bytes(lines)))


def exported_header(stored: list[str], cards: list[Card]) -> list[str]:
    """Return the lines of a stored image's header (END apart) as the exporter updates them.

    CHECKSUM and DATASUM are left as they are.
    """
    lines = [line.rstrip() for line in stored]
    while lines and not lines[-1]:
        lines.pop()
    updated: set[str] = set()
    for card in [*cards, Card("HEADSUM", head_sum(cards), "Keyword checksum")]:
        if card.name in updated:
            continue
        updated.add(card.name)
        new = card.final()
        if card.name == "COMMENT":
            # The exporter reads it from a header that CFITSIO began with two comments of its own.
            new = [*PRIMARY[-2:], *new]
        set_lines(lines, card.name, new)
    if not any(line.startswith("LONGSTRN=") for line in lines):
        lines += _LONG_STRINGS
    return lines


def set_lines(lines: list[str], name: str, new: list[str]) -> None:
    """Put the lines of a keyword in the place of its old ones, or at the end.

    COMMENT and HISTORY always move to the end; without new lines nothing changes.
    """
    if not new:
        return
    start = f"{name:<8}"
    if name in _TEXTS:
        lines[:] = [*(line for line in lines if not f"{line:<8}".startswith(start)), *new]
        return
    for place, line in enumerate(lines):
        if f"{line:<8}".startswith(start):
            end = place + 1
            while end < len(lines) and lines[end].startswith("CONTINUE"):
                end += 1
            lines[place:end] = new
            return
    lines += new


def header_bytes(lines: list[str]) -> bytes:
    """Return a header of lines, with its END, in whole blocks."""
    text = "".join(f"{line:<{WIDTH}}" for line in [*lines, "END"])
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("latin-1", "replace")


def string_line(name: str, value: str, comment: str) -> str:
    """Return the one line of a short string."""
    return _commented(_string_fields(name, value), comment)[0]


def encode_checksum(total: int) -> str:
    """Return the 16 characters that stand for the complement of a checksum.

    Source: FITS standard 4.0, appendix J.
    """
    # Four characters, counted from "0", add up to each byte. The two of a pair are shifted in
    # opposite directions until both are letters or digits.
    columns = []
    for byte in (ALL_ONES - total).to_bytes(4, "big"):
        quarter, rest = divmod(byte, 4)
        column = [quarter + 48] * 4
        column[0] += rest
        while not all(chr(code).isalnum() for code in column):
            for pair in (0, 2):
                if not all(chr(code).isalnum() for code in column[pair : pair + 2]):
                    column[pair] += 1
                    column[pair + 1] -= 1
        columns.append(column)
    text = "".join(chr(column[row]) for row in range(4) for column in columns)
    return text[-1] + text[:-1]


def _card_of(keyword: Keyword, text: str, per_segment: bool) -> Card | None:
    """Return the card of a keyword; None for what the exporter leaves out."""
    card, cast_type = _plain_card(keyword, text, per_segment)
    stem = keyword.name.upper()
    if match := re.fullmatch(r"([A-Z]+)\d+", stem):
        stem = match[1]
    if stem in _TEXTS:
        return Card(stem, _printable(card.value)) if keyword.type == "string" else None
    if stem in _DATES:
        return _date_card(card, keyword)
    if stem in _COORDINATES and card.value is None:
        if keyword.type not in ("float", "double"):
            return None
        card = replace(card, value=_COORDINATES[stem])
    return _typed(card, keyword.type, cast_type, text)


def _plain_card(keyword: Keyword, text: str, per_segment: bool) -> tuple[Card, str]:
    """Return a keyword's card before conversion, and the FITS type that its note asks for."""
    cast_name, cast_type, comment = _split_note(keyword.note)
    name = _fits_name(keyword.name, cast_name, per_segment)
    other = keyword.name if name.lower() != keyword.name.lower() else ""
    if comment and other:
        comment = f"{comment} {{{other}}}"
    comment = _shorten(comment or keyword.note, other)
    return Card(name, value_of(keyword, text), comment, keyword.unit), cast_type


def _printable(value: Value) -> str:
    """Return the printable characters (Latin-1) of a text."""
    return "".join(c for c in str(value or "") if " " <= c <= "~" or "\xa0" <= c <= "ÿ")


def _date_card(card: Card, keyword: Keyword) -> Card | None:
    """Return the card of DATE or DATE-OBS, which FITS wants in ISO 8601."""
    if keyword.type != "time" or keyword.unit.upper() != "ISO":
        return None
    if card.value is None:
        return None if keyword.name.upper() == "DATE" else replace(card, value=_NO_DATE)
    return replace(card, value=_exported_time(str(card.value)))


def _typed(card: Card, kind: str, cast: str, text: str) -> Card:
    """Return a card with its value converted as by the exporter. `cast` is the type in its note."""
    value = card.value
    if value is None:
        return card
    if cast == "STRING":
        return replace(card, value=text)
    if cast == "INTEGER":
        return replace(card, value=int(value))
    if cast == "LOGICAL":
        return replace(card, value=bool(value))
    if cast == "FLOAT":
        return replace(card, value=float(value))
    if kind == "time":
        return replace(card, value=_exported_time(str(value)))
    if kind == "float":
        return replace(card, value=struct.unpack("f", struct.pack("f", value))[0], single=True)
    return card


def _split_note(note: str) -> tuple[str, str, str]:
    """Return FITS name, FITS type and comment of a note like `[DATE-OBS] Date of observation`."""
    match = _CAST.fullmatch(note)
    if not match:
        return "", "", note
    kind = (match[2] or "").upper()
    name = match[1] if kind in ("", *_CASTS) else ""
    return name, kind if kind in _CASTS else "", match[3] or ""


def _fits_name(drms_name: str, cast_name: str, per_segment: bool) -> str:
    """Return the FITS name of a keyword: that in its note, its own, or one made of its letters."""
    for name in (cast_name, drms_name.upper()):
        if _NAME.fullmatch(name):
            return name
    base = re.sub(r"_\d{3}$", "", drms_name) if per_segment else drms_name
    name = re.sub("[^A-Z0-9]", "", base.upper())[:8]
    return f"_{name}"[:8] if _STRUCTURAL.fullmatch(name) else name


def _shorten(note: str, other: str) -> str:
    """Return a note up to its first single dash.

    The DRMS name `other` is added unless that makes it longer than the note. A double dash stands
    for a dash of the text and is kept as one.
    """
    folded = note.replace("--", "\0")
    short, dash, rest = folded.partition("-")
    short = short.replace("\0", "-")
    if not dash or not rest:
        return short
    short = short.rstrip()
    named = f"{short} {{{other}}}"
    return named if other and len(named) <= len(note) else short


def _exported_time(text: str) -> str:
    """Return a time in milliseconds, in its own zone; the Z of UTC is left out."""
    match = _TIME.fullmatch(text)
    if not match:
        return text.removesuffix("Z")
    year, dash, month, day, joint, clock, fraction, zone = match.groups()
    thousandths = round(float(fraction or 0) * 1000)
    if thousandths == 1000:
        thousandths = 0
        when = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}") + timedelta(seconds=1)
        year, month, day, clock = f"{when:%Y %m %d %H:%M:%S}".split()
    shown = f"{year}{dash}{month}{dash}{day}{joint}{clock}.{thousandths:03d}{zone}"
    return shown.removesuffix("Z")


def _fields(name: str, value: Value, digits: int) -> list[str]:
    """Return the line of a keyword without its comment, or the lines of a long string."""
    if isinstance(value, str):
        return _string_fields(name, value)
    if value is None:
        shown = ""
    elif isinstance(value, bool):
        shown = "T" if value else "F"
    else:
        shown = _number(value, digits)
    return [f"{name:<8}= {shown:>20}"]


def _string_fields(name: str, value: str) -> list[str]:
    lines: list[str] = []
    joint = "= "
    while True:
        room = _STRING - value[:_STRING].count("'")
        if len(value) <= room:
            return [*lines, f"{name:<8}{joint}{_quoted(value)}"]
        # The ampersand that marks a continued string takes the place of the last character.
        lines.append(f"{name:<8}{joint}{_quoted(value[: room - 1] + '&')}")
        name, joint, value = "CONTINUE", "  ", value[room - 1 :]


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped:<8}'"


def _number(value: int | float, digits: int) -> str:
    if isinstance(value, int):
        return str(value)
    text = f"{value:.{digits}G}"
    if "." in text:
        return text
    return f"{value:.1E}" if "E" in text else f"{text}."


def _room(fields: list[str]) -> int:
    """Return how many characters of a comment fit behind a keyword's last line."""
    return max(0, WIDTH - 3 - max(30, len(fields[-1])))


def _commented(fields: list[str], remark: str) -> list[str]:
    """Return the lines of a keyword with as much of its comment as fits."""
    kept = remark[: _room(fields)]
    if not kept:
        return fields
    return [*fields[:-1], f"{fields[-1]:<30} / {kept}".rstrip()]


def _text_lines(name: str, text: str) -> list[str]:
    pieces = [text[at : at + _TEXT] for at in range(0, len(text), _TEXT)]
    return [f"{name:<8}{piece}" for piece in pieces]


def _read_back(remark: str) -> tuple[str, str]:
    """Split a line's comment into unit and comment, as the exporter does."""
    match = _COMMENT.fullmatch(remark)
    return (match[1] or "", match[2]) if match else ("", remark)
