"""The rows of a table as plain Python, beside what pandas makes of the same table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rows import column

from flareset.tables.csv import read_rows, write_rows, write_table
from flareset.tables.rows import find_double, in_order

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"]), st.integers()))
BEGIN = datetime(2014, 1, 7, tzinfo=UTC)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))
CELLS = st.lists(st.tuples(TEXTS, st.none() | st.integers(0, 2**53)), max_size=5)


@given(ROWS)
def test_the_order_is_that_of_pandas(rows: list[tuple[int, str, int]]) -> None:
    table = pd.DataFrame(rows, columns=["second", "record", "n"]).astype(
        {"second": "int64", "record": "str", "n": "object"}
    )
    table["time"] = pd.to_datetime(table["second"], unit="s", utc=True)
    expected = table.sort_values(["time", "record"], kind="stable")
    plain = [
        {"time": BEGIN + timedelta(seconds=second), "record": record, "n": n}
        for second, record, n in rows
    ]
    assert column(in_order(plain, "time", "record"), "n") == expected["n"].tolist()


@given(CELLS)
def test_a_table_is_written_as_pandas_writes_it(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, int | None]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = [{"text": text, "number": number, "more": 1} for text, number in cells]
    write_rows(rows, ["text", "number", "none"], folder / "rows.csv")
    table = pd.DataFrame(
        {"text": column(rows, "text"), "number": column(rows, "number"), "none": ""}
    ).astype({"text": "object", "number": "Int64", "none": "object"})
    write_table(table, folder / "table.csv")
    assert (folder / "rows.csv").read_bytes() == (folder / "table.csv").read_bytes()
    assert [(row["text"], row["number"]) for row in read_rows(folder / "rows.csv")] == [
        (text, "" if number is None else str(number)) for text, number in cells
    ]


def test_times_are_written_in_utc(tmp_path: Path) -> None:
    rows = [{"time": BEGIN, "end": None}, {"time": BEGIN + timedelta(seconds=1), "end": BEGIN}]
    write_rows(rows, ["time", "end"], tmp_path / "t.csv", ["time", "end"])
    assert (tmp_path / "t.csv").read_text() == (
        "time,end\n2014-01-07T00:00:00Z,\n2014-01-07T00:00:01Z,2014-01-07T00:00:00Z\n"
    )
    assert rows[0]["time"] == BEGIN, "the rows stay as they are"


def test_the_first_value_that_comes_again() -> None:
    assert find_double("abcba") == "b"
    assert find_double("abc") is None
