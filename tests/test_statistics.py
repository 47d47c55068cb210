"""The statistics of pixels, against those that JSOC wrote into real headers."""

import io
import math
import statistics as plain
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from flareset.errors import VerificationError
from flareset.proof.statistics import (
    Basis,
    Statistics,
    basis_of,
    compare,
    image_statistics,
    stated_statistics,
    tally,
)
from flareset.sdo.keywords import STATISTICS

CUTOUT = "sunkit_image_0.6.1/aia_171_cutout.fits"
SHARPS = [
    f"hmi.sharp_cea_720s.377.{name}.fits"
    for name in (
        "20110214_020000_TAI.continuum",
        "20110214_020000_TAI.magnetogram",
        *(
            f"20110215_020000_TAI.{segment}"
            for segment in (
                *("Bp", "Bp_err", "Br", "Br_err", "Bt", "Bt_err", "Dopplergram", "bitmap"),
                *("conf_disambig", "continuum", "magnetogram"),
            )
        ),
    )
]
SECOND = ("DATAMIN2", "DATAMAX2", "DATAMED2", "DATAMEA2", "DATARMS2", "DATASKE2", "DATAKUR2")
BLANK = -32768


@contextmanager
def quietly_opened(path: Path) -> Iterator[fits.HDUList]:
    """Yield the HDUs of a file, without astropy's warnings about its header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            yield hdus


def header_of(path: Path) -> tuple[int, dict[str, int | float]]:
    """Return the HDU of a file's image, and the statistics in its header."""
    with quietly_opened(path) as hdus:
        index = next(i for i, hdu in enumerate(hdus) if hdu.header.get("NAXIS"))
        header = hdus[index].header
        return index, {name: header[name] for name in (*STATISTICS, *SECOND) if name in header}


def written(pixels: np.ndarray, folder: Path, scale: float = 1.0) -> Path:
    """Return a Rice-compressed file of stored values, with their BLANK and BSCALE."""
    hdu = fits.CompImageHDU(pixels, compression_type="RICE_1")
    hdu.header["BLANK"] = int(np.iinfo(pixels.dtype).min)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    path = folder / "image.fits"
    path.write_bytes(buffer.getvalue())
    if scale != 1.0:
        fits.setval(path, "BSCALE", value=scale, ext=1)
    return path


def expected(pixels: np.ndarray) -> dict[str, float]:
    """Return the eight statistics by their definitions, from the pixels one by one."""
    values = [float(value) for value in pixels.ravel()]
    count, mean = len(values), math.fsum(values) / len(values)
    rms = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    powers = [
        math.fsum(((v - mean) / rms) ** p for v in values) / count if rms else math.nan
        for p in (3, 4)
    ]
    numbers = (
        count,
        min(values),
        max(values),
        plain.median_low(values),
        mean,
        rms,
        powers[0],
        powers[1] - 3,
    )
    return dict(zip(STATISTICS, numbers, strict=True))


def test_a_real_cutout_has_the_eight_statistics_of_its_header(real: Path) -> None:
    path = real / "fits" / CUTOUT
    index, keywords = header_of(path)
    assert len(stated_statistics(keywords)) == 8
    assert compare(image_statistics(path, index), keywords) == []


@pytest.mark.parametrize("name", SHARPS)
def test_a_real_patch_of_hmi_has_the_statistics_of_its_header(real: Path, name: str) -> None:
    path = real / "fits" / "hmi_sharp_jsoc_export" / name
    index, keywords = header_of(path)
    assert len(stated_statistics(keywords)) == 6  # these have no skewness and kurtosis
    assert compare(image_statistics(path, index), keywords) == []
    assert compare(image_statistics(path, index), keywords, Basis(rounded=True)) == []


def test_the_same_patch_a_day_later_is_told_apart(real: Path) -> None:
    folder = real / "fits" / "hmi_sharp_jsoc_export"
    first, second = (folder / name for name in SHARPS if name.endswith("magnetogram.fits"))
    index, keywords = header_of(second)
    found = {difference.keyword for difference in compare(image_statistics(first, index), keywords)}
    assert found == {"DATAMIN", "DATAMAX", "DATAMEDN", "DATAMEAN", "DATARMS"}


