"""Registration by aiapy: where a frame of known place comes to lie, and what is refused.

aiapy itself is asked where it is there in a version that is right; it wants Python 3.12.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.stars import header_of, misplaced, starry

from flareset.arrays.aiapy import refuse_without_aiapy
from flareset.arrays.frame import Frame, frame_of
from flareset.arrays.pointing import read_pointings
from flareset.arrays.registration import Registration
from flareset.campaign.checks import check_config
from flareset.errors import ArraysError, ConfigError

FULL = 4096
MIDDLE = (FULL + 1) / 2
# Where the frame is, and where its header says: another limb fit, some pixels away.
CRPIX, TOLD = (2054.26, 2036.1), (2050.0, 2040.0)
SCALE, CROTA = 0.600165, -0.1314
FACTS: dict[str, Any] = {
    "TELESCOP": "SDO/AIA", "INSTRUME": "AIA_4", "WAVELNTH": 304, "WAVEUNIT": "angstrom",
    "LVL_NUM": 1.0, "T_OBS": "2014-01-07T18:00:08.57Z", "DATE-OBS": "2014-01-07T18:00:07.12",
    "RSUN_OBS": 975.9, "DSUN_OBS": 1.4710e11, "CRLT_OBS": -3.6, "CRLN_OBS": 72.1, "HGLN_OBS": 0.0,
    "HGLT_OBS": -3.6, "SAT_ROT": -0.02, "X0_MP": TOLD[0] - 1, "Y0_MP": TOLD[1] - 1,
}  # fmt: skip
ROWS = (
    "T_START,T_STOP,A_304_X0,A_304_Y0,A_304_IMSCALE,A_304_INSTROT\n"
    "2014-01-07T15:00:00Z,2014-01-07T18:00:00Z,2040,2040,0.6,0\n"
    f"2014-01-07T18:00:00Z,2014-01-07T21:00:00Z,{CRPIX[0] - 1},{CRPIX[1] - 1},{SCALE},-0.1114\n"
    "2014-01-07T21:00:00Z,2014-01-08T00:00:00Z,2040,MISSING,0.6,0\n"
)
HEADER = header_of(FULL, TOLD, 0.6001, -0.1, **FACTS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "pointing.csv").write_text(ROWS)
    return tmp_path / "pointing.csv"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiapy, or without it what it does with a map: a turn by scipy, to 0.6 arcsec a pixel."""
    try:
        refuse_without_aiapy()
    except ArraysError:
        mapped = SimpleNamespace(Map=lambda data, meta: SimpleNamespace(data=data, meta=meta))
        monkeypatch.setitem(sys.modules, "sunpy.map", mapped)
        monkeypatch.setitem(sys.modules, "aiapy.calibrate", SimpleNamespace(register=turned))


def turned(seen: Any, *, missing: float, order: int, method: str) -> SimpleNamespace:
    ndimage = pytest.importorskip("scipy.ndimage")
    assert (order, method) == (3, "opencv")
    meta = seen.meta
    angle, factor = np.radians(meta["CROTA2"]), 0.6 / meta["CDELT1"]
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = np.array([meta["CRPIX2"] - 1, meta["CRPIX1"] - 1]) - turn @ np.full(2, MIDDLE - 1)
    data = ndimage.affine_transform(seen.data, turn, offset=offset, order=1, cval=missing)
    place = {"CRPIX1": MIDDLE, "CRPIX2": MIDDLE, "CDELT1": 0.6, "CDELT2": 0.6}
    return SimpleNamespace(data=data, meta=place)


def a_frame(**over: Any) -> tuple[Frame, dict[str, Any]]:
    header = {**HEADER, **over}
    return frame_of(header, np.zeros((FULL, FULL), dtype=np.float32)), header


@pytest.mark.usefixtures("library")
def test_a_frame_of_known_roll_scale_and_offset_is_registered(table: Path) -> None:
    """To under 0.1 pixel, by the table's row of its time: the header is 5 pixels off."""
    pixels = starry(header_of(FULL, CRPIX, SCALE, CROTA)).astype(np.float32)
    pixels[100:103, 200:204] = np.nan
    assert misplaced(pixels, HEADER) > 3
    found = Registration(read_pointings(table)).registered(frame_of(HEADER, pixels), HEADER, 304)
    assert (found.pixels.shape, found.pixels.dtype, found.crota) == (pixels.shape, np.float32, 0)
    assert found.crpix == pytest.approx((MIDDLE, MIDDLE))
    assert found.cdelt == pytest.approx((0.6, 0.6))
    assert misplaced(found.pixels, header_of(FULL, found.crpix, found.cdelt[0], 0.0)) < 0.1
    # Missing pixels are missing, and so are the corners that the frame does not fill.
    assert np.isnan(found.pixels[80:125, 175:230]).any()
    assert np.isnan(found.pixels[0]).any()


