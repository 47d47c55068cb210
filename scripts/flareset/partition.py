"""Where in an event's window an image lies: pre, flare or post, and its bin of the draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from flareset.campaign.events import Event

PHASES = ("pre", "flare", "post")
OUTSIDE = "outside"
_PRODUCTS = {".jpg": "pictures", ".mpg": "movies", ".mp4": "movies"}


def phases_of(times: pd.Series, event: Event) -> np.ndarray:
    """The phase of each UTC time: pre [window start, flare start), flare [start, end], post to the
    window's end, that included; `outside` elsewhere."""
    begin, start, end, close = (
        pd.Timestamp(when)
        for when in (event.window_start, event.flare_start, event.flare_end, event.window_end)
    )
    return np.select(
        [
            (times >= begin) & (times < start),
            (times >= start) & (times <= end),
            (times > end) & (times <= close),
        ],
        PHASES,
        default=OUTSIDE,
    )


def minute_bins(times: pd.Series) -> np.ndarray:
    """The minute that holds each UTC time, like `2014-01-07T18:05`."""
    return np.datetime_as_string(times.dt.tz_convert(None).to_numpy().astype("datetime64[m]"))


def other_flare(times: pd.Series, event: Event) -> np.ndarray:
    """The id of another listed event whose flare holds each time; empty where there is none."""
    found = np.full(len(times), "", dtype=object)
    for flare in event.other_flares:
        inside = (times >= pd.Timestamp(flare.start)) & (times <= pd.Timestamp(flare.end))
        found[inside.to_numpy() & (found == "")] = flare.event_id
    return found


def partition(images: pd.DataFrame, event: Event) -> pd.DataFrame:
    """The images (with `time`) with their `phase`, `bin` and `other_flare`.

    `bin` is the minute in the flare and empty elsewhere; `other_flare` names the event in whose
    flare a pre or post image lies.
    """
    phase = phases_of(images["time"], event)
    in_flare = phase == "flare"
    around = (phase == "pre") | (phase == "post")
    return images.assign(
        phase=phase,
        bin=np.where(in_flare, minute_bins(images["time"]), ""),
        other_flare=np.where(around, other_flare(images["time"], event), ""),
    )


def phase_links(
    images: pd.DataFrame, manifest: pd.DataFrame, store: Path
) -> dict[str, dict[str, Path]]:
    """What each phase's folder holds: the verified images' names and their files in the store."""
    verified = manifest[manifest["status"] == "verified"]
    phase = images.set_index("filename")["phase"].reindex(verified["filename"]).to_numpy()
    return {
        name: {row.filename: store / row.path for row in verified[phase == name].itertuples()}
        for name in PHASES
    }


def product_links(manifest: pd.DataFrame, store: Path) -> dict[str, dict[str, Path]]:
    """The folders `pictures` and `movies`, where there are any: names and files in the store."""
    verified = manifest[manifest["status"] == "verified"]
    found: dict[str, dict[str, Path]] = {}
    for row in verified.itertuples():
        if folder := _PRODUCTS.get(Path(row.filename).suffix):
            found.setdefault(folder, {})[row.filename] = store / row.path
    return found


def flare_minutes(event: Event) -> pd.DatetimeIndex:
    """Every minute that the flare touches, both end minutes counted."""
    start, end = (pd.Timestamp(when).floor("min") for when in (event.flare_start, event.flare_end))
    return pd.date_range(start, end, freq="min")
