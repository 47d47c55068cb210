"""Check that a file is the FITS image that was asked for, down to the last byte.

Checksums are taken over the bytes as they stand (FITS standard 4.0, appendix J). astropy's
`verify_checksum` is not used: it rewrites some header cards first and so refuses good JSOC files.
"""

from __future__ import annotations

import base64
import hashlib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from flareset.errors import StoreError, VerificationError
from flareset.proof.check import Check, Proof, chunks_of
from flareset.proof.pixels import all_equal, decode, is_blank
from flareset.proof.processed import check_processed
from flareset.proof.statistics import (
    STORED,
    basis_of,
    compare,
    image_statistics,
    stated_statistics,
)
from flareset.sdo.checksum import ALL_ONES, BLOCK, ones_complement_sum
from flareset.sdo.keywords import IDENTITY, KEYWORD_NAMES, STATISTICS
from flareset.sdo.processing import Step
from flareset.sdo.recordset import Recordset
from flareset.sdo.times import parse_jsoc_time

# The most axes, and fields of a table, that FITS allows (standard 4.0, 4.4.1.1 and 7.2.1).
_MOST_AXES = 999
# A header without an end must not fill the memory (bytes). AIA's headers have some 20 kB.
_LONGEST_HEADER = 1000 * BLOCK
# T_OBS has milliseconds, the file name whole seconds.
_T_OBS_TOLERANCE = timedelta(seconds=1)
# How far T_OBS may always lie from the right T_REC. The largest known distance is about a cadence.
_T_OBS_NEAR = timedelta(seconds=60)


@dataclass(frozen=True)
class Asked:
    """The image that was asked for.

    `segments` are the names of its segment in lower case (Series.names_of). `time` is the second in
    the file's name, or T_REC. `cadence` is in seconds. `steps` are those of its processing. A file
    `as_stored` may lack any keyword, but the keywords that it has must agree. `stated` are the
    statistics in JSOC's record.
    """

    record: str
    t_rec: datetime
    wavelength: int
    segments: frozenset[str]
    time: datetime
    cadence: int = 12
    keys: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    as_stored: bool = False
    stated: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Hdu:
    """A header-data unit: its header, raw and parsed, and where the unit ends in the file.

    `left` is the number of bytes still to come; `end` is in bytes, too. `proven`: a DATASUM proves
    the data.
    """

    cards: bytes
    header: fits.Header
    header_sum: int
    end: int
    left: int
    data_sum: int = 0
    proven: bool = False


class _Pixels(NamedTuple):
    """What proves the pixels of an image (see `Proof.grade`), and whether all are equal."""

    grade: str
    blank: bool


