"""A pytest plugin: the stand-in at JSOC's address, for the test suites of other projects.

Used as `pytest -p support.as_jsoc --pyargs drms`. Their tests are unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import drms.config
import pytest

from flareset.standin.server import StandIn, running


@pytest.fixture(scope="session", autouse=True)
def _as_jsoc() -> Iterator[None]:
    with running(StandIn(frame_size=128, delay=0.05)) as server:
        configs = drms.config._server_configs
        known = configs["jsoc"].to_dict()
        given = {key: value for key, value in known.items() if not key.startswith("url_")}
        base = {"cgi_baseurl": server.cgi_url, "http_download_baseurl": server.url + "/"}
        configs["jsoc"] = drms.config.ServerConfig({**given, **base})
        yield
        configs["jsoc"] = drms.config.ServerConfig(known)


def pytest_collection_finish() -> None:
    """Tell drms' tests that JSOC can be reached, and that the other archive cannot."""
    if told := sys.modules.get("drms.tests.conftest"):
        told.jsoc_reachable = lambda: True
        told.kis_reachable = lambda: False
