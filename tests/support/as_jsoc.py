"""The test suites of other projects, unchanged, with the stand-in at JSOC's address.

Also the pytest plugin that puts it there: `pytest -p support.as_jsoc --pyargs drms`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flareset.standin.server import StandIn, running
from support.project import ROOT

EMAIL = "someone@example.edu"
# Tests that measure frames want them whole; the others are quicker with small frames.
_WHOLE = ("test_jsoc_cutout_attrs",)


@pytest.fixture(autouse=True)
def _as_jsoc(request: pytest.FixtureRequest) -> Iterator[None]:
    from drms import config

    size = 4096 if request.node.name in _WHOLE else 128
    with running(StandIn(frame_size=size, delay=0.05)) as server:
        configs = config._server_configs
        known = configs["jsoc"].to_dict()
        given = {key: value for key, value in known.items() if not key.startswith("url_")}
        base = {"cgi_baseurl": server.cgi_url, "http_download_baseurl": server.url + "/"}
        configs["jsoc"] = config.ServerConfig({**given, **base})
        yield
        configs["jsoc"] = config.ServerConfig(known)


def pytest_collection_finish() -> None:
    """Tell drms' tests that JSOC can be reached, and that the other archive cannot."""
    if told := sys.modules.get("drms.tests.conftest"):
        told.jsoc_reachable = lambda: True
        told.kis_reachable = lambda: False


def run_suite(folder: Path, package: str, *options: str) -> tuple[int, set[str], str]:
    """Run the tests of a package in `folder`.

    Return how many there are, the names of those that failed, and pytest's output.
    """
    report = folder / "report.xml"
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "scripts")])
    suite = ["-m", "pytest", "-p", "support.as_jsoc", "--pyargs", package, "--remote-data=any"]
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:warnings", f"--junit-xml={report}"]
    done = subprocess.run(
        [sys.executable, *suite, *quiet, *options],
        cwd=folder,
        # They download into the home.
        env={**os.environ, "HOME": str(folder), "JSOC_EMAIL": EMAIL, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=400,
    )
    cases = ElementTree.parse(report).findall(".//testcase")
    failed = [case for case in cases if case.find("failure") is not None or case.find("error")]
    return len(cases), {case.get("name", "") for case in failed}, done.stdout
