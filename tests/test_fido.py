"""sunpy's Fido with a.jsoc against the stand-in: JSOC's registered address is the stand-in's."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import needs

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
