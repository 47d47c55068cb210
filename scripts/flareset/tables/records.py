"""What JSOC knows of the records of a window: the set that an export is compared with.

Source: jsoc_info.c, `op=rs_list`. All its values are text, and names that a series lacks give
`Invalid KeyLink` instead of an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from flareset.sdo.times import iso_column
from flareset.tables.csv import write_table

KEYS = ["T_REC", "T_OBS", "WAVELNTH", "QUALITY", "EXPTIME", "AECTYPE", "FSN"]
COLUMNS = [
    "record", "t_rec", "t_obs", "wavelength", *(key for key in KEYS[3:]), "recnum", "online",
    "path", "bytes", "status", "reason",
]  # fmt: skip


def no_records() -> pd.DataFrame:
    """The table of a listing that JSOC was not asked about."""
    table = pd.DataFrame(columns=COLUMNS, dtype="str")
    for column in ("t_rec", "t_obs"):
        table[column] = pd.to_datetime(table[column], utc=True)
    return table.astype({"wavelength": "int64", "bytes": "int64"})


def in_window(records: pd.DataFrame, begin: Any, end: Any) -> pd.Series:
    """Which records were observed in [begin, end]; T_REC stands in for a missing T_OBS."""
    when = records["t_obs"].fillna(records["t_rec"])
    return (when >= begin) & (when <= end)


def write_records(records: pd.DataFrame, path: str | Path) -> None:
    """Write the records as CSV, times in ISO 8601 with Z."""
    table = records.copy()
    for column in ("t_rec", "t_obs"):
        texts = pd.Series("", index=table.index, dtype="object")
        there = records[column].notna()
        if there.any():
            texts[there] = iso_column(records.loc[there, column])
        table[column] = texts
    write_table(table, path)


def read_records(path: str | Path) -> pd.DataFrame:
    """The records that `write_records` wrote."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    for column in ("t_rec", "t_obs"):
        table[column] = pd.to_datetime(
            table[column].where(table[column] != ""), utc=True, format="ISO8601"
        )
    # A table of an earlier version may lack a column.
    table = table.reindex(columns=COLUMNS, fill_value="")
    return table.astype({"wavelength": "int64", "bytes": "int64"})
