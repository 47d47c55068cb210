"""What a restart costs that finds nothing to do: a finished campaign of some 10,000 files.

Run: .venv/bin/python benchmarks/restart.py [FOLDER]     a folder given is kept and used again
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.campaign.campaign import Campaign
from flareset.sdo.recordset import window_recordset
from flareset.standin.server import StandIn, running

ROOT = Path(__file__).parents[1]
# The same jobs and files as the campaign's, and nothing else: what Snakemake needs for itself.
EMPTY = ROOT / "benchmarks/empty.smk"
EVENTS, MINUTES, TIMES = 22, 92, 5
BEGIN = datetime(2014, 1, 7, tzinfo=UTC)
# Runs a script and says what it opened and read; the kernel counts the bytes.
WATCHED = """
import atexit, runpy, sys
opened = {".fits": set(), ".json": set()}
def watch(event, args):
    if event == "open" and isinstance(args[0], str):
        for end, names in opened.items():
            if args[0].endswith(end):
                names.add(args[0])
sys.addaudithook(watch)
def tell():
    read = int(open("/proc/self/io").readline().split()[1])
    print(f"    opened {len(opened['.fits'])} images, {len(opened['.json'])} notes;"
          f" read {read / 1e6:.1f} MB in all", file=sys.stderr)
atexit.register(tell)
sys.argv = sys.argv[1:]
sys.path.insert(0, SCRIPTS)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="restart-"))
    span = timedelta(minutes=MINUTES)
    many, one = top / "many", top / "one"
    if not (one / "results/summary.csv").exists():
        with running(StandIn(frame_size=128)) as server:
            make(many, server, [(BEGIN + n * span, BEGIN + (n + 1) * span) for n in range(EVENTS)])
            # One event over the same images: a single job that finds them all in the store.
            make(one, server, [(BEGIN, BEGIN + EVENTS * span)])
    images = list((top / "store").rglob("*.fits"))
    megabytes = sum(path.stat().st_size for path in images) / 1e6
    print(f"{len(images)} images of {megabytes:.0f} MB in the store; {EVENTS} events; median of"
          f" {TIMES} runs, the fastest in brackets")  # fmt: skip
    empty = top / "empty"
    if not empty.exists():
        (empty / "config").mkdir(parents=True)
        sizes = {"flares": EVENTS, "wavelengths": 1}
        (empty / "config/config.yaml").write_text(yaml.safe_dump(sizes))
        snakemake(empty, EMPTY)
    (top / "bare").mkdir(exist_ok=True)
    bare = top / "bare/Snakefile"
    bare.write_text("rule all:\n    default_target: True\n    input: 'Snakefile'\n")

    python = [sys.executable, "-c"]
    lap("python, an empty program", [*python, ""])
    lap("snakemake --version", [sys.executable, "-m", "snakemake", "--version"])
    lap("snakemake, no job", command(bare.parent, bare))
    lap("snakemake, the same jobs, empty", command(empty, EMPTY))
    lap("snakemake, the campaign", command(many))
    lap("snakemake -n, the campaign", [*command(many), "-n"])
    lap("snakemake, one event", command(one))
    download, environment = download_command(one)
    lap("download.py, one job, all there", download, one, environment)
    watched = [*python, WATCHED.replace("SCRIPTS", repr(str(ROOT / "scripts"))), *download[1:]]
    subprocess.run(watched, cwd=one, env=environment, stdout=subprocess.DEVNULL, check=True)


def make(folder: Path, server: StandIn, windows: list[tuple[datetime, datetime]]) -> None:
    """Run a campaign with an event in the middle of each window and every image of it."""
    config = {
        "archive": {"kind": "jsoc", "data_url": server.url},
        "fetch": "all",
        "store": "../store",
        "sample": {"pre": 40, "post": 40},
    }
    (folder / "config").mkdir(parents=True)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    names = "event_starttime,event_endtime,jsoc_start_time,jsoc_end_time"
    rows = []
    for begin, end in windows:
        middle = begin + (end - begin) / 2
        minute = timedelta(minutes=6)
        times = (middle - minute, middle + minute, begin, end - timedelta(seconds=1))
        rows.append(",".join(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in times))
    (folder / "config/events.csv").write_text("\n".join([names, *rows, ""]))
    (folder / "export_pages").mkdir()
    campaign = campaign_of(folder)
    for event in campaign.events.values():
        span = event.window_start, event.window_end
        page = server.page(str(window_recordset(campaign.series, *span, [131])))
        (folder / f"export_pages/{event.event_id}.html").write_text(page)
    begun = time.perf_counter()
    snakemake(folder, ROOT / "Snakefile")
    print(f"{folder.name}: made in {time.perf_counter() - begun:.0f} s")


def campaign_of(folder: Path) -> Campaign:
    """The campaign of a folder, read from there."""
    os.chdir(folder)
    return Campaign(yaml.safe_load((folder / "config/config.yaml").read_text()))


def command(folder: Path, snakefile: Path = ROOT / "Snakefile") -> list[str]:
    """Snakemake in a folder."""
    words = ["-m", "snakemake", "--snakefile", str(snakefile), "--directory", str(folder)]
    return [sys.executable, *words, "--cores", "2"]


def snakemake(folder: Path, snakefile: Path) -> None:
    """Run it; the output is shown where it fails."""
    done = subprocess.run(command(folder, snakefile), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def download_command(folder: Path) -> tuple[list[str], dict[str, str]]:
    """The only job of a campaign as its rule runs it, and the environment; outputs go elsewhere."""
    campaign = campaign_of(folder)
    ((event, wavelength),) = campaign.jobs
    environment = {**os.environ, **campaign.environment()}
    words = [
        "--job", f"results/events/{event}/{wavelength}", "--store", "../store",
        "--settings", f"results/settings/{campaign.settings_file('download')}",
        "--manifest", "manifest.csv", "--ledger", "ledger.csv", "--terminal", "/dev/null",
    ]  # fmt: skip
    return [sys.executable, str(ROOT / "scripts/download.py"), *words], environment


def lap(
    what: str, words: list[str], folder: Path | None = None, environment: dict | None = None
) -> None:
    """Print how long a command takes."""
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        seconds.append(time.perf_counter() - begun)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    print(f"{what:<34}{statistics.median(seconds):7.2f} s   ({min(seconds):.2f})", flush=True)


if __name__ == "__main__":
    main()
