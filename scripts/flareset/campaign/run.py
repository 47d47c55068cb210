"""One run of Snakemake: its code, the jobs that failed in it, and jobs that must not overlap."""

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
    """Begin a run of Snakemake. Return False if this Snakemake is a job of a run (on a cluster)."""
    return environment.begin_run(code_sum())


@cache
def code_sum() -> str:
    """Return the sha256 (hex) over all modules of the package."""
    return sum_of(sorted((SCRIPTS / "flareset").rglob("*.py")))


@contextmanager
def tried_once(note: Path) -> Iterator[None]:
    """Run a block only once per run of Snakemake, and only with the code that the run began with.

    Snakemake may restart a job that was killed or that failed. Asking JSOC the same again is
    useless, so a FlaresetError is noted, and raised again by a restarted job. A StoreError is not
    noted: storage may recover. Raises FlaresetError.
    """
    if environment.code() not in ("", code_sum()):
        # Snakemake will record the run's outputs as made by the old code.
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


# Snakemake removes the outputs of a failed job within this time (s) after its script has ended.
_CLEARED = 5.0


@contextmanager
def alone(folder: Path, sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Lock a folder of results while the block writes there.

    If Snakemake is killed, its jobs go on on the cluster, and the next run starts the same jobs
    again. The second job waits here for the first, and then finds the first one's results.
    """
    others: list[str] = []

    def waiting(holder: str) -> None:
        others.append(holder)
        log.info("waits for %s, which does the same job (of a run that was killed?)", holder)

    with held(folder / ".lock", waiting=waiting, sleep=sleep):
        if others:
            sleep(_CLEARED)
        with tried_once(folder / ".failed"):
            yield
