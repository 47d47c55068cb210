"""One run of Snakemake, as its jobs see it: its code, and what has failed in it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from flareset.campaign import environment
from flareset.campaign.code import SCRIPTS, sum_of
from flareset.errors import FlaresetError, StoreError
from flareset.system.files import write_text
from flareset.system.locks import held

log = logging.getLogger(__name__)


def begin() -> bool:
    """Begin a run of Snakemake. Return False where this one is a job of a run, as on a cluster."""
    return environment.begin_run(_code_sum())


@cache
def _code_sum() -> str:
    """The sha256 over all modules of the package, hex."""
    return sum_of(sorted((SCRIPTS / "flareset").rglob("*.py")))


@contextmanager
def tried_once(note: Path) -> Iterator[None]:
    """Try a block once in a run, with the code that the run began with.

    Snakemake may start again what was killed and what failed; to ask JSOC the same once more helps
    nobody, so an error of ours is noted, and raised again. One of storage is not: it may pass.
    Raises FlaresetError.
    """
    if environment.code() not in ("", _code_sum()):
        # What the run books is the code as it was.
        raise FlaresetError("the code has changed since this run began: run again")
    run = environment.run()
    with suppress(OSError, ValueError, KeyError):
        failed = json.loads(note.read_text(encoding="utf-8"))
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


# Snakemake removes what a job that failed has left, a moment after its script ended (s).
_CLEARED = 5.0


@contextmanager
def alone(folder: Path, sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Hold a folder of results while the block writes there.

    A Snakemake that was killed leaves its jobs on the cluster, and the next one starts them anew:
    one waits for the other here, and then finds what that has done.
    """
    others: list[str] = []

    def waiting(holder: str) -> None:
        others.append(holder)
        log.info("waits for %s, which does the same (of a run that was killed?)", holder)

    with held(folder / ".lock", waiting=waiting, sleep=sleep):
        if others:
            sleep(_CLEARED)
        with tried_once(folder / ".failed"):
            yield
