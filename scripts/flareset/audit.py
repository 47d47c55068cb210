"""The audit of a split: what two of its parts share, from images.csv and splits.csv alone.

It uses no code of `split`, so that it finds a mistake there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from flareset.errors import AuditError

# Our columns that HEK names otherwise.
_HEK = {"noaa_ar": "ar_noaanum", "goes_class": "fl_goescls"}
_FEW_GROUPS = 20


def audit(
    images: pd.DataFrame, splits: pd.DataFrame, buffer: timedelta, group_by: Sequence[str]
) -> dict[str, Any]:
    """Return the result of the audit: breaches, notes, and the content of each split.

    `images` has event_id, label, record, sha256, time, split, split_leaky, group and the columns
    that link events. `splits` has the rows of splits.csv. A breach names two rows.
    """
    images = _with_folds(images, splits)
    breaches = list(_contradictions(images, splits))
    for column in ("split", "fold"):
        parts = images[images[column] != ""]
        breaches += _shared(parts, column, group_by)
        breaches += _near(parts, column, pd.Timedelta(buffer))
        breaches += _one_class(parts, column, splits, images)
    divided, folded = images["split"] != "", images["fold"] != ""
    checked = divided.any() or folded.any()
    return {
        "verdict": "breached" if breaches else "passed" if checked else "no split",
        "breaches": breaches,
        "notes": _notes(images, splits, group_by),
        "buffer_hours": buffer.total_seconds() / 3600,
        "nearest_hours": _nearest_hours(images[divided], "split"),
        "images": len(images),
        "events": int(images["event_id"].nunique()),
        "groups": int(splits.loc[splits["group"] != "", "group"].nunique()),
        "splits": _contents(images, splits, "split"),
        "folds": _contents(images, splits, "fold"),
        "nearest_in_time": {
            "split": _skill(images, "split"),
            "split_leaky": _skill(images, "split_leaky"),
            "folds": _skill_of_folds(images),
        },
    }


def refuse_breaches(found: dict[str, Any]) -> None:
    """Raise AuditError with every breach."""
    if found["breaches"]:
        raise AuditError(
            "the splits share what they must not:\n"
            + "\n".join(f"  {breach}" for breach in found["breaches"])
        )


def _with_folds(images: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    folds = dict(zip(splits["event_id"], splits["fold"], strict=True))
    codes, ids = pd.factorize(images["event_id"])
    found = np.array([folds.get(event_id, "") for event_id in ids], object)[codes]
    return images.assign(fold=pd.Categorical(found))


# Breaches


def _contradictions(images: pd.DataFrame, splits: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each contradiction between images.csv and splits.csv."""
    twice = splits.loc[splits["event_id"].duplicated(), "event_id"]
    yield from (f"event {event_id}: is in splits.csv twice" for event_id in twice)
    told = splits[["event_id", "split", "group"]].itertuples(index=False)
    listed = {event_id: said for event_id, *said in told}
    events = images[["event_id", "split", "group"]].drop_duplicates().astype("str")
    for event_id, *found in events.itertuples(index=False):
        if event_id not in listed:
            yield f"event {event_id}: has images and is not in splits.csv"
        elif found != listed[event_id]:
            yield (
                f"event {event_id}: split and group are {found} in images.csv, {listed[event_id]}"
                " in splits.csv"
            )
    for column in ("split", "fold"):
        rows = splits[(splits[column] != "") & (splits["group"] != "")]
        parts = rows[["group", column]].drop_duplicates()
        for group in parts.loc[parts["group"].duplicated(), "group"].unique():
            one, other = _two(rows[rows["group"] == group], column)
            yield (
                f"group {group}: event {one['event_id']} is in {_part(column, one)}, event"
                f" {other['event_id']} is in {_part(column, other)}"
            )


