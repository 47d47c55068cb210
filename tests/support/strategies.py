"""Strategies for events and times, for the tests of partition and draw."""

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


SECONDS = st.lists(st.integers(-100, 4100), max_size=120, unique=True)
