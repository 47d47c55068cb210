import io
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from support.images import check_image
from support.stars import header_of, misplaced, starry

from flareset.proof.fits import Asked
from flareset.proof.processed import check_processed
from flareset.sdo import geometry
from flareset.sdo.processing import Step, parse_process
from flareset.standin.frames import Frame, Frames
from flareset.standin.processed import View, plan

START = datetime(2014, 2, 5, 8, tzinfo=UTC)
EUV = "aia.lev1_euv_12s.2014-02-05T120010Z.131.image_lev1.fits"
SIZE = 256
SCALE = 0.6 * 4096 / SIZE
MISSING = -32768
FRAMES = Frames(SIZE, [])
BOX = (
    "im_patch,t_start=2014-02-05T08:00:00,t_stop=2014-02-05T16:00:00,t=0,r=0,c=0,cadence=12s,"
    "locunits=arcsec,boxunits=arcsec,t_ref=2014-02-05T08:00:00,x=200,y=-300,width=600,height=400"
)


def steps(process: str) -> list[Step]:
    return parse_process(f"n=0|{process}")[1]


def made(process: str, name: str = EUV, frames: Frames = FRAMES) -> tuple[np.ndarray, fits.Header]:
    content = b"".join(frames.file(Frame.of(name), steps(process)))
    with fits.open(io.BytesIO(content), do_not_scale_image_data=True) as hdus:
        return hdus[1].data.copy(), hdus[1].header.copy()


def changed(process: str, **args: object) -> str:
    (step,) = steps(process)
    return str(Step(step.name, {**step.args, **{key: str(v) for key, v in args.items()}}))


def lev1(wavelength: int, when: datetime) -> Frame:
    return Frame("x", "aia.lev1", wavelength, "image_lev1", when)


def centre(pixels: np.ndarray, header: fits.Header) -> tuple[float, float]:
    """Return where the middle of an image lies, arcsec."""
    rows, columns = pixels.shape
    return (
        ((columns + 1) / 2 - header["CRPIX1"]) * header["CDELT1"],
        ((rows + 1) / 2 - header["CRPIX2"]) * header["CDELT2"],
    )


@pytest.mark.parametrize(
    "process",
    [
        BOX,
        changed(BOX, t=1),
        changed(BOX, c=1, r=1),
        changed(BOX, locunits="stony", x=10, y=-20),
        changed(BOX, locunits="stony", x=10, y=-20, boxunits="degrees", width=30, height=20),
        changed(BOX, locunits="carrlong", x=60, y=-20, car_rot=2146),
        changed(BOX, locunits="pixels", x=100, y=90, boxunits="PIX", width=40, height=31),
        "aia_scale_aialev1",
        f"aia_scale_aialev1|{BOX}",
        "resize,rescale=1,scale_to=19.2,regrid=0,center_to=0",
        "rebin,method=boxcar,scale=0.25",
        f"{BOX}|rebin,method=boxcar,scale=0.5",
        "Maproj,map=cyleqa,clon=60,clat=0,scale=0.5,cols=120,rows=80",
    ],
)
def test_what_comes_back_is_what_was_asked(process: str, tmp_path: Path) -> None:
    frame = Frame.of(EUV)
    path = tmp_path / "x.fits"
    path.write_bytes(b"".join(FRAMES.file(frame, steps(process))))
    check_image(path, Asked("r", frame.t_rec, 131, frozenset({"image"}), frame.time))
    pixels, header = made(process)
    check_processed(header, pixels.shape, steps(process), frame.time)
    assert (pixels != MISSING).mean() > 0.5
    assert header["DRMS_ID"].split(":")[::2] == ["aia.lev1_euv_12s_mod", "image"]
    assert header["MISSVALS"] == (pixels == MISSING).sum()


