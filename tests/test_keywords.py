"""The list of header keywords: a text of JSOC's is read as its exporter writes it into a header."""

import json
from pathlib import Path

import pytest
from astropy.io import fits

from flareset.sdo.keywords import KEYWORDS, LISTED

BY_NAME = {keyword.name: keyword for keyword in KEYWORDS}


def test_jsoc_info_and_an_export_say_the_same_of_a_record(real: Path) -> None:
    recorded = real / "jsoc/recorded/direct"
    told = json.loads((recorded / "all_keys.json").read_text())["keywords"]
    texts = {entry["name"]: entry["values"][0] for entry in told}
    header = fits.getheader(recorded / "exported.fits", 1)
    # What is computed from pixels is in no record of that archive, whose pixels are made up.
    said = [keyword for keyword in KEYWORDS if texts.get(keyword.name, "MISSING") != "MISSING"]
    assert {"NSPIKES", *LISTED} <= {keyword.name for keyword in said}
    for keyword in said:
        assert keyword.value_of(texts[keyword.name]) == header[keyword.name]
        assert isinstance(header[keyword.name], keyword.type)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("QUALITY", "0x40000100", 0x40000100),
        ("QUALITY", "1073742080", 0x40000100),
        ("EXPTIME", "2.899970", 2.89997),
        ("AECTYPE", "2", 2),
        ("AECTYPE", "two", "two"),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert BY_NAME[name].value_of(text) == value


def test_a_draw_needs_quality_and_exposure_before_any_download() -> None:
    assert set(LISTED) == {"QUALITY", "EXPTIME", "AIMGSHCE", "AECTYPE"}
