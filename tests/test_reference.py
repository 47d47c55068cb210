"""The texts made from the config's models: the manual's tables and the schema for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from support.project import ROOT

from flareset.campaign.checks import check_config
from flareset.campaign.reference import schema_text, with_tables
from flareset.errors import ConfigError
from flareset.intake.rules import RULES, with_rules

MANUAL = ROOT / "config/README.md"
SCHEMA = ROOT / "workflow/schemas/config.schema.json"
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
STEPS = {
    "no_op": None,
    "aia_scale": {"center": [2048, 2048.5], "size": [1024, 1024]},
    "im_patch": {
        "center": "event", "size": [300, 300], "size_units": "arcsec", "register": True,
        "t_start": "limb", "t_ref": "2014-01-07 18:00", "cadence": "24s",
    },
    "resize": {"scale": 1.2, "center_on": "none"},
    "rebin": None,
    "maproj": {"projection": "Postel"},
}  # fmt: skip


@pytest.mark.parametrize("path", [MANUAL, SCHEMA], ids=lambda path: path.name)
def test_what_is_made_of_the_config_is_current(path: Path) -> None:
    text = path.read_text()
    made = with_rules(with_tables(text)) if path == MANUAL else schema_text()
    assert text == made, "run `make reference`"


def test_every_key_is_in_the_manual_with_its_default() -> None:
    """Read back from the text, by what a run without settings has."""
    row = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \| ([^|]+) \| [^|]{3,} \|$", re.MULTILINE)
    written = {key: default for key, _, default in row.findall(MANUAL.read_text())}

    def check(section: dict[str, Any], above: str) -> None:
        for key, value in section.items():
            if isinstance(value, dict):
                check(value, f"{above}{key}.")
                continue
            default = written[f"{above}{key}"].strip("`")
            assert yaml.safe_load(default) == value or (default, value) == ("empty", "")

    check(check_config({}).model_dump(mode="json"), "")


def test_every_rule_of_the_intake_is_in_the_manual() -> None:
    row = r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \| [^|]{10,} \| [^|]* \|$"
    rules = re.findall(row, MANUAL.read_text(), re.MULTILINE)
    assert rules == list(RULES)


def test_a_key_without_a_table_is_told() -> None:
    text = MANUAL.read_text().replace("<!-- keys: clean refresh -->", "<!-- keys: refresh -->")
    with pytest.raises(ValueError, match="no table of the manual has clean"):
        with_tables(text)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    loaded = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(loaded)
    return Draft202012Validator(loaded)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configs_that_ship_name_their_schema_and_pass(
    schema: Draft202012Validator, path: Path
) -> None:
    text = path.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert (path.parent / named[1]).resolve() == SCHEMA.resolve()
    schema.validate(yaml.safe_load(text))


def test_editors_take_what_the_workflow_takes(schema: Draft202012Validator) -> None:
    """The defaults written out, and each step of processing: jsonschema reads them by itself."""
    schema.validate(check_config({}).model_dump(mode="json"))
    for name, settings in STEPS.items():
        config = {"source": "export", "export": {"processing": [{name: settings}]}}
        schema.validate(config)
        schema.validate(check_config(config).model_dump(mode="json"))


@pytest.mark.parametrize(
    "config",
    [
        {"windw": {}},
        {"archive": {"conections": 2}},
        {"archive": {"connections": 0}},
        {"archive": {"kind": "jsco"}},
        {"archive": {"data_url": "jsoc.stanford.edu"}},
        {"archive": {"max_file_size": 100}},
        {"wavelengths": 171},
        {"wavelengths": []},
        {"wavelengths": [131, 131]},
        {"wavelengths": [0]},
        {"window": {"pre": 178}},
        {"window": {"pre": "178 minutes"}},
        {"window": None},
        {"sample": {"pre": -1}},
        {"intake": {"lists": "a.csv"}},
        {"intake": {"select": {"class": ["M"]}}},
        {"intake": {"select": {"class": ["C1", "M1", "X1"]}}},
        {"intake": {"select": {"keep": {"per": "week"}}}},
        {"intake": {"select": {"require": ["class"]}}},
        {"sample": {"pre": "178"}},
        {"quality": {"reject": ["bad"]}},
        {"export": {"method": "ftp"}},
        {"export": {"requestor": "a;b"}},
        {"export": {"processing": {"rebin": {}}}},
        {"export": {"processing": ["rebin"]}},
        {"export": {"processing": [{}]}},
        {"export": {"processing": [{"rebin": {}, "resize": {}}]}},
        {"export": {"processing": [{"sharpen": {}}]}},
        {"export": {"processing": [{"rebin": {"scale": 2}}]}},
        {"export": {"processing": [{"im_patch": {"size": 400}}]}},
        {"export": {"processing": [{"im_patch": {"center": "flare"}}]}},
        {"export": {"processing": [{"im_patch": {"track": "yes"}}]}},
    ],
    ids=str,
)
def test_editors_refuse_what_the_workflow_refuses(
    schema: Draft202012Validator, config: dict[str, Any]
) -> None:
    assert not schema.is_valid(config)
    with pytest.raises(ConfigError):
        check_config(config)
