"""The records of a window: what the archive has, whether we use it or not.

Source: jsoc_info.c, `op=rs_list`. All values are text. The value of a keyword that the series
lacks is `Invalid KeyLink`; there is no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flareset.sdo.keywords import IDENTITY, KEYWORD_NAMES, LISTED, STATISTICS
from flareset.sdo.times import read_iso
from flareset.tables.csv import read_rows, write_rows
from flareset.tables.rows import Row

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


def write_records(records: Iterable[Row], path: str | Path) -> None:
    """Write the records as CSV."""
    write_rows(records, COLUMNS, path, _TIMES)


def read_records(path: str | Path) -> list[Row]:
    """Return the records that `write_records` wrote. A T_OBS that is not known is None."""
    return [
        {
            **row,
            **{column: read_iso(row[column]) for column in _TIMES},
            "wavelength": int(row["wavelength"]),
            "bytes": int(row["bytes"]),
        }
        for row in read_rows(path)
    ]
