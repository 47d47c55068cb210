"""The types of settings' values: how each is read, written and refused.

A type describes its values in words, which messages for refused values and config/README.md use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationError,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.quality import BITS
from flareset.sdo.recordset import moment
from flareset.sdo.series import SERIES, find_series
from flareset.sdo.times import duration_text, iso, parse_duration, parse_utc

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB)")
_BYTES = {"GB": 10**9, "MB": 10**6, "kB": 10**3}
# The words that users write for s, m, h and d.
_UNIT = re.compile(r"sec(ond)?s?|min(ute)?s?|hr?s?|hours?|days?", re.IGNORECASE)
# What JSOC's buffer for a file name holds.
_LONGEST_FILE_NAME = 127


class Section(BaseModel):
    """Settings that belong together. Unknown keys are refused. A section cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


@dataclass(frozen=True)
class Takes:
    """A description of the values that a setting takes.

    `words` follow "is not" in the message for a refused value. `hint` returns advice on such a
    value, or an empty text. `label` is a short form for the manual's tables.
    """

    words: str
    hint: Callable[[Any], str] = lambda _: ""
    label: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: Any, read: Callable[[Any], Any]) -> Any:
        try:
            return read(value)
        except (ValidationError, OverflowError):
            advice = self.hint(value)
        raise refusal(f"is not {self.words}{advice}")


def refusal(sentence: str) -> PydanticCustomError:
    """Return the error for a value. In the message, `sentence` follows the value."""
    return PydanticCustomError("refusal", "{sentence}", {"sentence": sentence})


# Hints: advice on a refused value


def did_you_mean(value: Any, known: Iterable[str]) -> str:
    """Return advice that names the known word most similar to a value; empty if none is."""
    near = get_close_matches(str(value), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _with_unit(unit: str) -> Callable[[Any], str]:
    def hint(value: Any) -> str:
        return f": write {value}{unit}" if re.fullmatch(r"\d+(\.\d+)?", str(value)) else ""

    return hint


def _as_duration(unit: str) -> Callable[[Any], str]:
    """Return the hint for a number without a unit, which gets `unit`, or with a unit in words."""

    def hint(value: Any) -> str:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", str(value), re.IGNORECASE)
        if match and _UNIT.fullmatch(match[2]):
            return f": write {match[1]}{match[2][0].lower()}"
        return _with_unit(unit)(value)

    return hint


def _without_quotes(value: Any) -> str:
    is_text = isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value)
    return f": write {value} without quotes" if is_text else ""


def _in_quotes(value: Any) -> str:
    return f': write "{shown(value)}", in quotes' if isinstance(value, int | float) else ""


def _true_or_false(value: Any) -> str:
    words = {"yes": "true", "on": "true", "true": "true", "1": "true"}
    words |= {"no": "false", "off": "false", "false": "false", "0": "false"}
    word = words.get(str(value).lower())
    return f": write {word}" if word else ""


# Readers and writers; a reader raises ValueError


def read_size(text: str) -> int:
    """Return the bytes of a size like `100MB` (decimal units).

    Raises ValueError if the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match or not (size := int(float(match[1]) * _BYTES[match[2]])):
        raise ValueError(f"{text!r} is not a size")
    return size


def size_text(size: int) -> str:
    """Return a size (bytes) as text, in the largest unit that needs no fraction."""
    unit = next((unit for unit, factor in _BYTES.items() if size % factor == 0), "kB")
    return f"{size / _BYTES[unit]:.15g}{unit}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _no_fraction(value: Any) -> Any:
    """Return 7 for 7.0, which counts as a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(_text(value))


def _read_cadence(value: Any) -> timedelta:
    if not (found := _read_duration(value)):
        raise ValueError("no time passes")
    return found


def _read_time(value: Any) -> datetime:
    """Return the UTC of a time as users, YAML or JSOC write it."""
    if isinstance(value, date):  # YAML reads a time without quotes
        return parse_utc(str(datetime.fromisoformat(value.isoformat())))
    return moment(_text(value))


def _read_day(value: Any) -> str:
    return (value if isinstance(value, date) else date.fromisoformat(_text(value))).isoformat()[:10]


def _read_series(value: Any) -> str:
    if (found := find_series(_text(value))) is None:
        raise ValueError(f"{value!r} is not a series")
    return found.name


def _read_protocol(value: Any) -> str:
    if kind_of_protocol(_text(value)) is None:
        raise ValueError(f"{value!r} is not a protocol")
    return value


def _read_file_name(value: Any) -> str:
    outside_fields = re.sub(r"\{[\w#]+(:[^{}]*)?\}", "", _text(value))
    if len(value) > _LONGEST_FILE_NAME or re.search(r"[^\w.+-]", outside_fields):
        raise ValueError(f"{value!r} is not a safe name")
    return value


def _duration(read: Callable[[Any], timedelta], takes: Takes) -> tuple[Any, ...]:
    pattern = r"^\s*\d+(\.\d+)?\s*[smhd]\s*$"
    schema = WithJsonSchema({"type": "string", "pattern": pattern})
    return PlainValidator(read), PlainSerializer(duration_text), schema, takes


