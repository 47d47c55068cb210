"""The settings of a campaign: checked against the schema, with every default filled in."""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from flareset.campaign.processing import check_steps
from flareset.errors import ConfigError
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.quality import BITS
from flareset.sdo.recordset import moment
from flareset.sdo.series import SERIES, find_series
from flareset.sdo.times import parse_duration

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "config.schema.yaml"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB)")
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
# What JSOC's buffer for a file name holds.
_LONGEST_NAME_FORMAT = 127
# Keywords that differ from record to record.
_TELLING = {"T_REC", "T_OBS", "DATE__OBS", "FSN", "RECNUM"}
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


@_FORMATS.checks("protocol_text")
def _is_protocol(value: object) -> bool:
    return not isinstance(value, str) or kind_of_protocol(value) is not None


@_FORMATS.checks("filename_text")
def _is_filename_format(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return True
    literal = re.sub(r"\{[\w#]+(:[^{}]*)?\}", "", value)
    return len(value) <= _LONGEST_NAME_FORMAT and not re.search(r"[^\w.+-]", literal)


@_FORMATS.checks("moment_text", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or value in ("peak", "start") or bool(moment(value))


@_FORMATS.checks("edge_text", raises=ValueError)
def _is_edge(value: object) -> bool:
    return not isinstance(value, str) or value in ("window", "limb") or bool(moment(value))


_HINTS = {
    "protocol_text": "FITS, 'FITS,compress Rice', 'FITS,**NONE**', as-is, or JPEG, MPG or MP4"
    " with CT=, scaling=, size=, min= and max= after commas",
    "filename_text": "a name with {KEYWORD} fields, letters, digits and _ . + -, at most 127 long",
    "moment_text": "a time, peak or start",
    "edge_text": "a time, window or limb",
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
    # The C loader, where there is one: the schema is read by every job.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    schema = yaml.load(SCHEMA.read_text(), Loader=loader)
    validator = Draft202012Validator(schema, format_checker=_FORMATS)
    errors = sorted(validator.iter_errors(config), key=lambda e: [str(p) for p in e.path])
    problems = [_sentence(error) for error in errors]
    if not problems:
        config = _with_defaults(config, schema, schema)
        if isinstance(seed := config["sample"]["seed"], float):
            config["sample"]["seed"] = int(seed)  # 7.0 is an integer to JSON Schema
        if (series := find_series(config["series"])) is not None:
            config["series"] = series.name
            # aia.lev1 calls the image that the others link to by its own name.
            if series.name == "aia.lev1" and config["segment"] == "image":
                config["segment"] = "image_lev1"
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
        return f"{keys}: unknown key{hint or '.'} Known here: {', '.join(known)}"
    if error.validator == "enum":
        choices = ", ".join(str(choice) for choice in error.validator_value if choice != "")
        return f"{where}: {error.instance!r} is not one of {choices}"
    if error.validator == "format":
        return f"{where}: {error.instance!r} is not {_HINTS[error.validator_value]}"
    if error.validator == "anyOf" and "description" in error.schema:
        return f"{where}: {error.instance!r} is not {error.schema['description']}"
    if error.validator == "maxProperties":
        steps = ", ".join(map(str, error.instance))
        return f"{where}: {steps} are steps of their own; begin each with a dash"
    if error.validator == "type" and re.fullmatch(r"export\.processing\.\d+", where):
        return f"{where}: {error.instance!r} is no step; write its settings behind it, name: {{}}"
    if error.validator == "type":
        kind = error.validator_value
        kinds = " or ".join(kind) if isinstance(kind, list) else kind
        return f"{where}: {error.instance!r} is not of type {kinds}"
    return f"{where}: {error.message}"


def _with_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    if schema.get("type") == "array" and "items" in schema:
        return [_with_defaults(item, schema["items"], root) for item in value]
    if "properties" not in schema:
        return deepcopy(value)
    value = value or {}
    # A step has one key, its name: the other steps are not filled in.
    keys = value if schema.get("maxProperties") == 1 else schema["properties"]
    return {
        key: _with_defaults(
            value.get(key, schema["properties"][key].get("default")),
            schema["properties"][key],
            root,
        )
        for key in keys
    }


def _contradictions(config: dict[str, Any]) -> list[str]:
    """What the schema cannot say: settings that are each right but not together."""
    series = find_series(config["series"])
    if series is None:
        known = ", ".join(SERIES)
        return [f"series: {config['series']!r} is not one of {known}"]
    problems = []
    if strange := [w for w in config["wavelengths"] if w not in series.wavelengths]:
        problems.append(
            f"wavelengths: {strange} not in {series.name}, which has {list(series.wavelengths)}"
        )
    if config["segment"] not in series.segments or config["segment"] == "spikes":
        known = ", ".join(name for name in series.segments if name != "spikes")
        problems.append(f"segment: {config['segment']!r} is not one of {series.name}: {known}")
    export = config["export"]
    steps = [step for step in export["processing"] if "no_op" not in step]
    kind = kind_of_protocol(export["protocol"])
    if steps and (kind == "as-is" or export["method"] == "url_quick"):
        what = "export.method: url_quick" if kind != "as-is" else "export.protocol: as-is"
        problems.append(
            f"{what} gives files as they are stored: take export.processing out, or use"
            " export.method: url with export.protocol: FITS"
        )
    if export["method"] == "url_quick" and kind != "as-is":
        problems.append(
            "export.method: url_quick gives files as they are stored: add export.protocol: as-is"
        )
    fields = {field.upper() for field in re.findall(r"\{([\w#]+)", export["filename_format"])}
    if export["filename_format"] and not fields & _TELLING and kind not in ("mpg", "mp4"):
        problems.append(
            "export.filename_format: all files would have one name; add a field that tells them"
            " apart, like {T_REC:A}"
        )
    if "#" in fields:
        problems.append(
            "export.filename_format: {#} counts anew in each export, so that a name means another"
            " record when some are asked for again; use {T_REC:A}"
        )
    if "minmaxgiven" in export["protocol"].lower() and not re.search(
        r"(?=.*,min=)(?=.*,max=)", export["protocol"], re.IGNORECASE
    ):
        problems.append("export.protocol: scaling=MINMAXGIVEN needs ,min= and ,max=")
    return problems + check_steps(export["processing"], series)
