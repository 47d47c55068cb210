"""Refuse what rows and settings together make impossible, before the first job.

Imports nothing heavy: every job that Snakemake starts checks this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from flareset.campaign.config import Config, Splits
from flareset.campaign.events import Event
from flareset.campaign.values import did_you_mean
from flareset.errors import ConfigError
from flareset.split import SYNONYMS, Rules, divide, frozen_splits
from flareset.tables.images import COLUMNS, DERIVED, carried_name


def refuse(config: Config, events: Collection[Event]) -> None:
    """Raise ConfigError if the data set cannot be judged or split as asked.

    Defaults are not refused: a campaign of two flares has no split, and its audit says so. Without
    events (`snakemake intake` has not made them yet) nothing is refused.
    """
    if not events:
        return
    columns = {name for event in events for name in event.columns}
    problems = [*_unknown_keywords(config, columns)]
    problems += _no_place(config, events)
    problems += _no_goes(config)
    if config.splits.model_fields_set:
        problems += _no_split(config, events, columns)
    if problems:
        raise ConfigError(
            "the data set cannot be made as asked (config/README.md explains every key):\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )


def misread_in_job_scripts(paths: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each path, by what it is, that the shell of a job script would change.

    Snakemake writes a path there as a Python text: in double quotes if the path has a single one.
    """
    for what, path in paths.items():
        if "\\" in path or ("'" in path and set(path) & set('$`"')):
            yield (
                f"{what}: {path}: on a cluster the shell of a job would change this path: leave out"
                " \\, and ' beside $, ` or \""
            )


def _unknown_keywords(config: Config, columns: set[str]) -> Iterator[str]:
    known = {*COLUMNS, *DERIVED, *map(carried_name, columns)} - {""}
    for keyword in config.leaks.keywords:
        if keyword not in known:
            advice = did_you_mean(keyword, known)
            yield (
                f"leaks.keywords: {keyword} is no column of images.csv{advice}; there are"
                f" {', '.join(sorted(known))}"
            )


def _no_place(config: Config, events: Collection[Event]) -> Iterator[str]:
    lacking = [event.event_id for event in events if None in (event.hpc_x, event.hpc_y)]
    if "crop" in config.arrays.steps and lacking:
        yield f"arrays.steps: crop: no hpc_x, hpc_y in the rows of {', '.join(lacking[:5])}"


def _no_goes(config: Config) -> Iterator[str]:
    for path in config.report_page.goes:
        if not Path(path).exists():
            yield (
                f"report_page.goes: {path}: no such file; name a CSV with time and xrsb_flux, or"
                " NOAA's netCDF, by its path from the working folder"
            )


def _no_split(config: Config, events: Collection[Event], columns: set[str]) -> Iterator[str]:
    splits = config.splits
    asked = {"group_by": splits.group_by, "stratify": (splits.stratify,)}
    for key in splits.model_fields_set & asked.keys():
        for column in asked[key]:
            if column and not {column, SYNONYMS.get(column)} & columns:
                yield (
                    f"splits.{key}: {config.events} has no column {column}; it has"
                    f" {', '.join(sorted(columns))}"
                )
    rules = rules_of(splits)
    try:
        frozen = frozen_splits(splits.freeze, rules.names)
    except ConfigError as error:
        yield f"splits.freeze: {error}"
        return
    if lack := divide(events, rules, config.split_seed, frozen).lack:
        yield f"splits: {lack}"


def rules_of(splits: Splits) -> Rules:
    """Return the config's rules for splitting events."""
    keys = ("method", "shares", "buffer", "group_by", "stratify", "boundaries", "folds")
    return Rules(**{key: getattr(splits, key) for key in keys})
