"""Every layout of a release, loaded back by the library that people will use."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from support.judges import judged
from support.project import ROOT, Project

from flareset.campaign.checks import check_config
from flareset.campaign.settings import ArraysSettings, ReleaseSettings
from flareset.tables.csv import write_table

# Packs twice with the same flags, in one process: loading the libraries takes most of the time.
TWICE = """
import runpy, sys
script, *flags = sys.argv[1:]
for folder in ("release", "again"):
    sys.argv = [script, *flags, "--folder", folder, "--sum", folder + ".sha256"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code
"""
# Prints the sums of the images in an array.
SUMS = """
import hashlib, json, zarr
array = zarr.open_array("131", mode="r")
print(json.dumps([hashlib.sha256(image.tobytes()).hexdigest() for image in array[:]]))
"""


@pytest.fixture
def data(finished: Project, tmp_path: Path) -> Path:
    """Return the contents of a release: the small campaign, split as if it had more flares."""
    folder = tmp_path / "data_selection"
    shutil.copytree(finished.path("results/data_selection"), folder, copy_function=os.link)
    table = pd.read_csv(folder / "images.csv", dtype=str, keep_default_na=False)
    # A few of each are enough.
    table = table.groupby("event_id").head(5)
    table["split"] = table["event_id"].map(
        {"2014-01-07T180534": "train", "2014-02-24T235710": "test"}
    )
    write_table(table, folder / "images.csv")
    return folder


def test_every_layout_is_what_the_fits_are(data: Path, finished: Project, tmp_path: Path) -> None:
    terms = {
        "name": "two",
        "creators": ["Ada Lovelace"],
        "license": "CC0-1.0",
        "layouts": ["fits", "webdataset", "parquet", "zarr", "asdf"],
        "shard_size": "70kB",
    }
    settings = tmp_path / "release.json"
    settings.write_text(ReleaseSettings.of(check_config({"release": terms})).to_json())
    given = ["--data", data, "--ledgers", *finished.path("results/ledger").glob("*.csv")]
    given += ["--provenance", finished.path("results/provenance.json"), "--settings", settings]
    judged(tmp_path, "-c", TWICE, ROOT / "scripts/release.py", *given)
    sums = [(tmp_path / f"{name}.sha256").read_text() for name in ("release", "again")]
    assert sums[0] == sums[1]
    wrong = json.loads(judged(tmp_path, ROOT / "tests/judges/layouts.py", "release/two-1.0.0"))
    assert not wrong, "\n".join(f"{judge}: {told}" for judge, told in wrong.items())


def test_arrays_as_zarr(finished: Project, tmp_path: Path) -> None:
    """The array of a flare has the pixels of which its table has the sums."""
    job = finished.path("results/events/2014-01-07T180534/131")
    settings = tmp_path / "arrays.json"
    steps = {"steps": ["exposure", "block_mean"], "size": 32, "format": "zarr"}
    settings.write_text(ArraysSettings.of(check_config({"arrays": steps})).to_json())
    flags = ["--event", job.parent / "event.json", "--sample", job / "sample.csv"]
    flags += ["--store", finished.path("store"), "--settings", settings]
    flags += ["--folder", "131", "--arrays", "arrays.csv"]
    judged(tmp_path, ROOT / "scripts/calibrate.py", *flags)
    found = json.loads(judged(tmp_path, "-c", SUMS))
    assert found == list(pd.read_csv(tmp_path / "arrays.csv")["pixels_sha256"])
