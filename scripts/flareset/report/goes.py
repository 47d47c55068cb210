"""The Sun's X-ray flux as GOES measured it (XRS, 1 to 8 Å), from files that the user gives."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from flareset.errors import ReportError
from flareset.sdo.times import parse_utc

# The names of the columns: of NOAA's files, and of sunpy's tables.
TIMES = ("time", "time_tag")
FLUXES = ("xrsb_flux", "xrsb", "b_flux")
FLAGS = ("xrsb_flag", "xrsb_flags", "xrsb_quality")
_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_UNITS = "seconds since 2000-01-01 12:00"
# netCDF-4 is HDF5, which begins so.
_HDF5 = b"\x89HDF"
# A step longer than this many usual steps is a gap.
_GAP = 1.5

Point = tuple[datetime, float]


class GoesFlux:
    """The flux (W m-2) over time (seconds since 2000-01-01 12:00 UTC), sorted by time.

    Where two files have the same time, the value of the first file counts.
    """

    def __init__(self, times: Any, flux: Any) -> None:
        with np.errstate(invalid="ignore"):
            known = np.isfinite(times) & np.isfinite(flux) & (flux > 0)
        # unique() returns the first of equal times.
        self._times, first = np.unique(times[known], return_index=True)
        self._flux = flux[known][first]

    def in_window(self, start: datetime, end: datetime) -> list[list[Point]]:
        """Return the curve of an interval in pieces: a new piece begins after each gap."""
        low, high = np.searchsorted(self._times, [_seconds(start), _seconds(end)])
        times, flux = self._times[low:high], self._flux[low:high]
        if not len(times):
            return []
        steps = np.diff(times)
        # Gaps lengthen steps: the lower quartile is a usual step unless most values are unknown.
        usual = np.quantile(steps, 0.25, method="lower") if len(steps) else 0
        gaps = np.flatnonzero(steps > _GAP * usual) + 1
        points = [
            (_EPOCH + timedelta(seconds=time), value)
            for time, value in zip(times.tolist(), flux.tolist(), strict=True)
        ]
        edges = [0, *map(int, gaps), len(points)]
        return [points[a:b] for a, b in pairwise(edges)]


def read_goes(paths: Iterable[Path]) -> GoesFlux:
    """Return the flux in CSV and netCDF files. Values that are flagged or no flux are left out.

    Raises ReportError that names the file, and what it has to have.
    """
    tables = [_read(path) for path in paths]
    return GoesFlux(*(np.concatenate(column) for column in zip(*tables, strict=True)))


def _read(path: Path) -> tuple[Any, Any]:
    """Return the times and fluxes of a file; a flagged flux is NaN."""
    try:
        with open(path, "rb") as file:
            is_netcdf = file.read(len(_HDF5)) == _HDF5
        return _read_netcdf(path) if is_netcdf else _read_csv(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(
            f"report_page.goes: {path} cannot be read: {error}; name a CSV or NOAA's netCDF"
        ) from None


def _read_csv(path: Path) -> tuple[Any, Any]:
    times, fluxes = array("d"), array("d")
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        time, flux, flag = _columns(path, rows.fieldnames or ())
        for row in rows:
            try:
                times.append(_seconds(parse_utc(row[time] or "")))
                sound = not flag or not float(row[flag] or 0)
                fluxes.append(float(row[flux] or "nan") if sound else math.nan)
            except ValueError as error:
                raise ReportError(
                    f"report_page.goes: {path}, line {rows.line_num}: {error}; {time} has to be a"
                    f" time (UTC) like 2014-01-07T18:04:00, and {flux} a number (W m-2) or empty"
                ) from None
    return np.array(times), np.array(fluxes)


def _read_netcdf(path: Path) -> tuple[Any, Any]:
    try:
        import h5py
    except ImportError:
        raise ReportError(
            f"report_page.goes: {path} is netCDF, which needs h5py:"
            " .venv/bin/python -m pip install 'h5py>=3.11'"
        ) from None
    with h5py.File(path) as data:
        time, flux, flag = _columns(path, data)
        units = data[time].attrs.get("units", b"")
        units = units.decode() if isinstance(units, bytes) else str(units)
        if not units.startswith(_UNITS):
            raise ReportError(
                f"report_page.goes: {path}: {time} is in {units!r}, not in {_UNITS}; write the"
                " fluxes as CSV"
            )
        fluxes = data[flux][:].astype(float)
        if flag:
            fluxes[data[flag][:] != 0] = math.nan
        return data[time][:].astype(float), fluxes


def _columns(path: Path, names: Iterable[str]) -> tuple[str, str, str]:
    """Return the names of the columns of time and flux, and that of the flags or nothing."""
    there = [str(name) for name in names]
    found = [next((n for n in known if n in there), "") for known in (TIMES, FLUXES, FLAGS)]
    for name, known in zip(found, (TIMES, FLUXES), strict=False):
        if not name:
            raise ReportError(
                f"report_page.goes: {path} has no column {' or '.join(known)}; it has"
                f" {', '.join(there) or 'none'}"
            )
    return found[0], found[1], found[2]


def _seconds(when: datetime) -> float:
    return (when - _EPOCH) / timedelta(seconds=1)