class ImageCheck(Check[Proof]):
    """The check of an image file, fed its bytes as they arrive. `there` has the first bytes.

    It checks structure and length, and CHECKSUM and DATASUM if present. It decodes pixels that no
    DATASUM proves. It compares T_REC or T_OBS, WAVELNTH and segment with the record. Raises
    VerificationError.
    """

    def __init__(self, asked: Asked, there: Path | None = None) -> None:
        self._asked = asked
        self._digest = hashlib.sha256()
        self._hdus: list[_Hdu] = []
        self._size = 0
        # The bytes of an incomplete header, and of an incomplete word of four bytes.
        self._cards = bytearray()
        self._odd = b""
        for data in chunks_of(there) if there else ():
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raise VerificationError if they cannot belong to a FITS file."""
        self._digest.update(data)
        rest = memoryview(data)
        with _readable():
            while rest:
                if self._hdus and self._hdus[-1].left:
                    taken = self._take_data(rest, self._hdus[-1])
                else:
                    taken = self._take_header(rest)
                self._size += taken
                rest = rest[taken:]

    def finish(self, path: Path) -> Proof:
        """Return the size, the sha256, the keywords and the header of the whole file."""
        with _readable():
            index = self._find_image()
            return self._proof(index, _prove_pixels(path, index, self._hdus[index], self._asked))

    def finish_like(self, proof: Proof) -> Proof:
        """Return the findings about a file whose pixels `proof` proved: they are not decoded."""
        with _readable():
            return self._proof(self._find_image(), _Pixels(proof.grade, proof.blank))

    def _find_image(self) -> int:
        """Return the index of the image's HDU. Raises VerificationError on a file that is cut."""
        self._check_end()
        return _image_index([hdu.header for hdu in self._hdus])

    def _proof(self, index: int, pixels: _Pixels) -> Proof:
        """Return the findings. Raises VerificationError on the header of another image."""
        hdu = self._hdus[index]
        _check_identity(hdu.header, self._asked)
        if self._asked.steps:
            width, height = _shape(hdu.header)
            check_processed(hdu.header, (height, width), list(self._asked.steps), self._asked.time)
        keywords = {key: _plain(hdu.header.get(key)) for key in (*IDENTITY, *KEYWORD_NAMES)}
        sha256, header = self._digest.hexdigest(), pack(hdu.cards)
        return Proof(self._size, sha256, keywords, pixels.grade, header, pixels.blank)

    def _check_end(self) -> None:
        """Raise VerificationError if the file is empty or cut."""
        if not self._size:
            raise VerificationError("the file is empty")
        if self._cards:
            self._check_start()
            raise VerificationError(
                f"it ends inside the header of HDU {len(self._hdus)} at {self._size} bytes"
            )
        if self._hdus[-1].left:
            raise VerificationError(
                f"it is cut: HDU {len(self._hdus) - 1} ends at byte {self._hdus[-1].end}, the file"
                f" at {self._size}"
            )

    def _take_header(self, rest: memoryview) -> int:
        """Take bytes up to the end of a header block. Return how many were taken."""
        taken = min(len(rest), BLOCK - len(self._cards) % BLOCK)
        self._cards += rest[:taken]
        if len(self._cards) % BLOCK:
            return taken
        if len(self._cards) == BLOCK:
            self._check_start()
        block = bytes(self._cards[-BLOCK:])
        if _has_end(block):
            hdu = _read_header(bytes(self._cards), self._size + taken, len(self._hdus))
            self._cards.clear()
            self._hdus.append(hdu)
            if not hdu.left:
                _prove(hdu, len(self._hdus) - 1)
        elif len(self._cards) >= _LONGEST_HEADER:
            raise VerificationError(
                f"the header of HDU {len(self._hdus)} has no end in {len(self._cards)} bytes"
            )
        return taken

    def _check_start(self) -> None:
        """Raise VerificationError if the bytes that begin here are no HDU."""
        index = len(self._hdus)
        if index and not self._cards.startswith(b"XTENSION="):
            where = self._hdus[-1].end
            raise VerificationError(f"what is behind HDU {index - 1}, from byte {where}, is no HDU")
        if not index and not self._cards.startswith(b"SIMPLE  ="):
            start = bytes(self._cards)
            text = start.lstrip(b"\0 \r\n\t")
            what = "an HTML page" if text.startswith(b"<") else "no FITS file"
            raise VerificationError(f"it is {what}: it begins with {start[:24]!r}")

    def _take_data(self, rest: memoryview, hdu: _Hdu) -> int:
        """Take bytes up to the end of an HDU's data. Return how many were taken."""
        taken = min(len(rest), hdu.left)
        piece = rest[:taken] if not self._odd else memoryview(self._odd + bytes(rest[:taken]))
        words = len(piece) // 4 * 4
        hdu.data_sum = ones_complement_sum(piece[:words], hdu.data_sum)
        self._odd = bytes(piece[words:])
        hdu.left -= taken
        if not hdu.left:
            _prove(hdu, len(self._hdus) - 1)
        return taken


@contextmanager
def _readable() -> Iterator[None]:
    """Raise VerificationError if a header cannot be read. astropy parses a card on access."""
    try:
        yield
    except (fits.VerifyError, ValueError, TypeError, KeyError, ArithmeticError) as error:
        problem = f"its header cannot be read: {type(error).__name__}: {error}"
        raise VerificationError(problem) from None


