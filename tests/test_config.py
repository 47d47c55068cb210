from pathlib import Path

import pytest
import yaml

from flareset.campaign.config import check_config
from flareset.errors import ConfigError

ROOT = Path(__file__).parents[1]


def refused(**config: object) -> str:
    with pytest.raises(ConfigError) as error:
        check_config(config)
    return str(error.value)


def test_everything_has_a_default() -> None:
    config = check_config({})
    assert config["window"] == {"pre": "178m", "post": "178m"}
    assert config["archive"]["connections"] == 2
    assert check_config(config) == config


def test_the_shipped_config_says_what_the_defaults_are() -> None:
    for name in ("config.yaml",):
        shipped = yaml.safe_load((ROOT / "config" / name).read_text())
        assert check_config(shipped) == check_config({})


def test_all_problems_are_named_at_once() -> None:
    message = refused(
        windw={"pre": "1m"},
        archive={"conections": 3, "max_file_size": "big"},
        window={"pre": 178},
        sample={"per_minute": "one", "pre": -1},
        quality={"reject": ["bad"]},
        fetch="some",
    )
    for expected in (
        "windw: unknown key; did you mean window? Known here: ",
        "archive.conections: unknown key",
        "archive.max_file_size: 'big' is not a number and kB, MB or GB",
        "window.pre: 178 is not of type string",
        "sample.per_minute: 'one' is not of type integer",
        "sample.pre: -1 is less than the minimum of 0",
        "quality.reject.0: 'bad' is not one of no_flat",
        "fetch: 'some' is not one of all, sampled",
    ):
        assert expected in message


def test_contradictions() -> None:
    assert "series: 'aia.lev2' is not one of" in refused(series="aia.lev2")
    assert "wavelengths: [1600] not in aia.lev1_euv_12s" in refused(wavelengths=[131, 1600])


BOX = {"center": [10, 20], "center_units": "arcsec", "size": [400, 300], "size_units": "arcsec"}


@pytest.mark.parametrize(
    ("export", "sentence"),
    [
        (
            {"method": "url_quick"},
            "export.method: url_quick gives files as they are stored: add export.protocol: as-is",
        ),
        (
            {"method": "url_quick", "protocol": "as-is", "processing": [{"rebin": {}}]},
            "export.protocol: as-is gives files as they are stored: take export.processing out",
        ),
        (
            {"method": "url_quick", "processing": [{"rebin": {}}]},
            "export.method: url_quick gives files as they are stored: take export.processing out",
        ),
        ({"method": "ftp"}, "export.method: 'ftp' is not one of url, url-tar, url_quick"),
        ({"protocol": "FITS,gzip"}, "export.protocol: 'FITS,gzip' is not FITS, 'FITS,compress"),
        ({"protocol": "jpg,size=3"}, "export.protocol: 'jpg,size=3' is not"),
        ({"filename_format": "../{T_REC:A}.{segment}"}, "is not a name with {KEYWORD} fields"),
        ({"filename_format": "a;b"}, "is not a name with {KEYWORD} fields"),
        ({"filename_format": "x" * 128}, "at most 127 long"),
        ({"requestor": "a;b"}, "export.requestor: 'a;b' does not match"),
        ({"wait": "long"}, "export.wait: 'long' is not a number and s, m, h or d"),
        ({"processing": {"rebin": {}}}, "export.processing: {'rebin': {}} is not of type array"),
        ({"processing": [{}]}, "export.processing.0: {} should be non-empty"),
        ({"processing": [{"rebin": {}, "resize": {}}]}, "export.processing.0"),
        (
            {"processing": ["rebin"]},
            "export.processing.0: 'rebin' is no step",
        ),
    ],
)
def test_exports_that_cannot_be(export: dict[str, object], sentence: str) -> None:
    assert sentence in refused(export=export)


@pytest.mark.parametrize(
    "export",
    [
        {"method": "url_quick", "protocol": "as-is"},
        {"method": "url_quick", "protocol": "AS-IS", "processing": [{"no_op": None}]},
        {"method": "url-tar", "protocol": "FITS,**NONE**", "processing": [{"rebin": {}}]},
        {"protocol": "mp4,CT=aia_131.lut,scaling=LOG,size=2"},
        {"filename_format": "aia.{T_REC:A1,TAI}.{WAVELNTH}.noproj.{segment}"},
        {"filename_format": "{seriesname}.{recnum:%lld}.{segment}"},
    ],
)
def test_exports_that_can_be(export: dict[str, object]) -> None:
    found = check_config({"export": export})["export"]
    assert {key: found[key] for key in export if key != "processing"} == {
        key: value for key, value in export.items() if key != "processing"
    }
    assert check_config({"export": found})["export"] == found


def test_steps_have_their_defaults_and_the_series_its_segment() -> None:
    cut = {"center": "event", "size": [300, 300], "size_units": "arcsec"}
    config = check_config(
        {"series": "AIA.LEV1", "export": {"processing": [{"aia_scale": None}, {"im_patch": cut}]}}
    )
    assert (config["series"], config["segment"]) == ("aia.lev1", "image_lev1")
    scale, box = config["export"]["processing"]
    assert scale == {"aia_scale": {"pointing_series": "", "center": None, "size": None}}
    assert box["im_patch"] == {
        **cut, "center_units": "", "noaa_ar": None, "track": True, "register": False,
        "crop": False, "t_ref": "peak", "t_start": "window", "t_stop": "window", "cadence": "",
        "car_rot": None,
    }  # fmt: skip


def test_every_key_is_in_the_manual() -> None:
    manual = (ROOT / "config/README.md").read_text()
    for key, value in check_config({}).items():
        names = [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
        for name in names:
            assert f"`{name}`" in manual, name


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ({"filename_format": "x.{segment}"}, "all files would have one name"),
        ({"filename_format": "{T_REC:A}.{#:%05d}.{segment}"}, "{#} counts anew in each export"),
        ({"protocol": "JPEG,scaling=MINMAXGIVEN"}, "needs ,min= and ,max="),
        ({"processing": ["im_patch"]}, "is no step; write its settings behind it"),
        ({"processing": [{"no_op": {}, "rebin": {}}]}, "no_op, rebin are steps of their own"),
        ({"processing": [{"maproj": {}}, {"im_patch": {**BOX}}]}, "put maproj last"),
        ({"processing": [{"im_patch": {**BOX, "size": 400}}]}, "400 is not two positive numbers"),
        ({"processing": [{"im_patch": {**BOX, "center": "flare"}}]}, "not two numbers, [x, y], or"),
        ({"processing": [{"im_patch": {**BOX, "cadence": "0s"}}]}, "must be longer than 0"),
        ({"processing": [{"im_patch": {**BOX, "size": [float("nan"), 1]}}]}, "must be numbers"),
    ],
)
def test_what_an_export_cannot_be(export: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_config({"export": export})
    assert message in str(error.value)
