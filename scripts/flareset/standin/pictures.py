"""Make pictures and movies of frames: small, valid files in the formats of JSOC's exports.

Source: ISO/IEC 14496-12 (MP4 boxes), ISO/IEC 11172-2 (MPEG-1 video).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image

from flareset.standin.frames import Frame, Frames

_MOST_PIXELS = 512
_FRAMES_PER_SECOND = 25
# Codes for the size in bits of a DC difference of luminance (ISO/IEC 11172-2, table 2-B.5a).
_LUMINANCE = ("100", "00", "01", "101", "110", "1110", "11110", "111110", "1111110")
_NO_DIFFERENCE = "0010"  # a chrominance block without difference, and its end


def jpeg(frames: Frames, frame: Frame) -> bytes:
    """Return a JPEG of a frame in shades of grey, north up, at most 512 pixels a side."""
    buffer = io.BytesIO()
    Image.fromarray(_shades(frames, frame)[::-1]).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def movie(kind: str, frames: Frames, shown: Sequence[Frame]) -> bytes:
    """Return a movie of frames, 25 a second. `kind` is `mp4` (JPEG images) or `mpg` (MPEG-1 video).

    An mpg is coarse: one shade for 8 x 8 pixels. Raises ValueError for another kind or no frames.
    """
    if kind not in ("mp4", "mpg") or not shown:
        raise ValueError(f"no movie of kind {kind!r} with {len(shown)} frames")
    if kind == "mp4":
        side = _shades(frames, shown[0]).shape[0]
        return _mp4([jpeg(frames, frame) for frame in shown], side)
    return _mpg([_shades(frames, frame)[::-1] for frame in shown])


def _shades(frames: Frames, frame: Frame) -> np.ndarray:
    """Return a frame's pixels as uint8, scaled by the square root."""
    pixels = frames.pixels(frame)
    pixels = pixels[:: -(-len(pixels) // _MOST_PIXELS), :: -(-pixels.shape[1] // _MOST_PIXELS)]
    there = pixels != np.iinfo(pixels.dtype).min
    low, high = np.percentile(pixels[there], (1, 99.5)) if there.any() else (0, 1)
    part = np.clip((np.where(there, pixels, low) - low) / max(high - low, 1), 0, 1)
    return np.rint(255 * np.sqrt(part)).astype("u1")


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _mp4(samples: list[bytes], side: int) -> bytes:
    """Return an MP4 file of JPEG images: one video track, one chunk."""
    count = len(samples)
    start = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
    data = _box(b"mdat", *samples)
    unity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    when = struct.pack(">IIII", 0, 0, _FRAMES_PER_SECOND, count)
    entry = _box(
        b"jpeg",
        struct.pack(">6xH16xHHII4xH32xHh", 1, side, side, 0x480000, 0x480000, 1, 24, -1),
    )
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">III", 1, count, 1)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *map(len, samples))),
        _full(b"stco", struct.pack(">II", 1, len(start) + 8)),
    )
    place = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", when, struct.pack(">HH", 0x55C4, 0)),
        _full(b"hdlr", struct.pack(">4x4s12x", b"vide"), b"video\0"),
        _box(b"minf", _full(b"vmhd", bytes(8), flags=1), place, table),
    )
    track = _full(
        b"tkhd",
        struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, count, 0, 0, 0, 0),
        unity,
        struct.pack(">II", side << 16, side << 16),
        flags=3,
    )
    movie_header = _full(
        b"mvhd", when, struct.pack(">IH10x", 0x10000, 0x100), unity, bytes(24), struct.pack(">I", 2)
    )
    return start + data + _box(b"moov", movie_header, _box(b"trak", track, media))


def _mpg(images: list[np.ndarray]) -> bytes:
    """Return an MPEG-1 stream of I-pictures. Each block has only its mean."""
    side = len(images[0])
    # 25 pictures a second, any bit rate, the least buffer, standard matrices.
    header = f"{side:012b}{side:012b}{1:04b}{3:04b}{'1' * 18}1{20:010b}000"
    group = f"{0:05b}{0:06b}1{0:06b}{0:06b}10"
    stream = [b"\0\0\1\xb3", _bytes(header), b"\0\0\1\xb8", _bytes(group)]
    for number, image in enumerate(images):
        stream += [b"\0\0\1\0", _bytes(f"{number % 1024:010b}001{'1' * 16}0")]
        edge = -side % 16
        means = np.pad(image, (0, edge), mode="edge")
        blocks = len(means) // 8
        means = means.reshape(blocks, 8, blocks, 8).mean(axis=(1, 3)).astype(int)
        for row in range(0, blocks, 2):
            stream += [struct.pack(">I", 0x101 + row // 2), _slice(means[row : row + 2])]
    return b"".join([*stream, b"\0\0\1\xb7"])


def _slice(means: np.ndarray) -> bytes:
    """Return a row of macroblocks: four luminance blocks each, chrominance without colour."""
    bits = ["000010"]  # the quantiser's scale, and a bit for no more information
    before = 128
    for column in range(0, means.shape[1], 2):
        bits.append("11")  # the next macroblock; intra
        for mean in means[:, column : column + 2].ravel():
            bits.append(_difference(int(mean) - before) + "10")
            before = int(mean)
        bits.append(_NO_DIFFERENCE * 2)
    return _bytes("".join(bits))


def _difference(value: int) -> str:
    """Return the code of a DC difference: its size, then its bits (less one if negative)."""
    size = abs(value).bit_length()
    if not size:
        return _LUMINANCE[0]
    shown = value if value > 0 else value + (1 << size) - 1
    return f"{_LUMINANCE[size]}{shown:0{size}b}"


def _bytes(bits: str) -> bytes:
    """Return bits as bytes, filled up with zeros."""
    length = -(-len(bits) // 8)
    return int(bits.ljust(8 * length, "0"), 2).to_bytes(length, "big")
