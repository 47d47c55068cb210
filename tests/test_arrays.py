"""Arrays: flux, exposures, degradation and the box around a flare, each against something else."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from support.factories import an_event
from support.project import ROOT, Project

from flareset.arrays.calibrate import Calibration, read_sample, write_arrays
from flareset.arrays.degradation import pinned, read_responses
from flareset.arrays.frame import (
    Frame,
    as_integers,
    block_mean,
    crop,
    frame_of,
    refuse_unregistered,
)
from flareset.campaign.checks import check_config
from flareset.campaign.config import Arrays
from flareset.errors import ArraysError, ConfigError
from flareset.proof.image import MISSING, read_image
from flareset.refusals import refuse
from flareset.sdo.geometry import seen_later
from flareset.sdo.processing import parse_process
from flareset.sdo.times import parse_utc
from flareset.standin import frames

TABLE = ROOT / "tests/data/aia_V8_response_table.txt"
# What aiapy 0.12.1 returns for version 8 of SolarSoft's table.
BY_AIAPY = [
    (131, "2010-06-01T00:00:00", 0.97792),
    (131, "2012-03-07T00:24:00", 0.8270562064483564),
    (131, "2014-01-07T18:30:00", 0.7879439031642375),
    (131, "2017-09-06T12:02:00", 0.6381093201928018),
    (171, "2010-06-01T00:00:00", 0.98896),
    (171, "2014-01-07T18:30:00", 0.8542844037491237),
    (304, "2012-03-07T00:24:00", 0.2855909439754413),
    (304, "2017-09-06T12:02:00", 0.04443591535339121),
    (1600, "2014-01-07T18:30:00", 0.6638264910921766),
    (1600, "2017-09-06T12:02:00", 0.5083004064452621),
]
PLAIN = {"crpix": (64.5, 64.5), "crval": (0.0, 0.0), "cdelt": (19.2, 19.2), "crota": 0.0}


QUIET = np.s_[50:80, 18:35]


def a_frame(pixels: np.ndarray, **over: Any) -> Frame:
    return Frame(pixels.astype(np.float32), **{**PLAIN, **over})


# Degradation


@pytest.mark.parametrize(("wavelength", "when", "factor"), BY_AIAPY)
def test_degradation_is_that_of_aiapy(wavelength: int, when: str, factor: float) -> None:
    found = read_responses(TABLE, 8).factor(wavelength, parse_utc(when))
    assert found == pytest.approx(factor, rel=1e-6)


def test_another_version_in_the_table_changes_nothing(tmp_path: Path) -> None:
    """As aiapy 0.10 does, which Python 3.11 gets."""
    head, *rows = TABLE.read_text().splitlines()
    others = [row.replace("          8  ", "          9  ", 1) for row in rows]
    others = [row.replace(row.split()[8], "9.99999", 1) for row in others]
    for order in (rows + others, others + rows):
        (tmp_path / "table.txt").write_text("\n".join([head, *order]))
        found = read_responses(tmp_path / "table.txt", 8)
        assert len(found.rows) == len(rows)
        assert found.factor(131, parse_utc(BY_AIAPY[2][1])) == pytest.approx(BY_AIAPY[2][2])


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: read_responses(TABLE, 10), "has version 8, and arrays.tables.version is 10"),
        (lambda: read_responses(ROOT / "README.md", 8), "cannot be read|no table of responses"),
        (lambda: read_responses(ROOT / "nowhere", 8), "nowhere: cannot be read"),
        (lambda: pinned(TABLE, 8, "0" * 64), f"sha256 is {'[0-9a-f]' * 64}, and arrays.tables"),
        (
            lambda: read_responses(TABLE, 8).factor(94, parse_utc("2014-01-01 00:00")),
            "version 8 has no response at 94",
        ),
        (
            lambda: read_responses(TABLE, 8).factor(131, parse_utc("2009-01-01 00:00")),
            "version 8 has no response at 131 for 2009",
        ),
    ],
)
def test_a_table_that_does_not_do(ask: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ArraysError, match=sentence):
        ask()
    assert pinned(TABLE, 8, hashlib.sha256(TABLE.read_bytes()).hexdigest()).version == 8


def test_degradation_live() -> None:
    """By aiapy itself, where it is there in a version that is right."""
    aiapy = pytest.importorskip("aiapy", reason="aiapy 0.12 needs Python 3.12")
    if tuple(map(int, aiapy.__version__.split(".")[:2])) < (0, 12):
        pytest.skip(f"aiapy {aiapy.__version__} mixes the versions of a table")
    import astropy.units as u
    from aiapy.calibrate import degradation
    from aiapy.calibrate.utils import get_correction_table
    from astropy.time import Time

    table = get_correction_table(TABLE)
    for wavelength, when, _ in BY_AIAPY:
        theirs = degradation(
            wavelength * u.angstrom, Time(when), correction_table=table, calibration_version=8
        )
        ours = read_responses(TABLE, 8).factor(wavelength, parse_utc(when))
        assert ours == pytest.approx(float(theirs[0]), rel=1e-6)


# Pixels


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**32))
def test_block_mean_keeps_the_flux(block: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(-5, 16383, (16, 32))
    means = block_mean(a_frame(pixels), block).pixels.astype(np.float64)
    assert means.sum() * block * block == pytest.approx(pixels.sum(), rel=1e-7)
    assert means[0, 0] == pytest.approx(pixels[:block, :block].mean())


def test_a_point_stays_in_its_place() -> None:
    """Through crop and block mean, and as astropy's WCS has it for a turned image."""
    frame = a_frame(np.zeros((128, 128)), crota=3.0, crpix=(60.2, 66.9), cdelt=(19.2, 19.1))
    header = fits.Header()
    header.update(
        CTYPE1="HPLN-TAN", CTYPE2="HPLT-TAN", CUNIT1="arcsec", CUNIT2="arcsec", CRPIX1=60.2,
        CRPIX2=66.9, CRVAL1=0.0, CRVAL2=0.0, CDELT1=19.2, CDELT2=19.1, CROTA2=3.0, NAXIS=2,
        NAXIS1=128, NAXIS2=128,
    )  # fmt: skip
    for point in ((268.8, -115.2), (-700.0, 300.0), (0.0, 0.0)):
        column, row = frame.place_of(*point)
        lon, lat = WCS(header).all_pix2world(column, row, 1)
        seen = [(float(a) + 180) % 360 * 3600 - 180 * 3600 for a in (lon, lat)]
        # A pixel is 19 arcsec: the plane is right to a hundredth of it.
        assert seen == pytest.approx(point, abs=0.2)
    cropped = crop(frame, (268.8, -115.2), 32)
    column, row = cropped.place_of(268.8, -115.2)
    assert abs(column - 16.5) <= 0.5
    assert abs(row - 16.5) <= 0.5
    smaller = block_mean(cropped, 4)
    assert smaller.place_of(268.8, -115.2) == pytest.approx(
        ((column - 0.5) / 4 + 0.5, (row - 0.5) / 4 + 0.5)
    )


