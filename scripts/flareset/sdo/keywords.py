"""The header keywords of an image that the tables keep: one list, for all stages.

The meanings are taken from the comments in JSOC's headers.
"""

from __future__ import annotations

from typing import NamedTuple

from flareset.sdo.numbers import integer, real


class Keyword(NamedTuple):
    """A keyword: its name, the type of its value, and its meaning with the unit.

    `list` asks JSOC for a `listed` keyword: it can decide about a record before any download.
    """

    name: str
    type: type[int] | type[float] | type[str]
    meaning: str
    listed: bool = False

    def value_of(self, text: str) -> int | float | str:
        """Return the value of `text`; `text` itself if it does not fit the keyword's type.

        A whole number may be hexadecimal, as in `0x40000000`. Infinity and NaN do not fit.
        """
        try:
            if self.type is str:
                return text
            return integer(text) if self.type is int else real(text)
        except ValueError:
            return text


# Each is a column of manifest.csv, sample.csv and images.csv, in this order.
KEYWORDS = (
    Keyword("QUALITY", int, "bits by which JSOC marks what is wrong with the image", listed=True),
    Keyword("EXPTIME", float, "exposure time (s)", listed=True),
    Keyword(
        "AIMGSHCE",
        int,
        "commanded exposure (ms): short below a limit of the channel",
        listed=True,
    ),
    Keyword(
        "AECTYPE",
        int,
        "type of the automatic exposure control; 2 is no mark of a flare",
        listed=True,
    ),
    Keyword("NSATPIX", int, "saturated pixels"),
    Keyword("DATAMEAN", float, "mean of the pixels (DN)"),
    Keyword("DATAMEDN", int, "median of the pixels (DN)"),
    Keyword("DATAMAX", int, "highest pixel (DN)"),
    Keyword("DATAP99", float, "99th percentile of the pixels (DN)"),
    Keyword("NSPIKES", int, "pixels that cosmic rays hit"),
)
KEYWORD_NAMES = tuple(keyword.name for keyword in KEYWORDS)
LISTED = tuple(keyword.name for keyword in KEYWORDS if keyword.listed)
# The keywords that tell a file's record. The tables have them as time, record and wavelength.
IDENTITY = ("T_REC", "T_OBS", "WAVELNTH")
# What JSOC computed from an image's pixels: these values prove a stored file.
STATISTICS = (
    "DATAVALS", "DATAMIN", "DATAMAX", "DATAMEDN", "DATAMEAN", "DATARMS", "DATASKEW", "DATAKURT",
)  # fmt: skip