def _time_or(*words: str) -> tuple[Any, ...]:
    """Return the validators of a value that is a time or one of these words."""
    return (
        PlainValidator(lambda value: value if value in words else _read_time(value)),
        PlainSerializer(lambda value: value if isinstance(value, str) else iso(value)),
        WithJsonSchema({"type": "string", "minLength": 1}),
        Takes(f"a time, {' or '.join(words)}", lambda value: did_you_mean(value, words)),
    )


def _matching(pattern: str) -> Any:
    return Field(strict=True, pattern=f"^(?:{pattern})$")


# Numbers

_Whole = Annotated[int, Strict()]
_Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Above0 = Annotated[_Real, Field(gt=0)]
# 7.0 counts as a whole number. Placed behind the bounds, so that the schema shows them.
_OrPoint0 = BeforeValidator(_no_fraction)
Flag = Annotated[bool, Strict(), Takes("true or false", _true_or_false)]
Count = Annotated[
    _Whole, Field(ge=0), _OrPoint0, Takes("a whole number, 0 or more", _without_quotes)
]
Natural = Annotated[
    _Whole, Field(ge=1), _OrPoint0, Takes("a whole number, 1 or more", _without_quotes)
]
From1To16 = Annotated[
    _Whole, Field(ge=1, le=16), _OrPoint0, Takes("a whole number from 1 to 16", _without_quotes)
]
FrameSize = Annotated[Literal[128, 256, 512, 1024, 2048, 4096], _OrPoint0]
Above0 = Annotated[_Above0, Takes("a number above 0", _without_quotes)]
Part = Annotated[_Above0, Field(le=1), Takes("a number above 0, at most 1", _without_quotes)]
Share = Annotated[_Real, Field(ge=0, le=1), Takes("a number from 0 to 1", _without_quotes)]
Auc = Annotated[_Real, Field(ge=0.5, lt=1), Takes("a number from 0.5, below 1", _without_quotes)]
Point = Annotated[tuple[_Real, _Real], Takes("two numbers, [x, y]")]
PointOrEvent = Annotated[
    tuple[_Real, _Real] | Literal["event"], Takes("two numbers, [x, y], or event")
]
Extent = Annotated[tuple[_Above0, _Above0], Takes("two positive numbers, [width, height]")]
Shape = Annotated[tuple[Natural, Natural], Takes("two whole numbers, [columns, rows]")]
RegionOrEvent = Annotated[
    Annotated[_Whole, Field(ge=1), _OrPoint0] | Literal["event"],
    Takes("a whole number, or event", _without_quotes),
]

# Durations (timedelta), sizes (bytes) and times (UTC)

Duration = Annotated[
    timedelta,
    *_duration(_read_duration, Takes("a number and s, m, h or d, like 178m", _as_duration("m"))),
]
Cadence = Annotated[
    timedelta,
    *_duration(_read_cadence, Takes("a number above 0 and s, m or h, like 24s", _as_duration("s"))),
]
Size = Annotated[
    int,
    PlainValidator(lambda value: read_size(_text(value))),
    PlainSerializer(size_text),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(kB|MB|GB)\s*$"}),
    Takes("a number and kB, MB or GB, like 100MB", _with_unit("MB")),
]
Time = Annotated[
    datetime,
    PlainValidator(_read_time),
    PlainSerializer(iso),
    WithJsonSchema({"type": "string", "minLength": 1}),
    Takes("a time"),
]
Day = Annotated[
    str,
    PlainValidator(_read_day),
    WithJsonSchema({"type": "string", "format": "date"}),
    Takes("a day, like 2026-11-26"),
]
PeakStartOrTime = Annotated[datetime | Literal["peak", "start"], *_time_or("peak", "start")]
WindowLimbOrTime = Annotated[datetime | Literal["window", "limb"], *_time_or("window", "limb")]

# Text

