"""JSOC's export protocols, as its form writes them."""

from __future__ import annotations

import re

_FITS = re.compile(r"fits(,\s*(compress rice|\*\*none\*\*))?", re.IGNORECASE)
_PICTURES = re.compile(
    r"(jpe?g|mpg|mp4)(,ct=[\w.]+|,scaling=(minmax|minmaxgiven|log|sqrt|mag)"
    r"|,size=(1|2|4|8|16)|,(min|max)=-?\d+(\.\d+)?)*",
    re.IGNORECASE,
)


def kind_of_protocol(text: str) -> str | None:
    """Return `fits`, `as-is`, `jpg`, `mpg` or `mp4`; None if JSOC has no such protocol."""
    if _FITS.fullmatch(text):
        return "fits"
    if text.lower() == "as-is":
        return "as-is"
    if match := _PICTURES.fullmatch(text):
        return match[1].lower().replace("jpeg", "jpg")
    return None
