"""The header keywords that the tables keep of an image: one list, for all stages.

Meanings are those of the comments in JSOC's own headers.
"""

from __future__ import annotations

from typing import NamedTuple

from flareset.sdo.numbers import integer, real


class Keyword(NamedTuple):
    """A keyword: its name, what its value is, and what that means, with the unit."""

    name: str
    type: type[int] | type[float] | type[str]
    meaning: str

    def value_of(self, text: str) -> int | float | str:
        """Return the value that JSOC writes as `text`; the text itself where it is no such value.

        A whole number may be hexadecimal, as in `0x40000000`. No number is infinite or NaN.
        """
        try:
            if self.type is str:
                return text
            return integer(text) if self.type is int else real(text)
        except ValueError:
            return text


# Each is a column of manifest.csv, sample.csv and images.csv, in this order.
KEYWORDS = (
    Keyword("QUALITY", int, "bits by which JSOC marks what is wrong with the image"),
    Keyword("EXPTIME", float, "exposure time (s)"),
    Keyword("AIMGSHCE", int, "commanded exposure (ms): short below a limit of the channel"),
    Keyword("AECTYPE", int, "type of the automatic exposure control; 2 is no mark of a flare"),
    Keyword("NSATPIX", int, "saturated pixels"),
    Keyword("DATAMEAN", float, "mean of the pixels (DN)"),
    Keyword("DATAMEDN", int, "median of the pixels (DN)"),
    Keyword("DATAMAX", int, "highest pixel (DN)"),
    Keyword("DATAP99", float, "99th percentile of the pixels (DN)"),
    Keyword("NSPIKES", int, "pixels that cosmic rays hit"),
)
KEYWORD_NAMES = tuple(keyword.name for keyword in KEYWORDS)
# What is asked of every record of a window, and judged before any download.
LISTED = ("QUALITY", "EXPTIME", "AIMGSHCE", "AECTYPE")
# These say which record a file is. The tables have them as time, record and wavelength.
IDENTITY = ("T_REC", "T_OBS", "WAVELNTH")
# What JSOC computed from the pixels of an image: it proves a stored file.
STATISTICS = (
    "DATAVALS", "DATAMIN", "DATAMAX", "DATAMEDN", "DATAMEAN", "DATARMS", "DATASKEW", "DATAKURT",
)  # fmt: skip
