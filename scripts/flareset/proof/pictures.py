"""Check that a picture or movie arrived whole.

Source: ISO/IEC 10918-1 (JPEG), 11172-2 (MPEG-1 video), 14496-12 (boxes of MP4).
"""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image

from flareset.errors import VerificationError


def check_picture(path: Path, suffix: str) -> None:
    """Raise VerificationError if a `.jpg`, `.mpg` or `.mp4` is cut or is another kind of file."""
    if not path.stat().st_size:
        raise VerificationError("the file is empty")
    {".jpg": _check_jpeg, ".mpg": _check_mpeg, ".mp4": _check_mp4}[suffix](path)


def _check_jpeg(path: Path) -> None:
    try:
        with warnings.catch_warnings(), Image.open(path, formats=["JPEG"]) as image:
            warnings.simplefilter("error")
            image.load()
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever it likes on bad bytes
        raise VerificationError(f"it is no whole JPEG picture: {error}") from None
    with open(path, "rb") as file:
        file.seek(-2, 2)
        if file.read() != b"\xff\xd9":
            raise VerificationError("it is no whole JPEG picture: its end is missing")


def _check_mpeg(path: Path) -> None:
    content = path.read_bytes()
    if content[:4] not in (b"\0\0\1\xb3", b"\0\0\1\xba"):
        raise VerificationError(f"it is no MPEG movie: it begins with {content[:16]!r}")
    if content.rstrip(b"\0")[-4:] not in (b"\0\0\1\xb7", b"\0\0\1\xb9"):
        raise VerificationError("the MPEG movie has no end: it is cut")


def _check_mp4(path: Path) -> None:
    content = path.read_bytes()
    kinds = []
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        if size == 1:
            size = int.from_bytes(content[position + 8 : position + 16], "big")
        if size < 8 or position + size > len(content):
            raise VerificationError(f"it is no whole MP4 movie: box {kind!r} at byte {position}")
        kinds.append(kind)
        position += size
    if kinds[:1] != [b"ftyp"] or not {b"moov", b"mdat"} <= set(kinds):
        raise VerificationError(f"it is no MP4 movie: its boxes are {kinds}")
