"""The types of settings' values: what each takes up to its bounds, and what its schema says."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flareset.campaign import values
from flareset.campaign.config import ProcessingStep
from flareset.campaign.processing import step_problems
from flareset.sdo.series import SERIES

MOMENT = datetime(2014, 1, 7, 15, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("Count", [0, 7, 7.0], [-1, 0.5, "7", True, None]),
        ("Natural", [1, 2.0], [0, 0.0, 1.5, "1"]),
        ("From1To16", [1, 16, 16.0], [0, 17, "1"]),
        ("FrameSize", [128, 256, 512, 1024, 2048, 4096, 128.0], [129, 4097, 64, "128"]),
        ("Above0", [0.001, 7], [0, -1, math.inf, math.nan, "1"]),
        ("Part", [0.001, 1], [0, 1.001]),
        ("Share", [0, 1, 0.5], [-0.001, 1.001]),
        ("Auc", [0.5, 0.999], [0.499, 1]),
        ("Point", [(0, -1.5)], [(0,), (0, "1"), (math.inf, 0), "event"]),
        ("PointOrEvent", [(0, 1), "event"], ["events", 1]),
        ("Extent", [(0.1, 1)], [(0, 1), (1, -1)]),
        ("Shape", [(1, 2)], [(0, 1), (1.5, 1)]),
        ("RegionOrEvent", [1, 11944, "event"], [0, "1", 1.5]),
        ("Flag", [True, False], [1, 0, "yes"]),
        ("Text", ["", "x"], [1]),
        ("Name", ["x"], ["", 1]),
        ("Path", ["x"], ["", 1]),
        ("Seed", [1, "x", 2.0], [1.5, None]),
        ("Identifier", ["", "a-1_b"], ["-a", "a b", 1, b"a"]),
        ("Version", ["1.0.0"], ["1.0", "v1.0.0", 1.0]),
        ("FileName", ["x" * 127, "{T_REC:A}.{#}.x"], ["x" * 128, "a/b", 1]),
        ("Size", ["1kB"], ["0kB", "1", 1]),
        ("Cadence", ["12s"], ["0s", "12"]),
        ("GoesClass", ["M1.0", "X12"], ["D1", "M"]),
    ],
)
def test_a_value_is_taken_up_to_its_bounds(name: str, taken: list[Any], refused: list[Any]) -> None:
    adapter = TypeAdapter(getattr(values, name))
    for value in taken:
        adapter.validate_python(value)
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_numbers_without_a_fraction_are_whole() -> None:
    found = TypeAdapter(values.Count).validate_python(7.0)
    assert (found, type(found)) == (7, int)


@pytest.mark.parametrize(
    ("name", "words"),
    [("PeakStartOrTime", ("peak", "start")), ("WindowLimbOrTime", ("window", "limb"))],
)
def test_a_word_or_a_time(name: str, words: tuple[str, ...]) -> None:
    adapter = TypeAdapter(getattr(values, name))
    for word in words:
        assert adapter.validate_python(word) == word
        assert adapter.dump_python(word) == word
    assert adapter.validate_python("2014-01-07 15:07") == MOMENT
    assert adapter.dump_python(MOMENT) == "2014-01-07T15:07:00Z"
    with pytest.raises(ValidationError, match="did you mean"):
        adapter.validate_python(f"{words[0]}s")


def test_days_and_times_need_no_quotes_in_yaml() -> None:
    day = TypeAdapter(values.Day)
    for given in ("2014-01-07", date(2014, 1, 7), datetime(2014, 1, 7, 15)):
        assert day.validate_python(given) == "2014-01-07"
    time = TypeAdapter(values.Time)
    assert time.validate_python(datetime(2014, 1, 7, 15, 7)) == MOMENT
    assert time.validate_python("2014.01.07_15:07:00_UTC") == MOMENT


def schema(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema()


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("Count", {"minimum": 0}),
        ("Natural", {"minimum": 1}),
        ("From1To16", {"minimum": 1, "maximum": 16}),
        ("Part", {"exclusiveMinimum": 0, "maximum": 1}),
        ("Share", {"minimum": 0, "maximum": 1}),
        ("Auc", {"minimum": 0.5, "exclusiveMaximum": 1}),
        ("FrameSize", {"enum": [128, 256, 512, 1024, 2048, 4096]}),
        ("Name", {"minLength": 1}),
        ("Path", {"minLength": 1}),
        ("Time", {"minLength": 1}),
        ("Protocol", {"minLength": 1}),
        ("FileName", {"maxLength": 127}),
        ("PeakStartOrTime", {"minLength": 1}),
    ],
)
def test_the_schema_has_the_bounds(name: str, bounds: dict[str, Any]) -> None:
    assert bounds.items() <= schema(getattr(values, name)).items()


def test_lists_without_doubles_and_with_an_item() -> None:
    items = Annotated[tuple[int, ...], values.unique, values.not_empty]
    assert {"uniqueItems": True, "minItems": 1}.items() <= schema(items).items()
    adapter = TypeAdapter(items)
    assert adapter.validate_python([1, 2]) == (1, 2)
    with pytest.raises(ValidationError, match="has 1, 3 more than once: leave one out"):
        adapter.validate_python([1, 3, 2, 1, 3])
    with pytest.raises(ValidationError, match="is empty: write at least one"):
        adapter.validate_python([])


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (None, "null"), (1, "1"), ("a", "'a'")]
)
def test_a_value_is_shown_as_yaml_writes_it(value: object, text: str) -> None:
    assert values.shown(value) == text


def test_sizes_and_durations_as_they_are_written() -> None:
    for text, size in (("1kB", 1000), ("1.5MB", 1_500_000), ("2GB", 2 * 10**9)):
        assert values.read_size(text) == size
        assert values.size_text(size) == text.replace("1.5MB", "1500kB")
    cadence = TypeAdapter(values.Cadence)
    assert cadence.validate_python("24s") == cadence.validate_python(timedelta(seconds=24))


# Cut-outs


def problems(series: str = "aia.lev1_euv_12s", **over: Any) -> list[str]:
    """Return what is wrong with a cut-out, without where it stands."""
    usual = {"center": (0, 0), "center_units": "arcsec", "size": (400, 400)}
    box = {**usual, "size_units": "arcsec", **over}
    given = {key: value for key, value in box.items() if value is not ...}
    step = ProcessingStep.model_validate({"im_patch": given})
    return [text.partition(": ")[2] for text in step_problems((step,), SERIES[series])]


@pytest.mark.parametrize(
    ("units", "inside", "outside"),
    [
        ("arcsec", [(976, 0), (0, -976)], [(976.5, 0), (0, -976.5)]),
        # The limb is 976 / 0.6 pixels from the Sun's centre; that is within 20 of the frame's.
        (
            "pixels",
            [(3695.1, 2048.5), (2048.5, 401.9), (2048.5, 3695.1), (401.9, 2048.5)],
            [(3695.2, 2048.5), (2048.5, 401.8), (2048.5, 3695.2), (401.8, 2048.5)],
        ),
        (
            "stonyhurst",
            [(90, -90), (-90, 90)],
            [(90.5, 0), (-90.5, 0), (0, 90.5), (0, -90.5)],
        ),
        (
            "carrington",
            [(0, 90), (360, -90)],
            [(-0.5, 0), (360.5, 0), (180, 90.5), (180, -90.5)],
        ),
    ],
)
def test_a_tracked_center_lies_on_the_sun(
    units: str, inside: list[tuple[float, float]], outside: list[tuple[float, float]]
) -> None:
    for center in inside:
        assert problems(center=center, center_units=units) == []
    for center in outside:
        (problem,) = problems(center=center, center_units=units)
        assert problem.startswith(f"center: [{center[0]:g}, {center[1]:g}] is ")


def test_a_center_that_is_not_tracked_lies_in_the_frame() -> None:
    still = {"center_units": "pixels", "track": False}
    for center in ((1, 1), (4096, 4096), (1, 4096)):
        assert problems(center=center, **still) == []
    for center in ((0.5, 9), (9, 0.5), (4096.5, 9), (9, 4096.5)):
        (problem,) = problems(center=center, **still)
        assert problem.endswith("is not in the frame: pixels count from 1 to 4096")
    assert problems(center=(2000, 0), track=False) == []


@pytest.mark.parametrize(
    ("units", "most", "more"),
    [
        ("pixels", (4096, 4096), (1, 4096.5)),
        ("arcsec", (2457.6, 2457.6), (2457.7, 1)),
        ("degrees", (180, 180), (180.5, 1)),
    ],
)
def test_a_cut_out_is_at_most_a_full_frame(
    units: str, most: tuple[float, float], more: tuple[float, float]
) -> None:
    assert problems(size=most, size_units=units) == []
    (problem,) = problems(size=more, size_units=units)
    assert problem.endswith(
        f"{units} is more than a full frame; without im_patch JSOC sends full frames"
    )


def test_what_lacks_is_said_once() -> None:
    how_large = "say how large: size: [width, height] with size_units: arcsec, pixels or degrees"
    assert problems(size=(9000, 9000), size_units=...) == [how_large]
    assert problems(size=..., size_units="pixels") == [how_large]
    assert problems(size=..., size_units=...) == [how_large]
    assert problems(center=..., center_units=...) == [
        "say where: center: [x, y], center: event, or noaa_ar"
    ]
    assert problems(center=..., center_units=..., noaa_ar=11944) == []
    assert problems(center="event") == problems(center="event", center_units=...) == []
    assert problems(center=(10, 10), center_units="carrington", car_rot=2145) == []
    assert problems("hmi.sharp_cea_720s") == [
        "a record of hmi.sharp_cea_720s is a patch already: leave im_patch out"
    ]


def test_each_step_stands_once_and_where_it_can() -> None:
    def of(*names: str) -> list[str]:
        settings = {"maproj": {"center": (0, 0), "size": (10, 10)}, "im_patch": {
            "center": (0, 0), "center_units": "arcsec", "size": (9, 9), "size_units": "arcsec"
        }}  # fmt: skip
        steps = [ProcessingStep.model_validate({name: settings.get(name, {})}) for name in names]
        return list(step_problems(tuple(steps), SERIES["aia.lev1_euv_12s"]))

    assert of("no_op", "aia_scale", "no_op", "im_patch", "maproj") == []
    assert of("rebin", "rebin", "im_patch") == ["export.processing: rebin is there 2 times"]
    assert of("rebin", "aia_scale") == [
        "export.processing.1.aia_scale: it needs full frames: put it first"
    ]
    assert of("maproj", "im_patch") == [
        "export.processing.1.im_patch: nothing can be cut out of a map: put maproj last"
    ]
