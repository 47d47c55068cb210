"""Time from a CSV to the labelled set of one flare: the workflow beside the notebook's way.

The workflow fetches what it draws, over 2 connections, verified; the notebook fetches all images,
one after the other, splits them by time and draws.

Run: .venv/bin/python benchmarks/notebook.py [--files-count 1150]
Needs the Debian package nginx-light. The real flare's 2300 images take 57 GB of disk and, with the
limit, half an hour. With fewer, the window and the draw shrink in proportion, but not the seconds
that Snakemake takes to start its jobs.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from cost import cost_of
from flare import REAL_IMAGES, MadeFlare, check_room
from nginx import LIMIT, nginx

from flareset.sdo.times import name_time

ROOT = Path(__file__).parents[1]


def main() -> None:
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files-count", type=int, default=REAL_IMAGES, help="images of the flare")
    parser.add_argument("--rates", type=lambda text: text.split(","), default=["limited"])
    parser.add_argument("--connections", type=int, default=2, help="the workflow's")
    parser.add_argument("--frame-size", type=int, default=4096, help="smaller: to try it out")
    parser.add_argument("--files", type=Path, default=temporary / "flareset-benchmark")
    parser.add_argument("--target", type=Path, default=temporary, help="where they are fetched to")
    args = parser.parse_args()

    flare, files = MadeFlare(args.files_count), args.files / str(args.frame_size)
    made = sum(path.stat().st_size for path in flare.write_files(files, args.frame_size))
    check_room(args.target, made)
    print(f"limited: {LIMIT} MiB/s a connection\n")
    print("| rate | way | connections | images fetched | GB | drawn | seconds | ratio |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    with nginx(files) as servers:
        for rate in args.rates:
            ways = [
                by_workflow(flare, servers[rate], args.target, args.connections),
                by_notebook(flare, servers[rate], args.target),
            ]
            for way in ways:
                cells = [
                    rate, way.name, way.connections, way.fetched, f"{way.bytes / 1e9:.2f}",
                    way.drawn, f"{way.seconds:.1f}", f"{way.seconds / ways[0].seconds:.2f}",
                ]  # fmt: skip
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
            if len({way.drawn for way in ways}) != 1:
                sys.exit("the two drew different numbers of images")


class Way(NamedTuple):
    """How a labelled set came about: images and bytes fetched, images drawn, seconds."""

    name: str
    connections: int
    fetched: int
    bytes: int
    drawn: int
    seconds: float


def by_workflow(flare: MadeFlare, server: str, target: Path, connections: int) -> Way:
    """All that `snakemake` does from a CSV and a saved page to data_selection."""
    with tempfile.TemporaryDirectory(prefix="notebook-", dir=target) as name:
        folder = Path(name)
        config = flare.campaign(folder, {"data_url": server, "connections": connections})
        seconds, drawn, sizes = run_workflow(folder, {**config, "fetch": "sampled"})
    return Way("workflow", connections, len(sizes), sum(sizes), drawn, seconds)


def run_workflow(folder: Path, config: dict[str, Any]) -> tuple[float, int, list[int]]:
    """Run a campaign in a folder; its seconds, drawn images, and the sizes of fetched files."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", str(folder)]
    rules = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", f"{folder}/config.yaml"]
    os.sync()
    cost = cost_of([*snakemake, *rules], folder / "log")
    labels = (folder / "results/data_selection/image_labels.csv").read_text().splitlines()
    sizes = [path.stat().st_size for path in (folder / "store").rglob("*.fits")]
    return cost.seconds, len(labels) - 1, sizes


def by_notebook(flare: MadeFlare, server: str, target: Path) -> Way:
    """Fetch all, split by the times in the names, draw: no check, no seed."""
    with tempfile.TemporaryDirectory(prefix="notebook-", dir=target) as name:
        folder = Path(name)
        seconds = fetch_all(flare, server, folder)
        sizes = [path.stat().st_size for path in folder.glob("*.fits")]
        begun = time.perf_counter()
        drawn = split_and_draw(flare, folder)
        seconds += time.perf_counter() - begun
    return Way("notebook", 1, len(sizes), sum(sizes), drawn, seconds)


def fetch_all(flare: MadeFlare, server: str, folder: Path) -> float:
    """Fetch all images of the window, one after the other; the seconds that it takes."""
    (folder / "urls").write_text("\n".join(flare.urls(server)))
    client = [sys.executable, str(ROOT / "benchmarks/clients.py"), "requests"]
    os.sync()
    return cost_of([*client, str(folder / "urls"), str(folder), "1"], folder / "log").seconds


def split_and_draw(flare: MadeFlare, folder: Path) -> int:
    """Move images to pre, flare and post, label one a minute of flare and the quota of the others;
    how many."""
    _, start, stop, _ = flare.times
    bins = defaultdict(list)
    for phase in ("pre", "flare", "post"):
        (folder / phase).mkdir()
    for path in sorted(folder.glob("*.fits")):
        taken = name_time(path.name)
        phase = "pre" if taken < start else "flare" if taken <= stop else "post"
        path.rename(folder / phase / path.name)
        bins[phase, f"{taken:%H%M}" if phase == "flare" else ""].append(path.name)
    with open(folder / "image_labels.csv", "w") as out:
        drawn = 0
        for (phase, _), names in bins.items():
            number = 1 if phase == "flare" else flare.drawn_beside
            for chosen in random.sample(names, min(number, len(names))):
                out.write(f"{chosen},{int(phase == 'flare')}\n")
                drawn += 1
    return drawn


if __name__ == "__main__":
    main()
