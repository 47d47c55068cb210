"""Load a release by the libraries that people will use, and compare it with its FITS files.

Usage: layouts.py RELEASE. Writes a JSON object of what is wrong, by judge, to standard output.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import numpy as np
import pandas as pd
from astropy.io import fits

RELEASE = Path(sys.argv[1])
IMAGES = pd.read_csv(RELEASE / "images.csv", keep_default_na=False).drop_duplicates("filename")
LABELS = dict(zip(IMAGES["filename"], IMAGES["label"], strict=True))
SPLITS = dict(zip(IMAGES["filename"], IMAGES["split"], strict=True))
NAMES = {name.removesuffix(".fits").replace(".", "_"): name for name in LABELS}


def check(name: str, pixels: Any, label: int, split: str) -> str:
    """Compare an image, its label and its split with the FITS file and the table."""
    with fits.open(RELEASE / "data/fits" / name, do_not_scale_image_data=True) as hdus:
        stored = hdus[1].data
    pixels = np.asarray(pixels)
    assert pixels.shape == stored.shape, (name, pixels.shape, stored.shape)
    assert (pixels == stored).all(), name
    assert label == LABELS[name], (name, label)
    assert split == SPLITS[name], (name, split)
    return name


def all_of(names: list[str]) -> None:
    assert sorted(names) == sorted(LABELS), "not every image once"


def webdataset() -> None:
    import webdataset

    found = []
    for split in {*SPLITS.values()}:
        tars = sorted(map(str, (RELEASE / "data/webdataset").glob(f"{split}-*.tar")))
        # Small shards: there are several of each split.
        assert len(tars) > 1
        for sample in webdataset.WebDataset(tars, shardshuffle=False):
            pixels, row = np.load(io.BytesIO(sample["npy"])), json.loads(sample["json"])
            assert NAMES[sample["__key__"]] == row["filename"]
            assert pixels.dtype == np.int16
            found.append(check(row["filename"], pixels, int(sample["cls"]), split))
    all_of(found)


def parquet() -> None:
    from pyarrow import parquet

    found = []
    for path in sorted((RELEASE / "data/parquet").glob("*.parquet")):
        for row in parquet.read_table(path).to_pylist():
            split = path.name.split("-")[0]
            found.append(check(row["filename"], row["image"], row["label"], split))
    all_of(found)


def datasets() -> None:
    """As `load_dataset` reads the folder by its card."""
    import datasets

    loaded = datasets.load_dataset(str(RELEASE), cache_dir=str(RELEASE.parent / "cache"))
    assert loaded.keys() == {*SPLITS.values()}
    found = []
    for split, rows in loaded.items():
        assert rows.features["label"].names == ["no flare", "flare"]
        found += [check(row["filename"], row["image"], row["label"], split) for row in rows]
    all_of(found)


def zarr() -> None:
    import zarr

    root, found = zarr.open_group(RELEASE / "data/zarr", mode="r"), []
    for (event, wavelength), rows in IMAGES.groupby(["event_id", "wavelength"]):
        array = root[f"{event}/{wavelength}"]
        attributes = array.attrs
        assert array.metadata.zarr_format == 3
        for n, name in enumerate(attributes["filename"]):
            label, split = attributes["label"][n], attributes["split"][n]
            found.append(check(name, array[n], label, split))
        assert array.shape[0] == len(rows)
    all_of(found)


def asdf() -> None:
    import asdf

    found = []
    for path in sorted((RELEASE / "data/asdf").iterdir()):
        with asdf.open(path) as file:
            name = file["provenance"]["filename"]
            assert NAMES[path.stem] == name
            found.append(check(name, file["data"], file["label"], file["provenance"]["split"]))
            header = fits.getheader(RELEASE / "data/fits" / name, 1)
            for key in ("T_OBS", "WAVELNTH", "CRPIX1", "CDELT1", "EXPTIME"):
                assert file["header"][key] == header[key], (name, key)
            assert file["flare"]["event_id"] in set(IMAGES["event_id"])
    all_of(found)


def croissant() -> None:
    import mlcroissant

    metadata = mlcroissant.Dataset(RELEASE / "croissant.json")
    assert not metadata.metadata.ctx.issues.errors
    assert not metadata.metadata.ctx.issues.warnings, metadata.metadata.ctx.issues.warnings
    rows = list(metadata.records("images"))
    assert [row["images/filename"].decode() for row in rows] == [*_table()["filename"]]
    assert [row["images/label"] for row in rows] == [*_table()["label"]]
    for split in {*SPLITS.values()}:
        names = {r["images/filename"].decode() for r in rows if r["images/split"] == split.encode()}
        assert names == {name for name, each in SPLITS.items() if each == split}
    declared = [row["splits/name"] for row in metadata.records("splits")]
    assert {*declared} == {*SPLITS.values()}


def _table() -> pd.DataFrame:
    return pd.read_csv(RELEASE / "images.csv", keep_default_na=False)


def bagit() -> None:
    """A valid bag; and a byte of an image turned, which is found."""
    import bagit

    bag = bagit.Bag(str(RELEASE))
    bag.validate()
    victim = next((RELEASE / "data/webdataset").iterdir())
    whole = victim.read_bytes()
    try:
        victim.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
        assert not bagit.Bag(str(RELEASE)).is_valid()
    finally:
        victim.write_bytes(whole)


def rocrate() -> None:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(RELEASE)
    assert crate.root_dataset["license"]
    assert {entity.type for entity in crate.root_dataset["hasPart"]} == {"File", "Dataset"}
    assert crate.get("#selection")["instrument"]["name"] == "flareset"


JUDGES: list[Callable[[], None]] = [
    bagit, rocrate, croissant, webdataset, parquet, datasets, zarr, asdf,
]  # fmt: skip


def main() -> None:
    wrong = {}
    for judge in JUDGES:
        try:
            judge()
        except Exception:  # noqa: BLE001 - whatever a library raises is its judgement
            wrong[judge.__name__] = traceback.format_exc()
    print(json.dumps(wrong))


if __name__ == "__main__":
    main()
