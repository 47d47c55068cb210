"""Turn a stored file into JSOC's exported form: its data, with the record's keywords as header.

An exported file is CFITSIO's primary header and the image, compressed as in the stored file. An
uncompressed image is in the primary HDU itself. CHECKSUM and DATASUM are written as by CFITSIO.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from math import prod
from pathlib import Path
from typing import BinaryIO

from flareset.errors import VerificationError
from flareset.sdo.checksum import BLOCK, ones_complement_sum
from flareset.sdo.header import (
    PRIMARY,
    WIDTH,
    Card,
    encode_checksum,
    exported_header,
    header_bytes,
    set_lines,
    string_line,
)

_CHUNK = BLOCK << 8
_END = f"{'END':<{WIDTH}}"
# A longer header counts as endless. JSOC's headers have some 300 lines.
_MOST_LINES = 36000


@dataclass(frozen=True)
class _Unit:
    """A header-data unit: its header's lines, and the start and size of its data (bytes)."""

    lines: list[str]
    start: int
    size: int


def write_image(stored: Path, cards: list[Card], out: BinaryIO, now: datetime) -> str:
    """Write the exported form of a stored file and return its sha256 (hex).

    `now` (UTC) goes into the comment of CHECKSUM. Raises VerificationError if the stored file is
    not a sound image of JSOC; then nothing is written.
    """
    with open(stored, "rb") as file:
        index, unit = _image(file)
        data_sum = _sum(file, unit)
        lines = exported_header(unit.lines, cards)
        _sign(lines, data_sum, now)
        digest = hashlib.sha256()
        headers = [header_bytes(PRIMARY)] if index else []
        for chunk in chain(headers, [header_bytes(lines)], _data(file, unit)):
            digest.update(chunk)
            out.write(chunk)
        return digest.hexdigest()


def _image(file: BinaryIO) -> tuple[int, _Unit]:
    """Return the first unit with data, and its index in the file."""
    place, start = 0, 0
    while (unit := _read_unit(file, start)) is not None:
        if unit.size:
            compressed = any(re.match("ZIMAGE  = +T", line) for line in unit.lines)
            if place and not compressed:
                raise VerificationError(f"HDU {place} is no compressed image")
            return place, unit
        place, start = place + 1, unit.start
    raise VerificationError("it holds no image")


def _read_unit(file: BinaryIO, start: int) -> _Unit | None:
    """Return the unit that begins at a byte; None at the end of the file."""
    file.seek(start)
    lines: list[str] = []
    while _END not in lines:
        block = file.read(BLOCK).decode("latin-1")
        if not block and not lines:
            return None
        if len(block) < BLOCK or len(lines) >= _MOST_LINES:
            raise VerificationError(f"the header at byte {start} has no end")
        lines += [block[at : at + WIDTH] for at in range(0, BLOCK, WIDTH)]
    data_start = start + len(lines) * WIDTH
    lines = lines[: lines.index(_END)]
    return _Unit(lines, data_start, _data_size(lines))


def _data_size(lines: list[str]) -> int:
    """Return the size of a unit's data, in bytes of whole blocks."""
    sizes = [_whole(lines, f"NAXIS{axis + 1}") for axis in range(_whole(lines, "NAXIS"))]
    if not sizes:
        return 0
    values = prod(sizes) + _whole(lines, "PCOUNT", 0)
    size = abs(_whole(lines, "BITPIX")) // 8 * values * _whole(lines, "GCOUNT", 1)
    return -(-size // BLOCK) * BLOCK


def _whole(lines: list[str], name: str, default: int | None = None) -> int:
    for line in lines:
        if match := re.match(rf"{name:<8}= +(-?\d+)", line):
            return int(match[1])
    if default is None:
        raise VerificationError(f"its header has no {name}")
    return default


def _data(file: BinaryIO, unit: _Unit) -> Iterator[bytes]:
    file.seek(unit.start)
    left = unit.size
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise VerificationError(f"it is cut: {left} bytes of data are missing")
        left -= len(chunk)
        yield chunk


def _sum(file: BinaryIO, unit: _Unit) -> int:
    """Return the checksum of a unit's data. Raise VerificationError if DATASUM differs."""
    total = 0
    for chunk in _data(file, unit):
        total = ones_complement_sum(chunk, total)
    stated = _datasum(unit.lines)
    if stated not in (None, total):
        raise VerificationError(f"DATASUM is {stated}, its bytes give {total}")
    return total


def _datasum(lines: list[str]) -> int | None:
    for line in lines:
        if match := re.match(r"DATASUM = ' *(\d+) *'", line):
            return int(match[1])
    return None


def _sign(lines: list[str], data_sum: int, now: datetime) -> None:
    """Write CHECKSUM into the lines of a header, and DATASUM if it is missing."""
    updated = f"updated {now:%Y-%m-%dT%H:%M:%S}"
    empty = string_line("CHECKSUM", "0" * 16, f"HDU checksum {updated}")
    set_lines(lines, "CHECKSUM", [empty])
    if _datasum(lines) is None:
        line = string_line("DATASUM", str(data_sum), f"data unit checksum {updated}")
        set_lines(lines, "DATASUM", [line])
    # CHECKSUM is computed over the header with sixteen zeros in its place.
    total = ones_complement_sum(header_bytes(lines), data_sum)
    set_lines(lines, "CHECKSUM", [empty.replace("0" * 16, encode_checksum(total))])
