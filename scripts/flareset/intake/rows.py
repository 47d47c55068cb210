"""What a reader of flare lists hands on: rows with their texts as the list has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Note(NamedTuple):
    """What a rule did to a column of a row."""

    rule: str
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class Row:
    """One flare as a list has it.

    `cells` has the list's texts under our names of columns (`reading.py`), `whole` all its texts.
    `key` is the list's own name of the flare. `notes` says what the reader itself had to mend.
    """

    source: str
    file: str
    line: int
    cells: Mapping[str, str]
    key: str = ""
    whole: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True)
class FlareList:
    """A list that was read in full: its format in words, its rows, what a reader has to know.

    `sha256` (hex) is that of its bytes.
    """

    file: str
    form: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = field(default=())
    sha256: str = ""
