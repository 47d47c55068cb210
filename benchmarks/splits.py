"""Leaks, split and audit of a large set: seconds, CPU seconds and MB of each script.

Run: .venv/bin/python benchmarks/splits.py [--flares 590] [--channels 7] [--images 475]

The set is made up: flares in regions of some weeks each within ten years, images in the rhythm of
AIA, all columns of images.csv. 590 x 7 x 475 are two million rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from cost import cost_of

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.campaign.config import Config
from flareset.campaign.events import Event
from flareset.label import with_splits
from flareset.split import read_splits, split_at_random
from flareset.tables.images import COLUMNS, OF_SPLITS

ROOT = Path(__file__).parents[1]
BEGIN = datetime(2010, 5, 1, tzinfo=UTC)
SERIES = "aia.lev1_euv_12s"
TIME = "%Y-%m-%dT%H:%M:%SZ"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flares", type=int, default=590)
    parser.add_argument("--channels", type=int, default=7)
    parser.add_argument("--images", type=int, default=475, help="of a flare and channel")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="splits-") as name:
        folder = Path(name)
        events = flares(args.flares)
        for event in events:
            (folder / f"{event.event_id}.json").write_text(event.to_json())
        print(f"{'script':<10}{'s':>8}{'CPU s':>8}{'MB':>8}")
        rows = [str(folder / f"{event.event_id}.json") for event in events]
        config = Config()
        linked = ["--buffer", "1d", "--group-by", *config.splits.group_by]
        measure("split", folder, "--events", *rows, "--seed=1", "--stratify=goes_class", *linked,
                "--splits", "splits.csv")  # fmt: skip
        write_images(folder, events, args.channels, args.images)
        measure("leaks", folder, "--images", "images.csv", "--seed=1", "--leaks", "leaks.csv",
                "--keywords", *config.leaks.keywords)  # fmt: skip
        measure("audit", folder, "--images", "images.csv", "--splits", "splits.csv", *linked,
                "--json", "audit.json", "--markdown", "audit.md")  # fmt: skip
        size = (folder / "images.csv").stat().st_size / 1e6
        print(f"images.csv has {size:.0f} MB and {len(events) * args.channels * args.images} rows")


def flares(count: int) -> list[Event]:
    """Flares in 300 regions of some weeks each, within ten years."""
    random = np.random.default_rng(1)
    regions = random.integers(0, 3500, 300)
    found = []
    for n, region in enumerate(random.integers(0, len(regions), count)):
        start = BEGIN + timedelta(days=float(regions[region] + random.exponential(3)))
        start = start.replace(microsecond=0)
        end = start + timedelta(minutes=float(random.integers(10, 120)))
        margin = timedelta(minutes=178)
        row = {"noaa_ar": str(11100 + region), "goes_class": "X1.2" if n % 15 == 0 else "M2.0"}
        found.append(
            Event(f"flare{n:04}", start, end, None, start - margin, end + margin, columns=row)
        )
    return sorted(found, key=lambda event: (event.flare_start, event.event_id))


def write_images(folder: Path, events: list[Event], channels: int, images: int) -> None:
    """Write images.csv, the channels of a flare one after the other."""
    random = np.random.default_rng(2)
    divided = read_splits(folder / "splits.csv")
    for n, event in enumerate(events):
        step = (event.window_end - event.window_start) / images
        times = pd.date_range(event.window_start, periods=images, freq=step).floor("12s")
        slot = np.tile(times.strftime(TIME), channels)
        time = pd.Series(np.tile(times, channels)) + timedelta(seconds=9)
        wavelength = np.repeat(131 + np.arange(channels), images)
        flare = ((time >= event.flare_start) & (time <= event.flare_end)).to_numpy()
        size = len(time)
        short = flare & (random.random(size) < 0.3)
        places = list(zip(slot, wavelength, strict=True))
        record = [f"{SERIES}[{s}][{w}]" for s, w in places]
        table = pd.DataFrame(
            {
                "event_id": event.event_id,
                "wavelength": wavelength,
                "phase": np.where(flare, "flare", "pre"),
                "label": flare.astype(int),
                "filename": [f"{SERIES}.{s}.{w}.fits" for s, w in places],
                "record": record,
                "slot": slot,
                "channels": channels,
                "time": time.dt.strftime(TIME),
                "QUALITY": "0x00000000",
                "EXPTIME": np.where(short, 0.25, 2.9) + random.integers(0, 1000, size) / 1e6,
                "AECTYPE": random.integers(0, 3, size),
                "proof": "datasum",
                "bytes": random.integers(7_000_000, 9_000_000, size),
                "sha256": [f"{a:016x}{b:048x}" for a, b in random.integers(0, 2**62, (size, 2))],
            }
        )  # fmt: skip
        known = [name for name in COLUMNS if name not in OF_SPLITS]
        table = table.reindex(columns=known).assign(**event.columns)
        table = with_splits(table, divided, split_at_random(record, 1, Config().splits.shares))
        table.to_csv(folder / "images.csv", mode="a", header=not n, index=False)


def measure(name: str, folder: Path, *args: str) -> None:
    """Run a script on files of a folder, and print what it costs."""
    files = (".csv", ".md", "audit.json")
    named = [str(folder / arg) if arg.endswith(files) else arg for arg in args]
    command = [sys.executable, str(ROOT / f"scripts/{name}.py"), *named]
    cost = cost_of(command, folder / "log")
    print(f"{name:<10}{cost.seconds:>8.1f}{cost.cpu:>8.1f}{cost.peak_mb:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
