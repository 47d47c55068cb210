"""The exceptions that users meet.

FlaresetError
├── ConfigError         a setting that is unknown, of the wrong type or impossible
├── EventsError         rows of events.csv that cannot be used
├── IntakeError         a flare list that cannot be used
├── ListingError        an answer or page that does not list completely what was asked for
├── ExportError         an export that cannot be asked for, or that JSOC refused or failed
├── TransferError       a file that the archive did not deliver
├── VerificationError   bytes that are not the FITS image asked for
│   └── ProcessingError a sound image that was not processed as asked
├── StoreError          a store that cannot be used
├── IncompleteError     an event with more images missing than allowed
├── LeakError           a keyword that tells the label better than allowed
├── AuditError          splits that share what they must not
├── ArraysError         an image or a table of which no array can be made
├── ReleaseError        a data set that cannot be published as it is
└── ReportError         a file that the page should show, and cannot
"""

from __future__ import annotations


class FlaresetError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(FlaresetError):
    """A setting that is unknown, of the wrong type or impossible."""


class EventsError(FlaresetError):
    """Rows of events.csv that cannot be used."""


class IntakeError(FlaresetError):
    """A flare list that cannot be used."""


class ListingError(FlaresetError):
    """An answer or page that does not list completely what was asked for."""


class ExportError(FlaresetError):
    """An export that cannot be asked for, or that JSOC refused or failed."""


class TransferError(FlaresetError):
    """A file that the archive did not deliver.

    `permanent`: another try is useless. `gone`: the archive no longer has the file (404, 410).
    `mismatch`: the file was processed otherwise than asked (ProcessingError). `unavailable`: the
    archive as a whole fails, not this file. `down`: the archive has failed for longer than
    archive.patience.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        gone: bool = False,
        mismatch: bool = False,
        unavailable: bool = False,
        down: bool = False,
        retry_after: float = 0.0,
        tries: int = 0,
    ) -> None:
        super().__init__(message)
        self.gone = gone
        self.mismatch = mismatch
        self.permanent = permanent
        self.unavailable = unavailable
        self.down = down
        self.retry_after = retry_after
        self.tries = tries


class VerificationError(FlaresetError):
    """Bytes that are not the FITS image asked for."""


class ProcessingError(VerificationError):
    """A sound image that was not processed as asked. Another try does not help."""


class StoreError(FlaresetError):
    """A store that cannot be used."""


class IncompleteError(FlaresetError):
    """An event with more images missing than allowed."""


class LeakError(FlaresetError):
    """A keyword that tells the label better than allowed."""


class AuditError(FlaresetError):
    """Splits that share what they must not."""


class ArraysError(FlaresetError):
    """An image or a table of which no array can be made."""


class ReleaseError(FlaresetError):
    """A data set that cannot be published as it is."""


class ReportError(FlaresetError):
    """A file that the page should show, and cannot."""
