"""The findings of `check_archive` about the stand-in, and about servers that answer otherwise."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.project import ONE_FLARE, Project
from support.stages import script, settings_file

from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS
from flareset.check_archive import slot_begin
from flareset.errors import StoreError
from flareset.sdo.series import SERIES
from flareset.sdo.times import parse_utc
from flareset.standin.server import Fault, StandIn
from flareset.standin.slots import AIA_LEAD, Slots

EMAIL = "jane.doe@example.org"
Check = Callable[..., list[str]]


@pytest.fixture
def flags(
    tmp_path: Path, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Start a server, and return the flags of a check of it."""

    def make(*faults: Fault, **config: object) -> list[str]:
        server = serve(faults=list(faults), delay=0.1)
        urls = {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url}
        project = Project(tmp_path / "project", {"archive": {**urls, "patience": "1s"}, **config})
        project.events(ONE_FLARE)
        monkeypatch.setenv("JSOC_EMAIL", EMAIL)
        monkeypatch.chdir(project.folder)
        campaign = Campaign(yaml.safe_load(Path("config/config.yaml").read_text()))
        for name, value in campaign.environment().items():
            monkeypatch.setenv(name, value)
        (row,) = campaign.rows.values()
        Path("event.json").write_text(row.event.to_json())
        return [
            "--event", "event.json", "--wavelength", str(row.wavelengths[0]),
            "--settings", settings_file(campaign, "list", Path("settings")), "--report", "report",
        ]  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("config", "things"),
    [
        ({}, 17),
        ({"series": "hmi.M_45s", "segment": "magnetogram", "wavelengths": [6173]}, 17),
        ({"series": "aia.lev1", "sample": {"channels": "apart"}}, 12),
    ],
    ids=["slots that begin before T_REC", "around T_REC", "a second long"],
)
def test_the_stand_in_is_as_expected(
    flags: Check, capsys: pytest.CaptureFixture[str], config: dict[str, object], things: int
) -> None:
    script("check_archive", *flags(**config))
    *lines, told = Path("report").read_text().splitlines()
    assert [line for line in lines if not line.startswith("as expected: ")] == []
    assert told == f"{things} of {things} things are as expected"
    assert {*lines, told} <= {*capsys.readouterr().out.splitlines()}
    assert EMAIL not in Path("report").read_text()


def _from_t_rec_on(slots: Slots, seconds: float) -> int:
    """Return the slot on a server whose slots begin with their T_REC."""
    return math.floor((seconds - slots.epoch + AIA_LEAD) / slots.step)


def _begun(slots: Slots, duration: float) -> int:
    """Return the slots of a span on a server that also counts slots which the span only begins."""
    return math.ceil(duration / slots.step)


@pytest.mark.parametrize(
    ("method", "wrong", "said"),
    [
        (
            "index", _from_t_rec_on,
            "the record of 2014-01-07T18:05:35Z, whose slot is the nearest: 2014-01-07T18:05:25Z,"
            " expected 2014-01-07T18:05:37Z",
        ),
        ("count", _begun, "records of a span of 5 slots and a second: 6, expected 5"),
    ],
)  # fmt: skip
def test_other_slots_are_told(
    flags: Check,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    wrong: Callable[..., int],
    said: str,
) -> None:
    monkeypatch.setattr(Slots, method, wrong)
    with pytest.raises(StoreError, match="1 things are not as expected; the report is in report"):
        script("check_archive", *flags())
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("NOT")] == [f"NOT as expected: {said}"]
    assert lines[-1] == "16 of 17 things are as expected"


def test_a_server_of_web_pages_is_told_at_once(flags: Check) -> None:
    command = [sys.executable, str(SCRIPTS / "check_archive.py"), *flags(Fault("html"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 1
    lines = Path("report").read_text().splitlines()
    assert lines[-1] == "0 of 5 things are as expected"
    assert all(line.startswith("NOT as expected: ") for line in lines[:-1])
    assert "it answers no JSON" in lines[0]
    assert "send it to the maintainers" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("series", "t_rec", "begin"),
    [
        # Recorded: a time of 15:06:59 has the record of 15:07:01, one of 15:06:58 that before.
        ("aia.lev1_euv_12s", "2014-01-07T15:07:01Z", "2014-01-07T15:06:59Z"),
        # The middle is 15:07:05, and a slot lasts 24 s.
        ("aia.lev1_uv_24s", "2014-01-07T15:07:01Z", "2014-01-07T15:06:53Z"),
        ("hmi.M_45s", "2014-01-07T15:06:55Z", "2014-01-07T15:06:33Z"),
        ("hmi.M_720s", "2014-01-07T15:11:25Z", "2014-01-07T15:05:25Z"),
    ],
)
def test_when_a_slot_begins(series: str, t_rec: str, begin: str) -> None:
    assert slot_begin(SERIES[series], parse_utc(t_rec)) == parse_utc(begin)