def test_a_cut_out_shows_the_same_sun() -> None:
    whole, of_whole = made("no_op")
    pixels, header = made(changed(BOX, t=1))
    scale = header["CDELT1"]
    assert pixels.shape == (int(1 + 400 / scale), int(1 + 600 / scale))
    left, low = (round(of_whole[key] - header[key]) for key in ("CRPIX1", "CRPIX2"))
    rows, columns = pixels.shape
    assert (pixels == whole[low : low + rows, left : left + columns]).all()
    assert centre(pixels, header) == pytest.approx((200, -300), abs=SCALE)
    assert header["CRVAL1"] == header["CRVAL2"] == 0


def test_a_tracked_cut_out_turns_with_the_sun() -> None:
    for second in ("080010", "120010", "155910"):
        name = EUV.replace("120010", second)
        when = Frame.of(name).time
        there = geometry.rotated(200, -300, (when - START).total_seconds(), START)
        assert centre(*made(BOX, name)) == pytest.approx(there, abs=SCALE)
        assert centre(*made(changed(BOX, t=1), name)) == pytest.approx((200, -300), abs=SCALE)


def test_a_carrington_longitude_is_on_the_central_meridian_when_its_time_comes() -> None:
    when = Frame.of(EUV).time
    longitude = geometry.carrington(when)[1]
    latitude = geometry.disk_latitude(when)
    process = changed(BOX, locunits="carrlong", car_rot=2146, x=longitude, y=latitude)
    assert centre(*made(process)) == pytest.approx((0, 0), abs=SCALE)


def test_pixels_beyond_the_frame_and_the_limb_are_missing() -> None:
    pixels, header = made(changed(BOX, t=1, x=1100, y=0, width=600))
    _, of_whole = made("no_op")
    left = round(of_whole["CRPIX1"] - header["CRPIX1"])
    beyond = left + np.arange(pixels.shape[1]) >= SIZE
    assert beyond.any()
    assert ((pixels == MISSING).all(axis=0) == beyond).all()
    pixels, header = made(changed(BOX, t=1, c=1, x=900, y=0))
    y, x = np.indices(pixels.shape)
    away = np.hypot(x + 1 - header["CRPIX1"], y + 1 - header["CRPIX2"]) * header["CDELT1"]
    limb = geometry.solar_radius_arcsec(Frame.of(EUV).time)
    assert (pixels[away > 1.001 * limb] == MISSING).all()
    assert (pixels[away < 0.999 * limb] != MISSING).all()


@pytest.mark.parametrize("bad", ["sharpen,x=1", changed(BOX, x="here"), "im_patch,t=0"])
def test_what_cannot_be_read_is_not_done(bad: str) -> None:
    whole, of_whole = made("no_op")
    pixels, header = made(bad)
    assert (pixels == whole).all()
    assert header["CRPIX1"] == of_whole["CRPIX1"]


def test_level_1_5_is_scaled() -> None:
    frame = lev1(304, START)
    native, scaled = (FRAMES.keywords(frame, s) for s in ((), steps("aia_scale_orig,mpt=x")))
    assert (native["LVL_NUM"], scaled["LVL_NUM"]) == (1.0, 1.5)
    assert scaled["CDELT1"] == pytest.approx(SCALE)
    assert scaled["CROTA2"] == 0
    assert scaled["CRPIX1"] == scaled["CRPIX2"] == (SIZE + 1) / 2
    assert native["DRMS_ID"].split(":")[::2] == ["aia.lev1", "image_lev1"]
    assert scaled["DRMS_ID"].split(":")[::2] == ["aia.lev1p5", "image"]
    drawn = FRAMES.pixels(frame)
    straight = FRAMES.pixels(frame, steps("aia_scale_orig"))
    assert (drawn != straight).any()
    box = steps(f"aia_scale_orig|{BOX}")
    assert FRAMES.keywords(frame, box)["DRMS_ID"].startswith("aia.lev1p5_mod:")


