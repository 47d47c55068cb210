"""How large the layouts of a release are and how fast they are read, against the FITS files.

Frames of the stand-in are packed in every layout. Then each is read as a training loop reads it:
all images once, in a shuffled order where a layout has an order to choose, as float32, in batches
of 8 whose mean is taken. `cold`: the system has dropped the files from its memory before.

    PYTHONPATH=.venv/judges python benchmarks/layouts.py [--side 1024] [--images 48]

The libraries are those of envs/requirements-judges.txt (`make judges`).
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.proof.image import read_image
from flareset.release.bag import Bag
from flareset.release.contents import Contents
from flareset.release.layouts import WRITERS
from flareset.sdo.flares import Flare
from flareset.sdo.times import iso, parse_utc
from flareset.standin.frames import Frame, Frames
from flareset.tables.images import COLUMNS, key_of

_START = parse_utc("2014-01-07 18:00:00")
_BATCH = 8


def made(folder: Path, side: int, count: int) -> Contents:
    """Return a data set of frames that are an hour and a half apart: each has its own noise."""
    raw = folder / "fits" / "raw"
    raw.mkdir(parents=True)
    flare = Flare("f", _START, _START + timedelta(days=9), None, 268.8, -115.2)
    frames, rows = Frames(side, [flare]), []
    for n in range(count):
        when = _START + timedelta(minutes=n * 90, seconds=10)
        name = f"aia.lev1_euv_12s.{when:%Y-%m-%dT%H%M%S}Z.131.image_lev1.fits"
        (raw / name).write_bytes(b"".join(frames.file(Frame.of(name))))
        row = dict.fromkeys(COLUMNS, "") | {"event_id": "f", "wavelength": 131, "label": n % 2}
        row |= {"filename": name, "time": iso(when), "split": "train", "sha256": f"{n:064x}"}
        row |= {"bytes": (raw / name).stat().st_size, "key": key_of(name)}
        rows.append(row)
    table = pd.DataFrame(rows)
    numbers = [name for name in table if (table[name] == "").all() and name.isupper()]
    table = table.assign(**dict.fromkeys([*numbers, "exposure_seconds", "blank", "channels"], 0))
    for name in ("start", "peak", "end"):
        table[f"minutes_from_{name}"] = 0.0
    return Contents(folder, table, table, pd.DataFrame(), {}, {}, Counter())


def of_fits(folder: Path) -> Iterator[np.ndarray]:
    for path in shuffled(sorted((folder / "data/fits").iterdir())):
        yield read_image(path)[1]


def of_webdataset(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted((folder / "data/webdataset").iterdir()):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".npy"):
                    yield np.load(io.BytesIO(tar.extractfile(member).read()))


def of_parquet(folder: Path) -> Iterator[np.ndarray]:
    from pyarrow import parquet

    for path in sorted((folder / "data/parquet").iterdir()):
        for batch in parquet.ParquetFile(path).iter_batches(_BATCH, columns=["image"]):
            for image in batch["image"]:
                rows = image.values
                yield rows.flatten().to_numpy().reshape(len(rows), -1)


def of_zarr(folder: Path) -> Iterator[np.ndarray]:
    import zarr

    array = zarr.open_group(folder / "data/zarr", mode="r")["f/131"]
    for n in shuffled([*range(array.shape[0])]):
        yield array[n]


def of_asdf(folder: Path) -> Iterator[np.ndarray]:
    import asdf

    for path in shuffled(sorted((folder / "data/asdf").iterdir())):
        with asdf.open(path) as file:
            yield np.asarray(file["data"])


READERS: dict[str, Callable[[Path], Iterator[np.ndarray]]] = {
    "fits": of_fits,
    "webdataset": of_webdataset,
    "parquet": of_parquet,
    "zarr": of_zarr,
    "asdf": of_asdf,
}


def shuffled(items: list) -> list:
    """Return items in an order by chance, the same each time."""
    return [items[n] for n in np.random.default_rng(7).permutation(len(items))]


class Loop(NamedTuple):
    """Images that a loop takes in a second, and in a second of CPU; the mean of all, as a check."""

    a_second: float
    a_cpu_second: float
    mean: float


def trained(images: Iterator[np.ndarray]) -> Loop:
    """Loop over images as a training does."""
    begun, cpu = time.perf_counter(), time.process_time()
    batch, means, count = [], [], 0
    for image in images:
        batch.append(image.astype(np.float32))
        count += 1
        if len(batch) == _BATCH:
            means.append(np.stack(batch).mean(dtype=np.float64))
            batch = []
    seconds, worked = time.perf_counter() - begun, time.process_time() - cpu
    return Loop(count / seconds, count / worked, float(np.mean(means)))


def forget(folder: Path) -> None:
    """Have the system drop the files of a folder from its memory."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--images", type=int, default=48)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        contents = made(Path(place) / "data_selection", args.side, args.images)
        bag = Bag(Path(place) / "release")
        for layout, write in WRITERS.items():
            write(contents, bag, 64 * 10**6)
            folder = bag.folder / "data" / layout
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            trained(READERS[layout](bag.folder))
            forget(folder)
            cold = trained(READERS[layout](bag.folder))
            warm = max(trained(READERS[layout](bag.folder)) for _ in range(2))
            rows.append((layout, size, cold, warm))
    _, fits_size, _, fits_warm = rows[0]
    assert len({round(warm.mean, 6) for *_, warm in rows}) == 1, "not the same pixels"
    table = [
        [
            *(layout, size / fits_size, cold.a_second, warm.a_second, warm.a_cpu_second),
            warm.a_cpu_second / fits_warm.a_cpu_second,
        ]
        for layout, size, cold, warm in rows
    ]
    heads = ["layout", "size / FITS", "cold", "warm", "a second of CPU", "CPU: / FITS"]
    digits = ("", ".2f", ".0f", ".0f", ".0f", ".1f")
    print(tabulate(table, heads, tablefmt="github", floatfmt=digits))


if __name__ == "__main__":
    main()
