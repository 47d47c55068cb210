"""Strategies for events and tables of images, for the tests of partition and draw."""

import pandas as pd
from hypothesis import strategies as st

from flareset.campaign.events import Event
from flareset.sdo.flares import Flare
from support.factories import an_event, at


@st.composite
def events(draw_: st.DrawFn) -> Event:
    begin, start, end, close = sorted(
        draw_(st.lists(st.integers(0, 4000), min_size=4, max_size=4, unique=True))
    )
    others = draw_(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 600)), max_size=3))
    flares = tuple(Flare(f"o{n}", at(a), at(a + b)) for n, (a, b) in enumerate(others))
    return an_event((start, end), (begin, close), other_flares=flares)


def table(seconds: list[int]) -> pd.DataFrame:
    times = pd.Series(
        pd.to_datetime([at(s) for s in seconds], utc=True), dtype="datetime64[us, UTC]"
    )
    return pd.DataFrame(
        {
            "time": times,
            "record": [f"aia[{s}]" for s in seconds],
            "filename": [f"{s:05}.fits" for s in seconds],
        }
    )


SECONDS = st.lists(st.integers(-100, 4100), max_size=120, unique=True)
