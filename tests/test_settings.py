"""The settings of the stages: what each key of the config makes stale, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.project import ROOT, merged

from flareset.campaign.checks import check_config
from flareset.campaign.config import Config
from flareset.campaign.settings import OF_STAGE
from flareset.errors import ConfigError

FETCH = ("list", "plan", "download", "verify")
JUDGED = ("plan", "download", "verify")
# Another value for each key of the config, and the stages whose settings are others then. Flags
# of the other stages, inputs and what follows a stale stage: test_workflow.py.
CHANGES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "intake.lists": (["lists/*.csv"], ("intake",)),
    "intake.queries": ([{"from": "2014-01-01 00:00", "to": "2014-02-01 00:00"}], ("intake",)),
    "intake.hek_url": ("http://hek.example/her", ("intake",)),
    "intake.sources": (["swpc"], ("intake",)),
    "intake.times": ("aia_131", ("intake",)),
    "intake.scale": ("science", ("intake",)),
    "intake.conflicts.ar": ("blank", ("intake",)),
    "intake.conflicts.position": ("blank", ("intake",)),
    "intake.conflicts.class": ("blank", ("intake",)),
    "intake.longest": ("1d", ("intake",)),
    "intake.at_most_dropped": (0.5, ("intake",)),
    "intake.select.from": ("2014-01-01 00:00", ("intake",)),
    "intake.select.to": ("2015-01-01 00:00", ("intake",)),
    "intake.select.class": (["M1.0", "X99"], ("intake",)),
    "intake.select.disk.longitude": (65, ("intake",)),
    "intake.select.disk.latitude": (45, ("intake",)),
    "intake.select.disk.radius": (0.9, ("intake",)),
    "intake.select.regions": ([11944], ("intake",)),
    "intake.select.require": (["position"], ("intake",)),
    "intake.select.apart": ("10m", ("intake",)),
    "intake.select.apart_class": ("M1.0", ("intake",)),
    "intake.select.keep.strongest": (5, ("intake",)),
    "intake.select.keep.sample": (5, ("intake",)),
    "intake.select.keep.per": ("year", ("intake",)),
    "intake.select.keep.by": ("fl_peakflux", ("intake",)),
    "intake.select.keep.seed": (7, ("intake",)),
    # Paths are inputs, outputs and flags of the rules.
    "events": ("other.csv", ()),
    "results": ("elsewhere", ()),
    "store": ("elsewhere", ()),
    "export_pages": ("elsewhere", ()),
    # In the event of each flare that it concerns.
    "flares": ("flares.csv", ()),
    "other_flares_class": ("M1.0", ()),
    # A rehearsal never mixes with observations.
    "archive.kind": ("jsoc", ("intake", *FETCH)),
    "archive.frame_size": (512, ("intake", *FETCH)),
    # How the archive is reached.
    "archive.rate": ("1MB", ()),
    "archive.data_url": ("http://mirror.example/", ()),
    "archive.cgi_url": ("http://mirror.example/cgi-bin/", ()),
    "archive.hosts": (["mirror.example"], ()),
    "archive.email": ("jane.doe@example.org", ()),
    "archive.connections": (1, ()),
    "archive.patience": ("1m", ()),
    "archive.max_file_size": ("1GB", ()),
    "export.requestor": ("Jane", ()),
    "export.wait": ("1h", ()),
    # What belongs to the events and jobs that they concern: test_workflow.py.
    "source": ("page", ()),
    "accept_pages": (["2014-01-07T180534"], ()),
    "wavelengths": ([131, 171], ()),
    "window.pre": ("1m", ()),
    "window.post": ("1m", ()),
    "window.guard": ("1m", ("plan",)),
    "series": ("aia.lev1", FETCH),
    "segment": ("azimuth", FETCH),
    "fetch": ("all", JUDGED),
    "quality.reject": (["dark"], JUDGED),
    "quality.unproven": ("accept", JUDGED),
    "sample.seed": (8, ("plan",)),
    "sample.exposure": ("any", JUDGED),
    "sample.channels": ("apart", ("plan",)),
    "sample.per_minute": (2, ("plan", "download")),
    "sample.pre": (2, ("plan", "download")),
    "sample.post": (2, ("plan", "download")),
    "other_flares": ("allow", ("plan",)),
    "completeness.allow_missing": (1, ("download",)),
    "leaks.keywords": (["EXPTIME"], ()),
    "leaks.fail_above": (0.6, ()),
    "splits.method": ("none", ()),
    "splits.fractions.train": (0.7, ()),
    "splits.fractions.validation": (0.15, ()),
    "splits.fractions.test": (0.15, ()),
    "splits.buffer": ("3d", ()),
    "splits.group_by": ([], ()),
    "splits.stratify": ("", ()),
    "splits.seed": (8, ()),
    "splits.freeze": ("v1/splits.csv", ()),
    "splits.boundaries": ([], ()),
    "splits.folds": (3, ()),
    "report_page.make": (False, ()),
    "report_page.images": (6, ()),
    "report_page.one_page": (10, ()),
    "report_page.goes": (["goes.csv"], ()),
    "export.method": ("url-tar", FETCH),
    "export.protocol": ("FITS", FETCH),
    "export.filename_format": ("{T_REC:A}", FETCH),
    "export.processing": ([{"rebin": {}}], FETCH),
    "arrays.steps": (["exposure"], ("arrays",)),
    "arrays.size": (256, ("arrays",)),
    "arrays.box": (300, ("arrays",)),
    "arrays.register": ("jsoc", ("arrays",)),
    "arrays.dtype": ("int16", ("arrays",)),
    "arrays.format": ("zarr", ("arrays",)),
    "arrays.tables.response": ("aia_V8_response_table.txt", ("arrays",)),
    "arrays.tables.version": (8, ("arrays",)),
    "arrays.tables.pointing": ("pointing.csv", ("arrays",)),
    "arrays.tables.sha256": ("0" * 64, ("arrays",)),
    "release.name": ("mine", ("release",)),
    "release.version": ("1.0.1", ("release",)),
    "release.title": ("Flares", ("release",)),
    "release.creators": (["Grace Hopper"], ("release",)),
    "release.license": ("CC-BY-4.0", ("release",)),
    "release.url": ("https://doi.example/1", ("release",)),
    "release.date": ("2026-11-26", ("release",)),
    "release.changes": ("more flares", ("release",)),
    "release.layouts": (["webdataset"], ("release",)),
    "release.images": ("arrays", ("release",)),
    "release.shard_size": ("1GB", ("release",)),
    "clean": ("remove", ()),
    "refresh": (True, ()),
}
# What a release of arrays needs, and nothing is published without.
ARRAYS = {"steps": ["block_mean"]}
RELEASE = {"name": "ours", "creators": ["Ada Lovelace"], "license": "CC0-1.0"}
# One of several segments.
MAGNETOGRAMS = {"series": "hmi.B_720s", "segment": "field", "wavelengths": [6173]}


def keys_in(section: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from keys_in(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def nested(key: str, value: Any) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def settings_of(config: Config) -> dict[str, str]:
    return {stage: settings.of(config).to_json() for stage, settings in OF_STAGE.items()}


def test_every_key_is_in_the_table() -> None:
    assert set(CHANGES) == set(keys_in(Config().model_dump(mode="json")))


@pytest.mark.parametrize("key", CHANGES)
def test_what_a_key_makes_stale(key: str) -> None:
    base = {
        "source": "export",
        "release": RELEASE,
        "arrays": ARRAYS,
        **(MAGNETOGRAMS if key == "segment" else {}),
    }
    value, stages = CHANGES[key]
    before = settings_of(check_config(base))
    after = settings_of(check_config(merged(base, nested(key, value))))
    assert {stage for stage in before if before[stage] != after[stage]} == set(stages)


@pytest.mark.parametrize("stage", OF_STAGE)
def test_settings_are_read_as_they_are_written(stage: str, tmp_path: Path) -> None:
    processing = [{"im_patch": {"center": [10, -20.5], "center_units": "arcsec", "size": [90, 60],
                                "size_units": "arcsec", "t_ref": "2014-01-07 18:00:00.5",
                                "cadence": "90s", "register": True}}, {"rebin": None}]  # fmt: skip
    export = {"source": "export", "export": {"processing": processing}}
    config = check_config({**export, "sample": {"seed": "seven"}})
    settings = OF_STAGE[stage].of(config)
    path = tmp_path / "settings.json"
    path.write_text(settings.to_json())
    assert OF_STAGE[stage].read(path) == settings
    assert "@" not in settings.to_json()


def test_settings_that_are_no_json(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"series": ')
    with pytest.raises(ConfigError, match=r"settings cannot be used:\n.*not JSON"):
        OF_STAGE["list"].read(path)


def test_environment_variables_are_one_list() -> None:
    """No other file reads one, but for the standard's own place of a user's state."""
    files = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "workflow").rglob("*.smk")]
    for path in (path for path in files if path.name != "environment.py"):
        text = path.read_text()
        assert set(re.findall(r"\bFLARESET_[A-Z]+\b", text)) == set(), path
        read = set(re.findall(r'environ(?:\.get\(|\[|\.setdefault\()"(\w+)"', text))
        assert read <= {"XDG_STATE_HOME"}, path
