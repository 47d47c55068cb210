"""Leaks: how well each keyword alone, without the pixels, tells an image's label.

The AUC is that of Mann and Whitney (1947): the chance that a flare image has a higher value than an
image without flare. Ties count half (mid-ranks). An AUC below 0.5 is replaced by 1 - AUC. The
interval comes from a bootstrap over events, since images of one event are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from flareset.errors import LeakError
from flareset.tables.images import DERIVED, OF_TIME

COLUMNS = [
    "wavelength", "keyword", "kind", "values", "n", "events", "auc", "auc_low", "auc_high",
    "auc_other_events", "rule", "rule_precision", "rule_recall", "verdict",
]  # fmt: skip
SCENE = ("NSATPIX", "DATAMEAN", "DATAMEDN", "DATAMAX", "DATAMIN", "DATARMS", "DATAP99")
INSTRUMENT = (
    "EXPTIME", "AIMGSHCE", "AECTYPE", "exposure", "exposure_seconds", "seconds_in_slot", "NSPIKES",
    "QUALITY", "bytes", "FSN",
)  # fmt: skip
# The verdicts call an AUC above this better than chance.
_TELLING = 0.55
_BOOTSTRAPS = 200
# The number of bins of a value in the bootstrap, and for the flare rate of the other events.
_LEVELS, _BINS = 1024, 16
# A text keyword with more values is not judged: its values are names, not classes.
_CATEGORIES = 1024
# A bin with few images of other events: its flare rate is pulled to that of all their images.
_PSEUDO_COUNTS = 2


class Sample(NamedTuple):
    """Images of one channel: the ranks of a keyword's values, labels, and numbers of events.

    `levels` are the values in the order of their ranks. `named` says that the values are texts.
    """

    ranks: np.ndarray
    levels: np.ndarray
    flares: np.ndarray
    events: np.ndarray
    named: bool


def find_leaks(images: pd.DataFrame, keywords: Iterable[str], seed: int | str) -> pd.DataFrame:
    """Return a row for each channel and keyword: how well it tells the label, and a verdict.

    `images` has wavelength, event_id, label, and the keywords as numbers or texts. Images without
    a value are left out. The order of the rows does not matter.
    """
    rows = []
    for wavelength, of_channel in images.groupby("wavelength", sort=True):
        events, ids = pd.factorize(of_channel["event_id"], sort=True)
        flares = of_channel["label"].to_numpy() == 1
        draws = _resampled(len(ids), f"{seed}|leaks")
        for keyword in keywords:
            sample = _sample(of_channel[keyword], flares, events)
            found = {"wavelength": wavelength, "keyword": keyword, "kind": kind_of(keyword)}
            rows.append({**found, **_judged(sample, keyword, draws)})
    return pd.DataFrame(rows, columns=COLUMNS)


def kind_of(keyword: str) -> str:
    """Return what a keyword describes: `instrument`, `scene`, `time`, or `carried` for others."""
    if keyword in OF_TIME:
        return "time"
    if keyword in SCENE:
        return "scene"
    return "instrument" if keyword in INSTRUMENT else "carried"


def _sample(values: pd.Series, flares: np.ndarray, events: np.ndarray) -> Sample:
    there = values.notna().to_numpy()
    values, flares, events = values[there], flares[there], events[there]
    named = not pd.api.types.is_numeric_dtype(values)
    codes, levels = pd.factorize(values, sort=True)
    if named and len(levels):
        # Texts are ordered by their flare rates, then alphabetically.
        rates = np.bincount(codes, flares, len(levels)) / np.bincount(codes, minlength=len(levels))
        order = np.argsort(rates, kind="stable")
        codes, levels = np.argsort(order, kind="stable")[codes], np.asarray(levels)[order]
    return Sample(codes, np.asarray(levels), flares, events, named)


def _judged(sample: Sample, keyword: str, draws: np.ndarray) -> dict[str, object]:
    """Return the columns of a keyword's row from `values` on."""
    found: dict[str, object] = {
        "values": len(sample.levels),
        "n": len(sample.flares),
        "events": len(np.unique(sample.events)),
    }
    if sample.flares.all() or not sample.flares.any():
        one = "no value" if not len(sample.flares) else "one label alone"
        return {**found, "verdict": f"not judged: {one}"}
    if sample.named and len(sample.levels) > _CATEGORIES:
        return {**found, "verdict": "not judged: too many texts"}
    learnt = _learnt(sample)
    # An order by flare rates fits many texts even in noise: the rates of other events are used.
    judged = learnt if sample.named and len(sample.levels) > 2 else sample
    auc = auc_of(*_counts(judged.ranks, judged.flares))
    low, high = _interval(judged, draws, upwards=auc >= 0.5)
    name, precision, recall = _best_rule(sample, keyword)
    found |= {
        "auc": _rounded(max(auc, 1 - auc)),
        "auc_low": _rounded(low),
        "auc_high": _rounded(high),
        "auc_other_events": _rounded(auc_of(*_counts(learnt.ranks, learnt.flares))),
        "rule": name,
        "rule_precision": _rounded(precision),
        "rule_recall": _rounded(recall),
    }
    return {**found, "verdict": _verdict(kind_of(keyword), found)}


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _verdict(kind: str, found: dict[str, object]) -> str:
    if kind == "scene":
        return "the Sun itself"
    if kind == "time":
        return "the calendar"
    if found["auc"] <= _TELLING:
        return "ok"
    if found["auc_low"] != found["auc_low"]:
        return "weak: one event gives no interval"
    return "leak" if found["auc_low"] > _TELLING else "weak"


