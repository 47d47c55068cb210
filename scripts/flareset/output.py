"""Writing files: an error says which one, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flareset.errors import StoreError

# What runs at every start of Snakemake imports this module, and not pandas.
if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """StoreError where the block cannot write to `path`."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot write: {error.strerror}; see that it has room and may be written"
        ) from error


def write_table(table: pd.DataFrame, path: str | Path, separator: str = ",") -> None:
    """Write a table without its index, the same bytes on any system."""
    with _replacing(path) as new:
        table.to_csv(new, index=False, lineterminator="\n", sep=separator)


def write_text(text: str, path: str | Path) -> None:
    """Write a text file."""
    with _replacing(path) as new:
        new.write_text(text)


@contextmanager
def _replacing(path: str | Path) -> Iterator[Path]:
    """A file that takes the place of `path` when the block has written it: who reads, on whatever
    machine, finds the one or the other whole."""
    new = Path(f"{path}.new")
    with writing(path):
        try:
            yield new
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