def test_a_level_1_5_image_has_none_of_the_statistics_of_its_header(real: Path) -> None:
    path = real / "fits" / "sunpy_0.5.4_sdist" / "AIA20110319_105400_0171.fits"
    index, keywords = header_of(path)
    differences = compare(image_statistics(path, index), keywords)
    assert [difference.keyword for difference in differences] == list(STATISTICS)
    assert str(differences[4]) == "DATAMEAN is 236.57, the pixels give 235.915314"


def test_of_hmi_s_two_sets_that_of_the_whole_image_counts(real: Path) -> None:
    """A real header of a full disk; the image with it is reduced to a grid of 100 x 100."""
    path = real / "fits" / "sunpy_0.5.4_sdist" / "resampled_hmi.fits"
    _, keywords = header_of(path)
    stated = stated_statistics(keywords)
    assert stated["DATAMEAN"] == keywords["DATAMEA2"] != keywords["DATAMEAN"]
    with quietly_opened(path) as hdus:
        reduced = float(np.nanmean(hdus[0].data))
    assert abs(stated["DATAMEAN"] / reduced - 1) < 0.01 < abs(keywords["DATAMEAN"] / reduced - 1)


images = st.lists(
    st.lists(st.integers(-300, 3000) | st.just(BLANK), min_size=6, max_size=6),
    min_size=1,
    max_size=8,
)


@given(images, st.integers(1, 8))
def test_parts_and_missing_pixels_change_no_statistic(rows: list[list[int]], size: int) -> None:
    pixels = np.array(rows, dtype=np.int16)
    there = pixels[pixels != BLANK]
    parts = [pixels[at : at + size] for at in range(0, len(pixels), size)]
    if there.size < 2:
        return
    found = tally(parts, BLANK).named()
    assert found == pytest.approx(expected(there), rel=1e-9, abs=1e-9, nan_ok=True)


def test_an_image_of_missing_pixels_has_no_statistics() -> None:
    with pytest.raises(VerificationError, match="no pixel"):
        tally([np.full((3, 3), BLANK, dtype=np.int16)], BLANK)


def test_a_wild_value_is_no_reason_to_take_all_memory() -> None:
    with pytest.raises(VerificationError, match="spread over"):
        tally([np.array([[0, 2_000_000_000]], dtype=np.int32)])


@pytest.fixture
def sun() -> np.ndarray:
    """Return an image of a disk, 16 bits."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-128:128, -128:128]
    bright = np.where(np.hypot(x, y) < 100, 400 + 150 * np.sin(x / 9) * np.cos(y / 7), 12)
    return rng.poisson(bright).astype(np.int16)


def test_a_file_is_looked_at_as_it_is_stored(sun: np.ndarray, tmp_path: Path) -> None:
    sun[:4] = BLANK
    path = written(sun, tmp_path, scale=0.5)
    found = image_statistics(path, 1)
    assert found.named() == pytest.approx(expected(sun[4:] * 0.5))
    assert found.step == 0.5


@pytest.mark.parametrize("change", ["blank row", "one pixel", "another time", "exposure"])
def test_another_image_is_told_apart(change: str, sun: np.ndarray) -> None:
    keywords = expected(sun)
    changed = sun.copy()
    if change == "blank row":
        changed[100] = BLANK
    elif change == "one pixel":
        changed[7, 7] += 1000
    elif change == "another time":
        changed = np.random.default_rng(6).poisson(np.maximum(sun, 0)).astype(np.int16)
    else:
        changed = (changed * 1.01).astype(np.int16)
    assert compare(tally([sun], BLANK), keywords) == []
    assert compare(tally([changed], BLANK), keywords)


def test_what_is_missing_in_the_record_is_left_out(sun: np.ndarray) -> None:
    found = tally([sun], BLANK)
    keywords = {
        **dict.fromkeys(STATISTICS, "MISSING"),
        "DATAMEAN": f"{found.mean:f}",
        "DATARMS": None,
    }
    assert stated_statistics(keywords) == {"DATAMEAN": pytest.approx(found.mean)}
    assert compare(found, keywords) == []
    assert compare(found, {**keywords, "DATAMEAN": f"{found.mean + 0.01:f}"})


def test_digits_that_were_not_printed_are_not_asked_for(sun: np.ndarray) -> None:
    found = tally([sun], BLANK)
    for text in (f"{found.mean:.2f}", f"{np.float32(found.mean):.9G}", f"{found.mean:.17G}"):
        assert compare(found, {"DATAMEAN": text}) == []
    assert compare(found, {"DATAMEAN": f"{found.mean + 0.02:.2f}"})


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 1.0]), st.booleans())
def test_values_that_were_rounded_afterwards(seed: int, step: float, heavy: bool) -> None:
    """HMI's statistics are of the values before they are stored in steps of BSCALE."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(5, (80, 80)) * 60 if heavy else rng.normal(300, 60, (80, 80))
    stored = np.round(values / step).astype(np.int32)
    found = tally([stored], None, step)
    keywords = {name: np.float32(number).item() for name, number in expected(values).items()}
    assert compare(found, keywords, Basis(rounded=True)) == []
    other = tally([np.round(values * 1.02 / step).astype(np.int32)], None, step)
    assert compare(other, keywords, Basis(rounded=True))


