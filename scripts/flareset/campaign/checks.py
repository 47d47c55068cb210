"""Check a config: each key by itself, then keys that contradict each other. Report all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from fractions import Fraction
from itertools import pairwise, takewhile
from typing import Any

from pydantic import ValidationError

from flareset.campaign.config import Config
from flareset.campaign.processing import step_problems
from flareset.campaign.values import problems, shown
from flareset.errors import ConfigError
from flareset.sdo.processing import FULL_PIXELS
from flareset.sdo.protocols import kind_of_protocol

# The path of a key or value in the config: keys, and indices in lists.
Place = tuple[Any, ...]
Check = Callable[[Config], Iterator[str]]
# Keywords that differ from record to record.
_TELLING = {"T_REC", "T_OBS", "DATE__OBS", "FSN", "RECNUM"}
_CHECKS: list[tuple[list[Place], Check]] = []


def check_config(given: dict[str, Any]) -> Config:
    """Return the settings with all defaults. Raise ConfigError that names all that is wrong."""
    if not isinstance(given, dict):
        raise ConfigError(f"the configuration is {shown(given)}, not keys with their values")
    refused: dict[Place, str] = {}
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        refused = problems(error, Config)
        config = Config.model_validate(_without(given, refused))
    sentences = [*refused.values()]
    for keys, check in _CHECKS:
        # A value that is refused already is not compared with others.
        if not any(place[: len(key)] == key for key in keys for place in refused):
            sentences += check(config)
    if sentences:
        raise ConfigError(
            "the configuration cannot be used (config/README.md explains every key):\n"
            + "\n".join(f"  {sentence}" for sentence in sentences)
        )
    return config


def _without(given: dict[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return the settings without the values at `places`; a list with such a value goes whole."""
    kept = deepcopy(given)
    for place in places:
        *above, key = [*takewhile(lambda part: isinstance(part, str), place)] or place
        section = kept
        for part in above:
            section = section.get(part, {})
        section.pop(key, None)
    return kept


def _of(*keys: str) -> Callable[[Check], Check]:
    """Register a check of these keys. The check yields a sentence for each contradiction."""

    def add(check: Check) -> Check:
        _CHECKS.append(([tuple(key.split(".")) for key in keys], check))
        return check

    return add


@_of("series", "wavelengths")
def _channels(config: Config) -> Iterator[str]:
    series = config.image_series
    if strange := [w for w in config.wavelengths if w not in series.wavelengths]:
        yield f"wavelengths: {strange} not in {series.name}, which has {list(series.wavelengths)}"


@_of("series", "sample.channels")
def _together(config: Config) -> Iterator[str]:
    series = config.image_series
    if config.sample.channels == "together" and not series.shares_slots:
        yield (
            f"sample.channels: together: the channels of {series.name} share no slot; leave it out,"
            " or use aia.lev1_euv_12s"
        )


@_of("intake.select.keep")
def _kept(config: Config) -> Iterator[str]:
    keep = config.intake.select.keep
    if keep.strongest is not None and keep.sample is not None:
        yield "intake.select.keep: strongest and sample: write one of them"


@_of("intake.select", "intake.queries")
def _criteria(config: Config) -> Iterator[str]:
    places = [("intake.select", config.intake.select)]
    places += [(f"intake.queries.{n}", query) for n, query in enumerate(config.intake.queries)]
    for place, criteria in places:
        least, *most = criteria.goes_class or ("A1",)
        if most and (most[0][0], float(most[0][1:])) < (least[0], float(least[1:])):
            yield f"{place}.class: {most[0]} is less than {least}: write the least first"
        if criteria.begin and criteria.end and criteria.begin >= criteria.end:
            yield f"{place}: from is not before to: no flare is between them"


@_of("arrays.steps", "arrays.tables.response", "series")
def _arrays(config: Config) -> Iterator[str]:
    steps, series = config.arrays.steps, config.image_series
    if "degradation" in steps and not config.arrays.tables.response:
        yield "arrays.steps: degradation: arrays.tables.response is empty: it needs that table"
    if series.instrument != "aia" and (strange := {"exposure", "degradation"} & {*steps}):
        yield f"arrays.steps: {', '.join(sorted(strange))}: {series.name} has no such thing"


@_of("arrays.register", "arrays.tables.pointing", "series", "export.processing", "archive")
def _aiapy(config: Config) -> Iterator[str]:
    if config.arrays.register_by != "aiapy":
        return
    begin = "arrays.register: aiapy:"
    if not config.arrays.tables.pointing:
        yield f"{begin} arrays.tables.pointing is empty: it needs that table"
    if config.image_series.instrument != "aia":
        yield f"{begin} {config.image_series.name} is not of AIA"
    if config.export.processing:
        yield f"{begin} it needs frames of level 1, and export.processing makes others of them"
    archive = config.archive
    if archive.rehearses and archive.frame_size != FULL_PIXELS:
        yield (
            f"{begin} it needs {FULL_PIXELS} pixels a side, and archive.frame_size is"
            f" {archive.frame_size}"
        )
    if archive.rehearses and config.series != "aia.lev1":
        yield f"{begin} the rehearsal's frames of {config.series} are upright: use aia.lev1"