def _shared(images: pd.DataFrame, column: str, group_by: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each value that images of two parts share but must not."""
    keys = {"image": images["sha256"], "record": images["record"], "event": images["event_id"]}
    for name, values in keys.items():
        yield from _in_two_parts(images, values, column, name)
    for name in group_by:
        if (values := _linking(images, name)) is not None:
            exploded = values.explode()
            exploded = exploded[exploded.notna()]
            events = images.loc[values.index].reindex(exploded.index)
            yield from _in_two_parts(events, exploded, column, name)


def _linking(images: pd.DataFrame, name: str) -> pd.Series | None:
    """Return lists of the values of a column that link events; None if there is no such column.

    There is a list for one image of each event and value.
    """
    names = (f"events.{name}", name, _HEK.get(name, name))
    found = next((known for known in names if known in images), None)
    if found is None:
        return None
    once = images[["event_id", found]].drop_duplicates()[found].astype("str").str.strip()
    if name != "noaa_ar":
        return once[once != ""].map(lambda text: [text])
    return once.map(_regions)


def _regions(text: str) -> list[int]:
    """Return the NOAA numbers in a text, with five digits as since 2002."""
    words = "".join(c if c.isdigit() or c == "." else " " for c in text).split()
    numbers = [int(word.split(".")[0] or 0) for word in words]
    return sorted({n + 10_000 * (n < 10_000) for n in numbers if n})


def _in_two_parts(images: pd.DataFrame, values: pd.Series, column: str, name: str) -> Iterator[str]:
    """Yield a sentence for each value in two parts, which names an image of each part."""
    codes, _ = pd.factorize(values)
    parts, _ = pd.factorize(images[column])
    pairs = np.unique(codes.astype("int64") * (parts.max(initial=0) + 1) + parts)
    shared = pairs // (parts.max(initial=0) + 1)
    for code in np.unique(shared[1:][shared[1:] == shared[:-1]]):
        rows = images[codes == code]
        one, other = _two(rows, column)
        value = values[codes == code].iloc[0]
        yield (
            f"{name} {value}: {one['record']} of event {one['event_id']} is in"
            f" {_part(column, one)}, {other['record']} of event {other['event_id']} in"
            f" {_part(column, other)}"
        )


def _two(rows: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Return the first row, and the first row of another part."""
    one = rows.iloc[0]
    return one, rows[(rows[column] != one[column]).to_numpy()].iloc[0]


def _part(column: str, row: pd.Series) -> str:
    return f"fold {row[column]}" if column == "fold" else row[column]


def _near(images: pd.DataFrame, column: str, buffer: pd.Timedelta) -> Iterator[str]:
    """Yield a sentence for each two parts whose nearest images are nearer than the buffer."""
    for one, other in _nearest(images, column):
        gap = abs(other["time"] - one["time"])
        if gap < buffer or not gap:
            yield (
                f"buffer of {buffer}: {one['record']} of event {one['event_id']} in"
                f" {_part(column, one)} and {other['record']} of event {other['event_id']} in"
                f" {_part(column, other)} are {gap} apart"
            )


def _nearest(images: pd.DataFrame, column: str) -> Iterator[tuple[pd.Series, pd.Series]]:
    """Yield for each two parts their two images that are nearest in time."""
    times = images["time"].to_numpy().astype("int64")
    order = np.argsort(times, kind="stable")
    times = times[order]
    parts, names = pd.factorize(images[column])
    parts = parts[order]
    for one, other in combinations(np.argsort(names.astype("str")), 2):
        # No image of either part lies between the nearest two: only neighbours are compared.
        places = np.flatnonzero((parts == one) | (parts == other))
        changes = np.flatnonzero(parts[places][1:] != parts[places][:-1])
        if len(changes):
            gaps = times[places[changes + 1]] - times[places[changes]]
            at = changes[gaps.argmin()]
            yield images.iloc[order[places[at]]], images.iloc[order[places[at + 1]]]


def _nearest_hours(images: pd.DataFrame, column: str) -> dict[str, float]:
    """Return the least time (hours) between the images of each two parts."""
    return {
        f"{first} - {second}": round(gap / pd.Timedelta(hours=1), 2)
        for one, other in _nearest(images, column)
        for first, second in [sorted((one[column], other[column]))]
        for gap in [abs(other["time"] - one["time"])]
    }


def _one_class(
    parts: pd.DataFrame, column: str, splits: pd.DataFrame, images: pd.DataFrame
) -> Iterator[str]:
    """Yield a sentence for each part that lacks a label which the set has."""
    labels = sorted(set(images["label"]))
    wanted = sorted(set(splits[column]) - {""})
    found = set(parts[[column, "label"]].drop_duplicates().itertuples(index=False, name=None))
    for part in wanted:
        for label in labels:
            if (part, label) not in found:
                name = f"fold {part}" if column == "fold" else part
                yield f"class: {name} has no image with label {label}"


# The report


def _notes(images: pd.DataFrame, splits: pd.DataFrame, group_by: Sequence[str]) -> list[str]:
    """Return remarks that a reader needs but that are not breaches."""
    notes = []
    groups = splits.loc[splits["group"] != "", "group"].nunique()
    if groups < _FEW_GROUPS:
        notes.append(_few(groups, folded=splits["fold"].ne("").any()))
    for reason, rows in splits[splits["reason"] != ""].groupby("reason"):
        names = ", ".join(rows["event_id"].head(5)) + ", ..." * (len(rows) > 5)
        notes.append(f"in no split: {len(rows)} events ({names}): {reason}")
    for name in group_by:
        values = _linking(images, name)
        if values is None:
            notes.append(f"there is no column {name}: no event is linked by it")
            continue
        known = images.loc[values.index[values.map(bool)], "event_id"]
        lacking = sorted(set(images["event_id"]) - set(known))
        if lacking:
            names = ", ".join(lacking[:5]) + ", ..." * (len(lacking) > 5)
            notes.append(f"{len(lacking)} events have no {name}: {names}")
    return notes


def _few(groups: int, *, folded: bool) -> str:
    """Return what a reader needs to know of a set with few groups."""
    only = f"only {groups} group{'s' * (groups != 1)}"
    if folded:
        return f"{only}: a test on so few says little"
    if groups > 1:
        return (
            f"{only}: a test on so few says little; splits: {{folds: {groups}}} holds out each of"
            " them once"
        )
    return f"{only}: more flares are needed for a split"


def _contents(images: pd.DataFrame, splits: pd.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    """Return the content of each part: events, groups, images by label, class, year, exposure."""
    table = images.assign(year=images["time"].dt.year)
    classes = next((n for n in ("goes_class", _HEK["goes_class"]) if n in images), None)
    if classes:
        # A categorical column: the function is called once per category.
        letters = images[classes].map(lambda text: str(text).strip()[:1].upper() or "unknown")
        table = table.assign(goes=letters)
    found = {}
    for part in sorted(set(splits[column]) - {""}):
        rows, listed = table[table[column] == part], splits[splits[column] == part]
        events = rows.drop_duplicates("event_id")
        found[part] = {
            "events": len(listed),
            "groups": int(listed["group"].nunique()),
            "images": len(rows),
            "flare": int((rows["label"] == 1).sum()),
            "no_flare": int((rows["label"] == 0).sum()),
            "events_by_year": _tally(events["year"]),
        }
        if classes:
            found[part]["events_by_class"] = _tally(events["goes"])
        if "exposure" in rows:
            found[part]["images_by_exposure"] = _tally(rows["exposure"])
    return found


def _tally(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().sort_index().items() if n}


def _skill(images: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return how well a test image's label is predicted by the training image nearest in time.

    No pixels are used: the true skill statistic (TSS) should be 0 if nothing leaks.
    """
    train, test = (images[images[column] == part] for part in ("train", "test"))
    return _scored(_same_as_nearest(train, test), test["label"].to_numpy() == 1)


def _skill_of_folds(images: pd.DataFrame) -> dict[str, Any]:
    """Return the skill of `_skill` over all folds, each predicted from the others."""
    predicted, truth = [], []
    for fold in sorted(set(images["fold"]) - {""}):
        test = images[images["fold"] == fold]
        train = images[(images["fold"] != fold) & (images["fold"] != "")]
        predicted.append(_same_as_nearest(train, test))
        truth.append(test["label"].to_numpy() == 1)
    none = np.zeros(0, bool)
    return _scored(np.concatenate([none, *predicted]), np.concatenate([none, *truth]))


def _same_as_nearest(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Return the label of the training image nearest to each test image, the earlier of two."""
    if not len(train):
        return np.zeros(0, bool)
    times, labels = train["time"].to_numpy().astype("int64"), train["label"].to_numpy()
    order = np.lexsort((labels, times))
    times, labels = times[order], labels[order]
    wanted = test["time"].to_numpy().astype("int64")
    after = np.searchsorted(times, wanted).clip(max=len(times) - 1)
    before = (after - 1).clip(min=0)
    earlier = np.abs(wanted - times[before]) <= np.abs(times[after] - wanted)
    return labels[np.where(earlier, before, after)] == 1


def _scored(predicted: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return the TSS (recall minus false alarms); None if it is not defined."""
    if len(predicted) != len(truth) or truth.all() or not truth.any():
        return {"tss": None, "images": len(truth)}
    recall, alarms = predicted[truth].mean(), predicted[~truth].mean()
    return {
        "tss": round(float(recall - alarms), 4),
        "recall": round(float(recall), 4),
        "false_alarms": round(float(alarms), 4),
        "images": len(truth),
    }


# Files


def read_images(path: str | Path, group_by: Sequence[str]) -> pd.DataFrame:
    """Return the columns of images.csv that the audit needs."""
    names = set(pd.read_csv(path, nrows=0).columns)
    texts = ["event_id", "record", "sha256", "split", "split_leaky", "group"]
    linking = [
        known for name in group_by for known in (f"events.{name}", name, _HEK.get(name, name))
    ]
    more = [n for n in (*linking, *_HEK, *_HEK.values(), "exposure") if n in names]
    dtypes = dict.fromkeys([*texts, "time", *more], "category")
    # Not categories, which are sorted: these columns differ in (almost) every row.
    dtypes |= dict.fromkeys(["record", "sha256"], "object")
    table = pd.read_csv(
        path, usecols=["label", *dtypes], dtype=dtypes | {"label": "int8"}, keep_default_na=False
    )
    known = pd.to_datetime(
        table["time"].cat.categories.to_series(), utc=True, format="ISO8601"
    ).dt.tz_convert(None)
    times = known.to_numpy().astype("datetime64[s]")[table["time"].cat.codes]
    return table.assign(time=times)


def read_splits(path: str | Path) -> pd.DataFrame:
    """Return splits.csv with all columns as text."""
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def to_markdown(found: dict[str, Any]) -> str:
    """Return the result of the audit as Markdown."""
    lines = ["# Audit of the splits", "", f"Verdict: **{found['verdict']}**."]
    lines += ["", f"{found['images']} images, {found['events']} events, {found['groups']} groups."]
    for title, key in (("Breaches", "breaches"), ("Notes", "notes")):
        if found[key]:
            lines += ["", f"## {title}", "", *(f"- {each}" for each in found[key])]
    for title, key in (("Splits", "splits"), ("Folds", "folds")):
        if found[key]:
            lines += ["", f"## {title}", "", _table(found[key])]
    if found["nearest_hours"]:
        lines += ["", f"Images of two splits are at least {found['buffer_hours']:g} h apart by the"]
        lines[-1] += " buffer; the nearest are: "
        lines[-1] += ", ".join(f"{k} {v:g} h" for k, v in found["nearest_hours"].items()) + "."
    lines += ["", "## What time alone tells", ""]
    lines += [
        "The label of the nearest training image in time, no pixels: the true skill statistic (TSS)"
        " is 0 where nothing leaks, 1 where all does.",
        "",
        tabulate(
            [
                [name, skill["images"], "-" if skill["tss"] is None else f"{skill['tss']:.3f}"]
                for name, skill in found["nearest_in_time"].items()
            ],
            headers=["split", "test images", "TSS"],
            tablefmt="github",
            disable_numparse=True,
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(parts: dict[str, dict[str, Any]]) -> str:
    rows = [
        [name, *(_cell(value) for value in content.values())] for name, content in parts.items()
    ]
    headers = ["", *(key.replace("_", " ") for key in next(iter(parts.values())))]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key or 'unknown'} {number}" for key, number in value.items())
    return str(value)
