"""Tables of calibration: asked for once, pinned, and never written over what somebody gave."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flareset.archive.endpoints import Site, reached
from flareset.archive.pins import Pins
from flareset.arrays.degradation import read_responses
from flareset.arrays.frame import Frame
from flareset.arrays.origin import keep, origin_of
from flareset.arrays.pointing import read_pointings
from flareset.campaign.access import Access
from flareset.errors import ArraysError, TransferError
from flareset.fetch_tables import Fetching, months
from flareset.sdo.times import iso, parse_utc
from flareset.standin import frames
from flareset.standin.server import Fault, StandIn

NEW_YEAR = (parse_utc("2013-12-31 22:00"), parse_utc("2014-01-01 02:00"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    access = Access.model_validate({"archive": {"kind": "rehearsal", "frame_size": 128}})
    with reached(access, [], tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def fetching(site: Site, tmp_path: Path) -> Callable[..., Fetching]:
    def make(site: Site | None = site, **over: bool) -> Fetching:
        return Fetching(Pins(tmp_path / "queries"), lambda: site, "rehearsal", **over)

    return make


def test_responses_are_read_as_solarsofts(
    fetching: Callable[..., Fetching], tmp_path: Path
) -> None:
    found = fetching().responses()
    keep(tmp_path / "new/table.txt", found.text, found.origin)
    for version in (8, 10):
        table = read_responses(tmp_path / "new/table.txt", version)
        left = [table.factor(131, parse_utc(f"{year}-06-01 00:00")) for year in (2010, 2014, 2018)]
        assert 1 > left[0] > left[1] > left[2] > 0.5
    assert origin_of(tmp_path / "new/table.txt")["sha256"] == table.sha256


def test_pointings_are_those_of_the_campaigns_months(
    fetching: Callable[..., Fetching], tmp_path: Path
) -> None:
    """A frame of the stand-in's aia.lev1 lies where the table says."""
    found = fetching().pointings([NEW_YEAR, NEW_YEAR])
    asked = [answer["recordset"] for answer in found.origin["answers"]]
    assert asked == [
        "aia.master_pointing3h[2013-12-01T00:00:00Z-2014-01-01T00:00:00Z]",
        "aia.master_pointing3h[2014-01-01T00:00:00Z-2014-02-01T00:00:00Z]",
    ]
    keep(tmp_path / "table.csv", found.text, found.origin)
    table = read_pointings(tmp_path / "table.csv")
    assert table.rows["T_START"].is_unique
    header = frames.Frames(4096, []).keywords(
        frames.Frame("x", "aia.lev1", 304, "image_lev1", NEW_YEAR[1])
    )
    crpix, cdelt = ((header[f"{key}1"], header[f"{key}2"]) for key in ("CRPIX", "CDELT"))
    frame = Frame(None, crpix, (0, 0), cdelt, header["CROTA2"])
    for when in NEW_YEAR:
        there = table.repointed(frame, {**header, "T_OBS": iso(when)}, 304)
        assert there.crpix == pytest.approx(crpix)
        assert (there.cdelt, there.crota) == (pytest.approx(cdelt), pytest.approx(frame.crota))


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], []),
        ([("2014-03-05", "2014-03-05")], ["2014-03"]),
        ([("2014-03-01", "2014-03-02")], ["2014-02", "2014-03"]),
        ([("2014-05-05", "2014-05-06"), ("2013-11-30", "2014-01-01")],
         ["2013-11", "2013-12", "2014-01", "2014-05"]),
    ],
)  # fmt: skip
def test_months(windows: list[tuple[str, str]], expected: list[str]) -> None:
    found = months([parse_utc(f"{day} 12:00") for day in window] for window in windows)
    assert [f"{begin:%Y-%m}" for begin, _ in found] == expected
    assert all(begin < end <= begin + timedelta(days=31) for begin, end in found)


def test_a_table_is_asked_for_once(fetching: Callable[..., Fetching], tmp_path: Path) -> None:
    first = fetching().responses()
    assert fetching(site=None).responses() == first
    again = fetching(again=True).responses()
    assert again.text == first.text
    pins = list(tmp_path.glob("queries/*/*/request.json"))
    assert len(pins) == 2
    assert {json.loads(pin.read_text())["files"][0][0] for pin in pins} == {"answer.json"}


def test_what_somebody_gave_stays(tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("mine")
    with pytest.raises(ArraysError, match=r"table\.txt is there, and was not fetched: remove it"):
        keep(table, "theirs", {})
    assert table.read_text() == "mine"
    table.unlink()
    keep(table, "theirs", {"server": "JSOC"})
    os.utime(table, (1, 1))
    keep(table, "theirs", {"server": "JSOC"})
    assert table.stat().st_mtime == 1
    keep(table, "theirs, and more", {"server": "JSOC"})
    assert origin_of(table)["server"] == "JSOC"
    table.write_text("theirs, edited")
    assert origin_of(table) == {}
    with pytest.raises(ArraysError, match="was not fetched"):
        keep(table, "theirs", {})


def test_what_is_no_table_is_not_pinned(site: Site, tmp_path: Path) -> None:
    """JSOC refuses a series that it does not know, and then a CGI that is another thing."""

    class Elsewhere:
        cgi_url = f"{site.cgi_url}/nowhere"
        lists = staticmethod(site.lists)

    with pytest.raises(TransferError, match="404"):
        Fetching(Pins(tmp_path), Elsewhere, "rehearsal").responses()
    assert not list(tmp_path.glob("*/*/request.json"))


@pytest.mark.parametrize("start", ["MISSING", "", "tomorrow"])
def test_rows_without_their_times_are_not_pinned(
    serve: Callable[..., StandIn], tmp_path: Path, start: str
) -> None:
    columns = {"T_START": start, "T_STOP": "2014-01-01T00:00:00Z"}
    keywords = [{"name": name, "values": [value]} for name, value in columns.items() if value]
    text = json.dumps({"keywords": keywords, "segments": [], "links": [], "count": 1, "status": 0})
    server = serve(faults=[Fault("notjson", text=text)])
    urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
    access = Access.model_validate({"archive": urls | {"email": "someone@example.edu"}})
    with (
        reached(access, [], tmp_path / "store") as site,
        pytest.raises(TransferError, match="JSOC lists no table"),
    ):
        Fetching(Pins(tmp_path / "queries"), lambda: site, "there").responses()
    assert not list(tmp_path.glob("queries/*/*/request.json"))
