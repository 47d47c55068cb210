"""JSOC's processing of an export: the steps, and the `process` argument that carries them.

Source: the export page's processing.js, im_patch.c and processing.h of JSOC (arguments, their
order and defaults). JSOC ignores what it does not understand and delivers full frames with status
0. So steps are checked before a request (campaign/processing.py), and images after the download
(proof/processed.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from flareset.sdo.series import Series

FULL_PIXELS = 4096
FULL_SCALE = {"aia": 0.6, "hmi": 0.504}  # arcsec per pixel of a full frame


@dataclass(frozen=True)
class Step:
    """One step of a `process` argument: its name and arguments, as on the wire."""

    name: str
    args: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.args.items())])


def parse_process(text: str) -> tuple[int, list[Step]]:
    """Return the record limit `n` (0: no limit) and the steps of a `process` argument.

    `no_op` is left out.
    """
    limit = 0
    steps = []
    for part in filter(None, text.split("|")):
        name, *pairs = part.split(",")
        if name.startswith("n="):
            limit = int(name[2:])
        elif name != "no_op":
            steps.append(Step(name, dict(pair.partition("=")[::2] for pair in pairs)))
    return limit, steps


def process_text(steps: list[Step]) -> str:
    """Return the `process` argument as JSOC's form writes it."""
    return "|".join(["n=0", *(str(step) for step in steps or [Step("no_op")])])


def fingerprint(process: str) -> str:
    """Return a short name (12 hex digits) for a `process` argument; empty if it has no step."""
    steps = parse_process(process)[1]
    return sha256("|".join(map(str, steps)).encode()).hexdigest()[:12] if steps else ""


def size_ratio(steps: list[Step], series: Series) -> float:
    """Return a processed image's number of pixels as a fraction of a full frame's, at most 1.

    JSOC's estimate of an export's size is for full frames.
    """
    ratio = 1.0
    scale = FULL_SCALE[series.instrument]
    for step in steps:
        if step.name == "im_patch":
            per_pixel = {"arcsec": scale, "pixels": 1.0, "degrees": scale / 16.7}
            unit = per_pixel[step.args["boxunits"]]
            width, height = (float(step.args[side]) / unit for side in ("width", "height"))
            ratio = width * height / FULL_PIXELS**2
        elif step.name == "rebin" or "scale_to" in step.args:
            before = scale
            if step.name == "rebin":
                scale /= float(step.args["scale"])
            else:
                scale = float(step.args["scale_to"])
            ratio *= (before / scale) ** 2
        elif step.name == "Maproj":
            ratio = float(step.args["cols"]) * float(step.args["rows"]) / FULL_PIXELS**2
    return min(1.0, ratio)
