"""Read a flare list of any known form, which is told by its content, never by its name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from flareset.errors import IntakeError
from flareset.intake.answers import read_json
from flareset.intake.flsum import read_flsum
from flareset.intake.reports import is_ngdc, is_swpc, read_ngdc, read_swpc
from flareset.intake.rows import FlareList
from flareset.intake.tabular import read_ecsv, read_page, read_table, read_votable

# What is told by its first bytes, and cannot be read as it is.
_REFUSED = {
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"PK\x03\x04": "a zip archive or a spreadsheet (xlsx, ods); save the table as CSV",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"%PDF": "a PDF",
    b"CDF\x01": "classic netCDF, which no flare summary of GOES is",
    b"CDF\x02": "classic netCDF, which no flare summary of GOES is",
    b"SIMPLE  =": "a FITS file",
}


def read_list(given: Path | bytes, file: str = "") -> FlareList:
    """Return all rows of a flare list: a file, or the bytes of one with a name for it.

    Raises IntakeError: a form that is not known, and what was looked for; or a list that cannot be
    read in full, and the line.
    """
    raw = _bytes_of(given) if isinstance(given, Path) else given
    name = file or str(given) if isinstance(given, Path) else file
    return replace(_read(raw, name), sha256=hashlib.sha256(raw).hexdigest())


def _read(given: bytes, file: str) -> FlareList:
    if given.startswith(b"\x89HDF"):
        return read_flsum(given, file)
    text = _text_of(given, file)
    begin = text.lstrip()[:1000].lower()
    if begin.startswith(("{", "[")):
        return read_json(text, file)
    if "<votable" in begin:
        return read_votable(given, file)
    if begin.startswith("<"):
        return read_page(text, file)
    if begin.startswith("# %ecsv"):
        return read_ecsv(text, file)
    if is_swpc(text):
        return read_swpc(text, file)
    if is_ngdc(text):
        return read_ngdc(text, file)
    return read_table(text, file)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntakeError(
            f"{path}: cannot be read: {error.strerror}; see `intake.lists` in the config"
        ) from None


def _text_of(raw: bytes, file: str) -> str:
    """Return the text of a list. JSON may hold broken characters, which are in no value of ours."""
    for begin, what in _REFUSED.items():
        if raw.startswith(begin):
            raise IntakeError(f"{file}: {what}")
    if b"\0" in raw[:4000]:
        raise IntakeError(f"{file}: no text, and no file of a kind that is known (UTF-16?)")
    if not raw.strip():
        raise IntakeError(f"{file}: the file is empty")
    if raw.lstrip()[:1] in (b"{", b"["):
        return raw.decode("utf-8-sig", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise IntakeError(
            f"{file}, line {line}: byte {raw[error.start]:#04x} is not UTF-8; save it as UTF-8"
        ) from None
