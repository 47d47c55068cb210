"""The words of the tables: what a file is, and what became of a slot, a record or a file."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a slot, a record or a file: `status` in ledger, manifest and records."""

    VERIFIED = "verified"
    """The file is in the store and proven to be the image of its record."""

    NOT_NEEDED = "not_needed"
    """The image was not drawn, or its slot was not asked for."""

    OUTSIDE = "outside"
    """The image lies outside the event's window."""

    NO_RECORD = "no_record"
    """The archive has no record in this slot."""

    NO_IMAGE = "no_image"
    """The archive has the record, but no image for it."""

    REJECTED = "rejected"
    """The image is there, but its QUALITY, its exposure or its time is not accepted."""

    FAILED = "failed"
    """The image is listed or was asked for, but could not be downloaded or proven."""

    SHORT = "short"
    """A bin of the draw gave fewer images than wanted."""


class Kind(StrEnum):
    """The kind of a file: the column `kind` of the listing and the manifest."""

    IMAGE = "image"
    """A FITS file, with the values of a record's segment."""

    PICTURE = "picture"
    """A JPEG that JSOC made of a record's segment."""

    MOVIE = "movie"
    """A movie that JSOC made of all records of an export."""