@pytest.mark.parametrize("crota", [-0.1314, 0.0, 2.5])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (5.76, -12.4)])
def test_a_frame_of_known_roll_scale_and_offset_is_registered(
    crota: float, offset: tuple[float, float]
) -> None:
    """To under 0.1 pixel, by the centroids of stars whose places astropy's WCS knows."""
    scale = 0.609373 * 4096 / SIZE
    crpix = (SIZE + 1) / 2 + offset[0], (SIZE + 1) / 2 + offset[1]
    pixels = np.rint(starry(header_of(SIZE, crpix, scale, crota))).astype("i2")
    view = View(SIZE, SIZE, crpix, scale, crota)
    scaled, (register,) = plan(view, steps("aia_scale_orig"), START)
    assert (scaled.crpix, scaled.crota) == (((SIZE + 1) / 2,) * 2, 0)
    assert scaled.cdelt == pytest.approx(SCALE)
    straight = header_of(SIZE, scaled.crpix, scaled.cdelt, scaled.crota)
    assert misplaced(register(pixels), straight) < 0.05
    # What is turned is in another place: the measure sees it.
    assert misplaced(pixels, straight) > 0.5


def test_what_is_missing_stays_missing_between_pixels() -> None:
    pixels = np.full((8, 8), 100, dtype="i2")
    pixels[3, 3] = MISSING
    view = View(8, 8, (4.75, 4.5), 1228.8 / 4, 0.0)
    _, (register,) = plan(view, steps("aia_scale_orig"), START)
    found = register(pixels)
    assert (found[3] == MISSING).nonzero()[0].tolist() == [2, 3]
    assert set(found[found != MISSING].tolist()) == {100}


def test_binning_takes_means() -> None:
    whole, of_whole = made("no_op")
    pixels, header = made("rebin,method=boxcar,scale=0.5")
    assert pixels[3, 5] == np.rint(whole[6:8, 10:12].mean())
    assert header["CRPIX1"] == pytest.approx((of_whole["CRPIX1"] - 0.5) / 2 + 0.5)
    assert header["R_SUN"] * header["CDELT1"] == pytest.approx(header["RSUN_OBS"], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "code"), [("carree", "CAR"), ("cyleqa", "CEA"), ("orthographic", "SIN")]
)
def test_a_map_is_centred_where_asked(name: str, code: str) -> None:
    rotation_centre = geometry.carrington(Frame.of(EUV).time)[1]
    process = f"Maproj,map={name},clon={rotation_centre + 20},clat=10,scale=0.5,cols=90,rows=50"
    pixels, header = made(process)
    assert pixels.shape == (50, 90)
    assert header["CTYPE1"] == f"CRLN-{code}"
    assert (header["CRVAL2"], header["CDELT1"], header["CUNIT1"]) == (10, 0.5, "degree")
    whole, _ = made("no_op")
    x, y = geometry.stonyhurst_to_arcsec(20, 10, Frame.of(EUV).time)
    column, row = (round((SIZE - 1) / 2 + at / SCALE) for at in (x, y))
    assert pixels[25, 45] in whole[row - 1 : row + 2, column - 1 : column + 2]


def test_spikes_are_never_processed() -> None:
    name = EUV.replace("image_lev1", "spikes")
    assert FRAMES.file(Frame.of(name), steps(BOX)) == FRAMES.file(Frame.of(name))


def test_hmis_cut_outs_are_turned_upright() -> None:
    name = "hmi.m_45s.20140205_120000_TAI.2.magnetogram.fits"
    pixels, header = made(changed(BOX, t=1), name)
    assert header["CROTA2"] == 0
    assert centre(pixels, header) == pytest.approx((200, -300), abs=header["CDELT1"])
    assert header["DRMS_ID"].split(":")[::2] == ["hmi.M_45s_mod", "magnetogram"]
    full = FRAMES.pixels(Frame.of(name))[::-1, ::-1]
    left, low = (round((SIZE + 1) / 2 - header[key]) for key in ("CRPIX1", "CRPIX2"))
    assert (pixels == full[low : low + pixels.shape[0], left : left + pixels.shape[1]]).all()


def test_a_campaign_of_cut_outs_is_fast() -> None:
    frames = Frames(128, [])
    chain = steps(f"aia_scale_orig,mpt=aia.master_pointing3h|{changed(BOX, c=1)}")
    begin = time.perf_counter()
    for minute in range(480):
        frames.file(lev1(304, START + timedelta(minutes=minute)), chain)
    assert time.perf_counter() - begin < 10
