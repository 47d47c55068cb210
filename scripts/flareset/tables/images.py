"""The columns of images.csv."""

from __future__ import annotations

from flareset.sdo.keywords import KEYWORD_NAMES, LISTED

OF_SPLITS = ["split", "split_leaky", "group"]
# The columns of an image; those of its event's row follow.
COLUMNS = [
    "event_id", "wavelength", "phase", "label", "filename", "record", "slot", "channels",
    "time",
    "minutes_from_start", "minutes_from_peak", "minutes_from_end",
    "QUALITY", "EXPTIME", "AIMGSHCE", "exposure", "exposure_seconds", "AECTYPE",
    *(name for name in KEYWORD_NAMES if name not in LISTED),
    "proof", "blank", "bytes", "sha256",
    *OF_SPLITS,
]  # fmt: skip
# What is asked of its times besides: no columns.
OF_TIME = ("hour", "day_of_year", "year")
DERIVED = ("seconds_in_slot", *OF_TIME)
# How a listing was come by is in the provenance: the data set is the same whichever way it was.
_NOT_CARRIED = ("event_id", "request_id", "source")


def carried_name(column: str) -> str:
    """Return what a column of events.csv is called in images.csv; empty where it is left out."""
    if column in _NOT_CARRIED:
        return ""
    return f"events.{column}" if column in COLUMNS else column
