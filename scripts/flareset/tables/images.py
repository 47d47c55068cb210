"""The columns of images.csv."""

from __future__ import annotations

import re

from flareset.sdo.keywords import KEYWORD_NAMES

# The columns that are computed from the exposure follow its keywords.
_EXPOSURE = KEYWORD_NAMES.index("AIMGSHCE") + 1
OF_SPLITS = ["split", "split_leaky", "group"]
# The columns about the image. The columns of its event's row follow them.
COLUMNS = [
    "event_id", "wavelength", "phase", "label", "filename", "record", "slot", "channels",
    "time",
    "minutes_from_start", "minutes_from_peak", "minutes_from_end",
    *KEYWORD_NAMES[:_EXPOSURE], "exposure", "exposure_seconds", *KEYWORD_NAMES[_EXPOSURE:],
    "proof", "blank", "bytes", "sha256",
    *OF_SPLITS,
]  # fmt: skip
# Values that `leaks` computes from an image's times; they are not columns.
OF_TIME = ("hour", "day_of_year", "year")
DERIVED = ("seconds_in_slot", *OF_TIME)
# The data set must not depend on where its files came from: the provenance says that.
_NOT_CARRIED = ("event_id", "request_id", "source")


def carried_name(column: str) -> str:
    """Return the name in images.csv of a column of events.csv; empty if it is left out."""
    if column in _NOT_CARRIED:
        return ""
    return f"events.{column}" if column in COLUMNS else column


def key_of(filename: str) -> str:
    """Return a file's name without extension and dots, where readers of tars cut names."""
    return re.sub(r"[^\w-]", "_", filename.removesuffix(".fits"))
