"""Make random lists of flares, and the images that would be drawn of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pandas as pd
from hypothesis import strategies as st

from flareset.campaign.events import Event
from flareset.split import Division, Rules, split_at_random
from support.factories import an_event, at

HOUR = 3600
CLASSES = ("C3.1", "M1.0", "M9.9", "X1.2", "X28", "")
# Four digits mean 10000 more. 0 and empty mean no region.
REGIONS = ("", "0", "1944", "11944", "11945", "11946", "12673", "12192")
RULES = Rules()


@st.composite
def flare_lists(draw: st.DrawFn, least: int = 1, most: int = 40) -> list[Event]:
    """Return events within a year. Some share windows or regions."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 24 * 365),
                st.integers(1, 8),
                st.sampled_from(REGIONS),
                st.sampled_from(CLASSES),
            ),
            min_size=least,
            max_size=most,
        )
    )
    return [
        a_flare(f"f{n}", start * HOUR, hours * HOUR, noaa_ar=region, goes_class=goes)
        for n, (start, hours, region, goes) in enumerate(rows)
    ]


def a_flare(event_id: str, start: float, length: float = HOUR, **row: str) -> Event:
    """Return an event with a window from an hour before to an hour after the flare."""
    span = (start - HOUR, start + length + HOUR)
    return an_event((start, start + length), span, event_id=event_id, columns=row)


def spread(count: int, **row: str) -> list[Event]:
    """Return `count` events that are not linked, ten days apart."""
    return [a_flare(f"f{n:03}", 10 * 24 * HOUR * n, **row) for n in range(count)]


def images_of(events: Sequence[Event], divided: Division) -> pd.DataFrame:
    """Return images of each event: its window's ends, the flare's, and its middle."""
    row_of = {row.event_id: row for row in divided.rows}
    rows = [
        {
            "event_id": event.event_id,
            "wavelength": 131,
            "label": int(event.flare_start <= time <= event.flare_end),
            # An image in two windows is the same file.
            "record": f"aia[{time:%Y-%m-%dT%H:%M:%SZ}][131]",
            "sha256": f"{hash(time):x}",
            "time": time,
            "split": row_of[event.event_id].split,
            "group": row_of[event.event_id].group,
            "exposure": "normal",
            **event.columns,
        }
        for event in events
        for time in (
            event.window_start,
            event.flare_start - timedelta(minutes=10),
            event.flare_start,
            event.flare_start + (event.flare_end - event.flare_start) / 2,
            event.flare_end + timedelta(minutes=10),
            event.window_end,
        )
    ]
    images = pd.DataFrame(rows)
    images["time"] = pd.to_datetime(images["time"], utc=True).dt.tz_convert(None)
    return images.assign(split_leaky=split_at_random(images["record"], 7, RULES.shares))


def table_of(divided: Division) -> pd.DataFrame:
    """Return splits.csv as the audit reads it."""
    return pd.DataFrame(divided.rows, columns=divided.rows[0]._fields).astype("str")


def splits_of(divided: Division) -> Mapping[str, str]:
    """Return the split of each event."""
    return {row.event_id: row.split for row in divided.rows}


def first(seconds: float) -> pd.Timestamp:
    """Return a time of the lists (seconds from their begin) in the form of an image's time."""
    return pd.Timestamp(at(seconds)).tz_convert(None)
