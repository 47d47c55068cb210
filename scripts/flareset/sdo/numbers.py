"""Numbers as users, JSOC and FITS headers write them: finite and in range, or refused."""

from __future__ import annotations

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_LARGEST = 2**63 - 1


def whole(text: str, least: int = 0, most: int = _LARGEST) -> int:
    """Return the whole number that a text writes in decimal digits.

    Raises ValueError if the text is no such number, or the number is not in [least, most].
    """
    text = text.strip()
    if not _WHOLE.fullmatch(text) or not least <= (number := int(text)) <= most:
        raise ValueError(f"{text[:40]!r} is not a whole number from {least} to {most}")
    return number


def real(text: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Return the finite number that a text writes.

    Raises ValueError if the text is no such number, or the number is not in [least, most].
    """
    number = float(text)
    if not math.isfinite(number) or not least <= number <= most:
        raise ValueError(f"{text[:40]!r} is not a number from {least:g} to {most:g}")
    return number


def integer(text: str) -> int:
    """Return the whole number that a keyword's text writes: `8192`, `8192.0` or `0x2000`.

    Raises ValueError if the text is no whole number.
    """
    text = text.strip()
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _WHOLE.fullmatch(text):
        return int(text)
    number = real(text, -_LARGEST, _LARGEST)
    if not number.is_integer():
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(number)
