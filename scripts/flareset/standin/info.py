"""The stand-in's jsoc_info and show_series: answers about series and their records.

Source: jsoc_info.c of JSOC, and recorded answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flareset.standin import calibration
from flareset.standin.database import DatabaseError
from flareset.standin.faults import Fault
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import Record
from flareset.standin.recordset import BadFilter, BadQuery, Crash, Hull, UnknownSeries
from flareset.standin.regions import Region
from flareset.standin.structure import Structure
from flareset.standin.wire import Answer, compact, crashed, tabbed

# Positions of active regions by number: time (UTC), Stonyhurst latitude and longitude (degrees).
Regions = Mapping[int, list[tuple[datetime, float, float]]]
REGIONS: Regions = {
    number: [(meridian + timedelta(days=n), latitude, 13.2 * n) for n in range(-5, 6)]
    for number, meridian, latitude in (
        (11158, datetime(2011, 2, 14, tzinfo=UTC), -20.0),
        (11944, datetime(2014, 1, 8, tzinfo=UTC), -9.0),
        (11967, datetime(2014, 2, 3, tzinfo=UTC), -13.0),
    )
}
_REGIONS_SERIES = "su_rsb.NOAA_ActiveRegions"
_REGION = re.compile(rf"{re.escape(_REGIONS_SERIES)}\[\]\[(\d+)\]", re.IGNORECASE)
_NO_DS = "Not Specified"
_RUNTIME = 0.01


def rows_of(region: Region) -> list[tuple[datetime, float, float]]:
    """Return a region's rows, one for each midnight (UTC) at which it is on the disk."""
    rise, end = region.seen
    first = rise.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    days = [first + timedelta(days=n) for n in range((end - first).days + 1)]
    return [(day, region.latitude, region.longitude_at(day)) for day in days]


