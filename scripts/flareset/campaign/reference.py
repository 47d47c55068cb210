"""Write tables for the manual and a schema for editors from the models of the config."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from flareset.campaign.config import Config
from flareset.campaign.values import Section, Takes, keys_of, section_in

# A table stands between two comments. The first names the table's keys, like `events archive.*`.
_TABLE = re.compile(r"(<!-- keys: (?P<keys>[^>]*) -->\n).*?(<!-- end of keys -->)", re.DOTALL)
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Key(NamedTuple):
    """A key of the config: its path, and in words its values, default and meaning."""

    path: str
    takes: str
    default: str
    meaning: str


def schema_text() -> str:
    """Return the JSON schema of the config."""
    schema = {"$schema": _DRAFT, "title": "flareset", **_untitled(Config.model_json_schema())}
    return json.dumps(schema, indent=1) + "\n"


def _untitled(schema: Any) -> Any:
    """Return a schema without the titles that repeat the names of its keys."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }


def with_tables(manual: str) -> str:
    """Return the manual with its tables of keys written again.

    Raises ValueError if a key is in no table, or in two.
    """
    keys = {key.path: key for key in _keys(Config)}
    left = list(keys)

    def table(match: re.Match[str]) -> str:
        wanted = match["keys"].split()
        found = [path for path in keys if {path, f"{path.rpartition('.')[0]}.*"} & {*wanted}]
        for path in found:
            left.remove(path)
        return f"{match[1]}{_table([keys[path] for path in found])}\n{match[3]}"

    text = _TABLE.sub(table, manual)
    if left:
        raise ValueError(f"no table of the manual has {', '.join(left)}")
    return text


def _table(keys: list[Key]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        # The keys of a step stand below its name.
        name = re.sub(r"^export\.processing\.\w+\.", "", key.path)
        lines.append(f"| `{name}` | {key.takes} | {key.default} | {key.meaning} |")
    return "\n".join(lines)


def _keys(model: type[Section], above: str = "") -> Iterator[Key]:
    """Yield the keys of the config that are not sections. A step's keys come after `processing`."""
    for key, field in keys_of(model).items():
        section = section_in(field.annotation)
        if section is None or get_origin(field.annotation) is tuple:
            defaults = model.model_construct().model_dump(mode="json")
            default = "needed" if field.is_required() else _written(defaults[key])
            takes = _takes(field.annotation, field.metadata)
            yield Key(f"{above}{key}", takes, default, field.description or "")
        if section is not None:
            yield from _keys(section, f"{above}{key}.")


def _takes(annotation: Any, metadata: Any = ()) -> str:
    """Return in words which values a type takes."""
    for found in metadata:
        if isinstance(found, Takes):
            return found.label or found.words
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _takes(inner[0], inner[1:])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if get_origin(annotation) is tuple:
        return f"list: {_takes(inner[0])}"
    if inner:
        return _takes(inner[0])
    # A list of sections, like ProcessingStep: the last word of the class names an item.
    return f"a {re.findall('[A-Z][a-z]+', annotation.__name__)[-1].lower()}, below"


def _written(default: Any) -> str:
    """Return a default as YAML writes it, in backquotes."""
    if default == "":
        return "empty"
    if isinstance(default, list):
        return f"`[{', '.join(map(_plain, default))}]`"
    return f"`{_plain(default)}`"


def _plain(value: Any) -> str:
    is_number = isinstance(value, float)
    return f"{value:g}" if is_number else value if isinstance(value, str) else json.dumps(value)
