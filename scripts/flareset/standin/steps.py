"""The steps of JSOC's processing: read them from a request, and list them for an export's index.

Source: jsoc_export_manage.c and processing.c of JSOC, and recorded listings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from flareset.standin.wire import ListedStep

_NO_OP = ("no_op", "Not Specified")
_KNOWN = {
    "im_patch", "resize", "rebin", "aia_scale_orig", "aia_scale_aialev1", "aia_scale_other",
    "maproj", "map_proj", "hmib2ptr", "to_ptr", "hg_patch",
}  # fmt: skip
# The order in which a step's program lists its arguments, if it is not that of the request.
_ORDER = {"resize": ("rescale", "scale_to", "regrid", "center_to", "do_stretchmarks")}


@dataclass(frozen=True)
class Step:
    """One step of a `process` argument: its name and arguments."""

    name: str
    args: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.args.items())])

    @property
    def scales(self) -> bool:
        """Whether the step makes level 1.5."""
        return self.name.startswith("aia_scale")


@dataclass(frozen=True)
class Process:
    """A `process` argument: the record limit `n` (0: none) and the steps."""

    limit: int = 0
    steps: tuple[Step, ...] = ()


def read_process(text: str) -> Process | None:
    """Return the limit and steps of a `process` argument; None if JSOC's manager refuses it."""
    limit, steps = 0, list[Step]()
    for part in filter(None, text.split("|")):
        name, *pairs = part.split(",")
        if name.startswith("n="):
            if not name[2:].lstrip("-").isdigit():
                return None
            limit = int(name[2:])
        elif name not in _NO_OP:
            steps.append(Step(name, dict(pair.partition("=")[::2] for pair in pairs)))
    if not {step.name.lower() for step in steps} <= _KNOWN:
        return None
    return Process(limit, tuple(steps))


def read_processing(text: str) -> str:
    """Return a `processing` argument as a `process` argument. Raise ValueError if it is none."""
    steps = json.loads(text)
    if not isinstance(steps, dict) or not all(isinstance(a or {}, dict) for a in steps.values()):
        raise ValueError(text)
    return "|".join(["n=0", *(str(Step(name, args or {})) for name, args in steps.items())])


def processed_series(series: str, steps: Sequence[Step]) -> str:
    """Return the series of the processed records."""
    for step in steps:
        if step.name == "aia_scale_orig":
            series = "aia.lev1p5"
        elif not series.endswith("_mod"):
            series += "_mod"
    return series


def listed(
    steps: Sequence[Step], dataset: str, series: str, requestid: str, frame_size: int
) -> list[ListedStep]:
    """Return the steps as in an export's index: the words of their command lines."""
    found = []
    for step in steps:
        made = processed_series(series, [step])
        args = dict(step.args)
        if step.scales:
            scale = f"{0.6 * 4096 / frame_size:.10g}"
            size = str(frame_size)
            defaults = {"xc": "0.0", "yc": "0.0", "wide": size, "high": size}
            args = {**defaults, "rescale": "1", "scale_to": scale, **args}
        order = _ORDER.get(step.name, tuple(args))
        names = [*(key for key in order if key in args), *(key for key in args if key not in order)]
        first, last = ("dsinp", "dsout") if step.scales else ("in", "out")
        line = " ".join(
            [
                f"{first}='{dataset}'",
                f"{last}='{made}'",
                *(f"{name}={args[name]}" for name in names),
                f"requestid={requestid}",
            ]
        )
        found.append(ListedStep(step.name, tuple(line.split())))
        dataset, series = f"{made}[][][{requestid}]", made
    return found