@_of("release.images", "arrays.steps", "arrays.format")
def _of_arrays(config: Config) -> Iterator[str]:
    arrays = config.arrays
    if config.release.images == "arrays" and not (arrays.steps and arrays.format == "npy"):
        yield "release.images: arrays: set arrays.steps, and arrays.format to npy"


@_of("release.name", "release.creators", "release.license")
def _release(config: Config) -> Iterator[str]:
    release = config.release
    needed = {key: getattr(release, key) for key in ("name", "creators", "license")}
    if any(needed.values()):
        for key, value in needed.items():
            if not value:
                yield f"release.{key}: is empty: nothing is published without"


@_of("series", "segment")
def _segment(config: Config) -> Iterator[str]:
    series = config.image_series
    known = [name for name in series.segments if name != "spikes"]
    if config.segment not in known:
        yield f"segment: {config.segment!r} is not one of {series.name}: {', '.join(known)}"


@_of("export.method", "export.protocol", "export.processing")
def _as_stored(config: Config) -> Iterator[str]:
    """Allow only one method and protocol for files as stored, and no processing."""
    export = config.export
    quick, as_is = export.method == "url_quick", kind_of_protocol(export.protocol) == "as-is"
    if (quick or as_is) and any(step.name != "no_op" for step in export.processing):
        what = "export.protocol: as-is" if as_is else "export.method: url_quick"
        yield (
            f"{what} gives files as they are stored: take export.processing out, or use"
            " export.method: url with export.protocol: FITS"
        )
    if quick and not as_is:
        yield "export.method: url_quick gives files as they are stored: add export.protocol: as-is"


@_of("series", "source", "export.method", "export.protocol")
def _linked(config: Config) -> Iterator[str]:
    """Refuse an export of stored files if the series' records have only links: JSOC has none."""
    export, series = config.export, config.image_series
    as_is = kind_of_protocol(export.protocol) == "as-is"
    if as_is and export.method != "url_quick" and series.linked and config.source == "export":
        yield (
            f"export.protocol: as-is with export.method: {export.method} exports nothing of"
            f" {series.name}, whose records hold links: use source: direct"
        )


@_of("source", "export.processing", "export.protocol")
def _full_frames(config: Config) -> Iterator[str]:
    """Refuse processing and other protocols with direct access, which gives full frames in FITS."""
    steps = [step.name for step in config.export.processing if step.name != "no_op"]
    if config.source == "direct" and steps:
        yield "source: direct gives full frames: use source: export for export.processing"
    if config.source == "direct" and kind_of_protocol(config.export.protocol) != "fits":
        yield "source: direct gives FITS: take export.protocol out"


@_of("export.filename_format", "export.protocol")
def _names(config: Config) -> Iterator[str]:
    text, kind = config.export.filename_format, kind_of_protocol(config.export.protocol)
    fields = {field.upper() for field in re.findall(r"\{([\w#]+)", text)}
    if text and not fields & _TELLING and kind not in ("mpg", "mp4"):
        yield (
            "export.filename_format: all files would have one name; add a field that tells them"
            " apart, like {T_REC:A}"
        )
    if "#" in fields:
        yield (
            "export.filename_format: {#} counts from the start in each export, so that a name may"
            " mean another record in the next one; use {T_REC:A}"
        )


@_of("export.protocol")
def _scaling(config: Config) -> Iterator[str]:
    protocol = config.export.protocol.lower()
    if "minmaxgiven" in protocol and not (",min=" in protocol and ",max=" in protocol):
        yield "export.protocol: scaling=MINMAXGIVEN needs ,min= and ,max="


@_of("series", "export.processing")
def _steps(config: Config) -> Iterator[str]:
    yield from step_problems(config.export.processing, config.image_series)


@_of("splits.fractions")
def _shares(config: Config) -> Iterator[str]:
    shares = config.splits.shares
    total = sum(Fraction(str(share)) for share in shares.values())
    if total != 1:
        yield f"splits.fractions: {_listed(shares)} add up to {float(total):g}, not to 1"


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:g}" for name, share in shares.items())


@_of("splits.method", "splits.fractions", "splits.boundaries")
def _boundaries(config: Config) -> Iterator[str]:
    splits = config.splits
    if splits.method != "time":
        if splits.boundaries:
            yield f"splits.boundaries: are of method: time, not of method: {splits.method}"
        return
    if len(splits.boundaries) != len(splits.names) - 1:
        yield (
            f"splits.boundaries: {len(splits.names)} splits ({', '.join(splits.names)}) need"
            f" {len(splits.names) - 1} times between them, not {len(splits.boundaries)}; a split"
            " that is not wanted has the fraction 0"
        )
    if any(after <= before for before, after in pairwise(splits.boundaries)):
        yield "splits.boundaries: are not in the order of time"


@_of("splits.method", "splits.freeze", "splits.folds")
def _of_groups(config: Config) -> Iterator[str]:
    splits = config.splits
    for key in ("freeze", "folds"):
        if getattr(splits, key) and splits.method != "groups":
            yield f"splits.{key}: is of method: groups, not of method: {splits.method}"
    if splits.folds == 1:
        yield "splits.folds: 1 leaves nothing to train on; write 2 or more, or 0 for none"
