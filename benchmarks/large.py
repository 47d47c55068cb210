"""What Snakemake needs for a campaign of many flares, beside the same jobs with empty rules.

Run: .venv/bin/python benchmarks/large.py [--flares 590] [--rounds 3] [--folder FOLDER]

Nothing is downloaded. Where a finished campaign is needed, Snakemake runs its jobs without their
commands: the outputs are made (a line each) and booked as after any job. Before the tables a small
campaign is run both ways, and what is booked must be the same.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cost import Cost, cost_of

ROOT = Path(__file__).parents[1]
WAVELENGTHS = [94, 131, 171, 193, 211, 304, 335]
FIRST, LAST = datetime(2010, 5, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
# --touch books outputs without running commands, but wants them to be there, and sleeps in each
# job to keep their times apart.
WITHOUT_COMMANDS = """
import sys
from pathlib import Path
from snakemake.cli import main
from snakemake.executors.touch import Executor

def run_job(self, job, touch=Executor.run_job):
    for file in filter(None, [*job.output, job.benchmark]):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(f"{file}\\n")
    touch(self, job)

Executor.SLEEPING_TIME = 0
Executor.run_job = run_job
main([*sys.argv[1:], "--touch"])
"""
SNAKEMAKE = ["-m", "snakemake"]
# As an executor calls Snakemake on a node, but for -n.
AS_A_JOB = [
    "--mode",
    "remote",
    "--force",
    "--nolock",
    "--ignore-incomplete",
    "-n",
    "--allowed-rules",
]
# Choosing jobs one by one takes the longer the more are ready.
NO_LIMITS = ["--cores", "100000", "--resources", "jsoc_download=100000", "jsoc_export=100000"]


class Workflow:
    """A Snakefile and the folder that it runs in, as large as it was last told."""

    def __init__(self, snakefile: Path, folder: Path, write: Callable[[Path, int], None]) -> None:
        self.snakefile = snakefile
        self.folder = folder
        self.write = write
        (folder / "config").mkdir(parents=True, exist_ok=True)

    def resize(self, flares: int) -> None:
        """Let it have this many flares."""
        self.write(self.folder / "config", flares)

    def cost(self, *args: str, program: list[str] = SNAKEMAKE) -> Cost:
        """What a run with these arguments costs."""
        profile = ROOT / "profiles" / "default"
        words = ["--snakefile", self.snakefile, "--directory", self.folder]
        command = [*program, *words, "--workflow-profile", profile, *args]
        return cost_of([sys.executable, *map(str, command)], self.log)

    def finish(self) -> Cost:
        """Run every job that is to be run, without its commands, as many at once as are ready."""
        return self.cost(*NO_LIMITS, program=["-c", WITHOUT_COMMANDS])

    @property
    def log(self) -> Path:
        """What the last run printed."""
        return self.folder / "log"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flares", type=int, default=590)
    parser.add_argument("--rounds", type=int, default=3, help="medians of how many runs")
    parser.add_argument("--folder", type=Path, help="where to work; kept")
    args = parser.parse_args()
    top = args.folder or Path(tempfile.mkdtemp(prefix="large-"))
    # Scripts of its own, which are touched.
    clone = top / "clone"
    for name in ("scripts", "workflow", "envs"):
        shutil.copytree(ROOT / name, clone / name)
    snakefile = Path(shutil.copy(ROOT / "Snakefile", clone))
    check(snakefile, top)

    flares = rows(args.flares + args.rounds)
    campaign = Workflow(snakefile, top / "campaign", lambda place, n: write(place, flares[:n]))
    floor = Workflow(ROOT / "benchmarks/empty.smk", top / "floor", write_floor)
    both = [campaign, floor]
    for workflow in both:
        workflow.resize(args.flares)

    def compare(what: str, *words: str) -> None:
        tell(what, [[workflow.cost(*words) for workflow in both] for _ in range(args.rounds)])

    print(f"\n{args.flares} flares, {len(WAVELENGTHS)} wavelengths; medians of {args.rounds}\n")
    print("| what | seconds | floor | ratio | CPU s | floor | ratio | MB | floor | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    compare("fresh, `-n`", "-n")
    compare("fresh, `-n --quiet`", "-n", "--quiet")
    tell("all jobs, without their commands (once)", [[workflow.finish() for workflow in both]])
    compare("finished")
    compare("finished, `-n`", "-n")
    for path in clone.rglob("*.py"):
        path.touch()
    compare("finished, scripts touched")
    plans, runs = [], []
    for more in range(1, args.rounds + 1):
        for workflow in both:
            workflow.resize(args.flares + more)
        plans.append([workflow.cost("-n") for workflow in both])
        runs.append([workflow.finish() for workflow in both])
    tell("a row added, `-n`", plans)
    tell("a row added, its jobs without their commands", runs)

    single = Workflow(snakefile, top / "single", lambda place, n: write(place, flares[:n]))
    single.resize(1)
    empty = Workflow(top / "empty" / "Snakefile", top / "empty", lambda *_: None)
    empty.snakefile.write_text("rule download:\n    output: 'manifest.csv'\n")
    event = datetime.fromisoformat(flares[0].partition(",")[0]).strftime("%Y-%m-%dT%H%M%S")
    job = ["--target-jobs", f"download:event={event},wavelength={WAVELENGTHS[0]}"]
    print(f"\nOne job on a cluster: Snakefile and job found there; medians of {args.rounds}\n")
    print("| Snakefile | seconds | CPU s | MB |")
    print("|---|--:|--:|--:|")
    ways = [
        ("empty", empty, ["--target-jobs", "download:"]),
        ("1 flare, a download", single, job),
        (f"{args.flares} flares, a download", campaign, job),
        (f"{args.flares} flares, label", campaign, ["--target-jobs", "label:"]),
    ]
    costs = [
        [way.cost(*target, *AS_A_JOB, target[1].partition(":")[0]) for _, way, target in ways]
        for _ in range(args.rounds)
    ]
    for (what, *_), column in zip(ways, zip(*costs, strict=True), strict=True):
        seconds, cpu, peak = (statistics.median(kind) for kind in zip(*column, strict=True))
        print(f"| {what} | {seconds:.2f} | {cpu:.2f} | {peak:.0f} |")


def tell(what: str, costs: list[list[Cost]]) -> None:
    """Print a line of the table: medians of runs, each of the campaign and of the floor."""
    cells = []
    for kind, digits in (("seconds", 1), ("cpu", 1), ("peak_mb", 0)):
        ours, floor = (statistics.median(getattr(pair[n], kind) for pair in costs) for n in (0, 1))
        cells += [f"{ours:.{digits}f}", f"{floor:.{digits}f}", f"{ours / floor:.2f}"]
    print(f"| {what} | {' | '.join(cells)} |", flush=True)


def rows(number: int) -> list[str]:
    """Flares as rows of a CSV: at random times, 5 to 60 minutes long."""
    rng = random.Random(590)
    made = []
    for _ in range(number):
        begin = FIRST + rng.random() * (LAST - FIRST)
        end = begin + timedelta(minutes=rng.randint(5, 60))
        place = f"{rng.uniform(-900, 900):.1f},{rng.uniform(-400, 400):.1f}"
        goes = f"{rng.choice('MX')}{rng.uniform(1, 9):.1f}"
        made.append(f"{begin:%Y-%m-%d %H:%M:%S},{end:%Y-%m-%d %H:%M:%S},{goes},{place}")
    return made


def write(place: Path, flares: list[str], **config: Any) -> None:
    """The config and the CSV of a campaign."""
    config = {"archive": {"kind": "jsoc"}, "source": "export", "wavelengths": WAVELENGTHS, **config}
    (place / "config.yaml").write_text(yaml.safe_dump(config))
    header = "event_starttime,event_endtime,goes_class,hpc_x,hpc_y"
    (place / "events.csv").write_text("\n".join([header, *flares, ""]))


def write_floor(place: Path, flares: int) -> None:
    """The config of the empty rules."""
    config = {"flares": flares, "wavelengths": len(WAVELENGTHS)}
    (place / "config.yaml").write_text(yaml.safe_dump(config))


def check(snakefile: Path, top: Path) -> None:
    """Run a rehearsal, and the same jobs without their commands; what is booked must be alike."""
    config = {
        "archive": {"frame_size": 128},
        "source": "page",
        "wavelengths": [131, 171],
        "window": {"pre": "4m", "post": "4m"},
        "sample": {"pre": 5, "post": 5},
    }
    begin = [FIRST + timedelta(days=n) for n in range(3)]
    flares = [
        f"{t:%Y-%m-%d %H:%M:%S},{t + timedelta(minutes=5):%Y-%m-%d %H:%M:%S},M1.0,," for t in begin
    ]
    booked = []
    for name in ("run", "without commands"):
        workflow = Workflow(
            snakefile, top / name, lambda place, n: write(place, flares[:n], **config)
        )
        workflow.resize(3)
        workflow.cost() if name == "run" else workflow.finish()
        idle = statistics.median(workflow.cost().seconds for _ in range(3))
        if "Nothing to be done" not in workflow.log.read_text():
            sys.exit(f"{name}: not finished:\n{workflow.log.read_text()}")
        print(f"3 flares, 2 wavelengths, {name}: nothing to be done, found in {idle:.2f} s")
        booked.append(records(workflow.folder))
    if booked[0] != booked[1]:
        sys.exit("Snakemake booked other things")
    print(f"Snakemake booked the same for {len(booked[0])} outputs, but for times and checksums")


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """What Snakemake has booked for each output, but for what differs from run to run."""
    booked = {}
    for path in (folder / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            for key in ("starttime", "endtime", "job_hash"):
                del record[key]
            record["input_checksums"] = sorted(record["input_checksums"])
            booked[path.name] = record
    return booked


if __name__ == "__main__":
    main()
