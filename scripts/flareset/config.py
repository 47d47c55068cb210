"""The settings of a campaign: checked against the schema, with every default filled in."""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from flareset.errors import ConfigError
from flareset.quality import BITS
from flareset.series import SERIES
from flareset.times import parse_duration

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB)")
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("duration_text", raises=ValueError)
def _is_duration(value: object) -> bool:
    return not isinstance(value, str) or parse_duration(value) is not None


@_FORMATS.checks("size_text", raises=ValueError)
def _is_size(value: object) -> bool:
    return not isinstance(value, str) or parse_size(value) > 0


@_FORMATS.checks("quality_bit")
def _is_quality_bit(value: object) -> bool:
    return value in BITS


_HINTS = {
    "duration_text": "a number and s, m, h or d, like 178m",
    "size_text": "a number and kB, MB or GB, like 100MB",
    "quality_bit": "one of " + ", ".join(BITS),
}


def parse_size(text: str) -> int:
    """Bytes of a size like `100MB` (decimal units); ValueError where the text is none."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no size")
    return int(float(match[1]) * _UNITS[match[2]])


def check_config(config: dict[str, Any]) -> dict[str, Any]:
    """The settings with all defaults; ConfigError names every key that is unknown or wrong."""
    schema = yaml.safe_load(SCHEMA.read_text())
    validator = Draft202012Validator(schema, format_checker=_FORMATS)
    errors = sorted(validator.iter_errors(config), key=lambda e: [str(p) for p in e.path])
    problems = [_sentence(error) for error in errors]
    if not problems:
        config = _with_defaults(config, schema)
        if isinstance(seed := config["sample"]["seed"], float):
            config["sample"]["seed"] = int(seed)  # 7.0 is an integer to JSON Schema
        problems = _contradictions(config)
    if problems:
        raise ConfigError(
            "the configuration cannot be used (config/README.md explains every key):\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    return config


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error.path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known), key=str)
        prefix = f"{where}." if where else ""
        keys = ", ".join(f"{prefix}{key}" for key in unknown)
        near = get_close_matches(str(unknown[0]), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{keys}: unknown key{hint} Known here: {', '.join(known)}"
    if error.validator == "format":
        return f"{where}: {error.instance!r} is not {_HINTS[error.validator_value]}"
    if error.validator == "type":
        kind = error.validator_value
        kinds = " or ".join(kind) if isinstance(kind, list) else kind
        return f"{where}: {error.instance!r} is not of type {kinds}"
    return f"{where}: {error.message}"


def _with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    if schema.get("type") != "object" or "properties" not in schema:
        return deepcopy(value)
    return {
        key: _with_defaults(value.get(key, part.get("default")), part)
        for key, part in schema["properties"].items()
    }


def _contradictions(config: dict[str, Any]) -> list[str]:
    """What the schema cannot say: settings that are each right but not together."""
    problems = []
    if config["source"] != "page":
        problems.append(
            f"source: {config['source']} is not available yet; export on JSOC's page, save the"
            " listing in export_pages and set source: page"
        )
    if (series := SERIES.get(config["series"])) is None:
        problems.append(f"series: {config['series']!r} is not one of {', '.join(SERIES)}")
    elif strange := [w for w in config["wavelengths"] if w not in series.wavelengths]:
        problems.append(
            f"wavelengths: {strange} not in {series.name}, which has {list(series.wavelengths)}"
        )
    return problems