def despiked(sun: np.ndarray, count: int) -> tuple[np.ndarray, dict[str, float]]:
    """Return an image with spikes removed and its negative values cut, and JSOC's statistics of it.

    By do_flat.c AIA's are counted before both; percentiles are one more than their value.
    """
    rng = np.random.default_rng(9)
    before = sun.astype(np.int32) - 8
    places = rng.choice(before.size, count, replace=False)
    spiked = before.ravel().copy()
    spiked[places] = np.minimum(spiked[places] + rng.integers(50, 9000, count), 16000)
    keywords = expected(spiked)
    rising = np.sort(spiked)
    for percent in (1, 10, 25, 75, 90, 95, 98, 99):
        keywords[f"DATAP{percent:02d}"] = float(rising[percent * rising.size // 100]) + 1
    return np.maximum(before, 0).astype(np.int16), keywords


@pytest.mark.parametrize("count", [0, 1, 60, 600])
def test_pixels_that_were_replaced_afterwards(count: int, sun: np.ndarray) -> None:
    stored, keywords = despiked(sun, count)
    found = tally([stored], BLANK)
    assert compare(found, keywords)  # they are not those of the stored pixels
    assert compare(found, keywords, Basis(replaced=count + 1)) == []


def test_what_the_statistics_of_a_full_frame_are_of() -> None:
    assert basis_of("hmi", {}) == Basis(rounded=True)
    assert basis_of("aia", {"NSPIKES": "16014"}).replaced - 16014 == basis_of("aia", {}).replaced
    assert basis_of("aia", {"NSPIKES": "MISSING"}).replaced > 0


@pytest.mark.parametrize("change", ["blank row", "exposure", "brighter limb"])
def test_another_image_lies_outside_of_what_replaced_pixels_can_do(
    change: str, sun: np.ndarray
) -> None:
    stored, keywords = despiked(sun, 60)
    if change == "blank row":
        stored[100] = BLANK
    elif change == "exposure":
        stored = (stored * 1.1).astype(np.int16)
    else:
        stored[:, 200:] += 40
    assert compare(tally([stored], BLANK), keywords, Basis(replaced=61))


def test_pixels_that_cannot_be_decoded_are_an_error(sun: np.ndarray, tmp_path: Path) -> None:
    path = written(sun, tmp_path)
    raw = path.read_bytes()
    # The table of tiles, which says where each lies.
    begin = raw.index(b"END     ", 2880) // 2880 * 2880 + 2880
    path.write_bytes(raw[:begin] + b"\x7f" * 512 + raw[begin + 512 :])
    with pytest.raises(VerificationError, match="cannot be decoded"):
        image_statistics(path, 1)


def test_numbers_with_a_fraction_have_no_statistics_here(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "image.fits", np.zeros((4, 4), dtype=np.float32))
    with pytest.raises(VerificationError, match="BITPIX -32"):
        image_statistics(tmp_path / "image.fits", 0)


def test_one_value_has_neither_skewness_nor_kurtosis() -> None:
    found = Statistics(np.array([7.0]), np.array([9]))
    assert math.isnan(found.skewness)
    assert compare(found, {"DATAMEAN": 7, "DATASKEW": "nan", "DATAKURT": 0.0}) == []
