"""Whether a file is the FITS image that was asked for, down to the last byte.

Checksums are taken over the bytes as they stand (FITS standard 4.0, appendix J). astropy's
`verify_checksum` is not used: it rewrites some header cards first and so refuses good JSOC files.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError
from flareset.processing import Step, check_processed
from flareset.recordset import Recordset
from flareset.times import parse_jsoc_time

BLOCK = 2880
_ALL_ONES = 0xFFFFFFFF
_KEYWORDS = ("T_REC", "T_OBS", "DATE-OBS", "WAVELNTH", "QUALITY", "EXPTIME", "AECTYPE")
# T_OBS has milliseconds, the file name whole seconds.
_T_OBS_TOLERANCE = timedelta(seconds=1)
# How far T_OBS may lie from a T_REC that is right, at least: the longest known is about a cadence.
_T_OBS_NEAR = timedelta(seconds=60)


@dataclass(frozen=True)
class Asked:
    """The image that was asked for: what its file must prove to be.

    `time` is the second in its file's name, or T_REC; `cadence` in seconds; `steps` what was done
    to it. A file `as_stored` may lack every keyword, but those that it has must agree.
    """

    record: str
    t_rec: datetime
    wavelength: int
    segment: str
    time: datetime
    cadence: int = 12
    keys: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    as_stored: bool = False


@dataclass(frozen=True)
class Hdu:
    """One header-data unit: its header and where it lies in the file (bytes)."""

    header: fits.Header
    start: int
    data_start: int
    end: int


def check_image(path: str | Path, asked: Asked) -> dict[str, str | int | float | None]:
    """The keywords of an image file; VerificationError says why it is not the image asked for.

    Checks structure and length, CHECKSUM and DATASUM where present, decodes all pixels where no
    DATASUM proves them, then compares T_REC or T_OBS, WAVELNTH and segment with the record.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r") if Path(path).stat().st_size else None
    if raw is None:
        raise VerificationError("the file is empty")
    hdus = _structure(raw)
    proven = [_checksums(raw, index, hdu) for index, hdu in enumerate(hdus)]
    index = _image_index(hdus)
    if not proven[index]:
        _decode(path, index)
    header = hdus[index].header
    _identity(header, asked)
    if asked.steps:
        shape = _shape(header)
        check_processed(header, (shape[1], shape[0]), list(asked.steps), asked.time)
    return {key: _plain(header.get(key)) for key in _KEYWORDS}


def _structure(raw: np.ndarray) -> list[Hdu]:
    """The HDUs of a file; each must be whole, and the file must end where the last one does."""
    start = raw[:BLOCK].tobytes()
    if not start.startswith(b"SIMPLE  ="):
        text = start.lstrip(b"\0 \r\n\t")[:200].lower()
        what = "an HTML page" if text.startswith((b"<!doctype", b"<html", b"<")) else "no FITS file"
        raise VerificationError(f"it is {what}: it begins with {start[:24]!r}")
    hdus = []
    position = 0
    while position < len(raw):
        hdu = _read_hdu(raw, position, len(hdus))
        hdus.append(hdu)
        position = hdu.end
    return hdus


