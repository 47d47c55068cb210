"""The summary of a campaign, and its provenance."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from flareset import __version__
from flareset.phases import PHASES
from flareset.sdo.times import iso
from flareset.system.files import write_text
from flareset.tables.csv import write_table

PACKAGES = (
    "snakemake", "pandas", "numpy", "astropy", "pyerfa", "requests", "beautifulsoup4", "pyyaml"
)  # fmt: skip
_PHASES = [phase.name for phase in PHASES]
_COUNTS = [*_PHASES, "total", *(f"listed_{name}" for name in _PHASES), "short_outside"]


def summarise(accounts: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row per event and wavelength in time order, and a TOTAL row (config/README.md)."""
    rows = [
        {
            "event_id": entry["event_id"],
            "wavelength": str(entry["wavelength"]),
            "duration_minutes": entry["duration_minutes"],
            "minute_bins": entry["minute_bins"],
            **entry["drawn"],
            "total": sum(entry["drawn"].values()),
            **{f"listed_{name}": entry["listed"][name] for name in _PHASES},
            "short_outside": entry["short_outside"],
        }
        for entry in sorted(
            accounts, key=lambda e: (e["flare_start"], e["event_id"], e["wavelength"])
        )
    ]
    columns = ["event_id", "wavelength", "duration_minutes", "minute_bins", *_COUNTS]
    table = pd.DataFrame(rows, columns=columns)
    once = table.drop_duplicates("event_id")[["duration_minutes", "minute_bins"]].sum()
    total = {"event_id": "TOTAL", "wavelength": "", **once, **table[_COUNTS].sum()}
    total["duration_minutes"] = round(total["duration_minutes"], 2)
    table.loc[len(table)] = total
    return table.astype(dict.fromkeys(["minute_bins", *_COUNTS], int))


def write_summary(table: pd.DataFrame, csv: str | Path, markdown: str | Path) -> None:
    """Write the summary as CSV and as a GitHub table."""
    write_table(table, csv)
    text = tabulate(table, headers="keys", tablefmt="github", showindex=False, floatfmt=".2f")
    write_text(text + "\n", markdown)


def provenance(
    accounts: list[dict[str, Any]],
    config: dict[str, Any],
    outputs: Iterable[Path],
    root: Path,
    created: datetime,
) -> dict[str, Any]:
    """Return how a campaign's results came about.

    These are config, seed, versions, recordsets, RequestIDs, times, counts and outputs' sha256.
    """
    totals: dict[str, int] = {}
    for entry in accounts:
        for status, number in entry["statuses"].items():
            totals[status] = totals.get(status, 0) + number
    return {
        "created": iso(created),
        "flareset": {"version": __version__, "git": _git_state()},
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "config": config,
        "seed": config["sample"]["seed"],
        "counts": dict(sorted(totals.items())),
        "recordsets": sorted({entry["recordset"] for entry in accounts}),
        "request_ids": sorted({each for entry in accounts for each in entry["request_ids"]}),
        "events": accounts,
        "outputs": {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(outputs)
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """Return this code's commit, with `-dirty` if files have changed; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
