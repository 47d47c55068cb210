"""When the tries of a file are enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flareset.archive.transfer import Attempts


class Tries:
    """The tries of a file, in a time (s) that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.counted = Attempts(clock=lambda: self.now)

    def gained(self, there: int, seconds: float = 1.0) -> bool:
        """Return whether a try that took `seconds` and got so many bytes counts as a gain."""
        self.counted.begin()
        self.now += seconds
        return self.counted.gained(there)


@pytest.fixture
def tries() -> Tries:
    return Tries()


def test_eight_tries_without_gain_are_enough(tries: Tries) -> None:
    for number in range(1, 9):
        assert not tries.counted.given_up
        assert not tries.gained(0)
        tries.counted.no_gain()
        assert tries.counted.tries == tries.counted.fruitless == number
    assert tries.counted.given_up


def test_bad_content_is_enough_three_times_whatever_was_gained(tries: Tries) -> None:
    for number in range(3):
        assert not tries.counted.given_up
        assert tries.gained((number + 1) << 20)
        tries.counted.bad_content()
    assert tries.counted.given_up


def test_a_gain_begins_the_count_anew(tries: Tries) -> None:
    for there in range(1, 50):
        assert not tries.gained(0)
        tries.counted.no_gain()
        assert tries.gained(there << 20)
        assert tries.counted.fruitless == 1
    assert not tries.counted.given_up
    assert tries.counted.tries == 98


@given(st.lists(st.tuples(st.integers(0, 10**7), st.floats(0.1, 1000)), max_size=30))
def test_a_try_gains_where_it_comes_further_than_any_before_and_fast(
    all_tries: list[tuple[int, float]],
) -> None:
    tries, furthest = Tries(), 0
    for there, seconds in all_tries:
        enough = max(1 << 16, 1000 * ((tries.now + seconds) - tries.now))
        assert tries.gained(there, seconds) == (there - furthest > enough)
        furthest = max(furthest, there)