def _counts(ranks: np.ndarray, flares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of flare images and of other images with each rank."""
    size = ranks.max() + 1
    return np.bincount(ranks[flares], minlength=size), np.bincount(ranks[~flares], minlength=size)


def auc_of(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return the AUC of a value, from the counts of its levels (ascending, along the last axis)."""
    positive, negative = np.asarray(positive, float), np.asarray(negative, float)
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return (positive * below).sum(axis=-1) / pairs


def _resampled(events: int, text: str) -> np.ndarray:
    """Return how often each event is drawn (with replacement) in each bootstrap."""
    random = np.random.default_rng(int(sha256(text.encode()).hexdigest(), 16))
    drawn = random.integers(events, size=(_BOOTSTRAPS, events))
    # Floats, since numpy multiplies matrices of floats a hundred times as fast as integers.
    return np.apply_along_axis(np.bincount, 1, drawn, minlength=events).astype(float)


def _interval(sample: Sample, draws: np.ndarray, upwards: bool) -> tuple[float, float]:
    """Return the 95 % interval of the AUC over bootstraps of events; NaN for a single event."""
    if len(np.unique(sample.events)) < 2:
        return np.nan, np.nan
    levels = _binned(sample.ranks, _LEVELS)
    positive, negative = _of_events(sample, levels, draws.shape[1])
    found = auc_of(draws @ positive.astype(float), draws @ negative.astype(float))
    found = found[np.isfinite(found)]
    low, high = np.quantile(found if upwards else 1 - found, [0.025, 0.975])
    return low, high


def _binned(ranks: np.ndarray, most: int) -> np.ndarray:
    """Return the bin of each rank: at most `most` bins, as equally full as the values allow."""
    counts = np.bincount(ranks)
    if len(counts) <= most:
        return ranks
    middles = np.cumsum(counts) - counts / 2
    return np.floor(middles / len(ranks) * most).astype(int)[ranks]


def _of_events(sample: Sample, levels: np.ndarray, events: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of flare images and of other images of each event at each level."""
    size = int(levels.max()) + 1
    places = sample.events * size + levels
    return tuple(
        np.bincount(places[wanted], minlength=events * size).reshape(events, size)
        for wanted in (sample.flares, ~sample.flares)
    )


def _learnt(sample: Sample) -> Sample:
    """Return the sample with each value replaced by its bin's flare rate in the other events.

    The overall flare rate of the other events is subtracted. Otherwise an event with many flare
    images could be recognised by the low rate of the others. With a single event, all are 0.
    """
    bins = sample.ranks if sample.named else _binned(sample.ranks, _BINS)
    positive, negative = _of_events(sample, bins, int(sample.events.max()) + 1)
    others = positive.sum(axis=0) - positive
    images = others + negative.sum(axis=0) - negative
    base = others.sum(axis=1, keepdims=True) / images.sum(axis=1, keepdims=True).clip(min=1)
    rate = (others + _PSEUDO_COUNTS * base) / (images + _PSEUDO_COUNTS)
    levels, ranks = np.unique(np.round(rate - base, 12), return_inverse=True)
    return sample._replace(ranks=ranks.reshape(rate.shape)[sample.events, bins], levels=levels)


def _best_rule(sample: Sample, keyword: str) -> tuple[str, float, float]:
    """Return the best rule for flare images (recall minus false alarms), its precision and recall.

    For numbers the rule is a threshold, for texts a single text.
    """
    positive, negative = _counts(sample.ranks, sample.flares)
    total = positive.sum(), negative.sum()
    if sample.named:
        rules = [("=", positive, negative)]
    else:
        rules = [
            ("<=", np.cumsum(positive)[:-1], np.cumsum(negative)[:-1]),
            (">=", total[0] - np.cumsum(positive)[:-1], total[1] - np.cumsum(negative)[:-1]),
        ]
    best = ("", np.nan, np.nan)
    skill = 0.0
    for sign, hits, alarms in rules:
        gains = hits / total[0] - alarms / total[1]
        if not len(gains) or gains.max() <= skill:
            continue
        place = int(gains.argmax())
        skill = gains[place]
        level = sample.levels[place + (sign == ">=")]
        shown = level if sample.named else f"{level:.6g}"
        hit = hits[place]
        best = (f"{keyword} {sign} {shown}", hit / (hit + alarms[place]), hit / total[0])
    return best


def refuse_leaks(leaks: pd.DataFrame, above: float) -> None:
    """Raise LeakError if a keyword tells the label with an AUC above a limit.

    Keywords of the scene and of time are not leaks.
    """
    wrong = leaks[leaks["kind"].isin(["instrument", "carried"]) & (leaks["auc"] > above)]
    if len(wrong):
        raise LeakError(
            "\n".join(
                f"{row.keyword} alone tells the label of the {row.wavelength} images: AUC"
                f" {row.auc:.3f}, above leaks.fail_above: {above:g} ({row.rule}: precision"
                f" {row.rule_precision:.3f}, recall {row.rule_recall:.3f})"
                for row in wrong.itertuples()
            )
            + "\nset sample.exposure: normal where it is the exposure; else take the images out"
            " that differ, or set leaks.fail_above higher"
        )


# Files


def read_images(path: str | Path, keywords: Iterable[str]) -> pd.DataFrame:
    """Return the columns of images.csv that are judged, as numbers or else as texts.

    A column that is missing has no values.
    """
    needed = ["wavelength", "event_id", "label"]
    names = pd.read_csv(path, nrows=0).columns
    keywords = list(keywords)
    times = [name for name in ("time", "slot") if {*DERIVED} & {*keywords}]
    wanted = [n for n in dict.fromkeys([*needed, *times, *keywords]) if n in names]
    table = pd.read_csv(
        path,
        usecols=wanted,
        dtype=dict.fromkeys(["event_id", *times], "category"),
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
    )
    if times:
        table = table.assign(**{n: v for n, v in _of_times(table).items() if n in keywords})
    for keyword in keywords:
        values = table[keyword] if keyword in table else pd.Series(np.nan, table.index)
        table[keyword] = _numbers(values)
    return table[list(dict.fromkeys([*needed, *keywords]))]


def _of_times(table: pd.DataFrame) -> dict[str, pd.Series]:
    time, slot = (_moments(table[name]) for name in ("time", "slot"))
    second = pd.Timedelta(seconds=1)
    return {
        "seconds_in_slot": (time - slot) / second,
        "hour": (time - time.dt.floor("D")) / pd.Timedelta(hours=1),
        "day_of_year": time.dt.day_of_year,
        "year": time.dt.year,
    }


def _moments(texts: pd.Series) -> pd.Series:
    """Return the UTC of a categorical column of times. Each different text is parsed once."""
    known = pd.to_datetime(texts.cat.categories.to_series(), utc=True, format="ISO8601")
    # The code of a missing text is -1.
    moments = np.append(known.dt.tz_convert(None).to_numpy(), np.datetime64("NaT"))
    return pd.Series(moments[texts.cat.codes], texts.index)


def _numbers(values: pd.Series) -> pd.Series:
    """Return a column as numbers if all its texts are numbers (or hexadecimal), else as texts."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    codes, texts = pd.factorize(values)
    try:
        numbers = np.array([_number(str(text)) for text in texts], float)
    except ValueError:
        return values.astype("str").where(values.notna())
    return pd.Series(np.append(numbers, np.nan)[codes], values.index)


def _number(text: str) -> float:
    return int(text, 16) if text.lower().startswith("0x") else float(text)
