"""Read NCEI's GOES flare summaries (`sci_xrsf-l2-flsum_…nc`): netCDF, by the optional h5py."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from flareset.errors import IntakeError
from flareset.intake.rows import FlareList, Row
from flareset.sdo.times import iso

_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_UNITS = re.compile(r"seconds since 2000-01-01 12:00:00")
_FILL = -9999
# GOES-R calls a flare's number flare_id, the reprocessed GOES-8 to 15 call it flare_counter.
_NUMBERS = ("flare_id", "flare_counter")
_COLUMNS = {"EVENT_START": "start", "EVENT_PEAK": "peak", "EVENT_END": "end"}


def read_flsum(raw: bytes, file: str) -> FlareList:
    """Return the flares of a GOES flare summary. The line is that of the flare's first status.

    A flare over midnight is parted over two daily files: each gives what it has of it.
    Raises IntakeError, also where h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise IntakeError(
            f"{file}: a netCDF file; reading GOES flare summaries needs h5py:"
            " .venv/bin/python -m pip install 'h5py>=3.11'"
        ) from None
    try:
        with h5py.File(io.BytesIO(raw)) as data:
            return _flares(data, file)
    except (OSError, KeyError) as error:
        raise IntakeError(
            f"{file}: no GOES flare summary, or a damaged one: {str(error).strip()[:200]}"
        ) from None


def _flares(data: Any, file: str) -> FlareList:
    number = next((name for name in _NUMBERS if name in data), None)
    if number is None or not {"time", "status"} <= set(data):
        raise IntakeError(
            f"{file}: netCDF, but no GOES flare summary: it has no {' or '.join(_NUMBERS)}, time"
            f" and status; it has {', '.join(sorted(data))}"
        )
    units = _plain(data["time"].attrs.get("units", ""))
    if not _UNITS.match(units):
        raise IntakeError(f"{file}: time is in {units!r}, not in seconds since 2000-01-01 12:00")
    satellite = _plain(data.attrs.get("platform", "")).strip()
    found: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    columns = {name: data[name][:] for name in data if data[name].shape}
    for place, status in enumerate(map(_plain, columns["status"])):
        key = f"{satellite}-{_plain(columns[number][place])}"
        lines.setdefault(key, place + 1)
        cells = found.setdefault(key, {"satellite": satellite})
        if status in _COLUMNS:
            cells |= _status(columns, place, status)
    rows = (
        Row("flsum", file, lines[key], cells, key, repr(sorted(cells.items())))
        for key, cells in found.items()
        if _COLUMNS.values() & cells.keys()
    )
    return FlareList(file, "GOES flare summary", tuple(rows))


def _status(columns: dict[str, Any], place: int, status: str) -> dict[str, str]:
    """Return what the row of a status says of its flare."""
    when = _EPOCH + timedelta(seconds=float(columns["time"][place]))
    cells = {_COLUMNS[status]: iso(when)}
    if status == "EVENT_START":
        cells["background_flux"] = _number(columns, "background_flux", place)
    elif status == "EVENT_PEAK":
        cells["goes_class"] = _plain(columns["flare_class"][place])
        cells["peak_flux"] = _number(columns, "xrsb_flux", place)
    else:
        cells["integrated_flux"] = _number(columns, "integrated_flux", place)
    return cells


def _number(columns: dict[str, Any], name: str, place: int) -> str:
    if name not in columns or (value := float(columns[name][place])) == _FILL:
        return ""
    return f"{value:.6g}"


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
