"""All known flares: find the images of an event that were taken during another listed flare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import an_event, at
from support.strategies import events

from flareset.campaign.events import Event
from flareset.campaign.known import KnownFlare, KnownFlares, read_known, with_known_flares
from flareset.candidates import find_place
from flareset.errors import EventsError

HEAD = "flare_id,start,peak,end,goes_class,intervals\n"


def a_flare(
    name: str, start: float, end: float, goes_class: str = "M1.0", *more: tuple[float, float]
) -> KnownFlare:
    """Return a known flare; `more` are the intervals of other sources (seconds)."""
    intervals = tuple((at(a), at(b)) for a, b in ((start, end), *more))
    return KnownFlare(name, at(start), None, at(end), goes_class, intervals)


def masked(event: Event, known: Iterable[KnownFlare], seconds: list[int]) -> dict[int, str]:
    """Return in which flare each image lies that would be pre or post, by its second."""
    event = with_known_flares(event, KnownFlares(known), "C1.0")
    return {s: name for s in seconds if (name := find_place(at(s), event).other_flare)}


def test_an_image_in_a_listed_flare_is_in_another_flare() -> None:
    event = an_event((600, 1200), (0, 1800))
    known = [
        a_flare("early", 100, 200),
        a_flare("weak", 300, 350, "B9.9"),
        a_flare("nameless", 400, 450, ""),
        a_flare("late", 1500, 1900),
        a_flare("beyond", 1801, 2000),
    ]
    seconds = [99, 100, 200, 201, 320, 420, 700, 1499, 1500, 1800]
    assert masked(event, known, seconds) == {
        100: "early", 200: "early", 1500: "late", 1800: "late"
    }  # fmt: skip


def test_the_own_flare_masks_what_other_sources_have_of_it_beyond_the_row() -> None:
    event = an_event((600, 1200), (0, 1800))
    own = a_flare("2014", 590, 1200, "B1.0", (640, 1500))
    seconds = [589, 590, 600, 900, 1200, 1201, 1500, 1501]
    assert masked(event, [own], seconds) == {590: "e", 1201: "e", 1500: "e"}


def test_a_rehearsal_shows_the_own_flare_once_and_where_its_row_says() -> None:
    event = replace(an_event((600, 1200), (0, 1800)), hpc_x=100.0, hpc_y=-50.0)
    known = [a_flare("2014", 590, 1200, "X1.0"), a_flare("other", 1500, 1600)]
    found = with_known_flares(event, KnownFlares(known), "C1.0")
    assert [flare.event_id for flare in found.flares] == ["e", "other"]
    assert found.flares[0] == event.flare


def test_the_same_times_add_nothing() -> None:
    event = an_event((600, 1200), (0, 1800))
    assert with_known_flares(event, KnownFlares([a_flare("x", 600, 1200)]), "C1.0") == event


@given(events(), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900)), max_size=6))
def test_every_listed_flare_of_the_window_is_there(
    event: Event, spans: list[tuple[int, int]]
) -> None:
    known = [a_flare(f"k{n}", a, a + length) for n, (a, length) in enumerate(spans)]
    found = with_known_flares(event, KnownFlares(reversed(known)), "C1.0")
    have = {(each.start, each.end) for each in (found.flare, *found.other_flares)}
    for flare in known:
        in_window = flare.start <= event.window_end and flare.end >= event.window_start
        assert not in_window or (flare.start, flare.end) in have
    assert found == with_known_flares(event, KnownFlares(known), "C1.0"), "order plays no part"


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flares.csv"
    path.write_text(
        HEAD + "a,2014-01-07T18:05:34Z,2014-01-07T18:32:00Z,2014-01-07T19:48:58Z,X1.2,"
        "swpc 2014-01-07T18:04:00Z/2014-01-07T18:58:00Z | hek 2014-01-07T18:05:34Z/"
        "2014-01-07T19:48:58Z\nb,2014-01-08T03:39:00Z,,,M3.6,\n"
    )
    window = ("2014-01-07 00:00:00", "2014-01-09 00:00:00")
    one, two = read_known(path).in_window(
        an_event(("2014-01-07 01:00:00", "2014-01-07 02:00:00"), window)
    )
    assert (one.flare_id, len(one.intervals)) == ("a", 2)
    assert one.begin == one.start - timedelta(seconds=94)
    assert two.intervals == ((two.start, two.start),)
    path.write_text(HEAD + "a,yesterday,,,X1.2,\n")
    with pytest.raises(EventsError, match=r"line 2: .*make it again with `snakemake intake`"):
        read_known(path)
