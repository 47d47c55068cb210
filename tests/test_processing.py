import io
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import an_event
from support.images import check_image

from flareset.campaign.checks import check_config
from flareset.campaign.config import ProcessingStep
from flareset.errors import ConfigError, ExportError, VerificationError
from flareset.proof.fits import Asked
from flareset.proof.processed import check_processed
from flareset.sdo import geometry
from flareset.sdo.processing import Step, fingerprint, parse_process, process_text, size_ratio
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import SERIES
from flareset.sources.processing import Region, Surroundings, wire_steps
from flareset.standin.frames import Frame, Frames
from flareset.standin.processed import View, centred, plan

BOX: dict[str, Any] = {
    "center": [200, -300],
    "center_units": "arcsec",
    "size": [600, 400],
    "size_units": "arcsec",
}
AT = "aia.lev1_euv_12s[2015.10.17_04:33:30/300m@84s][171,193,94,304]{image}"
# The process of a real request for cut-outs, by JSOC's own form.
REAL = (
    "n=0|im_patch,t_start=2015-10-17T04:33:30.000,t_stop=2015-10-17T09:33:30.000,t=0,r=0,c=0,"
    "cadence=84s,locunits=arcsec,boxunits=arcsec,t_ref=2015-10-17T04:33:30.000,x=-517.2,y=-246,"
    "width=345.6,height=345.6"
)
START = datetime(2014, 2, 5, 8, tzinfo=UTC)
PEAK = START + timedelta(hours=4, minutes=7)


def filled(*steps: dict[str, Any], series: str = "aia.lev1_euv_12s") -> tuple[ProcessingStep, ...]:
    """Return the steps of a config, with every default."""
    instrument = {"wavelengths": [6173], "segment": next(iter(SERIES[series].segments))}
    over = instrument if series.startswith("hmi") else {}
    given_ = {"series": series, "source": "export", "export": {"processing": list(steps)}, **over}
    config = check_config(given_)
    return config.export.processing


def around(
    series: str = "aia.lev1_euv_12s", region: Region | None = None, **event: Any
) -> Surroundings:
    """Return the surroundings of an event of 2014-02-05 with a window from 8 to 16 h."""
    end = START + timedelta(hours=8)
    flare = PEAK - timedelta(minutes=7), PEAK + timedelta(minutes=9)
    made = an_event(flare, (START, end), **{"flare_peak": PEAK, **event})
    return Surroundings(made, SERIES[series], START, end, lambda _number, _when: region)


def wired(*steps: dict[str, Any], **event: Any) -> list[Step]:
    """Return the steps on the wire for an event."""
    series = event.get("series", "aia.lev1_euv_12s")
    return wire_steps(filled(*steps, series=series), around(**event))[0]


