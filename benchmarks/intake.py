"""Time to take in flare lists: made-up ones of some thousand flares, or your own.

Run: .venv/bin/python benchmarks/intake.py [--flares N] [--rounds N] [LIST ...]
Each round is a process of its own: reading, cleaning, merging, selecting and writing.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cost import cost_of

SCRIPTS = Path(__file__).parents[1] / "scripts"
SETTINGS = '{"origin": "jsoc", "intake": {"lists": []}}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lists", nargs="*", help="flare lists instead of two that are made up")
    parser.add_argument("--flares", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(SETTINGS)
        first, second = made_up(folder, args.flares)
        given = [[str(Path(path).resolve()) for path in args.lists]]
        for lists in given if args.lists else ([first], [first, second]):
            command = [
                sys.executable, str(SCRIPTS / "intake.py"), "--settings",
                str(folder / "settings.json"), "--events", str(folder / "events.csv"),
                "--lists", *lists,
            ]  # fmt: skip
            costs = [cost_of(command, folder / "log") for _ in range(args.rounds)]
            seconds = [cost.seconds for cost in costs]
            with (folder / "flares.csv").open(newline="") as table:
                flares = sum(1 for _ in csv.reader(table)) - 1
            print(
                f"{len(lists)} lists, {flares} flares: {statistics.median(seconds):.1f} s"
                f" ({min(seconds):.1f} to {max(seconds):.1f}), CPU {costs[-1].cpu:.1f} s,"
                f" {costs[-1].peak_mb:.0f} MB"
            )


def made_up(folder: Path, number: int) -> tuple[str, str]:
    """Write a list as SWPC has flares, with times as clocks, and one as SSW, with positions."""
    chance = random.Random(1)
    start = datetime(2010, 6, 1)
    swpc = ["date,start_time,max_time,end_time,goes_sat,goes_channel,goes_class,noaa_ar"]
    ssw = ["EName,start,stop,peak,goes_class,derived_position"]
    for _ in range(number):
        start += timedelta(minutes=chance.randrange(40, 800))
        peak = start + timedelta(minutes=chance.randrange(2, 30))
        end = peak + timedelta(minutes=chance.randrange(2, 60))
        goes_class = f"{chance.choice('CCCCCM')}{chance.randrange(10, 99) / 10}"
        clocks = ",".join(f"{time:%H%M}" for time in (start, peak, end))
        swpc.append(f"{start:%Y%m%d},{clocks},G15,1-8A,{goes_class},11944")
        place = f"S{chance.randrange(5, 30):02}W{chance.randrange(80):02} ( 1944 )"
        ssw.append(
            f"gev_{start:%Y%m%d_%H%M},{start:%Y/%m/%d %H:%M:%S},{end:%H:%M:%S},{peak:%H:%M:%S},"
            f"{goes_class},{place}"
        )
    for name, lines in (("swpc.csv", swpc), ("ssw.csv", ssw)):
        (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / "swpc.csv"), str(folder / "ssw.csv")


if __name__ == "__main__":
    main()