@given(st.integers(-80, 80), st.integers(-80, 80), st.sampled_from([1, 8, 33, 200]))
def test_a_box_is_what_is_there(x: int, y: int, side: int) -> None:
    """Pixel by pixel; what is outside of the frame is missing."""
    pixels = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    frame = a_frame(pixels, crpix=(32.5, 32.5), cdelt=(1.0, 1.0))
    box = crop(frame, (x, y), side)
    assert box.pixels.shape == (side, side)
    left, low = round(frame.crpix[0] - box.crpix[0]), round(frame.crpix[1] - box.crpix[1])
    for row in (0, side // 2, side - 1):
        for column in (0, side // 2, side - 1):
            inside = 0 <= row + low < 64 and 0 <= column + left < 64
            expected = pixels[row + low, column + left] if inside else math.nan
            np.testing.assert_equal(box.pixels[row, column], np.float32(expected))


def test_the_box_follows_the_sun() -> None:
    """13.2 degrees a day: near the disk's centre, 9 to 10 arcsec an hour to the west."""
    noon = parse_utc("2014-03-07 12:00")
    x, y = seen_later((0.0, 100.0), noon, noon + timedelta(hours=2))
    assert 17 < x < 20
    assert y == pytest.approx(100, abs=1)
    off_limb = (1100.0, 0.0)
    assert seen_later(off_limb, noon, noon + timedelta(hours=2)) == off_limb


def test_whole_numbers() -> None:
    pixels = np.array([[1.4, -2.6], [math.nan, 32767.0]], dtype=np.float32)
    assert as_integers(pixels).tolist() == [[1, -3], [MISSING, 32767]]
    with pytest.raises(ArraysError, match="a value of 40000 does not fit"):
        as_integers(np.array([[4e4]], dtype=np.float32))


def test_missing_pixels_stay_missing() -> None:
    frame = frame_of(
        {"CRPIX1": 1, "CRPIX2": 1, "CRVAL1": 0, "CRVAL2": 0, "CDELT1": 1, "CDELT2": 1},
        np.array([[MISSING, 16383], [0, 4]], dtype=np.int16),
    )
    assert np.isnan(frame.pixels).tolist() == [[True, False], [False, False]]
    assert np.isnan(block_mean(frame, 2).pixels).all()


def test_what_jsoc_did_not_register_is_refused() -> None:
    for over in ({"crota": 0.02}, {"cdelt": (0.6, 0.61)}):
        with pytest.raises(ArraysError, match="it is not registered: CROTA2 is"):
            refuse_unregistered(a_frame(np.zeros((2, 2)), **over))
    refuse_unregistered(a_frame(np.zeros((2, 2))))


def test_what_jsoc_registered_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    level1 = frames.Frame.of("aia.lev1_euv_12s.2014-01-07T183510Z.131.image_lev1.fits")
    _, steps = parse_process("n=0|aia_scale_aialev1")
    path.write_bytes(b"".join(frames.Frames(128, []).file(level1, steps)))
    refuse_unregistered(frame_of(*read_image(path)))


@pytest.mark.parametrize(
    ("file", "registered"),
    [
        ("sunkit_image_0.6.1/aia_171_cutout.fits", False),
        ("sunpy_0.5.4_sdist/AIA20110319_105400_0171.fits", True),
    ],
)
def test_real_images(real: Path, file: str, registered: bool) -> None:
    """A cut-out of level 1 is refused, a synoptic image is not."""
    header, pixels = read_image(real / "fits" / file)
    frame = frame_of(header, pixels)
    if registered:
        refuse_unregistered(frame)
        box = crop(frame, (0, 0), 32)
        assert box.place_of(0, 0) == pytest.approx((16.5, 16.5), abs=0.5)
    else:
        with pytest.raises(ArraysError, match=r"CROTA2 is 0\.0191973"):
            refuse_unregistered(frame)
    assert frame.place_of(*frame.crval) == pytest.approx(frame.crpix)


# A campaign's images


@pytest.fixture(scope="module")
def of_job(finished: Project) -> Callable[..., tuple[pd.DataFrame, Calibration]]:
    """The sample of a flare, and what the settings do to it."""

    def make(**settings: Any) -> tuple[pd.DataFrame, Calibration]:
        job = finished.path("results/events/2014-01-07T180534/131")
        event = an_event(
            flare=("2014-01-07 18:05:34", "2014-01-07 18:09:58"), hpc_x=268.8, hpc_y=-115.2,
            flare_peak=parse_utc("2014-01-07 18:07"),
        )  # fmt: skip
        settings = Arrays(**settings)
        responses = read_responses(TABLE, 8) if "degradation" in settings.steps else None
        return read_sample(job / "sample.csv"), Calibration(event, settings, responses)

    return make


def test_short_and_normal_neighbours_agree(
    finished: Project, of_job: Callable[..., tuple[pd.DataFrame, Calibration]], tmp_path: Path
) -> None:
    """DN/s of the quiet Sun at the limb that is far from the flare."""
    samples, calibration = of_job(steps=("exposure",))
    store = finished.path("store")
    table = write_arrays(samples, calibration, store, tmp_path / "a", "npy")
    short = (samples["AIMGSHCE"].astype(int) < 2800).to_numpy()
    assert 0 < short.sum() < len(short)
    disk = []
    for name in table["array"]:
        pixels = np.load(tmp_path / "a" / name)
        assert pixels.dtype == np.float32
        disk.append(pixels[QUIET].mean())
    raw = [fits.getdata(store / path)[QUIET].mean() for path in samples["path"]]
    disk, raw = np.array(disk), np.array(raw)
    assert raw[~short].mean() / raw[short].mean() > 5
    # The mean noise of a short exposure is 5 % here, the flare's stray light as much at its peak.
    assert disk[~short].mean() / disk[short].mean() == pytest.approx(1, abs=0.06)
    factors = 1 / samples["EXPTIME"].astype(float)
    np.testing.assert_allclose(table["exposure_factor"], factors)


def test_all_steps(
    finished: Project, of_job: Callable[..., tuple[pd.DataFrame, Calibration]], tmp_path: Path
) -> None:
    """By hand, pixel for pixel; the same bytes twice."""
    steps = ("block_mean", "crop", "degradation", "exposure")
    samples, calibration = of_job(steps=steps, size=16, box=600)
    store = finished.path("store")
    table = write_arrays(samples, calibration, store, tmp_path / "a", "npy")
    again = write_arrays(samples, calibration, store, tmp_path / "b", "npy")
    pd.testing.assert_frame_equal(table, again)
    for row, drawn in zip(table.itertuples(), samples.itertuples(), strict=True):
        made = np.load(tmp_path / "a" / row.array)
        assert made.shape == (16, 16)
        assert (tmp_path / "b" / row.array).read_bytes() == (
            tmp_path / "a" / row.array
        ).read_bytes()
        raw = fits.getdata(store / drawn.path).astype(float)
        # 600 arcsec are 32 pixels of 19.2, two to a block.
        left, low = round(64.5 - 2 * (row.CRPIX1 - 0.5) - 0.5), round(64 - 2 * (row.CRPIX2 - 0.5))
        box = raw[low : low + 32, left : left + 32].reshape(16, 2, 16, 2).mean(axis=(1, 3))
        factor = 1 / float(drawn.EXPTIME) / BY_AIAPY[2][2]
        np.testing.assert_allclose(made, box * factor, rtol=1e-4)
        assert row.degradation_factor == pytest.approx(1 / BY_AIAPY[2][2], rel=1e-4)
        assert row.saturated == (raw[low : low + 32, left : left + 32] >= 16383).sum()
    # The flare is in the middle of the box at its peak.
    brightest = table.loc[table["max"].astype(float).idxmax(), "array"]
    row, column = np.unravel_index(np.load(tmp_path / "a" / brightest).argmax(), (16, 16))
    assert abs(row - 7.5) <= 1.5
    assert abs(column - 7.5) <= 1.5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": ("block_mean",), "size": 100}, "100 is no whole part of its 128 pixels"),
        (
            {"steps": ("crop", "block_mean"), "size": 256, "box": 400},
            "400 arcsec are 21 of this frame's 128 pixels a side, fewer than arrays.size, 256",
        ),
        (
            {"steps": ("crop", "block_mean"), "size": 100, "box": 400},
            "400 arcsec are 21 of this frame's 128 pixels a side, fewer than arrays.size, 100",
        ),
        ({"steps": ("crop",), "box": 5}, "5 arcsec are 0 of this frame's 128 pixels a side, few"),
        ({"steps": ("exposure",), "dtype": "int16", "tables": {}}, None),
        ({"register": "jsoc"}, "it is not registered: CROTA2 is -0.07, .*aia_scale"),
    ],
    ids=["size", "frame", "box", "pixel", "int16", "registered"],
)
def test_what_can_be_made(
    finished: Project,
    of_job: Callable[..., tuple[pd.DataFrame, Calibration]],
    tmp_path: Path,
    settings: dict[str, Any],
    sentence: str | None,
) -> None:
    """The stand-in's frames of level 1 are rolled like real ones: JSOC has to register them."""
    samples, calibration = of_job(**settings)
    given = (samples, calibration, finished.path("store"), tmp_path / "a", "npy")
    if sentence:
        with pytest.raises(ArraysError, match=f"{samples['filename'][0]}: .*{sentence}"):
            write_arrays(*given)
    else:
        assert len(write_arrays(*given)) == len(samples)


