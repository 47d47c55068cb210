"""All environment variables that reach jobs, and the purpose of each.

The Snakefile sets them. On a cluster each job reads the Snakefile again and so sets them again.
Results do not depend on them: no job becomes stale when they change.
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
# The config's `requestor` and `wait`, which do not change an export's data, as JSON.
MANNERS = "FLARESET_MANNERS"
# The campaign's channels (angstrom), separated by blanks: a saved page may list several.
WAVELENGTHS = "FLARESET_WAVELENGTHS"
# The campaign's name in a message to another run that waits for the store.
CAMPAIGN = "FLARESET_CAMPAIGN"
# The id of one run of Snakemake: a job that failed is not tried again in the same run.
RUN = "FLARESET_RUN"
# The hash of the package's modules when the run began: a job refuses to run with other code.
CODE = "FLARESET_CODE"
# The e-mail address that is registered with JSOC. Users may set it, too.
EMAIL = "JSOC_EMAIL"
# The search path: this Python first, then our `sacct` for the Slurm plugin.
PATH = "PATH"


def for_jobs(
    *,
    archive: dict[str, Any],
    manners: dict[str, Any],
    wavelengths: Iterable[int],
    results: str,
    email: str,
) -> dict[str, str]:
    """Return the variables that the Snakefile sets for its jobs.

    `email` is the config's, used if the environment has none. `wavelengths` are those of all rows.
    """
    # Snakemake's Slurm plugin finds our `sacct` first, which calls Slurm's.
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
    """Give a run its id and note its code. Return False if this Snakemake is a job of a run."""
    begins = RUN not in os.environ
    os.environ.setdefault(RUN, uuid4().hex)
    os.environ.setdefault(CODE, code)
    return begins


def archive() -> dict[str, Any]:
    """Return the config's `archive`; empty outside of a run."""
    return json.loads(os.environ.get(ARCHIVE, "{}"))


def manners() -> dict[str, Any]:
    """Return the config's `requestor` and `wait`; empty outside of a run."""
    return json.loads(os.environ.get(MANNERS, "{}"))


def wavelengths() -> list[int]:
    """Return the channels that the campaign asks for; empty outside of a run."""
    return [int(text) for text in os.environ.get(WAVELENGTHS, "").split()]


def campaign() -> str:
    """Return the campaign's name for messages; outside of a run, the current folder."""
    return os.environ.get(CAMPAIGN) or os.getcwd()


def run() -> str:
    """Return the id of the run of Snakemake; empty outside of a run."""
    return os.environ.get(RUN, "")


def code() -> str:
    """Return the hash of the modules when the run began; empty outside of a run."""
    return os.environ.get(CODE, "")


def email() -> str:
    """Return the e-mail address that is registered with JSOC; empty if there is none."""
    return os.environ.get(EMAIL, "").strip()
