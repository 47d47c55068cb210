import pandas as pd
import pytest
from support.factories import an_event

from flareset.campaign.events import Event
from flareset.errors import StoreError
from flareset.label import image_labels, image_links, label_images
from flareset.sdo.keywords import KEYWORD_NAMES
from flareset.sdo.times import parse_utc


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


def test_one_line_per_file_and_a_flare_image_is_one() -> None:
    images = label_images(SAMPLES, [event("a"), event("b")])
    assert image_labels(images).to_dict("list") == {
        "filename": ["0.fits", "1.fits"],
        "label": [0, 1],
    }


def test_one_name_for_two_images_is_refused(tmp_path) -> None:
    assert set(image_links(SAMPLES, tmp_path)) == {"0.fits", "1.fits"}
    clash = SAMPLES.assign(sha256=["x", "y", "z"])
    with pytest.raises(
        StoreError, match=r"two images are called 1.fits: .* of event b and .* event a"
    ):
        image_links(clash, tmp_path)
