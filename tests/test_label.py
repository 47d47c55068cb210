from pathlib import Path

import pandas as pd
import pytest
from support.factories import an_event

from flareset.campaign.events import Event
from flareset.errors import StoreError
from flareset.label import (
    image_labels,
    image_links,
    label_images,
    read_samples,
    with_splits,
    write_labels,
)
from flareset.sdo.keywords import KEYWORD_NAMES
from flareset.sdo.times import parse_utc
from flareset.split import Row
from flareset.tables.images import COLUMNS, OF_SPLITS


def event(name: str, **row: str) -> Event:
    return an_event(
        flare=("2014-01-07 18:10:00", "2014-01-07 18:20:00"),
        window=("2014-01-07 18:00:00", "2014-01-07 18:30:00"),
        event_id=name,
        flare_peak=parse_utc("2014-01-07 18:15:00") if name == "a" else None,
        columns=row,
    )


def sample(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["event_id", "phase", "filename", "time"])
    table["slot"] = table["time"]
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table.assign(
        wavelength=131, record="r" + table["filename"], path="p/" + table["filename"],
        sha256="s" + table["filename"], proof="datasum", blank="0", bytes=1,
        **{**dict.fromkeys(KEYWORD_NAMES, "0"), "EXPTIME": "2.9", "AIMGSHCE": "2900"},
    )  # fmt: skip


SAMPLES = sample(
    ("b", "flare", "1.fits", "2014-01-07T18:12:00Z"),
    ("a", "pre", "0.fits", "2014-01-07T18:04:30Z"),
    ("a", "post", "1.fits", "2014-01-07T18:20:06Z"),
)


def test_a_row_per_image_and_event() -> None:
    images = label_images(SAMPLES, [event("a", label="mine", goes_class="X"), event("b")])
    assert images["event_id"].tolist() == ["a", "a", "b"]
    assert images["label"].tolist() == [0, 0, 1]
    assert images["minutes_from_start"].tolist() == [-5.5, 10.1, 2.0]
    assert images["minutes_from_end"].tolist() == [-15.5, 0.1, -8.0]
    assert images["minutes_from_peak"].isna().tolist() == [False, False, True]
    assert images["events.label"].tolist() == ["mine", "mine", ""]
    assert images["goes_class"].tolist() == ["X", "X", ""]
    assert images["time"][0] == "2014-01-07T18:04:30Z"


def test_a_stack_of_channels_is_a_group_by_event_and_slot() -> None:
    table = pd.concat(
        [
            SAMPLES,
            SAMPLES.iloc[[1, 2]].assign(wavelength=171),
            SAMPLES.iloc[[1]].assign(wavelength=94, slot="2014-01-07T18:04:42Z"),
        ]
    )
    images = label_images(table, [event("a"), event("b")])
    found = images[["event_id", "wavelength", "slot", "channels"]].to_numpy().tolist()
    assert found == [
        ["a", 94, "2014-01-07T18:04:42Z", 1],
        ["a", 131, "2014-01-07T18:04:30Z", 2],
        ["a", 131, "2014-01-07T18:20:06Z", 2],
        ["a", 171, "2014-01-07T18:04:30Z", 2],
        ["a", 171, "2014-01-07T18:20:06Z", 2],
        ["b", 131, "2014-01-07T18:12:00Z", 1],
    ]


def test_columns_are_ours_and_then_the_row_s() -> None:
    images = label_images(SAMPLES, [event("a", label="mine", goes_class="X"), event("b")])
    known = [name for name in COLUMNS if name not in OF_SPLITS]
    assert images.columns.tolist() == [*known, "events.label", "goes_class"]
    assert images.index.tolist() == [0, 1, 2]


def test_minutes_are_good_to_a_hundredth_of_a_second() -> None:
    table = sample(("b", "flare", "1.fits", "2014-01-07T18:10:01Z"))
    images = label_images(table, [event("b")])
    assert images["minutes_from_start"].tolist() == [0.0167]
    # No flare here has a known peak.
    assert images["minutes_from_peak"].isna().all()


def test_samples_are_read_as_text(tmp_path: Path) -> None:
    paths = []
    for name, (wavelength, time) in {
        "a": (131, "2014-01-07T18:05:00Z"), "b": (171, "2014-01-08T00:00:00Z")
    }.items():  # fmt: skip
        table = sample((name, "pre", "NA", time)).assign(
            wavelength=wavelength, time=time, QUALITY="0x0100", blank=""
        )
        paths.append(tmp_path / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    found = read_samples(paths)
    assert found.index.tolist() == [0, 1]
    assert found["wavelength"].tolist() == [131, 171]
    assert found[["filename", "QUALITY", "blank"]].to_numpy().tolist() == 2 * [["NA", "0x0100", ""]]
    assert found["time"].tolist() == [
        parse_utc("2014-01-07T18:05:00Z"),
        parse_utc("2014-01-08T00:00Z"),
    ]


def test_splits_stand_before_the_row_s_own_columns() -> None:
    images = label_images(SAMPLES, [event("a", goes_class="X"), event("b")])
    rows = [Row("b", group="g2", split="test"), Row("a", group="g1", split="train")]
    found = with_splits(images, rows, ["val", "train", "test"])
    assert found.columns.tolist() == [*COLUMNS, "goes_class"]
    assert found.index.tolist() == [0, 1, 2]
    assert found[["event_id", *OF_SPLITS]].to_numpy().tolist() == [
        ["a", "train", "val", "g1"], ["a", "train", "train", "g1"], ["b", "test", "test", "g2"]
    ]  # fmt: skip


def test_labels_are_written_with_commas_and_with_tabs(tmp_path: Path) -> None:
    table = sample(
        ("a", "pre", "9.fits", "2014-01-07T18:04:30Z"),
        ("b", "flare", "1.fits", "2014-01-07T18:12:00Z"),
    )
    write_labels(label_images(table, [event("a"), event("b")]), tmp_path)
    lines = ["filename,label", "1.fits,1", "9.fits,0", ""]
    assert (tmp_path / "image_labels.csv").read_text() == "\n".join(lines)
    assert (tmp_path / "image_labels.txt").read_text() == "\n".join(lines).replace(",", "\t")
    assert len((tmp_path / "images.csv").read_text().splitlines()) == 3


def test_one_line_per_file_and_a_flare_image_is_one() -> None:
    images = label_images(SAMPLES, [event("a"), event("b")])
    assert image_labels(images).to_dict("list") == {
        "filename": ["0.fits", "1.fits"],
        "label": [0, 1],
    }


def test_one_name_for_two_images_is_refused(tmp_path) -> None:
    links = {"1.fits": tmp_path / "p/1.fits", "0.fits": tmp_path / "p/0.fits"}
    assert image_links(SAMPLES, tmp_path) == links
    clash = SAMPLES.assign(sha256=["x", "y", "z"])
    with pytest.raises(
        StoreError, match=r"two images are called 1.fits: .* of event b and .* event a"
    ):
        image_links(clash, tmp_path)
