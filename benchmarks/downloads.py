"""Time to an event of 460 verified files of 12 MB, beside other clients, from nginx on loopback.

Run: .venv/bin/python benchmarks/downloads.py [--target /dev/shm] [--json FILE]
Needs the Debian packages nginx-light, aria2 and curl, and parfive (sunpy[net]).

Only flareset's files are verified, labelled with their record and synced to the disk at the end;
the others' are counted here, outside of their time.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from cost import cost_of
from flare import ID, WAVELENGTH, MadeFlare, check_room
from nginx import LIMIT, needed, nginx
from stages import draw_command

from flareset.campaign.campaign import Campaign
from flareset.proof.fits import Asked, ImageCheck

HERE = Path(__file__).parent
SCRIPTS = HERE.parent / "scripts"
RATES = ("limited", "unlimited")
# As large as the pieces in which a file arrives.
_CHUNK = 1 << 18


def main() -> None:
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files-count", type=int, default=460, help="images of the event")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, one after the other")
    parser.add_argument("--connections", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--rates", type=some_of(RATES), default=list(RATES))
    parser.add_argument("--tools", type=some_of(TOOLS), default=list(TOOLS))
    parser.add_argument("--frame-size", type=int, default=4096, help="smaller: to try it out")
    parser.add_argument(
        "--files",
        type=Path,
        default=temporary / "flareset-benchmark",
        help="where the server's files are made, and found again by the next run",
    )
    parser.add_argument("--target", type=Path, default=temporary, help="where they are fetched to")
    parser.add_argument("--json", type=Path, help="append each run to this file, as a line")
    parser.add_argument("--report", type=Path, help="only print the table of such a file")
    parser.add_argument(
        "--verify-speed", action="store_true", help="only measure how fast one core verifies"
    )
    args = parser.parse_args()

    if args.report:
        print(table([json.loads(line) for line in args.report.read_text().splitlines()]))
    elif args.verify_speed:
        verify_speed(args.files / str(args.frame_size), args.frame_size)
    else:
        print(table(list(compare(args))))


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """What reads known words with commas between them."""

    def read(text: str) -> list[str]:
        if strange := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(strange)}: not of {', '.join(known)}")
        return text.split(",")

    return read


def compare(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run every tool as often as asked, in turns; yields what each run took."""
    flare, files = MadeFlare(args.files_count), args.files / str(args.frame_size)
    # Read once, so that nobody waits for the server's disk.
    made = sum(len(path.read_bytes()) for path in flare.write_files(files, args.frame_size))
    print(f"{args.files_count} files, {made / args.files_count / 1e6:.1f} MB each, in {files}\n")
    check_room(args.target, made)
    with (
        tempfile.TemporaryDirectory(prefix="downloads-", dir=args.target) as target,
        nginx(files) as servers,
    ):
        for number, rate, connections, tool in turns(args):
            run = measure(tool, connections, flare, servers[rate], Path(target) / "run")
            if run["bytes"] != made:
                sys.exit(f"{tool}: {run['files']} files of {run['bytes']} bytes came, not {made}")
            run = {"round": number, "rate": rate, **run}
            print(json.dumps(run), file=sys.stderr)
            if args.json:
                with open(args.json, "a") as out:
                    out.write(json.dumps(run) + "\n")
            yield run


def turns(args: argparse.Namespace) -> Iterator[tuple[int, str, int, str]]:
    """Round, rate, connections and tool of each run; the loop has one connection, once a round."""
    for number in range(args.rounds):
        # Whoever comes first in one round comes last in the next.
        first = number % len(args.tools)
        for rate in args.rates:
            for connections in args.connections:
                for tool in args.tools[first:] + args.tools[:first]:
                    if tool != "requests":
                        yield number, rate, connections, tool
                    elif connections == args.connections[0]:
                        yield number, rate, 1, tool


def measure(
    tool: str, connections: int, flare: MadeFlare, server: str, folder: Path
) -> dict[str, Any]:
    """What a tool takes to fetch a flare's images into a new folder, which is then removed."""
    (folder / "files").mkdir(parents=True)
    command = TOOLS[tool](flare, server, folder, connections)
    os.sync()
    cost = cost_of(command, folder / "log")
    if tool == "flareset":
        check_manifest(folder / ID / str(WAVELENGTH) / "manifest.csv", flare)
    sizes = [path.stat().st_size for path in (folder / "files").rglob("*.fits")]
    shutil.rmtree(folder)
    found = {"files": len(sizes), "bytes": sum(sizes)}
    return {"tool": tool, "connections": connections, **found, **cost._asdict()}


def flareset(flare: MadeFlare, server: str, folder: Path, connections: int) -> list[str]:
    """What the workflow runs, behind a listing made from the saved page, and a draw from it."""
    reach = {"data_url": server, "connections": connections}
    campaign = Campaign({**flare.campaign(folder, reach), "fetch": "all"})
    job = folder / ID / str(WAVELENGTH)
    job.mkdir(parents=True)
    event = job.parent / "event.json"
    event.write_text(campaign.events[ID].to_json())

    def script(name: str, *args: str | Path) -> list[str]:
        settings = folder / f"{name}.json"
        settings.write_text(campaign.settings(name))
        words = ["--settings", settings, "--data-url", server, *args]
        words += ["--connections", connections]
        return [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, words)]

    page = ["--event", event, "--wavelength", str(WAVELENGTH), "--page", folder / f"{ID}.html"]
    made = ["--listing", job / "listing.csv", "--records", job / "records.csv"]
    cost_of(script("list", *page, *made, "--facts", job / "export.json"), folder / "list.log")
    cost_of(draw_command(campaign, job), folder / "draw.log")
    left = ["--manifest", job / "manifest.csv", "--ledger", folder / "ledger.csv"]
    return script("download", "--job", job, "--store", folder / "files", *left)