def _read_header(cards: bytes, data_start: int, index: int) -> _Hdu:
    """Return an HDU with this header, whose data are still to come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.Header.fromstring(cards.decode("ascii"))
        sizes = [int(header[f"NAXIS{n + 1}"]) for n in range(int(header["NAXIS"]))]
    # astropy would read each axis and field of a number that FITS does not allow.
    if (
        len(sizes) > _MOST_AXES
        or int(header.get("TFIELDS", 0)) > _MOST_AXES
        or min([*sizes, 0]) < 0
    ):
        raise VerificationError(f"the header of HDU {index} has axes or fields that cannot be")
    elements = prod(sizes) if sizes else 0
    data = elements + int(header.get("PCOUNT", 0))
    size = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * data
    if size < 0:
        raise VerificationError(f"the header of HDU {index} says {size} bytes of data")
    padded = -(-size // BLOCK) * BLOCK
    return _Hdu(cards, header, ones_complement_sum(cards), data_start + padded, padded)


def _prove(hdu: _Hdu, index: int) -> None:
    """Note whether a DATASUM proves the data. Raise VerificationError on a wrong checksum."""
    datasum, checksum = hdu.header.get("DATASUM"), hdu.header.get("CHECKSUM")
    if datasum not in (None, ""):
        if hdu.data_sum != int(datasum):
            raise VerificationError(
                f"DATASUM of HDU {index} is {datasum}, its bytes give {hdu.data_sum}"
            )
        hdu.proven = True
    if checksum not in (None, "", "0" * 16):
        whole = hdu.header_sum + hdu.data_sum
        if whole % ALL_ONES:
            raise VerificationError(f"CHECKSUM of HDU {index} does not agree with its bytes")


def _image_index(headers: list[fits.Header]) -> int:
    """Return the index of the HDU with the image. Raises VerificationError."""
    for index, header in enumerate(headers):
        shape = _shape(header)
        # A spikes table is an image of three rows: address, new and old value, in 32 bits.
        bits = header.get("ZBITPIX", header["BITPIX"])
        if len(shape) == 2 and min(shape) > 1 and not (shape[1] == 3 and bits == 32):
            return index
    shapes = [_shape(header) for header in headers]
    raise VerificationError(f"it holds no image (a spikes table?): the shapes are {shapes}")


def _shape(header: fits.Header) -> tuple[int, ...]:
    """Return the pixels along each axis of an image HDU, plain or compressed; () for other HDUs."""
    extension = str(header.get("XTENSION", "IMAGE")).strip()
    prefix = "Z" if extension == "BINTABLE" and header.get("ZIMAGE") is True else ""
    if extension != "IMAGE" and not prefix:
        return ()
    try:
        axes = int(header[f"{prefix}NAXIS"])
        return tuple(int(header[f"{prefix}NAXIS{axis + 1}"]) for axis in range(axes))
    except (KeyError, ValueError, TypeError) as error:
        raise VerificationError(f"the image's size cannot be read: {error}") from None


def _prove_pixels(path: Path, index: int, hdu: _Hdu, asked: Asked) -> _Pixels:
    """Return what proves the pixels of an image, and whether it is blank. Decode it at most once.

    The DATASUM of a stored file proves only that the file came whole, not that it belongs to the
    record. Raises VerificationError if the pixels are not the record's.
    """
    header, shape = hdu.header, _shape(hdu.header)
    if hdu.proven and not asked.as_stored:
        return _Pixels("datasum", is_blank(path, index, header, shape))
    stated = asked.stated or dict(header)
    bits = int(header.get("ZBITPIX", header["BITPIX"]))
    if asked.steps or bits < 0 or not stated_statistics(stated):
        if hdu.proven:
            return _Pixels("header", is_blank(path, index, header, shape))
        # No checksum and no statistics: pixels that can be decoded are all that is known.
        return _Pixels("header", all_equal(decode(path, index, shape)))
    instrument = asked.record.partition(".")[0].lower()
    patch = ".sharp" in asked.record.lower()
    basis = STORED if patch else basis_of(instrument, stated)
    statistics = image_statistics(path, index)
    if wrong := compare(statistics, stated, basis):
        raise VerificationError(f"its pixels are not the record's: {wrong[0]}")
    whole = len(stated_statistics(stated)) == len(STATISTICS)
    return _Pixels("pixels" if whole else "header", len(statistics.levels) == 1)


def _check_identity(header: fits.Header, asked: Asked) -> None:
    """Raise VerificationError if a header belongs to another record, channel or segment."""
    segment = str(header.get("DRMS_ID", "")).strip().rpartition(":")[2]
    if segment and segment.lower() not in asked.segments:
        raise VerificationError(
            f"it is segment {segment} ({header['DRMS_ID']}),"
            f" asked was {' or '.join(sorted(asked.segments))}"
        )
    wavelength = header.get("WAVELNTH")
    try:
        # The header of HMI has 6173.3 (angstrom).
        same = int(float(wavelength)) == asked.wavelength
    except (TypeError, ValueError):
        same = asked.as_stored and wavelength is None
    if not same:
        raise VerificationError(f"WAVELNTH is {wavelength}, asked was {asked.record}")
    if not _same_time(header, asked) or _other_key(header, asked):
        raise VerificationError(
            f"it is another record: T_REC {header.get('T_REC')}, T_OBS {header.get('T_OBS')},"
            f"{_other_key(header, asked)} asked was {asked.record} ({asked.time:%H:%M:%S})"
        )


def _same_time(header: fits.Header, asked: Asked) -> bool:
    """Return whether T_REC and T_OBS are those of the image asked for. One of them may be missing.

    T_REC is the record's slot or, in aia.lev1, T_OBS to the second.
    """
    t_rec, t_obs = (_header_time(header, key) for key in ("T_REC", "T_OBS"))
    if t_rec is None and t_obs is None:
        return asked.as_stored
    if t_rec is None:
        return abs(t_obs - asked.time) <= _T_OBS_TOLERANCE
    nearness = max(_T_OBS_NEAR, timedelta(seconds=2 * asked.cadence))
    near = t_obs is None or abs(t_obs - asked.t_rec) <= nearness
    return near and t_rec in (asked.t_rec, asked.time)


def _other_key(header: fits.Header, asked: Asked) -> str:
    """Return text about a HARPNUM or FSN that is not the record's; empty if both are right."""
    if not asked.keys:
        return ""
    for key, value in zip(asked.keys, Recordset.parse(asked.record).filters, strict=False):
        if key in ("HARPNUM", "FSN") and key in header and str(header[key]) != value:
            return f" {key} {header[key]},"
    return ""


