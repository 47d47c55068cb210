"""The records of a window: what the archive has, whether we use it or not.

Source: jsoc_info.c, `op=rs_list`. All values are text. The value of a keyword that the series
lacks is `Invalid KeyLink`; there is no error.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flareset.sdo.keywords import IDENTITY, KEYWORD_NAMES, LISTED, STATISTICS
from flareset.sdo.times import iso_column
from flareset.tables.csv import write_table

# The keywords that `list` asks for with every record.
KEYS = [*IDENTITY, *LISTED, "FSN"]
# The keywords that prove a stored file, and all keywords that its header lacks.
PROOF = (*STATISTICS, "NSPIKES")
UNSAID = tuple(dict.fromkeys((*PROOF, *(name for name in KEYWORD_NAMES if name not in LISTED))))
# The keywords that are columns, with JSOC's values.
VALUES = list(dict.fromkeys([*KEYS[len(IDENTITY) :], *UNSAID]))
_TIMES = ("t_rec", "t_obs", "time")
COLUMNS = [
    "record", "t_rec", "t_obs", "time", "wavelength", *VALUES, "recnum", "online", "path", "bytes",
    "status", "reason",
]  # fmt: skip


def write_records(records: pd.DataFrame, path: str | Path) -> None:
    """Write the records as CSV, times in ISO 8601 with Z."""
    table = records.copy()
    for column in _TIMES:
        texts = pd.Series("", index=table.index, dtype="object")
        there = records[column].notna()
        if there.any():
            texts[there] = iso_column(records.loc[there, column])
        table[column] = texts
    write_table(table, path)


def read_records(path: str | Path) -> pd.DataFrame:
    """Return the records that `write_records` wrote."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    for column in _TIMES:
        table[column] = pd.to_datetime(
            table[column].where(table[column] != ""), utc=True, format="ISO8601"
        )
    return table.astype({"wavelength": "int64", "bytes": "int64"})
