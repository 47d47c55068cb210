"""JSOC's processing of an export: steps in the field's words, checked, and in the wire's."""

from __future__ import annotations

from dataclasses import dataclass, field

from flareset.errors import ExportError


@dataclass(frozen=True)
class Step:
    """One step of a `process` argument: its name and arguments, as on the wire."""

    name: str
    args: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.args.items())])


def parse_process(text: str) -> tuple[int, list[Step]]:
    """The record limit `n` (0: none) and the steps of a `process` argument, `no_op` left out."""
    limit = 0
    steps = []
    for part in filter(None, text.split("|")):
        name, *pairs = part.split(",")
        if name.startswith("n="):
            limit = int(name[2:])
        elif name != "no_op":
            steps.append(Step(name, dict(pair.partition("=")[::2] for pair in pairs)))
    return limit, steps
