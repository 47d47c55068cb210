"""The database behind the stand-in. It runs a WHERE clause over records, in SQLite.

Errors have the form of PostgreSQL's, with libpq's excerpt of the statement (recorded answers).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from flareset.standin.recordset import LONGEST, BadQuery, Clause
from flareset.standin.structure import Structure

_T = TypeVar("_T")
_IMAGE_EXISTS = re.compile(r"\bdrms\.image_exists\(", re.IGNORECASE)
# A match with PostgreSQL's operator ~. DRMS makes a string of text in double quotes.
_MATCHES = re.compile(r"""(\w+)\s*~\s*["']([^"']*)["']""")
_AFFINITY = {"string": "TEXT", "time": "REAL", "float": "REAL", "double": "REAL"}
# The excerpt of a long statement that libpq shows: characters in all, and right of the fault.
_SHOWN, _SHOWN_RIGHT = 60, 10
# SQLite may run this many times so many instructions.
_INSTRUCTIONS, _LOOKS = 1_000_000, 100


class DatabaseError(BadQuery):
    """A clause that the database refuses. The message has the database's words."""


def select(
    clause: Clause, structure: Structure, found: Sequence[_T], value: Callable[[_T, str], Any]
) -> list[_T]:
    """Return the records of `found` that a clause selects, in their order.

    `value` returns a record's column by its name in lower case. Raises DatabaseError.
    """
    if len(clause.text) >= LONGEST and not _whole(clause.text):
        raise _refused(clause, structure, clause.behind.partition(" ")[0], "syntax")
    if not clause.text:
        return list(found)
    words = {word.lower() for word in re.findall(r"\w+", clause.text)}
    columns = {"recnum": "INTEGER"}
    for name, key in structure.columns.items():
        if name in words:
            columns[name] = _AFFINITY.get(key.type, "INTEGER")
    where = _IMAGE_EXISTS.sub("image_exists(", clause.text)
    where = _MATCHES.sub(r"\1 REGEXP '\2'", where)
    schema, _, table = structure.name.rpartition(".")
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("image_exists", 1, lambda quality: (quality or 0) >= 0)
        database.create_function("regexp", 2, lambda form, text: bool(re.search(form, str(text))))
        database.execute(f'ATTACH ":memory:" AS "{schema}"')
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        database.execute(f'CREATE TABLE "{schema}"."{table}" ({declared})')
        marks = ", ".join("?" * len(columns))
        rows = ([value(record, name) for name in columns] for record in found)
        database.executemany(f'INSERT INTO "{schema}"."{table}" VALUES ({marks})', rows)
        looks = iter(range(_LOOKS))
        database.set_progress_handler(lambda: next(looks, None) is None, _INSTRUCTIONS)
        try:
            chosen = database.execute(
                f'SELECT rowid FROM "{schema}"."{table}" WHERE {where} ORDER BY rowid'
            )
            return [found[row - 1] for (row,) in chosen]
        except sqlite3.Error as error:
            raise _explained(str(error), clause, structure) from None


def _whole(text: str) -> bool:
    return text.count("(") == text.count(")")


def _explained(said: str, clause: Clause, structure: Structure) -> DatabaseError:
    """Return SQLite's refusal in PostgreSQL's words."""
    if match := re.fullmatch(r"no such column: (\S+)", said):
        return _refused(clause, structure, match[1], "column")
    if match := re.fullmatch(r'near "(.*)": syntax error', said, re.DOTALL):
        return _refused(clause, structure, match[1], "syntax")
    return DatabaseError(f"ERROR:  {said}\n")


def _refused(clause: Clause, structure: Structure, word: str, kind: str) -> DatabaseError:
    """Return the refusal of a word in the statement, with an excerpt that ends in a mark."""
    fault = f'syntax error at or near "{word}"'
    if kind == "column":
        fault = f'column "{word.lower()}" does not exist'
    begin = f"select max(recnum) as max from {structure.name.lower()} where "
    end = f" {clause.behind} {structure.name.lower()}.{structure.primes[0].lower()}"
    line = begin + clause.text + end
    if word == clause.behind.partition(" ")[0]:
        place = len(begin + clause.text) + 1
    else:
        found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line[len(begin) :], re.IGNORECASE)
        place = len(begin) + (found.start() if found else 0)
    first, last = 0, len(line)
    if last > _SHOWN:
        if place + _SHOWN_RIGHT <= _SHOWN:
            last = _SHOWN
        else:
            last = min(last, place + _SHOWN_RIGHT)
            first = max(0, last - _SHOWN)
    left, right = "..." if first else "", "..." if last < len(line) else ""
    shown = f"LINE 1: {left}{line[first:last]}{right}"
    mark = " " * (len("LINE 1: ") + len(left) + place - first) + "^"
    return DatabaseError(f"ERROR:  {fault}\n{shown}\n{mark}\n")
