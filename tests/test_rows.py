"""The rows of a table as plain Python, beside what pandas makes of the same table."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from flareset.tables.rows import in_order, rows_of

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"]), st.integers()))


@given(ROWS)
def test_the_order_is_that_of_pandas(rows: list[tuple[int, str, int]]) -> None:
    table = pd.DataFrame(rows, columns=["second", "record", "n"]).astype(
        {"second": "int64", "record": "str", "n": "object"}
    )
    table["time"] = pd.to_datetime(table["second"], unit="s", utc=True)
    expected = table.sort_values(["time", "record"], kind="stable")
    pd.testing.assert_frame_equal(in_order(table, ["time", "record"]), expected)


def test_a_time_is_a_number() -> None:
    time = pd.Series(pd.to_datetime(["2014-01-07T18:05:01Z"]))
    assert rows_of(pd.DataFrame({"time": time, "name": ["a"]})) == [(1389117901000000, "a")]
