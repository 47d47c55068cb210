"""sunpy's Fido with a.jsoc against the stand-in: JSOC's registered address is the stand-in's."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import needs
from support.as_jsoc import run_suite

from flareset.standin.catalogue import records
from flareset.standin.frames import Frames
from flareset.standin.server import StandIn

needs.module("sunpy.net.jsoc")
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def _parfive_leaves_its_loop_open() -> Iterator[None]:
    yield
    with warnings.catch_warnings(action="ignore"):
        asyncio.set_event_loop(None)
        gc.collect()


@pytest.mark.usefixtures("_parfive_leaves_its_loop_open")
def test_fido(
    serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from drms import ServerConfig, config
    from sunpy.net import Fido
    from sunpy.net import attrs as a

    server = serve(delay=0.05)
    known = config._server_configs["jsoc"].to_dict()
    given = {key: value for key, value in known.items() if not key.startswith("url_")}
    base = {"cgi_baseurl": server.cgi_url, "http_download_baseurl": server.url + "/"}
    monkeypatch.setitem(config._server_configs, "jsoc", ServerConfig({**given, **base}))

    found = Fido.search(
        a.Time("2014-01-07T18:00:00", "2014-01-07T18:01:00"),
        a.jsoc.Series("aia.lev1_euv_12s"),
        a.jsoc.PrimeKey("WAVELNTH", "131"),
        a.jsoc.Segment("image"),
        a.jsoc.Notify("someone@example.edu"),
    )
    # Both ends of the range count, by slot.
    assert len(found[0]) == 6
    files = Fido.fetch(found, path=str(tmp_path / "{file}"), progress=False)
    assert not files.errors
    frames = Frames(128, [])
    query = "aia.lev1_euv_12s[2014-01-07T18:00:00Z-2014-01-07T18:01:00Z][131]"
    wanted = {b"".join(frames.file(r.frame("image"))) for r in records(query, frames)}
    assert {Path(name).read_bytes() for name in files} == wanted


# What sunpy's own tests want of JSOC that the stand-in has not.
LACKING = {
    "test_check_request_keywords": "the exposures of one slot of 2020: its 2 s were a little more",
    "test_string_keyword_is_converted_correctly": "the stand-in has no records of IRIS",
    "test_segments_query": "the 1223 records of HARP 3604: the stand-in's HARPs are made up",
}


def test_the_online_tests_of_sunpy(tmp_path: Path) -> None:
    """The suite that sunpy runs against JSOC."""
    needs.module("pytest_mock")
    needs.module("pytest_remotedata")
    count, failed, said = run_suite(tmp_path, "sunpy.net.jsoc")
    assert failed == LACKING.keys(), said
    assert count == 37
