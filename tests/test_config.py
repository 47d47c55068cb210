from pathlib import Path

import pytest
import yaml

from flareset.config import check_config
from flareset.errors import ConfigError

ROOT = Path(__file__).parents[1]


def refused(**config: object) -> str:
    with pytest.raises(ConfigError) as error:
        check_config(config)
    return str(error.value)


def test_everything_has_a_default() -> None:
    config = check_config({})
    assert config["window"] == {"pre": "178m", "post": "178m"}
    assert config["archive"]["connections"] == 2
    assert check_config(config) == config


def test_the_shipped_config_says_what_the_defaults_are() -> None:
    for name in ("config.yaml",):
        shipped = yaml.safe_load((ROOT / "config" / name).read_text())
        assert check_config(shipped) == check_config({})


def test_all_problems_are_named_at_once() -> None:
    message = refused(
        windw={"pre": "1m"},
        archive={"conections": 3, "max_file_size": "big"},
        window={"pre": 178},
        sample={"per_minute": "one", "pre": -1},
        quality={"reject": ["bad"]},
        fetch="some",
    )
    for expected in (
        "windw: unknown key; did you mean window? Known here: ",
        "archive.conections: unknown key",
        "archive.max_file_size: 'big' is not a number and kB, MB or GB",
        "window.pre: 178 is not of type string",
        "sample.per_minute: 'one' is not of type integer",
        "sample.pre: -1 is less than the minimum of 0",
        "quality.reject.0: 'bad' is not one of no_flat",
        "fetch: 'some' is not one of ['all', 'sampled']",
    ):
        assert expected in message


def test_contradictions() -> None:
    assert "save the listing in export_pages" in refused(source="export")
    assert "series: 'aia.lev2' is not one of" in refused(series="aia.lev2")
    assert "wavelengths: [1600] not in aia.lev1_euv_12s" in refused(wavelengths=[131, 1600])


def test_every_key_is_in_the_manual() -> None:
    manual = (ROOT / "config/README.md").read_text()
    for key, value in check_config({}).items():
        names = [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
        for name in names:
            assert f"`{name}`" in manual, name
