"""The checksum of FITS files (FITS standard 4.0, appendix J)."""

from __future__ import annotations

import numpy as np

BLOCK = 2880
ALL_ONES = 0xFFFFFFFF


def ones_complement_sum(data: bytes | memoryview, start: int = 0) -> int:
    """Return the 32-bit ones' complement sum that FITS checksums use.

    The number of bytes is a multiple of 4.
    """
    total = int(np.frombuffer(data, ">u4").sum(dtype=np.uint64)) + start
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total
