"""One run of Snakemake, as its jobs see it: its code, and what has failed in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from flareset.errors import FlaresetError, StoreError
from flareset.output import write_text

# In the environment of the jobs, on a cluster too.
_RUN, _CODE = "FLARESET_RUN", "FLARESET_CODE"


def begin() -> None:
    """Name this run and note its code in the environment, unless a run has begun that this
    Snakemake is a part of, as the job of a cluster is."""
    os.environ.setdefault(_RUN, uuid4().hex)
    os.environ.setdefault(_CODE, _code_sum())


@cache
def _code_sum() -> str:
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
    nobody, so an error of ours is noted, and raised again. One of storage is not: it may pass.
    Raises FlaresetError.
    """
    if os.environ.get(_CODE, _code_sum()) != _code_sum():
        # What the run books is the code as it was.
        raise FlaresetError("the code has changed since this run began: run again")
    run = os.environ.get(_RUN, "")
    with suppress(OSError, ValueError, KeyError):
        failed = json.loads(note.read_text())
        if run and failed["run"] == run:
            raise FlaresetError(f"{failed['error']} (not tried again in the same run)")
    try:
        yield
    except StoreError:
        raise
    except FlaresetError as error:
        with suppress(StoreError):
            write_text(json.dumps({"run": run, "error": str(error)}), note)
        raise
    note.unlink(missing_ok=True)