def aria2c(flare: MadeFlare, server: str, folder: Path, connections: int) -> list[str]:
    """aria2c, with one connection for each file."""
    into = ["--no-conf", "--quiet", "--file-allocation=none", "-d", str(folder / "files")]
    number = ["-j", str(connections), "-x", "1", "-s", "1"]
    return [needed("aria2c", "aria2"), *into, *number, "-i", url_list(flare, server, folder)]


def curl(flare: MadeFlare, server: str, folder: Path, connections: int) -> list[str]:
    """curl --parallel, with a config of URLs."""
    config = folder / "config"
    config.write_text("".join(f'url = "{url}"\n' for url in flare.urls(server)))
    quiet = ["--disable", "--fail", "--silent", "--show-error"]
    parallel = ["--parallel", "--parallel-immediate", "--parallel-max", str(connections)]
    into = ["--remote-name-all", "--output-dir", str(folder / "files")]
    return [needed("curl", "curl"), *quiet, *parallel, *into, "--config", str(config)]


def parfive(flare: MadeFlare, server: str, folder: Path, connections: int) -> list[str]:
    """parfive, which sunpy's Fido uses."""
    given = [url_list(flare, server, folder), str(folder / "files"), str(connections)]
    return [sys.executable, str(HERE / "clients.py"), "parfive", *given]


def requests(flare: MadeFlare, server: str, folder: Path, connections: int) -> list[str]:
    """The notebook's loop."""
    given = [url_list(flare, server, folder), str(folder / "files"), str(connections)]
    return [sys.executable, str(HERE / "clients.py"), "requests", *given]


def url_list(flare: MadeFlare, server: str, folder: Path) -> str:
    """A file with a URL on each line."""
    (folder / "urls").write_text("\n".join(flare.urls(server)))
    return str(folder / "urls")


TOOLS = {
    "flareset": flareset, "aria2c": aria2c, "curl": curl, "parfive": parfive, "requests": requests
}  # fmt: skip


def check_manifest(path: Path, flare: MadeFlare) -> None:
    """End the script where a manifest has not all of a flare's images, or one is not verified."""
    rows = list(csv.DictReader(path.open()))
    good = sorted(row["filename"] for row in rows if row["status"] == "verified")
    if good != sorted(flare.names):
        sys.exit(f"{path}: {len(good)} of {flare.images} images are verified")


def table(runs: list[dict[str, Any]]) -> str:
    """The medians of all runs as a Markdown table, for each rate and number of connections."""
    lines = [
        f"limited: {LIMIT} MiB/s a connection. Medians; the ratio is that to aria2c's seconds.",
        "",
        "| rate | connections | tool | runs | seconds | from, to | ratio | MB/s | CPU s"
        " | CPU s/GB | peak MB |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]

    def kind(run: dict[str, Any]) -> tuple[str, int]:
        return run["rate"], run["connections"]

    for (rate, connections), same in groupby(sorted(runs, key=kind), kind):
        found = list(same)
        by_tool = {tool: [run for run in found if run["tool"] == tool] for tool in TOOLS}
        rival = [run["seconds"] for run in by_tool["aria2c"]]
        for tool, those in by_tool.items():
            if not those:
                continue
            seconds = [run["seconds"] for run in those]
            middle, gigabytes = statistics.median(seconds), those[0]["bytes"] / 1e9
            cpu, peak = (statistics.median(run[key] for run in those) for key in ("cpu", "peak_mb"))
            ratio = f"{middle / statistics.median(rival):.2f}" if rival else ""
            cells = [
                rate, connections, tool, len(those), f"{middle:.2f}",
                f"{min(seconds):.2f}, {max(seconds):.2f}", ratio, f"{1e3 * gigabytes / middle:.0f}",
                f"{cpu:.2f}", f"{cpu / gigabytes:.2f}", f"{peak:.0f}",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def verify_speed(files: Path, frame_size: int) -> None:
    """Print how many MB a second one core verifies of a file that is in memory."""
    flare = MadeFlare(1)
    (path,), (record,) = flare.write_files(files, frame_size), flare.records
    data = path.read_bytes()
    pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    asked = Asked(record.query(), record.t_rec, WAVELENGTH, frozenset({"image"}), record.time)

    def whole() -> None:
        check = ImageCheck(asked)
        for piece in pieces:
            check.feed(piece)
        check.finish(path)

    def digest() -> None:
        found = hashlib.sha256()
        for piece in pieces:
            found.update(piece)

    for what, work in (("verified", whole), ("sha256 alone", digest)):
        took = []
        for _ in range(20):
            begun = time.process_time()
            work()
            took.append(time.process_time() - begun)
        speed = len(data) / 1e6 / statistics.median(took)
        print(f"{what:<14}{speed:8.0f} MB/s of CPU time, a file of {len(data) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
