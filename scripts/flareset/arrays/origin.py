"""Where a table of calibration came from: a note beside it, which holds for these bytes alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flareset.errors import ArraysError
from flareset.store.store import sha256_of
from flareset.system.files import make_folder, write_json, write_text, writing


def origin_of(table: Path) -> dict[str, Any]:
    """Return the note beside a table; empty if there is none, or it is of other bytes."""
    try:
        told = json.loads(_note(table).read_text(encoding="utf-8"))
        return told if told["sha256"] == sha256_of(table) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def keep(table: Path, text: str, origin: dict[str, Any]) -> None:
    """Write a table that was fetched, and its note.

    Raises ArraysError if another table is there, which somebody gave.
    """
    there = table.read_text(encoding="utf-8") if table.exists() else None
    # The same table without its note was fetched by a process that was killed.
    if there not in (None, text) and not origin_of(table):
        raise ArraysError(
            f"{table} is there, and was not fetched: remove it, or name another file in"
            " arrays.tables"
        )
    with writing(table):
        make_folder(table.resolve().parent)
        # A table that is as before is not written, so that nothing is made anew.
        if there != text:
            write_text(text, table)
        write_json(_note(table), {**origin, "sha256": sha256_of(table)})


def _note(table: Path) -> Path:
    return table.with_name(f"{table.name}.json")
