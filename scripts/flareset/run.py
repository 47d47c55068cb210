"""One run of Snakemake, as its jobs see it: its code, and what has failed in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from flareset.errors import FlaresetError, StoreError
from flareset.output import write_text

# In the environment of the jobs, on a cluster too.
RUN, CODE = "FLARESET_RUN", "FLARESET_CODE"


@cache
def code_sum() -> str:
    """The sha256 over all modules of the package, hex."""
    return sum_of(sorted(Path(__file__).parent.rglob("*.py")))


def sum_of(modules: list[Path]) -> str:
    """The sha256 over the names and contents of modules, hex; each is read once."""
    lines = (f"{path.name} {_sha256(path)}\n" for path in modules)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def tried_once(note: Path) -> Iterator[None]:
    """Try a block once in a run, with the code that the run began with.

    Snakemake may start again what was killed and what failed; to ask JSOC the same once more helps
    nobody, so an error of ours is noted, and raised again. Raises FlaresetError.
    """
    if os.environ.get(CODE, code_sum()) != code_sum():
        # What the run books is the code as it was.
        raise FlaresetError("the code has changed since this run began: run again")
    run = os.environ.get(RUN, "")
    with suppress(OSError, ValueError, KeyError):
        failed = json.loads(note.read_text())
        if run and failed["run"] == run:
            raise FlaresetError(f"{failed['error']} (not tried again in the same run)")
    try:
        yield
    except FlaresetError as error:
        with suppress(StoreError):
            write_text(json.dumps({"run": run, "error": str(error)}), note)
        raise
    note.unlink(missing_ok=True)