def test_the_pointing_is_that_of_aiapy(table: Path) -> None:
    aiapy = pytest.importorskip("aiapy.calibrate", reason="aiapy wants Python 3.12")
    import astropy.units as u
    from astropy.table import QTable
    from astropy.time import Time
    from sunpy.map import Map

    rows = read_pointings(table).rows.iloc[:2]
    theirs = QTable(
        {name: Time(list(rows[name].dt.tz_localize(None))) for name in rows.columns[:2]}
    )
    units = {"X0": u.pix, "Y0": u.pix, "IMSCALE": u.arcsec / u.pix, "INSTROT": u.deg}
    for name in rows.columns[2:]:
        theirs[name] = rows[name].astype(float).to_numpy() * units[name.rsplit("_")[-1]]
    frame, header = a_frame()
    ours = read_pointings(table).repointed(frame, header, 304)
    pc = {"PC1_1": 1.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": 1.0}
    moved = aiapy.update_pointing(Map(frame.pixels, {**header, **pc}), pointing_table=theirs).meta
    assert ours.crpix == pytest.approx((moved["crpix1"], moved["crpix2"]), abs=1e-6)
    assert ours.cdelt == pytest.approx((moved["cdelt1"], moved["cdelt2"]))
    assert ours.crota == pytest.approx(moved["crota2"])


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"T_OBS": "2014-01-07T14:59:59.99Z"}, "pointing.csv has no pointing for 2014-01-07T14:59"),
        ({"T_OBS": "2014-01-08T00:00:00.00Z"}, "no pointing for .* to 2014-01-08.*fetch_tables"),
        ({"T_OBS": "2014-01-07T22:00:00.00Z"}, "the pointing of 304 .* is missing"),
        ({"LVL_NUM": 1.5}, "it is of level 1.5: it is registered already"),
    ],
)
def test_a_frame_that_does_not_do(table: Path, over: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArraysError, match=sentence):
        Registration(read_pointings(table)).registered(*a_frame(**over), 304)


def test_other_frames_are_refused(table: Path) -> None:
    registration = Registration(read_pointings(table))
    frame, header = a_frame()
    with pytest.raises(ArraysError, match=r"pointing\.csv lacks A_131_X0, A_131_Y0"):
        registration.registered(frame, header, 131)
    del header["X0_MP"]
    with pytest.raises(ArraysError, match="has no X0_MP: it is not level 1"):
        registration.registered(frame, header, 304)
    small = frame_of(HEADER, np.zeros((1024, 700), dtype=np.float32))
    with pytest.raises(ArraysError, match="it has 700 x 1024 pixels, and aiapy registers whole"):
        registration.registered(small, HEADER, 304)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(
        ArraysError, match=r"no table of pointings, as aia\.master_pointing3h has it"
    ):
        read_pointings(table)


@pytest.fixture
def with_aiapy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Installs packages by their metadata alone, and says which Python this is."""

    def there(python: tuple[int, ...], **versions: str) -> None:
        for name, number in versions.items():
            folder = tmp_path / f"{name}-{number}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Name: {name}\nVersion: {number}\n")
        monkeypatch.setattr(sys, "version_info", python)
        monkeypatch.setattr(sys, "path", [str(tmp_path)])

    return there


@pytest.mark.parametrize(
    ("python", "versions", "sentence"),
    [
        ((3, 11, 9), {"aiapy": "0.12.1"}, "aiapy needs Python 3.12, and this is "),
        ((3, 12, 1), {}, r"aiapy needs aiapy: .*pip install 'aiapy>=0\.12\.1'"),
        ((3, 12, 1), {"aiapy": "0.12.1"}, "aiapy needs opencv-python-headless: "),
        (
            (3, 12, 1),
            {"aiapy": "0.10.2", "opencv_python_headless": "4.10"},
            r"aiapy is 0\.10\.2, which is too old",
        ),
    ],
)
def test_where_aiapy_is_wrong(
    with_aiapy: Callable[..., None],
    python: tuple[int, ...],
    versions: dict[str, str],
    sentence: str,
) -> None:
    with_aiapy(python, **versions)
    with pytest.raises(ArraysError, match=sentence):
        refuse_without_aiapy()


def test_where_aiapy_is_right(with_aiapy: Callable[..., None]) -> None:
    with_aiapy((3, 13, 0), aiapy="0.12.1", opencv_python_headless="4.10")
    refuse_without_aiapy()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"tables": {}}, "arrays.tables.pointing is empty"),
        ({"archive": {"kind": "rehearsal", "frame_size": 1024}}, "archive.frame_size is 1024"),
        ({"series": "aia.lev1_euv_12s"}, "the rehearsal's frames of aia.* are upright"),
        (
            {"source": "export", "export": {"processing": [{"aia_scale": {}}]}},
            "it needs frames of level 1",
        ),
        (
            {"series": "hmi.M_45s", "wavelengths": [6173], "segment": "magnetogram"},
            r"hmi\.M_45s is not of AIA",
        ),
    ],
)
def test_the_config(config: dict[str, Any], sentence: str) -> None:
    tables = config.pop("tables", {"pointing": "pointing.csv"})
    whole = {"archive": {"kind": "rehearsal", "frame_size": 4096}}
    arrays = {"steps": ["exposure"] * (not sentence.startswith("hmi")), "register": "aiapy"}
    whole["series"] = "aia.lev1"
    check_config({**whole, "arrays": {**arrays, "tables": {"pointing": "pointing.csv"}}})
    with pytest.raises(ConfigError, match=f"arrays.register: aiapy: .*{sentence}"):
        check_config({**whole, "arrays": {**arrays, "tables": tables}, **config})