def _read_hdu(raw: np.ndarray, start: int, index: int) -> Hdu:
    if index and raw[start : start + 9].tobytes() != b"XTENSION=":
        raise VerificationError(
            f"there are {len(raw) - start} bytes behind HDU {index - 1} that are no HDU"
        )
    header_end = start
    ended = False
    while not ended:
        block = raw[header_end : header_end + BLOCK].tobytes()
        if len(block) < BLOCK:
            raise VerificationError(f"it ends inside the header of HDU {index} at {len(raw)} bytes")
        header_end += BLOCK
        ended = any(block[i : i + 8] == b"END     " for i in range(0, BLOCK, 80))
    text = raw[start:header_end].tobytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = fits.Header.fromstring(text.decode("ascii"))
            sizes = [int(header[f"NAXIS{n + 1}"]) for n in range(int(header["NAXIS"]))]
            elements = int(np.prod(sizes, dtype=object)) if sizes else 0
            data = elements + int(header.get("PCOUNT", 0))
            size = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * data
    except (UnicodeDecodeError, KeyError, ValueError, TypeError, fits.VerifyError) as error:
        raise VerificationError(f"the header of HDU {index} cannot be read: {error}") from None
    end = header_end + -(-size // BLOCK) * BLOCK
    if size < 0 or end > len(raw):
        raise VerificationError(
            f"it is cut: HDU {index} ends at byte {end}, the file at {len(raw)}"
        )
    return Hdu(header, start, header_end, end)


def ones_complement_sum(data: np.ndarray, start: int = 0) -> int:
    """The 32-bit ones' complement sum of bytes (a multiple of 4), as FITS checksums use it."""
    total = int(data.view(">u4").sum(dtype=np.uint64)) + start
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total


def _checksums(raw: np.ndarray, index: int, hdu: Hdu) -> bool:
    """Whether a DATASUM proved the data; VerificationError where a checksum is wrong."""
    datasum, checksum = hdu.header.get("DATASUM"), hdu.header.get("CHECKSUM")
    if datasum in (None, "") and checksum in (None, ""):
        return False
    found = ones_complement_sum(raw[hdu.data_start : hdu.end])
    if datasum not in (None, ""):
        try:
            announced = int(datasum)
        except ValueError:
            raise VerificationError(f"DATASUM of HDU {index} is {datasum!r}") from None
        if found != announced:
            raise VerificationError(
                f"DATASUM of HDU {index} is {announced}, its bytes give {found}"
            )
    if checksum not in (None, "", "0" * 16):
        whole = ones_complement_sum(raw[hdu.start : hdu.data_start], found)
        if whole not in (0, _ALL_ONES):
            raise VerificationError(f"CHECKSUM of HDU {index} does not agree with its bytes")
    return datasum not in (None, "")


def _image_index(hdus: list[Hdu]) -> int:
    for index, hdu in enumerate(hdus):
        shape = _shape(hdu.header)
        # A spikes table is an image of three rows: address, new and old value, in 32 bits.
        bits = hdu.header.get("ZBITPIX", hdu.header["BITPIX"])
        if len(shape) == 2 and min(shape) > 1 and not (shape[1] == 3 and bits == 32):
            return index
    shapes = [_shape(hdu.header) for hdu in hdus]
    raise VerificationError(f"it holds no image (a spikes table?): the shapes are {shapes}")


def _shape(header: fits.Header) -> tuple[int, ...]:
    """The pixels along each axis of an image HDU, plain or compressed; empty for others."""
    extension = str(header.get("XTENSION", "IMAGE")).strip()
    prefix = "Z" if extension == "BINTABLE" and header.get("ZIMAGE") is True else ""
    if extension != "IMAGE" and not prefix:
        return ()
    try:
        axes = int(header[f"{prefix}NAXIS"])
        return tuple(int(header[f"{prefix}NAXIS{axis + 1}"]) for axis in range(axes))
    except (KeyError, ValueError, TypeError) as error:
        raise VerificationError(f"the image's size cannot be read: {error}") from None


def _decode(path: str | Path, index: int) -> None:
    """Decode every tile: the only proof where no DATASUM is given."""
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False) as hdus:
                pixels = hdus[index].data
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None
    if pixels is None or pixels.size == 0:
        raise VerificationError("it holds no pixels")


def _identity(header: fits.Header, asked: Asked) -> None:
    segment = str(header.get("DRMS_ID", "")).strip().rpartition(":")[2]
    # The image of aia.lev1 is called image_lev1, and image after processing.
    if segment and not (segment.startswith(asked.segment) or asked.segment.startswith(segment)):
        raise VerificationError(
            f"it is segment {segment} ({header['DRMS_ID']}), asked was {asked.segment}"
        )
    wavelength = header.get("WAVELNTH")
    try:
        # HMI's line is at 6173.3 A.
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
    """Whether T_REC and T_OBS, at least one of them there, are those of the image asked for.

    T_REC is the record's slot or, as in aia.lev1, T_OBS to the second.
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
    """A prime key, time and wavelength apart, that is not the record's; empty where all agree."""
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


def _plain(value: object) -> str | int | float | None:
    """A header value as JSON knows it; an undefined card is None."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (str, int, float)):
        return value
    return None
