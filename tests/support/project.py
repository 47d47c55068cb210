"""A campaign in a folder, which tests run as a user does."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from flareset.campaign.events import Event
from flareset.campaign.rows import Row, read_rows
from flareset.sdo.recordset import window_recordset
from flareset.standin.server import StandIn
from support import loaded
from support.factories import EUV

ROOT = Path(__file__).parents[2]
TWO_FLARES = """event_starttime,event_endtime,event_peaktime,goes_class,hpc_x,hpc_y
2014-01-07 18:05:34,2014-01-07 18:09:58,2014-01-07T18:07:00,X1.2,268.8,-115.2
2014-02-24T23:57:10Z,2014-02-25T00:02:30.5Z,,M3.0,,
"""
ONE_FLARE = "".join(TWO_FLARES.splitlines(keepends=True)[:2])
SMALL: dict[str, Any] = {
    "archive": {"frame_size": 128, "patience": "3s"},
    "source": "page",
    "window": {"pre": "4m", "post": "4m"},
    "fetch": "sampled",
    # Saved pages do not tell the exposure. A test of normal exposures sets this itself.
    "sample": {"seed": 7, "per_minute": 1, "pre": 5, "post": 5, "exposure": "any"},
    # Its tests make the page from tables, or say so.
    "report_page": {"make": False},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`, nested."""
    result = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


class Run:
    """A finished run of snakemake."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.text = done.stdout
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", self.text, re.DOTALL)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        # A run has them in one line, a dry run in a table.
        if line := re.search(r"^\d+ jobs: (.*)$", self.text, re.MULTILINE):
            rows = [part.split() for part in line[1].split(", ")]
        self.jobs = {name: int(n) for name, n in rows if name not in ("total", "all")}


class Project:
    """A campaign in a folder of its own, run as a user runs it."""

    # Another program and its options, put before the command.
    prefix: Sequence[str] = ()

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.folder = folder
        (folder / "config").mkdir(parents=True)
        self.config: dict[str, Any] = {}
        self.configure(**merged(SMALL, config or {}))
        self.events(TWO_FLARES)

    @classmethod
    def at(cls, folder: Path) -> Project:
        """Return the campaign in a folder."""
        found = object.__new__(cls)
        found.folder = folder
        found.config = yaml.safe_load((folder / "config/config.yaml").read_text())
        return found

    def copy(self, folder: Path) -> Project:
        """Copy this campaign with all its results to another folder, and return the copy."""
        subprocess.run(["cp", "--archive", self.folder, folder], check=True)
        return Project.at(folder)

    def configure(self, **over: Any) -> None:
        """Change settings; a dict is merged."""
        self.config = merged(self.config, over)
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(self.config))

    def events(self, text: str) -> None:
        """Write events.csv."""
        (self.folder / "config/events.csv").write_text(text)

    def read_events(self) -> list[Event]:
        """Return the events as the workflow reads them."""
        return [row.event for row in self.read_rows()]

    def read_rows(self) -> list[Row]:
        """Return the rows of events.csv as the workflow reads them."""
        window = self.config["window"]
        pre, post = (timedelta(minutes=int(window[key].rstrip("m"))) for key in ("pre", "post"))
        path = self.folder / "config/events.csv"
        wavelengths = self.config.get("wavelengths", [131])
        return read_rows(path, series=EUV, wavelengths=wavelengths, pre=pre, post=post).rows

    def use(self, server: StandIn) -> None:
        """Let the campaign use a running server, and save a page for each event."""
        pages = self.folder / "export_pages"
        pages.mkdir(exist_ok=True)
        for row in self.read_rows():
            event = row.event
            span = event.window_start, event.window_end
            wanted = str(window_recordset(EUV, *span, list(row.wavelengths)))
            (pages / f"{event.event_id}.html").write_text(server.page(wanted))
        self.configure(archive={"kind": "jsoc", "data_url": server.url})

    def command(self, *args: str, cores: int = 2) -> list[str]:
        """Return the command line of a run."""
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        own = ["--cores", str(cores), "--directory", str(self.folder)]
        return [*self.prefix, *snakemake, *own, *args]

    def forked(self, *args: str) -> list[str]:
        """Return the command line of a run by a fork, for a test that starts it by itself."""
        return [str(loaded.python("")), *self.command(*args)[1:]]

    def run(self, *args: str, cores: int = 2, fails: bool = False) -> Run:
        """Run snakemake. It must succeed or, with `fails`, fail."""
        done = loaded.run(self.command(*args, cores=cores), self.folder, os.environ)
        assert (done.returncode != 0) == fails, done.stdout
        return Run(done)

    def planned(self, *args: str) -> dict[str, int]:
        """Return the jobs that a run would do now, by rule."""
        return self.run("--dry-run", *args).jobs

    def path(self, name: str) -> Path:
        """Return the path of a file of the project."""
        return self.folder / name

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV of the project."""
        return list(csv.DictReader(io.StringIO(self.path(name).read_text())))

    def log(self, rule: str, event: str, wavelength: int = 131) -> str:
        """Return the log of a job."""
        return self.path(f"results/logs/{rule}/{event}.{wavelength}.log").read_text()

    def data_set(self) -> dict[str, bytes]:
        """Return the bytes of every file of data_selection."""
        top = self.path(self.config.get("results", "results")) / "data_selection"
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    def stored(self) -> set[str]:
        """Return the names of the images in the store, while locks may come and go there."""
        walk = os.walk(self.path("store"))
        return {name for *_, names in walk for name in names if name.endswith(".fits")}