class Info:
    """Answers about the series of `holdings`, and about active `regions`."""

    def __init__(self, holdings: Holdings, regions: Regions, faults: Sequence[Fault] = ()) -> None:
        self._holdings = holdings
        self._regions = regions
        self._faults = faults

    def answer(self, args: dict[str, str]) -> Answer:
        """Return the answer to a request to jsoc_info."""
        operations: dict[str, Callable[[dict[str, str]], str]] = {
            "rs_summary": self._summary,
            "rs_list": self._list,
            "series_struct": self._struct,
        }
        operation = operations.get(args.get("op", ""))
        if operation is None:
            return crashed()
        ds = args.get("ds", _NO_DS)
        try:
            return Answer(operation({**args, "ds": ds}))
        except Crash:
            return crashed()
        except DatabaseError as error:
            said = str(error)
        except (UnknownSeries, BadFilter):
            said = " jsoc_info: series not found."
        except BadQuery:
            said = f"invalid record-set specification `{ds}`"
        return Answer(compact({"status": 1, "error": said}))

    def series(self, args: dict[str, str]) -> Answer:
        """Return the answer to show_series or, with `dbhost`, to showextseries."""
        try:
            wanted = re.compile(args.get("filter", ""), re.IGNORECASE)
        except re.error as error:
            said = {"status": 1, "errMsg": f"invalid regular expression: {error}"}
            return Answer(json.dumps(said))
        known = (*self._holdings.catalogue.names, _REGIONS_SERIES)
        found = [name for name in known if wanted.search(name)]
        if "dbhost" in args:
            names: list[Any] = [*found]
            if args.get("info") == "1":
                names = [{name: {"description": self._note(name)}} for name in found]
            answer: dict[str, Any] = {"seriesList": names, "errMsg": ""}
        else:
            rows = [
                {"name": name, "primekeys": ", ".join(self._primes(name)), "note": self._note(name)}
                for name in found
            ]
            answer = {"status": 0, "names": rows, "n": len(rows)}
        return Answer(json.dumps(answer, ensure_ascii=False))

    def _primes(self, name: str) -> Sequence[str]:
        structure = self._holdings.catalogue.structure(name)
        return structure.primes if structure else ("ObservationTime", "RegionNumber")

    def _note(self, name: str) -> str:
        structure = self._holdings.catalogue.structure(name)
        return structure.answer["note"] if structure else "active regions of the stand-in"

    def _records(self, args: dict[str, str]) -> Sequence[Record]:
        found = self._holdings.find(args["ds"])
        limit = int(args["n"]) if re.fullmatch(r"-?\d+", args.get("n", "")) else 0
        return (found[:limit] if limit > 0 else found[limit:]) if limit else found

    def _summary(self, args: dict[str, str]) -> str:
        count = len(self._records(args))
        return tabbed({"count": count, "runtime": _RUNTIME, "status": 0})

    def _list(self, args: dict[str, str]) -> str:
        if args["ds"].lower().startswith(_REGIONS_SERIES.lower()):
            return _listed(self._regions_columns(args["ds"]), args)
        if args["ds"].lower().startswith(calibration.SERIES):
            return _listed(calibration.columns_of(args["ds"]), args)
        found = self._records(args)
        end = {"count": len(found), "runtime": _RUNTIME, "status": 0}
        if not found:
            return compact(end)
        structure = self._holdings.subsets(args["ds"])[0][1]
        keys = _names(args.get("key"), structure.listed)
        segments = _names(args.get("seg"), structure.segments)
        links = _names(args.get("link"), [link["name"] for link in structure.answer["links"]])
        precise = args.get("M", "0") != "0"
        answer: dict[str, Any] = {}
        if args.get("R") == "1":
            answer["recinfo"] = [
                {"name": record.query(), "online": int(not structure.linked)} for record in found
            ]
        answer["keywords"] = [
            {"name": name, "values": self._holdings.column(found, name, precise=precise)}
            for name in keys
        ]
        answer["segments"] = [self._segment(found, structure, name) for name in segments]
        answer["links"] = [
            {"name": name, "values": [r.links().get(name, "Invalid_Link") for r in found]}
            for name in links
        ]
        return compact({**answer, **end})

    def _segment(self, found: Sequence[Record], structure: Structure, name: str) -> dict[str, Any]:
        if name not in structure.segments:
            return {"name": name, "values": ["InvalidSegName"] * len(found)}
        frames, own = self._holdings.frames, not structure.linked
        return {
            "name": name,
            "values": [self._path(record, name) for record in found],
            "dims": [record.dimensions(name, frames) for record in found],
            "cparms": ["compress Rice"] * len(found),
            "bzeros": ["0"] * len(found) if own else [],
            "bscales": [record.scale(name) for record in found] if own else [],
        }

    def _path(self, record: Record, segment: str) -> str:
        """Return the path of a segment's file; an offline storage unit has none."""
        row = record.query()
        offline = any(f.kind == "offline" and re.search(f.pattern, row) for f in self._faults)
        return "NoDataDirectory" if offline else record.path(segment)

    def _regions_columns(self, recordset: str) -> dict[str, list[str]]:
        match = _REGION.match(recordset)
        rows = self._regions.get(int(match[1]), []) if match else []
        if match is None or not rows:
            return {}
        return {
            "ObservationTime": [f"{when:%Y.%m.%d_%H:%M:%S}_UTC" for when, *_ in rows],
            "RegionNumber": [match[1]] * len(rows),
            "LatitudeHG": [f"{latitude:f}" for _, latitude, _ in rows],
            "LongitudeCM": [f"{longitude:f}" for *_, longitude in rows],
        }

    def _struct(self, args: dict[str, str]) -> str:
        structure = self._holdings.catalogue.structure(re.split(r"[\[{]", args["ds"])[0].strip())
        if structure is None:
            raise DatabaseError("series not found")
        interval = self._interval(structure)
        end = {"Interval": interval, "runtime": _RUNTIME, "status": 0}
        return tabbed({**structure.answer, **end})

    def _interval(self, structure: Structure) -> dict[str, Any]:
        """Return the first and last record of a series as JSOC tells them, even if it is empty."""
        catalogue = self._holdings.catalogue
        first = catalogue.candidates(structure, Hull(extreme="first"))
        last = catalogue.candidates(structure, Hull(extreme="last"))
        if not first or not last:
            ends = ("FirstRecord", "FirstRecnum", "LastRecord", "LastRecnum")
            return {**dict.fromkeys(ends, "NA"), "MaxRecnum": 0}
        return {
            "FirstRecord": first[0].query(),
            "FirstRecnum": first[0].recnum,
            "LastRecord": last[-1].query(),
            "LastRecnum": last[-1].recnum,
            "MaxRecnum": last[-1].recnum,
        }


def _listed(columns: dict[str, list[str]], args: dict[str, str]) -> str:
    """Return the answer of a series that has keywords alone."""
    count = len(next(iter(columns.values()), []))
    end = {"count": count, "runtime": _RUNTIME, "status": 0}
    if not columns:
        return compact(end)
    invalid = ["Invalid KeyLink"] * count
    names = _names(args.get("key"), [*columns])
    keywords = [{"name": name, "values": columns.get(name, invalid)} for name in names]
    return compact({"keywords": keywords, "segments": [], "links": [], **end})


def _names(text: str | None, everything: Sequence[str]) -> list[str]:
    """Return the names that an argument asks for, with its spaces and repetitions."""
    names: list[str] = []
    for name in filter(None, (text or "").split(",")):
        if name.lower() == "**all**":
            names += everything
        elif name.lower() != "**none**":
            names.append(name)
    return names
