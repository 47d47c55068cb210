"""The data set: every drawn image of all events, with its label and all that is known of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flareset.campaign.events import Event
from flareset.errors import StoreError
from flareset.phases import PHASES
from flareset.sdo.exposure import kind_of, seconds_of
from flareset.sdo.keywords import KEYWORD_NAMES
from flareset.split import Row
from flareset.tables.csv import write_table
from flareset.tables.images import COLUMNS, OF_SPLITS, carried_name

# How sample.csv writes the time of an image, and images.csv too.
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def read_samples(paths: list[str] | list[Path]) -> pd.DataFrame:
    """Return the samples of all events and wavelengths in one table; keywords are text."""
    texts = ["event_id", "phase", "filename", "record", "slot", "path", "sha256", "proof", "blank"]
    texts += KEYWORD_NAMES
    dtypes = {**dict.fromkeys(texts, "str"), "wavelength": "int64", "bytes": "int64"}
    tables = [pd.read_csv(path, dtype=dtypes, keep_default_na=False) for path in paths]
    samples = pd.concat(tables, ignore_index=True)
    samples["time"] = pd.to_datetime(samples["time"], utc=True, format=_TIME)
    return samples


def image_links(samples: pd.DataFrame, store: Path) -> dict[str, Path]:
    """Return the name of each drawn image in the data set, and its file in the store.

    Raises StoreError if two images have the same name.
    """
    sums = samples.drop_duplicates(["filename", "sha256"])
    if (double := sums[sums["filename"].duplicated(keep=False)]).size:
        first, second = (double.iloc[n] for n in (0, 1))
        raise StoreError(
            f"two images are called {first['filename']}: {first['record']} of event"
            f" {first['event_id']} and {second['record']} of event {second['event_id']};"
            " the data set needs names that differ"
        )
    return {row.filename: store / row.path for row in samples.itertuples()}


def label_images(samples: pd.DataFrame, events: list[Event]) -> pd.DataFrame:
    """Return a row per drawn image and event: the label of its phase, and all columns.

    `samples` has the samples of all events, each in time order (event_id, wavelength, phase,
    filename, record, time, keywords, bytes, sha256). The columns of events.csv follow. If such a
    column has the name of one of ours, it is called `events.<name>`.
    """
    samples = samples.sort_values(["event_id", "wavelength"], kind="stable", ignore_index=True)
    by_id = {event.event_id: event for event in events}
    codes, ids = pd.factorize(samples["event_id"])
    drawn_from = [by_id[event_id] for event_id in ids]
    label_of = {phase.name: phase.label for phase in PHASES}
    table = samples.assign(label=samples["phase"].map(label_of))
    for name in ("start", "peak", "end"):
        moments = pd.Series([getattr(event, f"flare_{name}") for event in drawn_from])
        moments = pd.to_datetime(moments, utc=True).dt.tz_convert(None).to_numpy()[codes]
        minutes = samples["time"].dt.tz_convert(None) - moments
        table[f"minutes_from_{name}"] = (minutes / pd.Timedelta(minutes=1)).round(4)
    # The images of one event and slot, in several channels, can be stacked.
    table["channels"] = samples.groupby(["event_id", "slot"])["wavelength"].transform("nunique")
    own = _own_columns(drawn_from)
    table["time"] = samples["time"].dt.strftime(_TIME)
    lasted = list(zip(table["AIMGSHCE"], table["EXPTIME"], strict=True))
    channels = zip(table["wavelength"], lasted, strict=True)
    table["exposure"] = [kind_of(wavelength, *each) for wavelength, each in channels]
    table["exposure_seconds"] = [seconds_of(*each) for each in lasted]
    known = table[[name for name in COLUMNS if name not in OF_SPLITS]]
    return pd.concat([known, own.iloc[codes].reset_index(drop=True)], axis=1)


def with_splits(images: pd.DataFrame, rows: list[Row], leaky: list[str]) -> pd.DataFrame:
    """Return the images with the split and group of their event, and their leaky split.

    `rows` are those of splits.csv. `leaky` has a split for each image, drawn without groups.
    """
    by_id = {row.event_id: row for row in rows}
    codes, ids = pd.factorize(images["event_id"])
    of_event = pd.DataFrame([by_id[event_id] for event_id in ids], columns=Row._fields)
    found = of_event.iloc[codes].reset_index(drop=True).assign(split_leaky=leaky)
    place = images.columns.get_loc("sha256") + 1
    return pd.concat([images.iloc[:, :place], found[OF_SPLITS], images.iloc[:, place:]], axis=1)


def _own_columns(events: list[Event]) -> pd.DataFrame:
    """Return the events' columns from events.csv, a row per event, in alphabetical order."""
    rows = [
        {carried: value for name, value in event.columns.items() if (carried := carried_name(name))}
        for event in events
    ]
    table = pd.DataFrame(rows, index=range(len(events))).fillna("")
    return table[sorted(table.columns)]


def image_labels(images: pd.DataFrame) -> pd.DataFrame:
    """Return the columns filename and label, a row per file, sorted by filename.

    With `other_flares: allow`, a file may be a flare image of one event and pre or post of another.
    Then it has label 1, since the Sun is flaring in it.
    """
    labels = images.groupby("filename", sort=True)["label"].max()
    return labels.reset_index()


def write_labels(images: pd.DataFrame, folder: str | Path) -> None:
    """Write `images.csv`, `image_labels.csv` and, separated by tabs, `image_labels.txt`."""
    folder = Path(folder)
    write_table(images, folder / "images.csv")
    labels = image_labels(images)
    write_table(labels, folder / "image_labels.csv")
    write_table(labels, folder / "image_labels.txt", "\t")