def test_the_config(finished: Project) -> None:
    for section, sentence in (
        ({"steps": ["degradation"]}, "degradation: arrays.tables.response is empty"),
        ({"steps": ["deconvolve"]}, "'deconvolve' is not one of exposure, degradation"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            check_config({"arrays": section})
    hmi = {"series": "hmi.M_45s", "wavelengths": [6173], "segment": "magnetogram"}
    with pytest.raises(ConfigError, match=r"exposure: hmi\.M_45s has no such thing"):
        check_config({**hmi, "arrays": {"steps": ["exposure"]}})
    rows = finished.read_rows()
    config = check_config({"arrays": {"steps": ["crop"]}, "splits": {"method": "none"}})
    with pytest.raises(ConfigError, match=f"crop: no hpc_x, hpc_y .* {rows[1].event.event_id}"):
        refuse(config, [row.event for row in rows])


def test_a_table_is_fetched_once_and_an_edit_makes_arrays_alone_anew(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.copy(tmp_path / "copy")
    tables = {"response": "tables/response.txt"}
    project.configure(
        arrays={"steps": ["exposure", "degradation", "block_mean"], "size": 32, "tables": tables}
    )
    missing = "tables.response: tables/response.txt is not there: `snakemake fetch_tables` fetches"
    assert missing in project.run("--dry-run", "arrays", fails=True).text
    assert "tables/response.txt: asked 20" in project.run("fetch_tables").text
    project.run("arrays", "all")
    made = project.table("results/arrays/arrays.csv")
    assert len(made) == 31
    for row in made:
        array = project.path(f"results/arrays/{row['event_id']}/131/{row['array']}")
        assert hashlib.sha256(np.load(array).tobytes()).hexdigest() == row["pixels_sha256"]
    table = project.path("tables/response.txt")
    told = json.loads(project.path("results/arrays/arrays.json").read_text())["tables"]
    assert told["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    (answer,) = told["response_from"]["answers"]
    (pin,) = project.path("store/queries").glob("*/*/answer.json")
    assert answer["sha256"] == hashlib.sha256(pin.read_bytes()).hexdigest()
    assert answer["recordset"] == "aia.response[][!1=1!]"
    assert project.planned("arrays", "all") == {}
    table.write_text(table.read_text() + "\n")
    assert project.planned("arrays", "all") == {"arrays": 1, "calibrate": 2}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="aiapy can be right here")
def test_aiapy_is_refused_before_the_first_job(finished: Project, tmp_path: Path) -> None:
    arrays = {"steps": ["exposure"], "register": "aiapy", "tables": {"pointing": "pointing.csv"}}
    whole = {"series": "aia.lev1", "archive": {"frame_size": 4096}, "arrays": arrays}
    given = tmp_path / "aiapy.yaml"
    given.write_text(json.dumps(whole))
    run = finished.run("--dry-run", "arrays", "--configfile", str(given), fails=True)
    assert "arrays.register: aiapy needs Python 3.12, and this is 3.11" in run.text
    # The set itself needs no arrays.
    assert "arrays.register" not in finished.run("--dry-run", "--configfile", str(given)).text