def box(**over: Any) -> dict[str, Any]:
    return {"im_patch": {key: v for key, v in {**BOX, **over}.items() if v is not ...}}


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            box(center_units="carrington", center=[60, -20], track=False),
            "a Carrington longitude moves with the Sun: set track: true, or write the center in"
            " stonyhurst or arcsec",
        ),
        (box(center=[977, 0]), "center: [977, 0] is off the disk, where nothing can be tracked"),
        (
            box(center=[3700, 2048], center_units="pixels"),
            "center: [3700, 2048] is off the disk, where nothing can be tracked",
        ),
        (box(size_units=...), "say how large: size: [width, height] with size_units: arcsec"),
        (box(size=...), "say how large: size: [width, height]"),
        (box(center_units=...), "center has no units: add center_units: arcsec, pixels"),
        (box(noaa_ar=11967), "center and noaa_ar both say where: leave one out"),
        (box(center=...), "say where: center: [x, y], center: event, or noaa_ar"),
        (
            box(center="event", center_units="stonyhurst"),
            "center_units: stonyhurst goes with center: [x, y] only",
        ),
        (box(size=[2500, 2500]), "size: [2500, 2500] arcsec is more than a full frame"),
        (
            box(size=[600, 4097], size_units="pixels"),
            "size: [600, 4097] pixels is more than a full frame",
        ),
        (
            box(size=[181, 20], size_units="degrees"),
            "size: [181, 20] degrees is more than a full frame",
        ),
        (box(car_rot=2146), "car_rot goes with center_units: carrington only; leave it out"),
        (
            box(center=[91, 0], center_units="stonyhurst"),
            "center: [91, 0] is not on the side of the Sun that we see",
        ),
        (
            box(center=[361, 0], center_units="carrington"),
            "center: [361, 0] is no Carrington longitude (0 to 360)",
        ),
        (
            box(center=[0, 2000], center_units="pixels"),
            "center: [0, 2000] is not in the frame: pixels count from 1 to 4096",
        ),
        (box(t_ref="limb"), "t_ref: 'limb' is not a time, peak or start"),
        (box(t_start="peak"), "t_start: 'peak' is not a time, window or limb"),
        (box(cadence="often"), "cadence: 'often' is not"),
        (box(size=[0, 100]), "size"),
        (box(track="yes"), "track: 'yes' is not true or false: write true"),
        (box(centre=[1, 2]), "centre: unknown key; did you mean center?"),
        ({"sharpen": {}}, "sharpen: unknown key"),
        ({"rebin": {"scale": 2}}, "scale: 2 is not a number above 0, at most 1"),
    ],
)
def test_check_params(step: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        filled(step)
    assert sentence in str(error.value)
    assert "export.processing.0" in str(error.value)


@pytest.mark.parametrize(
    ("series", "steps", "sentence"),
    [
        (
            "aia.lev1",
            [box(), {"aia_scale": {}}],
            "export.processing.1.aia_scale: it needs full frames: put it first",
        ),
        (
            "aia.lev1",
            [box(), {"resize": {"scale": 1.2}}],
            "export.processing.1.resize: center_on: sun moves the Sun's centre to the middle of"
            " the cut-out: write center_on: none",
        ),
        (
            "aia.lev1",
            [box(), {"no_op": {}}, {"aia_scale": {}}],
            "export.processing.2.aia_scale: it needs full frames: put it first",
        ),
        ("aia.lev1", [box(), box()], "export.processing: im_patch is there 2 times"),
        ("aia.lev1", [{"rebin": {}}, {"rebin": {}}], "rebin is there 2 times"),
        (
            "hmi.sharp_cea_720s",
            [box()],
            "a record of hmi.sharp_cea_720s is a patch already: leave im_patch out",
        ),
        (
            "hmi.M_45s",
            [box(center=[4050, 2048], center_units="pixels")],
            "is off the disk, where nothing can be tracked",
        ),
    ],
)
def test_chains_that_cannot_be(series: str, steps: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        filled(*steps, series=series)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "steps",
    [
        [{"no_op": None}],
        [{"no_op": {}}, {"aia_scale": None}, box()],
        [box(center=[977, 0], track=False)],
        [box(center=[3600, 2048], center_units="pixels")],
        [box(center=[90, 0], center_units="stonyhurst")],
        [box(center=[360, 0], center_units="carrington")],
        [box(center="event", center_units=...)],
        [box(center=..., center_units=..., noaa_ar="event", size=[4096, 1], size_units="pixels")],
        [box(t_ref="2014-02-05 08:00", t_start="2014.02.05_08:00:35_TAI", t_stop="limb")],
        [{"rebin": None}, {"resize": {"scale": 1.2}}, {"maproj": {}}],
    ],
)
def test_what_can_be_asked_for(steps: list[dict[str, Any]]) -> None:
    assert [step.name for step in filled(*steps)] == [k for s in steps for k in s]


def test_the_order_and_spelling_of_jsocs_form() -> None:
    assert process_text([]) == "n=0|no_op"
    wanted = {**BOX, "center": [-517.2, -246], "size": [345.6, 345.6], "cadence": "84s"}
    query = Recordset.parse(AT).times
    assert query is not None
    begin, end = query[1].begin, query[1].end
    made = around()
    event = an_event((begin, end), (begin, end))
    given_ = Surroundings(event, made.series, begin, end, made.region)
    steps, remarks = wire_steps(filled({"im_patch": {**wanted, "t_ref": "start"}}), given_)
    assert process_text(steps) == REAL.replace(".000", "Z")
    assert not remarks
    assert parse_process(process_text(steps)) == (0, steps)
    real = parse_process(REAL)[1][0].args
    assert list(real) == list(steps[0].args)
    assert size_ratio(steps, EUV) == pytest.approx((345.6 / 0.6 / 4096) ** 2)


EUV = SERIES["aia.lev1_euv_12s"]


def test_reading_a_process() -> None:
    assert parse_process("") == (0, [])
    assert parse_process("n=0|no_op") == (0, [])
    assert parse_process("n=-5|a,b=c=d,e") == (-5, [Step("a", {"b": "c=d", "e": ""})])
    assert fingerprint("n=0|no_op") == fingerprint("") == ""
    assert fingerprint(REAL) == fingerprint(REAL.replace("n=0", "n=7")) != ""
    assert fingerprint(REAL) != fingerprint(REAL.replace("t=0", "t=1"))


def test_tracking_and_its_reference() -> None:
    (tracked,) = wired(box())
    assert tracked.args["t"] == "0"
    assert tracked.args["t_ref"] == "2014-02-05T12:07:00Z"
    assert tracked.args["cadence"] == "12s"
    (still,) = wired(box(track=False, register=True, crop=True))
    assert [still.args[key] for key in ("t", "r", "c")] == ["1", "1", "1"]
    assert still.args["t_ref"] == still.args["t_start"] == "2014-02-05T08:00:00Z"
    (limb,) = wired(box(track=False, t_start="limb", t_stop="limb"))
    assert limb.args["t_start"] == limb.args["t_stop"] == "NotSpecified"
    assert limb.args["t_ref"] == "2014-02-05T08:00:00Z"
    slow = replace(around(), cadence=84.0)
    assert wire_steps(filled(box()), slow)[0][0].args["cadence"] == "84s"
    assert wire_steps(filled(box(cadence="2m")), slow)[0][0].args["cadence"] == "120s"
    for stop in ("2014-02-05 09:30", "2014-02-05 09:29"):
        with pytest.raises(ExportError, match=r"t_start 2014-02-05T09:30:00Z is not before"):
            wired(box(t_start="2014-02-05 09:30", t_stop=stop))
    (no_peak,) = wired(box(), flare_peak=None)
    assert no_peak.args["t_ref"] == "2014-02-05T12:00:00Z"
    (other,) = wired(box(t_ref="2014-02-05 09:30", t_stop="2014.02.05_10:00:35_TAI"))
    assert other.args["t_ref"] == "2014-02-05T09:30:00Z"
    assert other.args["t_stop"] == "2014-02-05T10:00:00Z"


def test_carrington_has_its_rotation() -> None:
    carrington = box(center=[60, -20], center_units="carrington")
    (step,) = wired(carrington)
    assert step.args["locunits"] == "carrlong"
    assert step.args["car_rot"] == str(geometry.carrington(PEAK)[0]) == "2146"
    assert "t_ref" not in step.args
    names = list(step.args)
    assert names[names.index("boxunits") :] == ["boxunits", "car_rot", "x", "y", "width", "height"]
    (given_,) = wired({"im_patch": {**carrington["im_patch"], "car_rot": 2140}})
    assert given_.args["car_rot"] == "2140"


def test_the_centre_comes_from_the_row() -> None:
    at_event = box(center="event", center_units=...)
    (step,) = wired(at_event, hpc_x=-812.5, hpc_y=120.0)
    assert [step.args[key] for key in ("locunits", "x", "y")] == ["arcsec", "-812.5", "120"]
    with pytest.raises(ExportError, match="its row has no hpc_x and hpc_y; fill them in, or use"):
        wired(at_event)
    for half in ({"hpc_x": 1.0}, {"hpc_y": 1.0}):
        with pytest.raises(ExportError, match="its row has no hpc_x and hpc_y"):
            wired(at_event, **half)
        with pytest.raises(ExportError, match="its row has no noaa_ar, and there is no hpc_x"):
            wired(AR, **half)
    with pytest.raises(ExportError, match=r"1000.0, 0.0 arcsec is off the disk.* set track: false"):
        wired(at_event, hpc_x=1000.0, hpc_y=0.0)
    still = {"im_patch": {**at_event["im_patch"], "track": False}}
    assert wired(still, hpc_x=1000.0, hpc_y=0.0)[0].args["x"] == "1000"


AR = box(center=..., center_units=..., noaa_ar="event")
SEEN = Region(datetime(2014, 2, 4, tzinfo=UTC), -3.0, -13.0)


@pytest.mark.parametrize(("text", "asked"), [("1967", 11967), ("11967", 11967), ("7001", 7001)])
def test_an_active_region_is_looked_up_as_on_the_form(text: str, asked: int) -> None:
    numbers = []

    def region(number: int, when: datetime) -> Region:
        numbers.append((number, when))
        return SEEN

    made = around(noaa_ar=int(text))
    steps, remarks = wire_steps(
        filled(AR), Surroundings(made.event, made.series, made.begin, made.end, region)
    )
    assert numbers == [(asked, PEAK)]
    args = steps[0].args
    assert [args[key] for key in ("t", "locunits", "t_ref", "x", "y")] == [
        "0", "stony", "2014-02-04T00:00:00Z", "-3", "-13",
    ]  # fmt: skip
    assert remarks == [f"NOAA AR {asked}: -3.0, -13.0 Stonyhurst at 2014-02-04T00:00:00Z"]


def test_without_tracking_a_region_is_where_it_has_turned_to() -> None:
    still = {"im_patch": {**AR["im_patch"], "track": False}}
    steps, (remark,) = wire_steps(filled(still), around(region=SEEN, noaa_ar=11967))
    days = (PEAK - SEEN.time) / timedelta(days=1)
    assert float(steps[0].args["x"]) == pytest.approx(-3 + 13.2 * days, abs=0.2)
    assert steps[0].args["t_ref"] == "2014-02-05T08:00:00Z"
    assert remark.endswith(f", {steps[0].args['x']} at 2014-02-05T12:07:00Z")
    # What was seen two weeks and more ago has gone round behind the Sun.
    before = Region(PEAK - timedelta(days=25), 0.0, -13.0)
    (step,), _ = wire_steps(filled(still), around(region=before, noaa_ar=11967))
    turned = geometry.carrington(before.time)[1] - geometry.carrington(PEAK)[1]
    assert step.args["x"] == f"{math.remainder(turned, 360):.2f}".rstrip("0")
    for longitude in (90.0, -90.0):
        (step,), _ = wire_steps(
            filled(still), around(region=Region(PEAK, longitude, 0.0), noaa_ar=11967)
        )
        assert float(step.args["x"]) == longitude
    with pytest.raises(ExportError, match="was not on the side of the Sun that we see"):
        wire_steps(filled(still), around(region=Region(PEAK, 90.5, 0.0), noaa_ar=11967))
    gone = Region(SEEN.time - timedelta(days=10), 0.0, -13.0)
    with pytest.raises(ExportError, match="NOAA AR 11967 was not on the side of the Sun"):
        wire_steps(filled(still), around(region=gone, noaa_ar=11967))


def test_without_a_region_the_rows_position_stands_in() -> None:
    position = {"hpc_x": 10.0, "hpc_y": 20.0}
    for row, why in (
        (11967, "JSOC knows no NOAA AR 11967; used"),
        (None, "no NOAA AR in the row; used"),
    ):
        steps, (remark,) = wire_steps(filled(AR), around(noaa_ar=row, **position))
        assert remark.startswith(why)
        args = steps[0].args
        assert [args[k] for k in ("locunits", "x", "y", "t_ref")] == [
            "arcsec", "10", "20", "2014-02-05T12:07:00Z",
        ]  # fmt: skip
        with pytest.raises(ExportError, match="there is no hpc_x and hpc_y to use instead"):
            wire_steps(filled(AR), around(columns=row))


@pytest.mark.parametrize(
    ("series", "step", "text"),
    [
        ("aia.lev1", {"aia_scale": {}}, "aia_scale_orig"),
        (
            "aia.lev1_euv_12s",
            {"aia_scale": {"pointing_series": "aia.master_pointing3h"}},
            "aia_scale_aialev1,mpt=aia.master_pointing3h",
        ),
        (
            "aia.lev1_euv_12s",
            {"aia_scale": {"center": [2000, 2100.5], "size": [1024, 512]}},
            "aia_scale_aialev1,xc=2000,yc=2100.5,wide=1024,high=512",
        ),
        ("hmi.M_45s", {"aia_scale": {}}, "aia_scale_other"),
        (
            "hmi.M_45s",
            {"resize": {"scale": 0.6}},
            "resize,regrid=1,do_stretchmarks=0,center_to=0,rescale=1,scale_to=0.6",
        ),
        (
            "aia.lev1",
            {"resize": {"interpolation": "nearest", "center_on": "none", "crop": True}},
            "resize,regrid=0,do_stretchmarks=0,center_to=2,rescale=0,c=1",
        ),
        ("aia.lev1", {"rebin": {"scale": 0.25}}, "rebin,method=boxcar,scale=0.25"),
        (
            "aia.lev1",
            {"rebin": {"method": "gaussian", "fwhm": 2.5}},
            "rebin,method=gaussian,scale=0.5,FWHM=2.5,nvector=6",
        ),
        (
            "aia.lev1",
            {"maproj": {"center": [120, -10], "size": [800, 400]}},
            "Maproj,map=cyleqa,clon=120,clat=-10,scale=0.03,cols=800,rows=400",
        ),
    ],
)
def test_the_other_steps_on_the_wire(series: str, step: dict[str, Any], text: str) -> None:
    assert process_text(wired(step, series=series)) == f"n=0|{text}"


@pytest.mark.parametrize(
    ("series", "process", "ratio"),
    [
        ("aia.lev1", "aia_scale_orig", 1),
        ("aia.lev1", "rebin,method=boxcar,scale=0.25", 1 / 16),
        ("aia.lev1", "resize,rescale=1,scale_to=1.2", 1 / 4),
        ("aia.lev1", "resize,rescale=1,scale_to=0.3", 1),
        ("aia.lev1", "im_patch,boxunits=pixels,width=512,height=1024", 1 / 32),
        ("hmi.M_45s", "im_patch,boxunits=arcsec,width=504,height=504", (1000 / 4096) ** 2),
        ("aia.lev1", "im_patch,boxunits=pixels,width=512,height=1024|rebin,scale=0.5", 1 / 128),
        ("aia.lev1", "rebin,scale=0.5|im_patch,boxunits=pixels,width=512,height=1024", 1 / 32),
        ("aia.lev1", "rebin,scale=0.5|im_patch,boxunits=arcsec,width=1200,height=1200", 1 / 16.777),
        ("aia.lev1", "Maproj,cols=1024,rows=512", 1 / 32),
        # A degree at the disk's centre is some 16.7 arcsec: 960 sin 1.
        ("aia.lev1", "im_patch,boxunits=degrees,width=10,height=20", 2 * (167 / 0.6 / 4096) ** 2),
    ],
)
def test_the_part_of_a_frame_that_comes(series: str, process: str, ratio: float) -> None:
    assert size_ratio(parse_process(process)[1], SERIES[series]) == pytest.approx(ratio, rel=1e-3)


# What comes back: files of the stand-in, and headers of what it plans for larger frames

NAMES = {
    "aia.lev1_euv_12s": "aia.lev1_euv_12s.{:%Y-%m-%dT%H%M%SZ}.131.image_lev1.fits",
    "hmi.M_45s": "hmi.m_45s.{:%Y%m%d_%H%M%S}_TAI.2.magnetogram.fits",
}
SKY = {size: Frames(size, []) for size in (128, 256)}
Made = tuple[dict[str, Any], tuple[int, int]]


def frame_of(series: str, hours: float) -> Frame:
    when = (PEAK + timedelta(hours=hours)).replace(microsecond=0)
    if series == "aia.lev1":
        return Frame("x", series, 304, "image_lev1", when)
    frame = Frame.of(NAMES[series].format(when))
    assert frame is not None
    return frame


def sent(frame: Frame, steps: list[Step], size: int = 256) -> Made:
    """Return header and shape of the file that the stand-in sends."""
    content = b"".join(SKY[size].file(frame, steps))
    with fits.open(io.BytesIO(content), do_not_scale_image_data=True) as hdus:
        return dict(hdus[1].header), hdus[1].shape


def planned(view: View, steps: list[Step], when: datetime) -> Made:
    """Return header and shape of the file, without computing pixels."""
    view, _ = plan(view, steps, when)
    header = {
        "DRMS_ID": "x_mod:1:image", "LVL_NUM": view.level, "CROTA2": view.crota,
        "CDELT1": view.cdelt, "CDELT2": view.cdelt, "CRPIX1": view.crpix[0],
        "CRPIX2": view.crpix[1], "CRVAL1": view.crval[0], "CRVAL2": view.crval[1],
    }  # fmt: skip
    return header, (view.rows, view.columns)


def steps_of(*given_: dict[str, Any], series: str = "aia.lev1_euv_12s") -> list[Step]:
    return wired(*given_, series=series)


SCALED = {"aia_scale": {}}
RIGHT = {
    "a box": [box()],
    "not tracked": [box(track=False)],
    "cropped and registered": [box(crop=True, register=True)],
    "pixels": [box(size=[100, 60], size_units="pixels")],
    "centre in pixels": [box(center=[90, 120], center_units="pixels", track=False)],
    "degrees": [box(size=[30, 20], size_units="degrees")],
    "high latitude": [
        box(center=[10, 60], center_units="stonyhurst", size=[40, 20], size_units="degrees")
    ],
    "stonyhurst": [box(center=[40, 20], center_units="stonyhurst")],
    "stonyhurst, not tracked": [box(center=[40, 20], center_units="stonyhurst", track=False)],
    "carrington": [box(center=[90, -20], center_units="carrington")],
    "behind the limb": [box(center=[166, -20], center_units="carrington")],
    "beyond the frame": [box(center=[1150, 1150], track=False)],
    "off the disk": [box(center=[1000, 0], track=False)],
    "over the west limb": [box(center=[930, 100])],
    "over the east limb": [box(center=[-940, -50])],
    "binned box": [box(), {"rebin": {}}],
    "binned box of pixels": [box(size=[100, 60], size_units="pixels"), {"rebin": {"scale": 0.25}}],
    "box of a binned frame": [{"rebin": {}}, box(size=[50, 30], size_units="pixels")],
    "resized box": [box(), {"resize": {"scale": 4.8, "center_on": "none"}}],
    "resized box of pixels": [
        box(size=[100, 60], size_units="pixels"),
        {"resize": {"scale": 4.8, "center_on": "first_image"}},
    ],
    "box of a resized frame": [{"resize": {"scale": 19.2}}, box()],
    "resized, then binned": [{"resize": {"scale": 4.8}}, {"rebin": {}}],
    "resized without a scale": [{"resize": {}}],
    "binned": [{"rebin": {"scale": 0.25}}],
    "a map": [{"maproj": {"center": [90, 0], "scale": 0.5, "size": [120, 80]}}],
    "a map of a box": [box(), {"maproj": {"center": [90, 0], "scale": 0.5, "size": [120, 80]}}],
}  # fmt: skip


@pytest.mark.parametrize("series", ["aia.lev1", "aia.lev1_euv_12s", "hmi.M_45s"])
@pytest.mark.parametrize("what", RIGHT)
def test_what_was_asked_passes(what: str, series: str) -> None:
    chain = steps_of(*RIGHT[what], series=series)
    chains = [chain, [*steps_of(SCALED, series=series), *chain]]
    for steps in chains:
        for hours in (-4, 0, 4):
            frame = frame_of(series, hours)
            header, shape = sent(frame, steps, 128 if hours else 256)
            check_processed(header, shape, steps, frame.time)


centres = st.one_of(
    st.tuples(st.just("arcsec"), st.floats(-690, 690), st.floats(-690, 690)),
    st.tuples(st.just("stonyhurst"), st.floats(-90, 90), st.floats(-90, 90)),
    st.tuples(st.just("carrington"), st.floats(0, 360), st.floats(-90, 90)),
    st.tuples(st.just("pixels"), st.floats(1000, 3000), st.floats(1000, 3000)),
)
sizes = st.one_of(
    st.tuples(st.just("arcsec"), st.floats(80, 2400), st.floats(80, 2400)),
    st.tuples(st.just("pixels"), st.floats(4, 4096), st.floats(4, 4096)),
    st.tuples(st.just("degrees"), st.floats(5, 180), st.floats(5, 180)),
)
boxes = st.builds(
    lambda centre, size, track, register, crop: box(
        center=list(centre[1:]), center_units=centre[0], size=list(size[1:]), size_units=size[0],
        track=track or centre[0] == "carrington", register=register, crop=crop,
    ),
    centres, sizes, st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
WHOLE = {
    "aia": centred(4096, 4096, 0.6),
    "native": View(4096, 4096, (2053.9, 2036.1), 0.612898, 0.0192),
    "hmi": View(4096, 4096, (2041.7, 2052.3), 0.504, 180.0132),
    "small": centred(256, 256, 9.6),
    "coarse": View(128, 128, (64.66, 64.11), 19.2, -0.1314),
    "coarse hmi": centred(128, 128, 0.504 * 32, 180.0),
}


@settings(max_examples=100)
@given(
    view=st.sampled_from(sorted(WHOLE)),
    cut=boxes,
    scaled=st.booleans(),
    factor=st.sampled_from([1, 0.5, 0.25]),
    hours=st.floats(-12, 12),
)
def test_no_box_that_was_asked_for_is_refused(
    view: str, cut: dict[str, Any], scaled: bool, factor: float, hours: float
) -> None:
    series = "hmi.M_45s" if "hmi" in view else "aia.lev1"
    try:
        steps = steps_of(
            *([SCALED] if scaled else []),
            cut,
            *([{"rebin": {"scale": factor}}] if factor != 1 else []),
            series=series,
        )
    except (ConfigError, ExportError):
        return
    when = PEAK + timedelta(hours=hours)
    header, shape = planned(WHOLE[view], steps, when)
    check_processed(header, shape, steps, when)
    # T_REC stands in for the time of the exposure, which may be a cadence later.
    check_processed(header, shape, steps, when - timedelta(seconds=12))


WRONG = {
    "a full frame": ([box()], [], "it is not processed: its DRMS_ID is"),
    "a full frame, binned": ([{"rebin": {}}], [], "it is not processed"),
    "a full frame, mapped": (
        [{"maproj": {"size": [120, 80]}}], [], "it is not processed",
    ),
    "a frame that says nothing of it": (
        [box()], [{"resize": {}}], "pixels of 9.6 arcsec, asked was a cut-out of 600 x 400 arcsec",
    ),
    "a frame for degrees": (
        [box(size=[30, 20], size_units="degrees")], [{"resize": {}}],
        "asked was a cut-out of 30 x 20 degrees",
    ),
    "a frame for pixels": (
        [box(size=[100, 60], size_units="pixels")], [{"resize": {}}],
        "it has 256 x 256 pixels of 9.6 arcsec, asked was a cut-out of 100 x 60 pixels",
    ),
    "another place": ([box()], [box(center=[320, -300])], "arcsec, asked was 298, -303"),
    "another place by degrees": (
        [box(center=[40, 20], center_units="stonyhurst")],
        [box(center=[30, 20], center_units="stonyhurst")], "arcsec, asked was",
    ),
    "the other way of tracking": ([box()], [box(track=False)], "arcsec, asked was"),
    "another size": ([box()], [box(size=[700, 400])], "asked was a cut-out of 600 x 400"),
    "turned": ([box()], [box(size=[400, 600])], "asked was a cut-out of 600 x 400"),
    "not scaled": ([SCALED, box()], [box()], "it is not scaled to level 1.5: LVL_NUM is 1.0"),
    "not scaled and binned": ([SCALED, {"rebin": {}}], [{"rebin": {}}], "not scaled to level 1.5"),
    "another map": (
        [{"maproj": {"size": [120, 80]}}], [{"maproj": {"size": [120, 90]}}],
        "it has 120 x 90 pixels, the map asked for 120 x 80",
    ),
    "another scale": (
        [{"resize": {"scale": 4.8}}], [{"resize": {"scale": 9.6}}], "CDELT1 is 9.6, asked was 4.8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("series", ["aia.lev1", "aia.lev1_euv_12s"])
@pytest.mark.parametrize("what", WRONG)
def test_what_was_not_asked_is_refused(what: str, series: str) -> None:
    asked, came, why = WRONG[what]
    frame = frame_of(series, 12)
    header, shape = sent(frame, steps_of(*came, series=series))
    with pytest.raises(VerificationError) as error:
        check_processed(header, shape, steps_of(*asked, series=series), frame.time)
    # The scale in full is that of the series' channel.
    assert why in re.sub(r"\b9\.6\d+", "9.6", str(error.value))


@settings(max_examples=50)
@given(
    angle=st.floats(0, 2 * math.pi),
    side=st.floats(30, 800),
    track=st.booleans(),
    hours=st.floats(-8, 8),
)
def test_how_far_a_cut_out_may_lie(angle: float, side: float, track: bool, hours: float) -> None:
    asked = steps_of(box(size=[side, side], track=track))
    when = PEAK + timedelta(hours=hours)
    allowed = max(20.0, 0.1 * side)
    for part in (0.7, 1.4):
        away = part * allowed * math.cos(angle), part * allowed * math.sin(angle)
        place = {"x": 200 + away[0], "y": -300 + away[1]}
        came = [Step("im_patch", asked[0].args | {k: f"{v:.3f}" for k, v in place.items()})]
        header, shape = planned(WHOLE["native"], came, when)
        if part < 1:
            check_processed(header, shape, asked, when)
            continue
        with pytest.raises(VerificationError, match="arcsec, asked was"):
            check_processed(header, shape, asked, when)


def test_hmis_scale_alone_shows_that_it_was_scaled() -> None:
    steps = steps_of(SCALED, series="hmi.M_45s")
    frame = frame_of("hmi.M_45s", 0)
    check_processed(*sent(frame, steps), steps, frame.time)
    with pytest.raises(VerificationError, match="not scaled to level"):
        check_processed(*sent(frame, steps_of({"resize": {}})), steps, frame.time)


@pytest.mark.parametrize("key", ["CDELT1", "CDELT2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"])
@pytest.mark.parametrize("value", [None, "nan", math.nan, math.inf, "", "MISSING"])
def test_a_header_that_does_not_tell(key: str, value: object) -> None:
    steps = steps_of(box())
    header, shape = planned(WHOLE["aia"], steps, PEAK)
    with pytest.raises(VerificationError, match=f"its header has no {key}"):
        check_processed({**header, key: value}, shape, steps, PEAK)


def test_a_header_may_leave_out_what_is_not_needed() -> None:
    steps = steps_of(box())
    header, shape = planned(WHOLE["aia"], steps, PEAK)
    del header["CROTA2"], header["DRMS_ID"]
    check_processed(header, shape, steps, PEAK)
    with pytest.raises(VerificationError, match="CDELT1 is 0"):
        check_processed({**header, "CDELT1": 0.0}, shape, steps, PEAK)


# The same in the check of a whole file


def checked(path: Path, frame: Frame, came: list[Step], **over: Any) -> None:
    """Check the file of a frame against the steps that were asked for."""
    path.write_bytes(b"".join(SKY[128].file(frame, came)))
    check_image(
        path,
        Asked(
            **{
                "record": frame.series,
                "t_rec": frame.t_rec,
                "wavelength": frame.wavelength,
                "segments": SERIES[frame.series].names_of(frame.segment),
                "time": frame.time,
                **over,
            }
        ),
    )


@pytest.mark.parametrize("series", ["aia.lev1", "aia.lev1_euv_12s", "hmi.M_45s"])
def test_a_file_must_show_its_processing(series: str, tmp_path: Path) -> None:
    frame = frame_of(series, 1)
    steps = tuple(steps_of(box(size=[800, 400]), series=series))
    checked(tmp_path / "x", frame, list(steps), steps=steps)
    with pytest.raises(VerificationError, match="it is not processed"):
        checked(tmp_path / "x", frame, [], steps=steps)
    tall = steps_of(box(size=[400, 800]), series=series)
    with pytest.raises(VerificationError, match="asked was a cut-out of 800 x 400 arcsec"):
        checked(tmp_path / "x", frame, tall, steps=steps)


def test_prime_keys_tell_records_of_one_time_apart(tmp_path: Path) -> None:
    path = tmp_path / "x"
    lev1, sharp = (
        frame_of("aia.lev1", 0),
        Frame.of("hmi.sharp_cea_720s.377.20140205_120000_TAI.Br.fits"),
    )
    assert sharp is not None
    for frame, number in ((lev1, lev1.fsn), (sharp, 377)):
        keys = SERIES[frame.series].keys
        times = {"keys": keys}
        for value, right in ((number, True), (number + 1, False)):
            at = {"T_REC": f"{frame.t_rec:%Y-%m-%dT%H:%M:%SZ}"}
            record = frame.series + "".join(f"[{at.get(key, value)}]" for key in keys)
            if right:
                checked(path, frame, [], record=record, **times)
                continue
            with pytest.raises(VerificationError, match=rf"another record.*(FSN|HARPNUM) {number}"):
                checked(path, frame, [], record=record, **times)


def test_a_file_as_stored_may_lack_keywords_but_not_contradict(tmp_path: Path) -> None:
    path = tmp_path / "x"
    frame = frame_of("aia.lev1_euv_12s", 0)
    wanted = Asked("r", frame.t_rec, 131, frozenset({"image"}), frame.time, as_stored=True)
    path.write_bytes(b"".join(SKY[128].file(frame, as_is=True)))
    check_image(path, wanted)
    with pytest.raises(VerificationError, match="WAVELNTH is None"):
        check_image(path, replace(wanted, as_stored=False))
    path.write_bytes(b"".join(SKY[128].file(frame)))
    check_image(path, wanted)
    with pytest.raises(VerificationError, match="WAVELNTH is 131"):
        check_image(path, replace(wanted, wavelength=171))
    with pytest.raises(VerificationError, match="it is another record"):
        check_image(path, replace(wanted, t_rec=START, time=START))


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (box(center=None, center_units="", noaa_ar=99999), "JSOC knows no NOAA AR 99999 within"),
        (
            box(center=[250, -20], center_units="carrington"),
            "Carrington 250, -20 is behind the limb all the time",
        ),
    ],
)
def test_places_that_are_nowhere(cut: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError) as error:
        wired(cut)
    assert message in str(error.value)
