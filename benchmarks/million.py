"""Partition, draw, ledger and labels of a million listed images: seconds and peak memory.

Run: .venv/bin/python benchmarks/million.py [--draw-all]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.campaign.events import Event
from flareset.job import Job
from flareset.label import label_images, read_samples, write_labels
from flareset.ledger import ledger, write_ledger
from flareset.partition import partition
from flareset.sample import Quota, choose, draw, sample_table, sampling_log, shortages
from flareset.sdo.series import SERIES
from flareset.tables.listing import PageFacts, read_listing, write_listing
from flareset.tables.manifest import COLUMNS
from flareset.tables.records import no_records


def main() -> None:
    number = 1_000_000
    series = SERIES["aia.lev1_euv_12s"]
    begin = datetime(2014, 1, 1, 0, 0, 1, tzinfo=UTC)
    span = timedelta(seconds=12 * number)
    event = Event("e", begin + span / 3, begin + 2 * span / 3, None, begin, begin + span)
    times = pd.Timestamp(begin) + pd.to_timedelta(np.arange(number) * 12, unit="s")
    stamps = times.strftime("%Y-%m-%dT%H:%M:%SZ")
    names = "aia.lev1_euv_12s." + times.strftime("%Y-%m-%dT%H%M%SZ") + ".131.image_lev1.fits"
    listing = pd.DataFrame(
        {
            "record": "aia.lev1_euv_12s[" + stamps + "][131]",
            "t_rec": times,
            "wavelength": 131,
            "segment": "image",
            "filename": names,
            "url": "https://jsoc1.stanford.edu/SUM1/D1/S00000/" + names,
            "time": times,
        }
    )
    manifest = pd.DataFrame("", index=range(number), columns=COLUMNS).assign(
        record=listing["record"], filename=names, path=names, status="verified", tries=1,
        bytes=pd.array([1] * number, dtype="Int64"), QUALITY="0",
    )  # fmt: skip
    everything = "--draw-all" in sys.argv
    each, around = (5, number // 3) if everything else (1, 178)
    quota = Quota(1, {"pre": around, "flare": each, "post": around}, "exclude")
    folder = Path(tempfile.mkdtemp())
    begun = last = time.perf_counter()

    def lap(what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"{what:<28}{now - last:8.1f} s")
        last = now

    images = partition(listing, event)
    lap("partition")
    candidates = draw(images, "e", 131, quota)
    chosen = choose(candidates, pd.Series(True, index=candidates.index), quota)
    lap("draw")
    sampling_log(images, chosen).to_csv(folder / "log.csv", index=False)
    lap("sampling log")
    short = shortages(chosen, event, quota)
    facts = PageFacts("", number, number, "", "url", "fits")
    job = Job(event, 131, series, "image", listing, facts, no_records())
    booked = ledger(job, manifest, short)
    lap("ledger")
    sample = sample_table(chosen, manifest, "e", 131).assign(bytes=1)
    sample.to_csv(folder / "sample.csv", index=False)
    labelled = label_images(read_samples([folder / "sample.csv"]), [event])
    write_labels(labelled, folder)
    lap(f"labels of {len(labelled)} drawn")
    print(f"{'together':<28}{last - begun:8.1f} s")
    write_ledger(booked, folder / "ledger.csv")
    lap("writing the ledger")
    write_listing(images.drop(columns="url"), folder / "partition.csv")
    lap("writing partition.csv")
    read_listing(folder / "partition.csv")
    lap("reading partition.csv")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'peak memory':<28}{peak:8.2f} GB")


if __name__ == "__main__":
    main()
