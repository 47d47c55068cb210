"""The ledger: what became of every slot and file of a window, with the reason."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from flareset.events import Event
from flareset.listing import PageFacts, empty_slots
from flareset.partition import OUTSIDE, phases_of
from flareset.series import Series
from flareset.times import iso_column

COLUMNS = ["time", "record", "filename", "phase", "status", "reason", "tries", "bytes"]


def ledger(
    listing: pd.DataFrame,
    images: pd.DataFrame,
    manifest: pd.DataFrame,
    event: Event,
    wavelength: int,
    *,
    series: Series,
    facts: PageFacts,
    shortages: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A row per listed image, slot without one and bin that came short, in time order.

    `listing` has all segments, `images` the partitioned images asked for, `manifest` what was
    tried of them.
    """
    parts = [
        _files(images, manifest),
        _without_image(listing, images, event),
        _without_record(listing, event, wavelength, series, facts),
    ]
    if shortages is not None:
        parts.append(_short(shortages, event))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table = table.sort_values(["time", "record", "filename"], kind="stable", ignore_index=True)
    table["time"] = iso_column(table["time"].dt.floor("s"))
    if facts.accepted:
        note = f"accept_pages took the page as it is: {facts.accepted}"
        table["reason"] = [f"{reason}; {note}".removeprefix("; ") for reason in table["reason"]]
    return table.reindex(columns=COLUMNS)


def _files(images: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    tried = manifest[["record", "status", "reason", "tries", "bytes"]]
    table = images[["time", "record", "filename", "phase", "other_flare"]].merge(
        tried, how="left", on="record", validate="one_to_one"
    )
    outside = table["phase"] == OUTSIDE
    untried = table["status"].isna()
    table["status"] = np.where(outside, OUTSIDE, table["status"].fillna("not_needed"))
    reason = table["reason"].fillna("").astype(str).to_numpy(dtype=object)
    other = (table["other_flare"] != "").to_numpy()
    reason[other] = (
        "in the flare of event "
        + table["other_flare"][other]
        + np.where(reason[other], "; ", "")
        + reason[other]
    )
    reason[(untried & ~outside).to_numpy() & ~other] = "not drawn"
    reason[outside] = "outside the event's window"
    table["reason"] = reason
    return table.drop(columns="other_flare")


def _without_image(listing: pd.DataFrame, images: pd.DataFrame, event: Event) -> pd.DataFrame:
    """Records that are listed with other segments only."""
    bare = listing[~listing["record"].isin(images["record"])].drop_duplicates("record")
    return pd.DataFrame(
        {
            "time": bare["time"],
            "record": bare["record"],
            "filename": "",
            "phase": phases_of(bare["time"], event),
            "status": "no_image",
            "reason": "the record lists only " + bare["segment"],
        }
    )


def _without_record(
    listing: pd.DataFrame, event: Event, wavelength: int, series: Series, facts: PageFacts
) -> pd.DataFrame:
    slots = empty_slots(listing, event.window_start, event.window_end, series.cadence)
    times = pd.Series(slots)
    first, last = listing["t_rec"].min(), listing["t_rec"].max()
    beyond = f"{facts.edges}: no record, or not exported" if facts.edges else "no record here"
    reason = np.where((times < first) | (times > last), beyond, "the page lists no record here")
    records = [f"{series.name}[{t:%Y-%m-%dT%H:%M:%SZ}][{wavelength}]" for t in slots]
    return pd.DataFrame(
        {
            "time": times,
            "record": records,
            "filename": "",
            "phase": phases_of(times, event) if len(times) else [],
            "status": "no_record",
            "reason": reason,
        }
    )


def _short(shortages: pd.DataFrame, event: Event) -> pd.DataFrame:
    """A line per bin that came short, at the bin's first second."""
    start = pd.Timestamp(event.flare_start)
    begin = {"pre": event.window_start, "post": event.flare_end + timedelta(seconds=1)}
    times = [
        begin[row.phase] if row.phase in begin else max(start, pd.Timestamp(row.bin, tz="UTC"))
        for row in shortages.itertuples()
    ]
    return pd.DataFrame(
        {
            "time": pd.to_datetime(pd.Series(times, dtype="object"), utc=True),
            "record": "",
            "filename": "",
            "phase": shortages["phase"],
            "status": "no_image",
            "reason": [
                f"the draw: {row.drawn} of {row.wanted} wanted could be drawn from this bin"
                for row in shortages.itertuples()
            ],
        }
    )


def write_ledger(table: pd.DataFrame, path: object) -> None:
    """Write a ledger as CSV; counts are whole numbers or empty."""
    for column in ("tries", "bytes"):
        table[column] = table[column].astype("Int64")
    table.to_csv(path, index=False, lineterminator="\n")
