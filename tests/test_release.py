"""The release: the content of the bag, the same bytes twice, and what must not be published."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.io import fits
from support.project import Project

from flareset.arrays.calibrate import Calibration, read_sample, write_arrays
from flareset.campaign.checks import check_config
from flareset.campaign.config import Arrays
from flareset.campaign.events import read_event
from flareset.errors import ConfigError, FlaresetError, ReleaseError
from flareset.proof.image import read_image
from flareset.release.bundle import date_of, pack
from flareset.release.contents import Contents, read_contents
from flareset.release.layouts import needed
from flareset.release.terms import Terms
from flareset.tables.csv import write_table

TERMS = Terms(
    name="two_flares",
    version="1.0.0",
    title="",
    creators=("Ada Lovelace 0000-0002-1825-0097", "The solar group"),
    license="CC-BY-4.0",
    url=None,
    date="2026-11-26",
    changes="",
    layouts=("fits", "webdataset"),
    shard_size=10 * 128 * 128 * 2,
)


def contents_of(project: Project) -> Contents:
    results = project.path("results")
    ledgers = sorted((results / "ledger").glob("*.csv"))
    return read_contents(results / "data_selection", ledgers, results / "provenance.json")


@pytest.fixture(scope="module")
def contents(finished: Project) -> Contents:
    """Return the small campaign, with splits as if it had more flares."""
    found = contents_of(finished)
    splits = {"2014-01-07T180534": "train", "2014-02-24T235710": "test"}
    for table in (found.images, found.files):
        table["split"] = table["event_id"].map(splits)
    return found


@pytest.fixture(scope="module")
def release(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release of the small campaign; nobody changes it."""
    folder = tmp_path_factory.mktemp("release")
    pack(contents, TERMS, folder)
    return folder / "two_flares-1.0.0"


