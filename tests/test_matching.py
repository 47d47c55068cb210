"""The same flare in two lists: which is which."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flareset.sdo.matching import match


class Span(NamedTuple):
    """A flare's times."""

    start: datetime
    peak: datetime | None
    end: datetime | None


DAY = datetime(2014, 1, 7, tzinfo=UTC)


def at(minute: float) -> datetime:
    return DAY + timedelta(minutes=minute)


def span(start: float, peak: float | None, end: float | None) -> Span:
    return Span(*(None if minute is None else at(minute) for minute in (start, peak, end)))


def test_starts_or_peaks_within_a_minute() -> None:
    mine = [span(10, 20, 30)]
    assert match(mine, [span(11, 29, 35)]) == {0: 0}
    assert match(mine, [span(2, 21, 40)]) == {0: 0}
    assert match(mine, [span(31, 40, 50)]) == {}


def test_the_peak_of_either_in_the_others_interval() -> None:
    """AIA's interval of the X1.2 of 2014-01-07, 18:05:34 to 19:48:58, and GOES's."""
    goes = Span(*(datetime(2014, 1, 7, 18, minute, tzinfo=UTC) for minute in (4, 32, 58)))
    aia = Span(
        datetime(2014, 1, 7, 18, 5, 34, tzinfo=UTC),
        datetime(2014, 1, 7, 18, 34, 46, tzinfo=UTC),
        datetime(2014, 1, 7, 19, 48, 58, tzinfo=UTC),
    )
    assert match([goes], [aia]) == {0: 0}


def test_what_overlaps_only_is_another_flare() -> None:
    assert match([span(0, 5, 30)], [span(20, 40, 60)]) == {}


def test_one_to_one_the_best_first() -> None:
    mine = [span(0, 10, 30), span(9, 10, 12)]
    assert match(mine, [span(9, 10, 13), span(0, 10, 29)]) == {0: 1, 1: 0}


def test_a_missing_peak_or_end() -> None:
    assert match([span(0, None, 9)], [span(1, 5, None)]) == {0: 0}
    assert match([span(0, None, None)], [span(5, None, None)]) == {}
    assert match([], [span(1, 2, 3)]) == {}


spans = st.lists(
    st.builds(
        lambda start, rise, decay: span(start, start + rise, start + rise + decay),
        *(st.integers(0, 300), st.integers(0, 40), st.integers(1, 60)),
    ),
    max_size=12,
    unique=True,
)


@given(spans, spans, st.randoms())
def test_the_order_does_not_matter(mine: list[Span], other: list[Span], chance: random.Random):
    def pairs(a: list[Span], b: list[Span]) -> set[tuple[Span, Span]]:
        return {(a[i], b[j]) for j, i in match(a, b).items()}

    found = pairs(mine, other)
    assert len({a for a, _ in found}) == len(found) == len({b for _, b in found})
    shuffled = chance.sample(mine, len(mine)), chance.sample(other, len(other))
    assert pairs(*shuffled) == found


def lists_of(real: Path) -> tuple[dict[str, Span], dict[str, Span]]:
    """Return the first flares of SWPC's and SSW's lists. Starts are those in SSW's names."""
    folder = real / "flares/hayesla_lists"
    swpc, ssw = {}, {}
    with (folder / "swpc_flarelist_20100101-20210810.first3000.csv").open() as lines:
        for _, date, _, *clocks in list(csv.reader(lines))[1:]:
            swpc[date + clocks[0]] = carried(date, clocks[:3])
    with (folder / "final_latestevents_scraping.first3000.csv").open() as lines:
        for _, _, name, start, stop, peak, *_ in list(csv.reader(lines))[1:]:
            day, clock = name.removeprefix("gev_").split("_")
            texts = [start.split()[1], peak, stop]
            ssw[day + clock] = carried(day, [text.replace(":", "")[:4] for text in texts])
    return swpc, ssw


@pytest.mark.parametrize("minutes", [0, 3])
def test_swpc_and_ssw(real: Path, minutes: int) -> None:
    """All of both lists; the truth is an equal start, which SSW took from SWPC.

    So the starts give the answer away. With SSW's three minutes early, they do not help, and what
    is found is what peaks and intervals tell.
    """
    swpc, ssw = lists_of(real)
    truth = set(swpc) & set(ssw)
    assert len(truth) > 2700
    early = timedelta(minutes=minutes)
    theirs = [Span(s.start - early, s.peak, s.end) for s in ssw.values()]
    pairs = match(list(swpc.values()), theirs)
    found = {list(ssw)[j]: list(swpc)[i] for j, i in pairs.items()}
    wrong = [name for name in truth & set(found) if found[name] != name]
    missed = truth - set(found)
    assert not wrong
    assert not missed
    assert set(found) == truth


def carried(date: str, clocks: list[str]) -> Span:
    """Return times of one date. A time before the start is on the next day."""
    midnight = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
    times: list[datetime | None] = []
    for clock in clocks:
        if not clock.isdecimal():
            times.append(None)
            continue
        when = midnight + timedelta(hours=int(clock[:2]), minutes=int(clock[2:]))
        times.append(when + timedelta(days=bool(times and when < times[0])))
    return Span(*times)
