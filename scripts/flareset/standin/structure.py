"""The structure of a series: its prime keys, slots, keywords, segments and links.

It is an answer of jsoc_info's series_struct as plain data, and the meaning of its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flareset.standin.drmstime import scan
from flareset.standin.slots import Slots

_INDEX = "_index"


@dataclass(frozen=True)
class Keyword:
    """A keyword, as declared in series_struct."""

    name: str
    type: str
    scope: str
    default: str
    unit: str
    linked: bool

    @property
    def decimals(self) -> int:
        """The number of decimals with which a time is printed."""
        _, _, fraction = self.default.rstrip("Z").rpartition(":")[2].partition(".")
        return len(fraction.partition("_")[0])

    @property
    def hexadecimal(self) -> bool:
        """Whether the keyword is printed as a hexadecimal word."""
        return self.default.startswith("0x")


class Structure:
    """A series by name, and `answer`: series_struct's answer about it, without its Interval."""

    def __init__(self, name: str, answer: Mapping[str, Any]) -> None:
        self.name = name
        self.answer = answer
        self.primes: list[str] = list(answer["primekeys"])

    @cached_property
    def keywords(self) -> dict[str, Keyword]:
        """The keywords by their names in lower case, T_REC_index included."""
        return {
            entry["name"].lower(): Keyword(
                entry["name"],
                entry["type"],
                entry["recscope"],
                entry["defval"],
                entry["units"],
                "linkinfo" in entry,
            )
            for entry in self.answer["keywords"]
        }

    @property
    def listed(self) -> list[str]:
        """The names that `key=**ALL**` lists: all but index keywords."""
        return [key.name for key in self.keywords.values() if key.scope != "index"]

    @cached_property
    def columns(self) -> dict[str, Keyword]:
        """The keywords that a condition may name: not constants, and not linked keywords."""
        return {
            name: key
            for name, key in self.keywords.items()
            if not key.linked and key.scope != "constant"
        }

    @property
    def segments(self) -> list[str]:
        """The names of the segments in order."""
        return [entry["name"] for entry in self.answer["segments"]]

    @property
    def linked(self) -> bool:
        """Whether the segments belong to another series, so that records have no storage units."""
        return any(entry["protocol"].startswith("link") for entry in self.answer["segments"])

    def slots(self, name: str) -> Slots | None:
        """Return the slots of a time keyword; None if it has none."""
        keyword = self.keywords.get(name.lower())
        if keyword is None or not keyword.scope.startswith("ts_"):
            return None
        epoch = self.keywords[f"{keyword.name}_epoch".lower()].default
        step = self.keywords[f"{keyword.name}_step".lower()].default
        return Slots((scan(epoch) or (0.0, 0))[0], float(step))

    def index_name(self, name: str) -> str:
        """Return the name of the column in which a prime key is searched."""
        return f"{name}{_INDEX}" if self.slots(name) else name
