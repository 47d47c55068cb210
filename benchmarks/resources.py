"""What the jobs of each rule need: seconds, CPU seconds and MB of the largest process.

Run: .venv/bin/python benchmarks/resources.py [--size 4096] [--flares 590] [--channels 7]

The workflow lists, downloads, splits and draws a flare of real size (7.7 hours, 2300 images listed)
once for each way of delivery. Downloads bring 120 full frames: memory does not depend on how many.
Then `label` and `summary` have as many flares and channels, all with the results of one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from cost import cost_of

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.standin.server import StandIn, running

ROOT = Path(__file__).parents[1]
FLARE = """event_starttime,event_endtime,hpc_x,hpc_y
2014-01-07 18:05:34,2014-01-07 19:48:58,268.8,-115.2
"""
CUT_OUT = {"im_patch": {"center": "event", "size": [400, 400], "size_units": "arcsec"}}
WAYS: dict[str, dict[str, Any]] = {
    "Rice": {},
    "uncompressed": {"protocol": "FITS,**NONE**"},
    "as stored": {"method": "url_quick", "protocol": "as-is"},
    "tar": {"method": "url-tar"},
    "cut-outs": {"processing": [CUT_OUT]},
}
NEEDED = ("sample.csv", "sampling_log.csv", "account.json")
# Stands before the real one in the path of the jobs.
PYTHON = """#!/bin/sh
told=$(mktemp)
{python} -I -S {cost} "$told" {python} "$@"
status=$?
echo "$(basename "$1" .py) $(cat "$told")" >> {table}
rm "$told"
exit $status
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=4096, help="pixels a side of a frame")
    parser.add_argument("--flares", type=int, default=590)
    parser.add_argument("--channels", type=int, default=7)
    args = parser.parse_args()
    print(f"{'script':<12}{'of':<14}{'s':>8}{'CPU s':>8}{'MB':>8}")
    with tempfile.TemporaryDirectory(prefix="resources-") as name:
        top = Path(name)
        snakemake = [str(watched_python(top)), "-m", "snakemake", "--cores", "1"]
        few = {"pre": 8, "post": 8}
        for way, export in WAYS.items():
            run(snakemake, top / way, args.size, {"export": export, "sample": few})
            show(way, top / "table")
        run(snakemake, top / "one", 128, {})
        (top / "table").unlink()
        all_flares(top / "one", args.flares, args.channels)


def watched_python(top: Path) -> Path:
    """This Python under another name, and beside it a `python` that writes down what it costs."""
    real = top / "bin/python3"
    real.parent.mkdir()
    real.symlink_to(os.path.realpath(sys.executable))
    (top / "lib").symlink_to(Path(sys.prefix) / "lib")
    (top / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    watched = real.with_name("python")
    cost = Path(__file__).with_name("cost.py")
    watched.write_text(PYTHON.format(python=real, cost=cost, table=top / "table"))
    watched.chmod(0o755)
    return real


def run(snakemake: list[str], folder: Path, size: int, config: dict[str, Any]) -> None:
    """Run the campaign of the one flare, with these settings."""
    (folder / "config").mkdir(parents=True)
    (folder / "config/events.csv").write_text(FLARE)
    with running(StandIn(frame_size=size, delay=0.0)) as server:
        archive = {
            "kind": "jsoc",
            "data_url": server.url,
            "cgi_url": f"{server.url}/cgi-bin/ajax/",
            "email": "a@example.org",
        }
        config = {"archive": archive, "source": "export", **config}
        (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
        words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
        done = subprocess.run([*snakemake, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def all_flares(folder: Path, flares: int, channels: int) -> None:
    """What belongs to all flares together, each with the results of one."""
    (job,) = (folder / "results/events").glob("*/131")
    event, results, store = job.parent.name, folder / "all", folder / "store"
    texts = {name: (job / name).read_text() for name in NEEDED}
    fact = json.loads((job.parent / "event.json").read_text())
    ledger = (folder / f"results/ledger/{event}.131.csv").read_text()
    with open(job / "sample.csv", newline="") as file:
        images = [Path(row["path"]) for row in csv.DictReader(file)]
    jobs = [(f"flare{n}", 131 + m) for n in range(flares) for m in range(channels)]
    (results / "ledger").mkdir(parents=True)
    for name, wavelength in jobs:
        marks = {event: name, ".131.image": f".{name}.{wavelength}.image"}
        place = results / "events" / name / str(wavelength)
        place.mkdir(parents=True)
        (place.parent / "event.json").write_text(json.dumps({**fact, "event_id": name}))
        for file, text in texts.items():
            (place / file).write_text(_changed(text, marks))
        (results / f"ledger/{name}.{wavelength}.csv").write_text(_changed(ledger, marks))
        # Linked, and never read.
        for image in images:
            (store / _changed(str(image), marks)).touch()
    paths = [results / "events" / name / str(wavelength) for name, wavelength in jobs]
    data = results / "data_selection"
    data.mkdir()
    rows = sorted({str(path.parent / "event.json") for path in paths})
    splits = ["--splits", str(data / "splits.csv")]
    measure("split", len(paths), folder, "--events", *rows, "--seed=1", *splits)
    label = ["--samples", *(str(path / "sample.csv") for path in paths), "--store", str(store)]
    measure("label", len(paths), folder, *label, *splits, "--split-seed=1", "--folder", str(data))
    summary = [
        "--accounts", *(str(path / "account.json") for path in paths),
        "--config", json.dumps({"sample": {"seed": 1}}),
        "--results", str(results), "--outputs", str(data / "images.csv"),
        "--csv", str(results / "summary.csv"), "--markdown", str(results / "summary.md"),
        "--provenance", str(results / "provenance.json"),
    ]  # fmt: skip
    measure("summary", len(paths), folder, *summary)


def _changed(text: str, marks: dict[str, str]) -> str:
    for old, new in marks.items():
        text = text.replace(old, new)
    return text


def measure(script: str, jobs: int, folder: Path, *args: str) -> None:
    """Print what a script costs."""
    path = ROOT / "scripts" / f"{script}.py"
    cost = cost_of([sys.executable, str(path), *args], folder / "cost.log")
    print(f"{script:<12}{f'{jobs} jobs':<14}{cost.seconds:8.1f}{cost.cpu:8.1f}{cost.peak_mb:8.0f}")


def show(way: str, table: Path) -> None:
    """Print what was written down, and begin a new table."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for line in table.read_text().splitlines():
        rule, *costs = line.split()
        found[rule].append([float(cost) for cost in costs])
    table.unlink()
    for rule, rows in found.items():
        seconds, cpu, peak = (max(column) for column in zip(*rows, strict=True))
        print(f"{rule:<12}{way:<14}{seconds:8.1f}{cpu:8.1f}{peak:8.0f}", flush=True)


if __name__ == "__main__":
    main()