def _header_time(header: fits.Header, key: str) -> datetime | None:
    try:
        return parse_jsoc_time(str(header[key]))
    except (KeyError, ValueError):
        return None


def pack(cards: bytes) -> str:
    """Pack the unchanged cards of a header into one line: zlib, then Base64."""
    return base64.b64encode(zlib.compress(cards)).decode("ascii")


def packed_header(path: Path) -> str:
    """Return the packed header of the image in a stored file. Raises StoreError."""
    hdus: list[_Hdu] = []
    cards = b""
    try:
        with _readable(), open(path, "rb") as file:
            while block := file.read(BLOCK):
                cards += block
                if _has_end(block):
                    hdus.append(_read_header(cards, file.tell(), len(hdus)))
                    file.seek(hdus[-1].end)
                    cards = b""
            return pack(hdus[_image_index([hdu.header for hdu in hdus])].cards)
    except VerificationError as error:
        raise StoreError(f"{path}: {error}; the target `repair` fetches it again") from None


def _has_end(block: bytes) -> bool:
    """Return whether a header block has the END card."""
    return any(block[i : i + 8] == b"END     " for i in range(0, len(block), 80))


def keywords_in(packed: str, names: Iterable[str]) -> dict[str, str | int | float | None]:
    """Return the values of keywords in a packed header; None for a keyword without value."""
    header = fits.Header.fromstring(zlib.decompress(base64.b64decode(packed)))
    found: dict[str, str | int | float | None] = {}
    for name in names:
        with suppress(fits.VerifyError, ValueError):
            found[name] = _plain(header.get(name))
    return {name: found.get(name) for name in names}


def _plain(value: object) -> str | int | float | None:
    """Return a header value as a type that JSON has; None for an undefined card."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (str, int, float)):
        return value
    return None