Text = Annotated[str, Strict(), Takes("text", _in_quotes)]
Name = Annotated[str, Strict(), Field(min_length=1), Takes("a name", _in_quotes)]
Path = Annotated[str, Strict(), Field(min_length=1), Takes("a path", _in_quotes)]
Seed = Annotated[
    Annotated[_Whole, _OrPoint0] | Annotated[str, Strict()], Takes("a whole number or text")
]
Identifier = Annotated[
    str,
    _matching(r"([A-Za-z0-9][A-Za-z0-9_-]*)?"),
    Takes("a name of letters, digits, _ and -", _in_quotes),
]
Version = Annotated[
    str, _matching(r"[0-9]+\.[0-9]+\.[0-9]+"), Takes("a version, like 1.0.0", _in_quotes)
]
Url = Annotated[
    str,
    _matching(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^?#\s]*)?"),
    Takes("a URL like http://host/path, without a password or a query"),
]
Host = Annotated[
    str, _matching(r"[A-Za-z0-9.:\[\]-]+"), Takes("the name of a host, with or without a port")
]
GoesClass = Annotated[str, _matching(r"[ABCMX][0-9]+(\.[0-9]+)?"), Takes("a GOES class, like M1.0")]
Requestor = Annotated[str, _matching("[^;']*"), Takes("a name without ; and '", _in_quotes)]
KeywordSeries = Annotated[str, _matching(r"[\w.]*"), Takes("the name of a series")]
ImageSeries = Annotated[
    str,
    PlainValidator(_read_series),
    WithJsonSchema({"type": "string", "examples": list(SERIES)}),
    Takes(f"one of {', '.join(SERIES)}", lambda value: did_you_mean(value, SERIES), "a series"),
]
_REJECTS = (*BITS, "blank")
Reject = Annotated[
    Literal[_REJECTS],
    Takes(
        f"one of {', '.join(_REJECTS)}", lambda value: did_you_mean(value, _REJECTS), "names below"
    ),
]
Protocol = Annotated[
    str,
    PlainValidator(_read_protocol),
    WithJsonSchema({"type": "string", "minLength": 1}),
    Takes(
        "FITS, 'FITS,compress Rice', 'FITS,**NONE**', as-is, or JPEG, MPG or MP4"
        " with CT=, scaling=, size=, min= and max= after commas",
        label="a protocol",
    ),
]
FileName = Annotated[
    str,
    PlainValidator(_read_file_name),
    WithJsonSchema({"type": "string", "maxLength": _LONGEST_FILE_NAME}),
    Takes(
        "a name with {KEYWORD} fields, letters, digits and _ . + -, at most"
        f" {_LONGEST_FILE_NAME} long",
        label="a name with fields",
    ),
]


@BeforeValidator
def empty_is_none(value: Any) -> Any:
    """Return None for an empty text, which means that the setting is left out."""
    return None if value == "" else value


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = {str(value): None for value in values if values.count(value) > 1}
    if twice:
        raise refusal(f"has {', '.join(twice)} more than once: leave one out")
    return values


def _not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise refusal("is empty: write at least one")
    return values


@dataclass(frozen=True)
class Items:
    """A condition on the items of a list together, and its form in the schema."""

    check: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        return {**handler(source), **self.schema}


unique = Items(_unique, {"uniqueItems": True})
not_empty = Items(_not_empty, {"minItems": 1})


# Refusals


def problems(error: ValidationError, model: type[Section]) -> dict[tuple[Any, ...], str]:
    """Return a sentence for each key and value that `model` refuses, by its path in the input."""
    found = {}
    for each in error.errors(include_url=False):
        path = ".".join(map(str, each["loc"]))
        found[tuple(each["loc"])] = f"{path}: {_sentence(each, model)}".removeprefix(": ")
    return found


def shown(value: Any) -> str:
    """Return a value as YAML writes it."""
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def _sentence(error: ErrorDetails, model: type[Section]) -> str:
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden" | "invalid_key":
            return f"unknown key{_on_unknown_key(error['loc'], model)}"
        case "literal_error":
            choices = context["expected"].replace("'", "").replace(" or ", ", ")
            advice = did_you_mean(value, choices.split(", "))
            return f"{shown(value)} is not one of {choices}{advice}"
        case "tuple_type":
            return f"{shown(value)} is not a list{_as_list(value)}"
        case "missing":
            return "is missing"
        case "json_invalid":
            return f"not JSON: {context['error']}"
        case "model_type":
            return f"{shown(value)} is not a section: write its keys below it, with their values"
        case _:
            return f"{shown(value)} {error['msg']}"


def _on_unknown_key(place: tuple[Any, ...], model: type[Section]) -> str:
    """Return advice: where the config has such a key, else the most similar key, and all keys."""
    known = sorted(keys_of(section_at(model, place[:-1])))
    elsewhere = [path for path in _paths_of(model) if path.rpartition(".")[2] == place[-1]]
    guess = f"; did you mean {', '.join(elsewhere)}?" if elsewhere else ""
    guess = guess or did_you_mean(place[-1], known) or "."
    return f"{guess} Known here: {', '.join(known)}"


def _paths_of(model: type[Section], above: str = "") -> Iterator[str]:
    """Yield the path of each key of a section, and of the sections within."""
    for key, field in keys_of(model).items():
        yield above + key
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _paths_of(field.annotation, f"{above}{key}.")


def _as_list(value: Any) -> str:
    if isinstance(value, dict):
        return ": begin each of its items with a dash"
    return f": write [{value}]"


def keys_of(model: type[Section]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys in the config."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def section_at(model: type[Section], place: tuple[Any, ...]) -> type[Section]:
    """Return the section at a path in the input of `model`. Numbers are indices in lists."""
    for key in place:
        if isinstance(key, str):
            model = section_in(model.model_fields[key].annotation)
    return model


def section_in(annotation: Any) -> Any:
    """Return the section that a type contains; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_in(part))), None)
