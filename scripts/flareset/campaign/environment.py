"""The environment variables that reach jobs: all of them, and what each is for.

The Snakefile sets them; on a cluster, each job reads the Snakefile again and so sets them anew. No
result depends on them: a job does not go stale when they change.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

from flareset.campaign.code import SCRIPTS

# How the archive is reached: the config's `archive` without the address, as JSON.
ARCHIVE = "FLARESET_ARCHIVE"
# What an export says besides its data: the config's `requestor` and `wait`, as JSON.
MANNERS = "FLARESET_MANNERS"
# The channels that the campaign asks for (angstrom), apart by blanks: a page may list several.
WAVELENGTHS = "FLARESET_WAVELENGTHS"
# The campaign, as another run is told that waits for its store.
CAMPAIGN = "FLARESET_CAMPAIGN"
# One run of Snakemake: what failed in it is not tried again in it.
RUN = "FLARESET_RUN"
# The sum of the package's modules when the run began: a job refuses other code.
CODE = "FLARESET_CODE"
# The address that is registered with JSOC. Users set it too.
EMAIL = "JSOC_EMAIL"
# This Python first, and our `sacct` for the Slurm plugin.
PATH = "PATH"


def for_jobs(
    *,
    archive: dict[str, Any],
    manners: dict[str, Any],
    wavelengths: Iterable[int],
    results: str,
    email: str,
) -> dict[str, str]:
    """Return what the Snakefile sets for its jobs.

    `email` holds where the environment has none, `wavelengths` are those of all rows.
    """
    # The Slurm plugin of the Snakemake that reads this asks our `sacct`, which asks Slurm's.
    first = [str(Path(sys.executable).parent), str(SCRIPTS.parent / "profiles/slurm/bin")]
    return {
        ARCHIVE: json.dumps(archive),
        MANNERS: json.dumps(manners),
        WAVELENGTHS: " ".join(map(str, sorted(wavelengths))),
        CAMPAIGN: f"{os.getcwd()}, results in {results}",
        EMAIL: os.environ.get(EMAIL) or email,
        PATH: os.pathsep.join([*first, os.environ.get(PATH, "")]),
    }


def begin_run(code: str) -> bool:
    """Name a run and note its code. Return False where this Snakemake is a job of one."""
    begins = RUN not in os.environ
    os.environ.setdefault(RUN, uuid4().hex)
    os.environ.setdefault(CODE, code)
    return begins


def archive() -> dict[str, Any]:
    """Return how the archive is reached: the config's `archive`; empty outside of a run."""
    return json.loads(os.environ.get(ARCHIVE, "{}"))


def manners() -> dict[str, Any]:
    """Return the config's `requestor` and `wait`; empty outside of a run."""
    return json.loads(os.environ.get(MANNERS, "{}"))


def wavelengths() -> list[int]:
    """Return the channels that the campaign asks for; empty outside of a run."""
    return [int(text) for text in os.environ.get(WAVELENGTHS, "").split()]


def campaign() -> str:
    """Return what campaign this is; outside of a run, its folder."""
    return os.environ.get(CAMPAIGN) or os.getcwd()


def run() -> str:
    """Return the name of the run of Snakemake; empty outside of a run."""
    return os.environ.get(RUN, "")


def code() -> str:
    """Return the sum of the modules that the run began with; empty outside of a run."""
    return os.environ.get(CODE, "")


def email() -> str:
    """Return the address that is registered with JSOC, or nothing."""
    return os.environ.get(EMAIL, "").strip()
