"""The data card: README.md of a release, filled from the run's results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd
from tabulate import tabulate

from flareset import __version__
from flareset.proof.image import MISSING
from flareset.release.contents import NO_SPLIT, SPLITS, Contents
from flareset.release.terms import Terms

_LAYOUTS = {
    "fits": "the images as JSOC gives them (Rice-compressed, with their headers). Read them with"
    " astropy or `loader.py`. Do not point `imagefolder` at them: Pillow opens the compressed table"
    " as a picture of a few rows, without a word",
    "webdataset": "tars of samples, `key.npy`, `key.cls` (0 or 1) and `key.json` (the row of"
    " images.csv), shuffled within a split",
    "parquet": "a row per image, pixels included; `datasets.load_dataset` on this folder reads it",
    "zarr": "an array (image, row, column) per flare and channel; its attributes name the images",
    "asdf": "a tree per image: header, data, flare, label, provenance",
}
# The most reasons of gaps that are shown.
_MOST = 20


def card(contents: Contents, terms: Terms) -> str:
    """Return the card of a release."""
    sections = {
        "What it is": _composition(contents),
        "Counts": _counts(contents),
        "Splits": _splits(contents),
        "What tells the label": _leaks(contents),
        "What is missing": _gaps(contents),
        "Known noise": _noise(contents),
        "Files": _files(contents, terms),
        "Licence and citation": _citing(contents, terms),
        "Changes": terms.changes or "Nothing was written of changes.",
    }
    text = "".join(f"\n## {title}\n\n{body}\n" for title, body in sections.items())
    head = f"# {terms.title}\n\nVersion {terms.version}.\n"
    return f"---\n{_front(contents, terms)}---\n\n{head}{text}"


def _front(contents: Contents, terms: Terms) -> str:
    """Return the front matter. Without parquet files it names only a table, without images."""
    files: list[dict[str, str]] = [{"split": "all", "path": "images.csv"}]
    if "parquet" in terms.layouts:
        present = {*contents.files["split"]}
        files = [
            {"split": name, "path": f"data/parquet/{name}-*.parquet"}
            for name in SPLITS
            if name in present
        ]
    entries: dict[str, Any] = {
        "pretty_name": terms.title,
        "license": "other" if terms.license.startswith("http") else terms.license.lower(),
        "tags": ["solar flares", "SDO", contents.history["config"]["series"]],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in entries.items())


def _composition(contents: Contents) -> str:
    config, images = contents.history["config"], contents.images
    sample, window = config["sample"], config["window"]
    channels = ", ".join(str(each) for each in sorted({*images["wavelength"]}))
    first, last = images["time"].min(), images["time"].max()
    events, files = images["event_id"].nunique(), len(contents.files)
    units = "DN" if config["series"].startswith("aia") else "the units of the series"
    made_up = config["archive"]["kind"] == "rehearsal"
    steps = [name for step in config["export"]["processing"] for name in step]
    done = f"JSOC's {', '.join(steps)}; no other" if steps else "none"
    return (
        ("**A rehearsal: the images are made up, nothing was observed.**\n\n" if made_up else "")
        + f"{files} images of {events} solar flares, {first} to {last} (UTC), of series"
        f" `{config['series']}`, channels {channels}. Label 1 is an image in the flare, 0 one"
        f" before or after. From each minute of a flare {sample['per_minute']} were drawn, from the"
        f" {window['pre']} before it {sample['pre']} and from the {window['post']} after it"
        f" {sample['post']}, by seed {contents.history['seed']}.\n\n"
        f"Exposures: {_exposures(sample['exposure'])}\n\n"
        f"Calibration by JSOC: {done}. The FITS files' pixels are in {units} as JSOC gives them:"
        " `exposure_seconds` is the column to divide by, degradation is not corrected, and"
        f" cosmic-ray hits are as in level 1.{_of_arrays(contents)}"
    )


def _of_arrays(contents: Contents) -> str:
    if contents.arrays is None:
        return ""
    told = json.loads((contents.arrays / "arrays.json").read_text(encoding="utf-8"))
    table, steps = told["tables"], told["steps"]
    pinned = (
        f" The table of responses is {table['response']}, version {table['version']}, sha256"
        f" {table['sha256']}."
        if "degradation" in steps
        else ""
    )
    if told["register"] != "none":
        steps = [_REGISTERED[told["register"]].format(**table), *steps]
    return (
        f"\n\nThe other layouts hold arrays ({told['dtype']}): {', '.join(steps)}.{pinned}"
        " arrays.csv has both factors, and how many pixels were saturated or missing."
    )


_REGISTERED = {
    "jsoc": "registered by JSOC's aia_scale",
    "aiapy": "registered by aiapy with {pointing} (sha256 {pointing_sha256})",
}


def _exposures(policy: str) -> str:
    return {
        "any": "all that there are. In a flare AIA shortens every other one, so that the exposure"
        " tells the label: see the leaks below.",
        "normal": "normal ones alone. Short ones, which AIA takes in flares, would tell the label.",
        "short": "short ones alone.",
    }[policy]


def _counts(contents: Contents) -> str:
    images = contents.images
    groups = images.groupby(["event_id", "wavelength"])
    table = groups.agg(
        images=("filename", "size"), flare=("label", "sum"), split=("split", "first")
    ).reset_index()
    table.insert(4, "no flare", table["images"] - table["flare"])
    for column in ("goes_class", "fl_goescls", "noaa_ar", "ar_noaanum"):
        if column in images:
            table[column] = groups[column].first().to_numpy()
    return _table(table)


def _splits(contents: Contents) -> str:
    audit, files = contents.audit, contents.files
    table = (
        files.assign(no=1 - files["label"])
        .groupby("split")
        .agg(events=("event_id", "nunique"), flare=("label", "sum"), no_flare=("no", "sum"))
        .reindex([name for name in SPLITS if name in {*files["split"]}])
        .reset_index()
    )
    told = [f"Audit: **{audit['verdict']}**."]
    if audit.get("splits"):
        told.append("`split` holds whole groups of flares: train by it.")
    if audit.get("folds"):
        told.append("`fold` of splits.csv holds whole groups of flares: hold out one at a time.")
    told.append("`split_leaky` is a baseline of images at random: report it, never train on it.")
    if NO_SPLIT in {*files["split"]}:
        told.append(f"`{NO_SPLIT}`: in no split; splits.csv has the reason.")
    nearest = audit.get("nearest_in_time", {})
    skills = [
        f"{name} {found['tss']:.3f}"
        for name, found in nearest.items()
        if found and found.get("tss") is not None
    ]
    if skills:
        told.append(
            "The true skill statistic of the image that is nearest in time, without a pixel:"
            f" {', '.join(skills)}. A model has to beat it under the same split."
        )
    notes = "".join(f"\n- {note}" for note in audit.get("notes", []))
    return f"{_table(table)}\n\n{' '.join(told)}{notes and chr(10) + notes}"


def _leaks(contents: Contents) -> str:
    leaks = contents.leaks
    columns = ["wavelength", "keyword", "auc", "auc_low", "auc_high", "verdict"]
    told = leaks[leaks["kind"] != "time"][columns]
    return (
        "How well each keyword alone, without a pixel, tells the label (AUC; 0.5 is nothing) with"
        " its interval over flares; `leaks.csv` has more.\n\n" + _table(told)
    )


def _gaps(contents: Contents) -> str:
    if not contents.gaps:
        return "Nothing."
    rows = [(number, *what) for what, number in contents.gaps.most_common(_MOST)]
    table = _table(pd.DataFrame(rows, columns=["slots", "status", "reason"]))
    more = len(contents.gaps) - _MOST
    return table + (f"\n\nAnd {more} reasons more." if more > 0 else "")


def _noise(contents: Contents) -> str:
    config = contents.history["config"]
    outside = sum(entry["short_outside"] for entry in contents.history["events"])
    known = (
        f"No image before or after a flare lies in another flare of class"
        f" {config['other_flares_class']} or more that the list of all flares knew."
        if config.get("flares")
        else "Flares outside of this list were not known: an image labelled 0 may show one."
    )
    if config["other_flares"] == "allow":
        known = "An image of one flare may be before or after another; then its label is 1."
    return (
        f"{known} Short exposures outside of the flares, a sign of one that is in no list:"
        f" {outside}. GOES ends a flare at half of its power, so that images after it still show it"
        f" decay (guard: {config['window']['guard']})."
    )


def _files(contents: Contents, terms: Terms) -> str:
    names = {
        "images.csv": "a row per image and event: label, split, times, keywords, sha256",
        "splits.csv, audit.json": "the split of each flare, and what was audited",
        "leaks.csv": "what tells the label",
        "loader.py": "images and labels for a training loop, `python loader.py` shows how",
        "croissant.json, ro-crate-metadata.json, CITATION.cff": "the same for machines",
        "manifest-sha256.txt": "the sha256 of each file: this folder is a BagIt bag",
    }
    lines = [f"- `{name}`: {what}" for name, what in names.items()]
    lines += [f"- `data/{layout}/`: {_LAYOUTS[layout]}" for layout in terms.layouts]
    missing = f"Missing pixels are {MISSING} in whole numbers, NaN elsewhere."
    own = ", ".join(f"`{name}`" for name in contents.event_columns)
    return "\n".join([*lines, "", f"{missing} Columns of the flare's own row: {own or 'none'}."])


def _citing(contents: Contents, terms: Terms) -> str:
    commit = contents.history["flareset"]["git"]
    requests = ", ".join(contents.history["request_ids"]) or "none"
    version = f"{__version__} ({commit})" if commit else __version__
    return (
        f"[{terms.license}]({terms.license_url}). Cite as:\n\n> {terms.citation}\n\n"
        "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams; images provided by JSOC"
        f" (exports: {requests}). Made by flareset {version}."
    )


def _table(table: pd.DataFrame) -> str:
    headers: Iterable[str] = list(table.columns)
    return tabulate(table.to_numpy().tolist(), headers, tablefmt="github", disable_numparse=True)