def loader_of(release: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("loader", release / "loader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_in_it(release: Path, contents: Contents) -> None:
    """Every file is in one of the manifests, with its sum as sha256sum has it."""
    found = {p.relative_to(release).as_posix(): p for p in release.rglob("*") if p.is_file()}
    told = {}
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        for line in (release / manifest).read_text().splitlines():
            sum_, path = line.split("  ", 1)
            told[path] = sum_
    assert found.keys() == {*told, "tagmanifest-sha256.txt"}
    for path, sum_ in told.items():
        assert hashlib.sha256(found[path].read_bytes()).hexdigest() == sum_, path
    names = {
        "README.md", "images.csv", "splits.csv", "leaks.csv", "audit.json", "loader.py",
        "croissant.json", "ro-crate-metadata.json", "CITATION.cff", "bagit.txt", "bag-info.txt",
        "manifest-sha256.txt",
    }  # fmt: skip
    assert {path for path in told if not path.startswith("data/")} == names
    for table in ("images.csv", "splits.csv", "leaks.csv", "audit.json"):
        assert (release / table).read_bytes() == (contents.folder / table).read_bytes()


def test_images_are_links(release: Path, contents: Contents) -> None:
    for name in contents.files["filename"]:
        assert os.path.samefile(release / "data/fits" / name, contents.path(name))


def test_the_same_twice(release: Path, contents: Contents, tmp_path: Path) -> None:
    again = pack(contents, TERMS, tmp_path)
    sums = "tagmanifest-sha256.txt"
    assert (tmp_path / "two_flares-1.0.0" / sums).read_bytes() == (release / sums).read_bytes()
    assert hashlib.sha256((release / sums).read_bytes()).hexdigest() == again
    # A version that is there with the same sums stays as it is.
    there = (tmp_path / "two_flares-1.0.0").stat()
    assert pack(contents, TERMS, tmp_path) == again
    assert (tmp_path / "two_flares-1.0.0").stat().st_ino == there.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["two_flares-1.0.0"]
    assert date_of(tmp_path / "two_flares-1.0.0") == "2026-11-26"
    assert date_of(tmp_path / "another") == ""


def test_the_card_says_what_the_run_left(release: Path, contents: Contents) -> None:
    text = (release / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    # Without a layout that `datasets` reads rightly, it gets the table.
    files = [{"split": "all", "path": "images.csv"}]
    assert front["configs"] == [{"config_name": "default", "data_files": files}]
    for sentence in (
        "# two_flares: labelled SDO images of 2 flares",
        "**A rehearsal: the images are made up, nothing was observed.**",
        f"{len(contents.files)} images of 2 solar flares",
        "Exposures: all that there are",
        "by seed 7",
        "Audit: **no split**",
        "Ada Lovelace; The solar group (2026): two_flares",
        "Pillow opens the compressed table",
    ):
        assert sentence in text, sentence
    for keyword in contents.leaks.loc[contents.leaks["kind"] != "time", "keyword"]:
        assert f"| {keyword} " in text
    for status, reason in contents.gaps:
        assert re.search(rf"\| {status} +\| {re.escape(reason)} +\|", text)


def test_citation_and_crate(release: Path) -> None:
    cff = yaml.safe_load((release / "CITATION.cff").read_text())
    assert cff["authors"] == [
        {"name": "Ada Lovelace", "orcid": "https://orcid.org/0000-0002-1825-0097"},
        {"name": "The solar group"},
    ]
    assert (cff["license"], cff["version"]) == ("CC-BY-4.0", "1.0.0")
    crate = json.loads((release / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in crate}
    named = [each["@id"] for each in entities["./"]["hasPart"]]
    assert all((release / name).exists() for name in named)
    # Whatever is referred to is described.
    referred = set(re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(crate)))
    assert referred - {"https://w3id.org/ro/crate/1.1"} <= entities.keys()


@pytest.mark.parametrize("layouts", [("fits",), ("webdataset",)], ids="".join)
def test_the_loader_gives_the_images(
    contents: Contents, tmp_path: Path, layouts: tuple[str, ...]
) -> None:
    pack(contents, replace(TERMS, layouts=layouts), tmp_path)
    release = tmp_path / "two_flares-1.0.0"
    loader = loader_of(release)
    images = loader.Images(release)
    assert len(images) == len(contents.files)
    expected = contents.files.set_index("filename")
    for n, (name,) in enumerate(images.names):
        pixels, label = images[n]
        assert pixels.dtype == np.float32
        assert label == expected.loc[name, "label"]
        np.testing.assert_array_equal(pixels, fits.getdata(contents.path(name)))
    assert len(loader.Images(release, "train", column="split_leaky")) == sum(
        contents.images["split_leaky"] == "train"
    )
    with pytest.raises(ValueError, match=r"no image of the release is at \[94\] angstrom"):
        loader.Images(release, channels=(94, 131))
    with pytest.raises(ValueError, match="no image of the release has split 'trian'"):
        loader.Images(release, "trian")


def test_the_loader_feeds_torch(release: Path) -> None:
    """One epoch of torch's DataLoader has each image and label once."""
    torch = pytest.importorskip("torch", reason="torch is in no environment of the project")
    images = loader_of(release).Images(release)
    batches = [*torch.utils.data.DataLoader(images, batch_size=4, shuffle=True, num_workers=0)]
    pixels, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.float32, (len(images), 128, 128))
    expected = sorted((label, float(image.sum())) for image, label in images)
    found = zip(labels.tolist(), pixels.sum(dim=(1, 2)).tolist(), strict=True)
    np.testing.assert_allclose(sorted(found), expected, rtol=1e-5)


def test_the_loader_stacks_channels(release: Path, tmp_path: Path) -> None:
    """As if the images of one flare were those of two channels."""
    copy = shutil.copytree(release, tmp_path / "copy")
    table = pd.read_csv(copy / "images.csv").iloc[:10]
    table["wavelength"] = [131, 171] * 5
    table["slot"] = [f"s{n // 2}" for n in range(10)]
    table.iloc[:9].to_csv(copy / "images.csv", index=False)
    images = loader_of(copy).Images(copy, channels=(171, 131))
    assert len(images) == 4
    pixels, label = images[1]
    assert pixels.shape == (2, 128, 128)
    assert label == table["label"][2]
    np.testing.assert_array_equal(
        pixels[0], fits.getdata(copy / "data/fits" / table["filename"][3])
    )


def an_audit_that_failed(contents: Contents) -> Contents:
    return replace(contents, audit={**contents.audit, "breaches": ["a region in two splits"]})


def an_image_that_failed(contents: Contents) -> Contents:
    history = json.loads(json.dumps(contents.history))
    history["events"][1]["statuses"]["failed"] = 1
    return replace(contents, history=history)


def a_file_that_is_shorter(contents: Contents) -> Contents:
    return replace(contents, files=contents.files.assign(bytes=contents.files["bytes"] + 1))


def no_image(contents: Contents) -> Contents:
    return replace(contents, images=contents.images.iloc[:0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (an_audit_that_failed, "the audit failed: 1 breaches; the first: a region in two splits"),
        (an_image_that_failed, "131: 1 images failed, and completeness.allow_missing is 0"),
        (a_file_that_is_shorter, "bytes, and had .* when it was verified: run `snakemake repair`"),
        (no_image, "no image was drawn"),
    ],
)
def test_what_is_not_released(
    contents: Contents, tmp_path: Path, change: Callable[[Contents], Contents], sentence: str
) -> None:
    with pytest.raises(ReleaseError, match=sentence):
        pack(change(contents), TERMS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_failures_that_are_allowed_are_released(contents: Contents, tmp_path: Path) -> None:
    failed = an_image_that_failed(contents)
    failed.history["config"]["completeness"]["allow_missing"] = 1
    assert pack(failed, replace(TERMS, layouts=("fits",)), tmp_path)


@pytest.mark.parametrize("where", ["creators", "events.csv", "header", "header in asdf"])
def test_no_address_is_published(
    contents: Contents, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = TERMS
    if where == "header in asdf":
        # It is refused before asdf has anything to do.
        monkeypatch.setitem(sys.modules, "asdf", ModuleType("asdf"))
        where, terms = "header", replace(TERMS, layouts=("asdf",))
    if where == "creators":
        terms = replace(TERMS, creators=("Ada <ada@example.org>",))
    else:
        folder = shutil.copytree(contents.folder, tmp_path / "data", copy_function=os.link)
        contents = replace(contents, folder=folder)
    if where == "events.csv":
        table = pd.read_csv(folder / "images.csv").assign(observer="ada@example.org")
        write_table(table, folder / "images.csv")
    if where == "header":
        name = contents.files["filename"][0]
        with fits.open(contents.path(name)) as hdus:
            hdus[1].header["OBSERVER"] = "ada@example.org"
            contents.path(name).unlink()
            hdus.writeto(contents.path(name))
    place = {"creators": "README.md", "events.csv": "images.csv", "header": r"aia\..*fits"}[where]
    with pytest.raises(ReleaseError, match=rf"^{place}, line \d+: an e-mail address") as told:
        pack(contents, terms, tmp_path / "release")
    assert "ada@" not in str(told.value)
    assert not list((tmp_path / "release").glob("*"))


def test_a_version_with_other_sums_stays(contents: Contents, tmp_path: Path) -> None:
    terms = replace(TERMS, layouts=("fits",))
    pack(contents, terms, tmp_path)
    sums = (tmp_path / "two_flares-1.0.0/tagmanifest-sha256.txt").read_bytes()
    with pytest.raises(ReleaseError, match=r"would have other sums now: raise release\.version"):
        pack(contents, replace(terms, changes="a word"), tmp_path)
    assert (tmp_path / "two_flares-1.0.0/tagmanifest-sha256.txt").read_bytes() == sums
    assert pack(contents, replace(terms, changes="a word", version="1.0.1"), tmp_path)
    (tmp_path / "two_flares-1.0.0/tagmanifest-sha256.txt").unlink()
    with pytest.raises(ReleaseError, match="would have other sums now"):
        pack(contents, terms, tmp_path)


@pytest.mark.parametrize("key", ["name", "creators", "license"])
def test_terms_that_are_needed(key: str) -> None:
    with pytest.raises(ReleaseError, match=f"release.{key} is empty"):
        replace(TERMS, **{key: ""})
    given = {"name": "n", "creators": ["A"], "license": "CC0-1.0"}
    assert check_config({"release": given}).release.folder == "n-1.0.0"
    with pytest.raises(ConfigError, match=f"release.{key}: is empty: nothing is published"):
        check_config({"release": {each: given[each] for each in given if each != key}})


def test_arrays_that_nobody_makes() -> None:
    given = {"name": "n", "creators": ["A"], "license": "CC0-1.0", "images": "arrays"}
    with pytest.raises(ConfigError, match=r"release\.images: arrays: set arrays\.steps"):
        check_config({"release": given})


def test_a_layout_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(FlaresetError, match=r"zarr needs zarr: .* pip install 'zarr>=3'"):
        needed("zarr")


def test_one_image_in_two_flares(contents: Contents, finished: Project, tmp_path: Path) -> None:
    """One file, label 1 where any flare says so; both rows stay in the table."""
    folder = shutil.copytree(contents.folder, tmp_path / "data", copy_function=os.link)
    table = pd.read_csv(folder / "images.csv", dtype=str, keep_default_na=False)
    flare = table[table["label"] == "1"].iloc[0]
    other = flare.copy()
    other["event_id"], other["label"], other["phase"] = "2014-01-07T170000", "0", "post"
    write_table(pd.concat([pd.DataFrame([other]), table]), folder / "images.csv")
    ledgers = sorted(finished.path("results/ledger").glob("*.csv"))
    found = read_contents(folder, ledgers, finished.path("results/provenance.json"))
    assert len(found.images) == len(found.files) + 1
    assert found.files.set_index("filename").loc[flare["filename"], "label"] == 1


def test_arrays_take_the_place_of_pixels(
    contents: Contents, finished: Project, tmp_path: Path
) -> None:
    """In every layout but `fits`, with their table and the place that they show."""
    job = finished.path("results/events/2014-01-07T180534/131")
    arrays = tmp_path / "arrays"
    settings = Arrays(steps=("exposure", "crop", "block_mean"), size=16, box=600)
    event = read_event(job.parent / "event.json")
    folder = arrays / event.event_id / "131"
    samples = read_sample(job / "sample.csv")
    calibration = Calibration(event, settings, None)
    table = write_arrays(samples, calibration, finished.path("store"), folder, "npy")
    write_table(table, arrays / "arrays.csv")
    (arrays / "arrays.json").write_text(json.dumps(settings.model_dump(mode="json")))
    of_one = contents.images["event_id"] == event.event_id
    files = contents.files[contents.files["event_id"] == event.event_id]
    found = replace(contents, images=contents.images[of_one], files=files, arrays=arrays)
    pack(found, TERMS, tmp_path)
    release = tmp_path / "two_flares-1.0.0"
    images = loader_of(release).Images(release)
    assert "(float32): exposure, crop, block_mean." in (release / "README.md").read_text()
    assert (release / "arrays.csv").read_bytes() == (arrays / "arrays.csv").read_bytes()
    for row in table.itertuples():
        pixels, _ = images[[name for (name,) in images.names].index(row.filename)]
        np.testing.assert_array_equal(pixels, np.load(folder / row.array))
        header = found.header(row._asdict())
        assert (header["CRPIX1"], header["CDELT1"]) == (row.CRPIX1, row.CDELT1)
    lost = replace(found, arrays=tmp_path / "nowhere")
    with pytest.raises(ReleaseError, match="run `snakemake arrays`"):
        lost.pixels(files.iloc[0])


def test_missing_pixels(tmp_path: Path) -> None:
    """Whole numbers stay whole; what is scaled is read as a unit of the Sun."""
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    pixels[1, 2] = -32768
    whole = fits.CompImageHDU(pixels, compression_type="RICE_1")
    whole.header["BLANK"] = -32768
    whole.writeto(tmp_path / "whole.fits")
    _, read = read_image(tmp_path / "whole.fits")
    assert read.dtype == np.dtype("int16")
    np.testing.assert_array_equal(read, pixels)
    scaled = fits.PrimaryHDU(pixels)
    scaled.header["BLANK"], scaled.header["BSCALE"], scaled.header["BZERO"] = -32768, 0.5, 2.0
    scaled.writeto(tmp_path / "scaled.fits", output_verify="ignore")
    _, read = read_image(tmp_path / "scaled.fits")
    assert read.dtype == np.float32
    assert np.isnan(read[1, 2])


def test_the_rule(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    assert "the config has no release.name" in project.run("release", fails=True).text
    project.configure(
        release={"name": "two", "creators": ["Ada"], "license": "CC0-1.0", "version": "1.0.0"}
    )
    assert project.run("release").jobs.keys() >= {"release"}
    said = project.path("results/release/two-1.0.0.sha256").read_text().split()[0]
    sums = project.path("results/release/two-1.0.0/tagmanifest-sha256.txt").read_bytes()
    assert hashlib.sha256(sums).hexdigest() == said
    assert "release" not in project.planned("release")
    project.configure(release={"changes": "a word"})
    assert "would have other sums now" in project.run("release", fails=True).text
    assert project.path("results/release/two-1.0.0.sha256").read_text().split()[0] == said
