"""Make FITS files in pieces: Rice-compressed images, new headers, true checksums."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from flareset.sdo.checksum import BLOCK, ones_complement_sum
from flareset.standin.headers import SATURATION, Card

# What the exporter writes at a header's end (recorded: direct/exported.header.txt).
LONG_STRINGS = [
    f"{line:<80}".encode("ascii")
    for line in (
        "LONGSTRN= 'OGIP 1.0'           / The HEASARC Long String Convention may be used.",
        "COMMENT   This FITS file may contain long string keyword values that are",
        "COMMENT   continued over multiple keywords.  The HEASARC convention uses the &",
        "COMMENT   character at the end of each substring which is then continued",
        "COMMENT   on the next keyword which has the name CONTINUE.",
    )
]
_PRIMARY = fits.PrimaryHDU().header.tostring().encode("ascii")


@dataclass(frozen=True)
class Compressed:
    """A compressed HDU's structural cards, data block, and the data's checksum and statistics."""

    cards: list[bytes]
    data: bytes
    datasum: int
    missing: int
    statistics: dict[str, int | float]


def compress(pixels: np.ndarray) -> Compressed:
    """Rice-compress an integer image in tiles of a row. Its type's least value means missing."""
    hdu = fits.CompImageHDU(pixels, compression_type="RICE_1", tile_shape=(1, pixels.shape[1]))
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    raw = buffer.getvalue()
    header = fits.Header.fromstring(raw[BLOCK:])
    end = BLOCK + len(header.tostring())
    data = raw[end:]
    skip = ("EXTNAME", "CHECKSUM", "DATASUM", "ZTENSION", "ZPCOUNT", "ZGCOUNT")
    blank = int(np.iinfo(pixels.dtype).min)
    cards = [str(card).encode("ascii") for card in header.cards if card.keyword not in skip]
    return Compressed(
        [*cards, _card("BLANK", blank, "")],
        data,
        ones_complement_sum(np.frombuffer(data, dtype="u1")),
        int((pixels == blank).sum()),
        _statistics(pixels, blank),
    )


def _statistics(pixels: np.ndarray, blank: int) -> dict[str, int | float]:
    """Return JSOC's statistics of the pixels that are not missing.

    Median and percentiles are values of pixels. RMS is computed with n - 1. Skewness and kurtosis
    are in units of the RMS; the kurtosis of a normal distribution is 0.
    """
    there = np.sort(pixels[pixels != blank], axis=None)
    if not there.size:
        return {"DATAVALS": 0, "MISSVALS": int(pixels.size)}
    deviations = there - there.mean(dtype="f8")
    rms = float(np.sqrt((deviations**2).sum() / max(1, there.size - 1)))
    powers = deviations / rms if rms else deviations

    # do_flat.c: a percentile is one more than the value of the pixel with that rank.
    ranks = {n: there.size * n // 100 for n in (1, 10, 25, 75, 90, 95, 98, 99)}
    return {
        "DATAVALS": int(there.size),
        "MISSVALS": int(pixels.size - there.size),
        "DATAMIN": int(there[0]),
        "DATAMAX": int(there[-1]),
        "DATAMEDN": int(there[(there.size - 1) // 2]),
        "DATAMEAN": round(float(there.mean(dtype="f8")), 6),
        "DATARMS": round(rms, 6),
        "DATASKEW": round(float((powers**3).mean()), 6),
        "DATAKURT": round(float((powers**4).mean()) - 3, 6),
        **{f"DATAP{n:02}": float(there[rank]) + 1 for n, rank in ranks.items()},
        "NSATPIX": int((there >= SATURATION).sum()) if pixels.dtype.itemsize == 2 else 0,
    }


def assemble(made: Compressed, keywords: Iterable[Card], end: Iterable[bytes] = ()) -> list[bytes]:
    """Return a file's pieces: primary header, table header with keywords and checksums, data.

    The lines of `end` follow the keywords.
    """
    text = b"".join(
        [
            *made.cards,
            _card("CHECKSUM", "0" * 16, "HDU checksum"),
            _card("DATASUM", str(made.datasum), "data unit checksum"),
            *(_card(*keyword) for keyword in keywords),
            *end,
            b"END".ljust(80),
        ]
    )
    text = text.ljust(-(-len(text) // BLOCK) * BLOCK)
    total = ones_complement_sum(np.frombuffer(text, dtype="u1"), made.datasum)
    # The sum was taken with "0" * 16 as CHECKSUM, so that its complement makes the sum all ones.
    text = text.replace(b"CHECKSUM= '" + b"0" * 16, b"CHECKSUM= '" + _encode(total), 1)
    return [_PRIMARY, text, made.data]


def _card(key: str, value: object, comment: str) -> bytes:
    """Return a header card in fixed format. astropy takes 20 times as long for a frame's 90."""
    shown = f"'{value:<8}'".ljust(20) if isinstance(value, str) else f"{value!r:>20}"
    return f"{key:<8}= {shown} / {comment}"[:80].ljust(80).encode("ascii")


def _encode(total: int) -> bytes:
    """Return the 16 characters of a CHECKSUM card for a sum (FITS standard 4.0, appendix J)."""
    value = 0xFFFFFFFF - total
    columns = np.zeros((4, 4), dtype=int)
    for byte in range(4):
        part = (value >> (24 - 8 * byte)) & 0xFF
        columns[:, byte] = part // 4 + 48
        columns[0, byte] += part % 4
        forbidden = {*range(58, 65), *range(91, 97)}
        while forbidden & set(columns[:, byte]):
            for first in (0, 2):
                pair = columns[first : first + 2, byte]
                if forbidden & set(pair):
                    columns[first, byte] += 1
                    columns[first + 1, byte] -= 1
    text = "".join(chr(code) for code in columns.reshape(-1))
    return (text[-1] + text[:-1]).encode("ascii")
