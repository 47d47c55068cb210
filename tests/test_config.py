"""The config: every key's type and default, and the message for each mistake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flareset.campaign.checks import check_config
from flareset.campaign.config import ProcessingStep
from flareset.campaign.values import read_size, size_text
from flareset.errors import ConfigError
from flareset.sdo.times import duration_text, parse_duration

ROOT = Path(__file__).parents[1]
BOX = {"center": [10, 20], "center_units": "arcsec", "size": [400, 300], "size_units": "arcsec"}


def refused(**config: object) -> str:
    with pytest.raises(ConfigError) as error:
        check_config(config)
    return str(error.value)


def test_everything_has_a_default_and_a_type() -> None:
    config = check_config({})
    assert config.window.pre == config.window.post == timedelta(minutes=178)
    assert config.archive.max_file_size == 100_000_000
    assert config.export.wait == timedelta(days=2)
    assert config.wavelengths == (131,)
    assert check_config(config.model_dump(mode="json")) == config


def test_the_shipped_config_says_what_the_defaults_are() -> None:
    shipped = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert check_config(shipped) == check_config({})


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        check_config({}).sample.seed = 8


def test_all_problems_are_named_at_once() -> None:
    message = refused(
        windw={"pre": "1m"},
        archive={"conections": 3, "max_file_size": "big", "hosts": "jsoc.stanford.edu"},
        window={"pre": 178, "post": "1 week"},
        sample={"per_minute": "one", "pre": -1, "post": "178"},
        quality={"reject": ["no_son"]},
        source="exports",
        fetch="some",
        wavelengths=171,
        accept_pages=["a", "b", "a"],
        completeness=None,
        results=2014,
        series="hmi.M_45s",
        export={"method": "url_quick", "filename_format": "x.{segment}"},
    )
    for expected in (
        "windw: unknown key; did you mean window? Known here: ",
        "archive.conections: unknown key; did you mean connections? Known here: cgi_url, conn",
        "archive.max_file_size: 'big' is not a number and kB, MB or GB, like 100MB",
        "archive.hosts: 'jsoc.stanford.edu' is not a list: write [jsoc.stanford.edu]",
        "window.pre: 178 is not a number and s, m, h or d, like 178m: write 178m",
        "window.post: '1 week' is not a number and s, m, h or d",
        "sample.per_minute: 'one' is not a whole number, 0 or more",
        "sample.pre: -1 is not a whole number, 0 or more",
        "sample.post: '178' is not a whole number, 0 or more: write 178 without quotes",
        "quality.reject.0: 'no_son' is not one of no_flat, ",
        "did you mean no_sun?",
        "source: 'exports' is not one of page, request_id, export, direct; did you mean export?",
        "fetch: 'some' is not one of all, sampled",
        "wavelengths: 171 is not a list: write [171]",
        "accept_pages: ['a', 'b', 'a'] has a more than once: leave one out",
        "completeness: null is not a section: write its keys below it",
        'results: 2014 is not a path: write "2014", in quotes',
        # What does not go together is named with what is wrong by itself.
        "segment: 'image' is not one of hmi.M_45s: magnetogram",
        "export.method: url_quick gives files as they are stored: add export.protocol: as-is",
        "export.filename_format: all files would have one name",
    ):
        assert expected in message
    assert len(message.splitlines()) == 1 + 19


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"wavelengths": []}, "wavelengths: [] is empty: write at least one"),
        ({"wavelengths": [131, 131]}, "wavelengths: [131, 131] has 131 more than once"),
        (
            {"wavelengths": ["131"]},
            "wavelengths.0: '131' is not a whole number, 1 or more: write 1",
        ),
        ({"store": ""}, "store: '' is not a path"),
        ({"archive": {"connections": 17}}, "17 is not a whole number from 1 to 16"),
        ({"archive": {"frame_size": 200}}, "200 is not one of 128, 256, 512, 1024, 2048, 4096"),
        ({"archive": {"data_url": "jsoc.stanford.edu"}}, "is not a URL like http://host/path"),
        ({"archive": {"data_url": "http://me:secret@host/"}}, "without a password or a query"),
        ({"archive": {"cgi_url": "http://[::1"}}, "is not a URL like http://host/path"),
        ({"archive": {"hosts": ["https://x"]}}, "archive.hosts.0: 'https://x' is not the name of"),
        ({"archive": {"max_file_size": 100}}, "100 is not a number and kB, MB or GB, like 100MB: "),
        ({"archive": {"max_file_size": "0MB"}}, "'0MB' is not a number and kB, MB or GB"),
        ({"sample": {"seed": True}}, "sample.seed: true is not a whole number or text"),
        ({"sample": {"seed": 1.5}}, "sample.seed: 1.5 is not a whole number or text"),
        ({"sample": {"pre": True}}, "sample.pre: true is not a whole number"),
        ({4: 4}, "4: unknown key. Known here: accept_pages, archive, "),
        (
            {"seed": 1},
            "seed: unknown key; did you mean intake.select.keep.seed, sample.seed, splits.",
        ),
        (
            {"sample": {"connections": 1}},
            "; did you mean archive.connections? Known here: chan",
        ),
        (
            {"window": {"pre": "20 min"}},
            "'20 min' is not a number and s, m, h or d, like 178m: wri",
        ),
        ({"window": {"pre": "1.5 Hours"}}, ": write 1.5h"),
        ({"window": {"pre": "20 monkeys"}}, "'20 monkeys' is not a number and s, m, h or d"),
        ({"export": 3}, "export: 3 is not a section"),
        ({"series": "aia.lev2"}, "series: 'aia.lev2' is not one of aia.lev1_euv_12s, "),
        ({"series": 7}, "series: 7 is not one of"),
        ({"wavelengths": [131, 1600]}, "wavelengths: [1600] not in aia.lev1_euv_12s, which has"),
        ({"segment": "spikes"}, "segment: 'spikes' is not one of aia.lev1_euv_12s: image"),
    ],
)
def test_a_sentence_for_each_mistake(config: dict, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_config(config)
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 2


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
        ({"protocol": "JPEG,scaling=MINMAXGIVEN"}, "needs ,min= and ,max="),
        ({"protocol": "JPEG,scaling=MINMAXGIVEN,min=1"}, "needs ,min= and ,max="),
        ({"filename_format": "../{T_REC:A}.{segment}"}, "is not a name with {KEYWORD} fields"),
        ({"filename_format": "a;b"}, "is not a name with {KEYWORD} fields"),
        ({"filename_format": "x" * 128}, "at most 127 long"),
        ({"filename_format": "x.{segment}"}, "all files would have one name"),
        ({"filename_format": "{T_REC:A}.{#:%05d}.{segment}"}, "{#} counts from the start in each"),
        ({"requestor": "a;b"}, "export.requestor: 'a;b' is not a name without ; and '"),
        ({"wait": "long"}, "export.wait: 'long' is not a number and s, m, h or d"),
        (
            {"processing": {"rebin": {}}},
            "export.processing: {'rebin': {}} is not a list: begin each of its items with a dash",
        ),
        ({"processing": [{}]}, "export.processing.0: {} is not a step: write its name"),
        (
            {"processing": ["rebin"]},
            "export.processing.0: 'rebin' is not a step: write its settings behind it, rebin: {}",
        ),
        (
            {"processing": [{"no_op": {}, "rebin": {}}]},
            "export.processing.0: {'no_op': {}, 'rebin': {}} is several steps: begin each with a",
        ),
        ({"processing": [{"rebin": 2}]}, "export.processing.0.rebin: 2 is not a section"),
        ({"processing": [{"maproj": {}}, {"im_patch": {**BOX}}]}, "put maproj last"),
        ({"processing": [{"im_patch": {**BOX, "size": 400}}]}, "400 is not two positive numbers"),
        ({"processing": [{"im_patch": {**BOX, "center": "flare"}}]}, "not two numbers, [x, y], or"),
        (
            {"processing": [{"im_patch": {**BOX, "cadence": "0s"}}]},
            "cadence: '0s' is not a number above 0 and s, m or h, like 24s",
        ),
        (
            {"processing": [{"im_patch": {**BOX, "size": [float("nan"), 1]}}]},
            "size: [nan, 1] is not two positive numbers, [width, height]",
        ),
        (
            {"processing": [{"im_patch": {**BOX, "center": [float("inf"), 1]}}]},
            "center: [inf, 1] is not two numbers",
        ),
    ],
)
def test_exports_that_cannot_be(export: dict[str, object], sentence: str) -> None:
    assert sentence in refused(source="export", export=export)


@pytest.mark.parametrize(
    "export",
    [
        {"method": "url_quick", "protocol": "as-is"},
        {"method": "url_quick", "protocol": "AS-IS", "processing": [{"no_op": None}]},
        {"method": "url-tar", "protocol": "FITS,**NONE**", "processing": [{"rebin": {}}]},
        {"protocol": "mp4,CT=aia_131.lut,scaling=LOG,size=2"},
        {"protocol": "JPEG,scaling=MINMAXGIVEN,max=9,min=-1.5"},
        {"filename_format": "aia.{T_REC:A1,TAI}.{WAVELNTH}.noproj.{segment}"},
        {"filename_format": "{seriesname}.{recnum:%lld}.{segment}"},
    ],
)
def test_exports_that_can_be(export: dict[str, object]) -> None:
    config = check_config({"source": "export", "export": export})
    for key in export.keys() - {"processing"}:
        assert getattr(config.export, key) == export[key]
    assert check_config(config.model_dump(mode="json")) == config


def test_steps_have_their_defaults_and_the_series_its_segment() -> None:
    cut = {"center": "event", "size": [300, 300], "size_units": "arcsec", "cadence": "2m"}
    steps = [{"aia_scale": None}, {"im_patch": {**cut, "t_ref": "2014.02.05_08:00:35_TAI"}}]
    export = {"source": "export", "export": {"processing": steps}}
    config = check_config({"series": "AIA.LEV1", **export})
    assert (config.series, config.segment) == ("aia.lev1", "image_lev1")
    assert [step.name for step in config.export.processing] == ["aia_scale", "im_patch"]
    scale, box = (step.model_dump(mode="json") for step in config.export.processing)
    assert scale == {"aia_scale": {"pointing_series": "", "center": None, "size": None}}
    assert box["im_patch"] == {
        **cut, "center_units": None, "noaa_ar": None, "track": True, "register": False,
        "crop": False, "t_ref": "2014-02-05T08:00:00Z", "t_start": "window", "t_stop": "window",
        "car_rot": None,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["2014-02-05 08:00", "2014-02-05T08:00:00Z"])
def test_times_need_no_quotes(text: str) -> None:
    """YAML makes a time of a time without quotes."""
    given = yaml.safe_load(f"{{im_patch: {{t_ref: {text}}}}}")
    step = ProcessingStep.model_validate(given)
    assert step.model_dump(mode="json")["im_patch"]["t_ref"] == "2014-02-05T08:00:00Z"


@given(st.timedeltas(timedelta(0), timedelta(days=1000)))
def test_durations_are_read_as_they_are_written(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@given(st.integers(1, 10**9), st.sampled_from(["kB", "MB", "GB"]))
def test_sizes_are_read_as_they_are_written(number: int, unit: str) -> None:
    size = read_size(f"{number}{unit}")
    assert read_size(size_text(size)) == size


def test_texts_for_people() -> None:
    texts = {"178m": "178m", "60m": "1h", "90m": "90m", "48h": "2d", "0s": "0s", "1.5s": "1.5s"}
    for given_, written in texts.items():
        assert duration_text(parse_duration(given_)) == written
    assert [size_text(read_size(text)) for text in ("100MB", "0.5GB", "1500kB")] == [
        "100MB", "500MB", "1500kB",
    ]  # fmt: skip


def test_channels_are_drawn_together_where_they_share_slots() -> None:
    def channels(**given: object) -> str:
        return check_config(given).sample.channels

    assert channels(wavelengths=[131, 171]) == "together"
    assert channels(wavelengths=[131, 171], sample={"seed": 3}) == "together"
    assert channels(sample={"channels": "apart"}) == "apart"
    assert channels(series="aia.lev1", wavelengths=[131, 171]) == "apart"
    assert channels(series="aia.lev1", sample={"seed": 3}) == "apart"
    with pytest.raises(ConfigError, match=r"sample.channels: together: the channels of aia.lev1"):
        channels(series="aia.lev1", sample={"channels": "together"})


@pytest.mark.parametrize(
    ("text", "size"),
    [("1kB", 1000), ("2.5 MB", 2_500_000), ("3GB", 3_000_000_000), ("12.4MB", 12_400_000)],
)
def test_sizes_are_decimal(text: str, size: int) -> None:
    assert read_size(text) == size
    assert read_size(size_text(size)) == size
