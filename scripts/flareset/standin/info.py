"""The stand-in's jsoc_info and show_series: what series there are, and what their records say.

Source: jsoc_info.c of JSOC. All values are strings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flareset.sdo.recordset import Recordset, jsoc_time
from flareset.sdo.series import SERIES, Series, find_series
from flareset.sdo.times import parse_jsoc_time
from flareset.standin import catalogue
from flareset.standin.catalogue import BadQuery, Record
from flareset.standin.frames import Frames

# Where an active region was: time (UTC), Stonyhurst latitude and longitude in degrees.
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
# In the headers alone, or under another name there.
_HEADER_ONLY = ("RECNUM", "DRMS_ID", "PRIMARYK", "LICENSE", "TRECSTEP")
_DIMENSIONS = "4096x4096"
_SAMPLE = datetime(2014, 1, 7, 18, tzinfo=UTC)


class Info:
    """Answers about the series, with the keywords that `frames` write and active `regions`."""

    def __init__(self, frames: Frames, regions: Regions) -> None:
        self._frames = frames
        self._regions = regions

    def answer(self, args: dict[str, str]) -> str:
        """The answer to a request to jsoc_info."""
        operations: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
            "rs_summary": self._summary,
            "rs_list": self._list,
            "series_struct": self._struct,
        }
        operation = operations.get(args.get("op", ""))
        name = re.split(r"[\[{]", args.get("ds", ""))[0].strip()
        if operation is None:
            answer: dict[str, Any] = {"status": 1, "error": "unknown op"}
        elif find_series(name) is None and name.lower() != _REGIONS_SERIES.lower():
            answer = {"status": 1, "error": " jsoc_info: series not found."}
        else:
            try:
                answer = {**operation(args), "runtime": 0.01, "status": 0}
            except BadQuery:
                answer = {"status": 1, "error": "problem with database query"}
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")

    def series(self, args: dict[str, str]) -> str:
        """The answer to show_series, or to showextseries, whose `names` are plain names."""
        try:
            wanted = re.compile(args.get("filter", ""), re.IGNORECASE)
        except re.error as error:
            return json.dumps({"status": 1, "errMsg": f"invalid regular expression: {error}"})
        found = [name for name in (*SERIES, _REGIONS_SERIES) if wanted.search(name)]
        if "dbhost" in args:
            names: list[Any] = [*found]
            if args.get("info") == "1":
                names = [{name: {"description": _note(name)}} for name in found]
            answer = {"seriesList": names, "errMsg": ""}
        else:
            rows = [
                {"name": name, "primekeys": ", ".join(_primekeys(name)), "note": _note(name)}
                for name in found
            ]
            answer = {"status": 0, "names": rows, "n": len(rows)}
        return json.dumps(answer, ensure_ascii=False)

    def _summary(self, args: dict[str, str]) -> dict[str, Any]:
        return {"count": len(self._records(args))}

    def _records(self, args: dict[str, str]) -> list[Record]:
        found = catalogue.records(args["ds"], self._frames)
        limit = int(args["n"]) if re.fullmatch(r"-?\d+", args.get("n", "")) else 0
        return (found[:limit] if limit > 0 else found[limit:]) if limit else found

    def _list(self, args: dict[str, str]) -> dict[str, Any]:
        if args["ds"].lower().startswith(_REGIONS_SERIES.lower()):
            return self._list_regions(args)
        found = self._records(args)
        if not found:
            return {"count": 0}
        answer: dict[str, Any] = {}
        series = found[0].series
        if names := _names(args.get("key"), self._all_keys(series)):
            answer["keywords"] = self._columns(found, names)
        asked = args.get("seg") or ",".join(Recordset.parse(args["ds"]).segments)
        if names := _names(asked, [*series.segments]):
            answer["segments"] = [_segment(found, name) for name in names]
        if args.get("link"):
            links = args["link"].split(",")
            invalid = ["Invalid_Link"] * len(found)
            answer["links"] = [{"name": name, "values": invalid} for name in links]
        if args.get("R") == "1":
            answer["recinfo"] = [{"name": record.query()} for record in found]
        return {**answer, "count": len(found)}

    def _columns(self, found: list[Record], names: list[str]) -> list[dict[str, Any]]:
        values: dict[str, list[str]] = {name: [] for name in names}
        for record in found:
            keywords = record.keywords(self._frames)
            for name in names:
                values[name].append(_text(record, name, keywords))
        return [{"name": name, "values": values[name]} for name in names]

    def _all_keys(self, series: Series) -> list[str]:
        slot = series.slot(_SAMPLE)
        number = catalogue.numbers(series, slot)[0]
        keywords = Record(series, series.name, slot, slot, number).keywords(self._frames)
        return [key.replace("-", "__") for key in keywords if key not in _HEADER_ONLY]

    def _list_regions(self, args: dict[str, str]) -> dict[str, Any]:
        numbers = Recordset.parse(args["ds"]).numbers
        rows = self._regions.get(numbers[-1][0], []) if numbers else []
        if not rows:
            return {"count": 0}
        columns = {
            "ObservationTime": [f"{when:%Y.%m.%d_%H:%M:%S}_UTC" for when, *_ in rows],
            "RegionNumber": [str(numbers[-1][0])] * len(rows),
            "LatitudeHG": [f"{latitude:g}" for _, latitude, _ in rows],
            "LongitudeCM": [f"{longitude:g}" for *_, longitude in rows],
        }
        invalid = ["Invalid KeyLink"] * len(rows)
        names = _names(args.get("key"), [*columns])
        keywords = [{"name": name, "values": columns.get(name, invalid)} for name in names]
        return {"keywords": keywords, "count": len(rows)}

    def _struct(self, args: dict[str, str]) -> dict[str, Any]:
        series = find_series(args["ds"].partition("[")[0])
        if series is None:
            raise BadQuery(args["ds"])
        slot = series.slot(_SAMPLE)
        sample = Record(series, series.name, slot, slot, catalogue.numbers(series, slot)[0])
        keywords = {k.replace("-", "__"): v for k, v in sample.keywords(self._frames).items()}
        step = timedelta(seconds=series.step or series.cadence)
        slotted = {"slotted": "1", "step": f"{step.total_seconds():.1f}"}
        primes = [
            {"name": key, **(slotted if key == "T_REC" else {"slotted": "0", "step": ""})}
            for key in series.keys
        ]
        last = {"FirstRecord": "", "FirstRecnum": "1", "LastRecord": "", "LastRecnum": "1"}
        return {
            "note": _note(series.name),
            "retention": 60,
            "stagingretention": 3,
            "unitsize": 1,
            "archive": 1,
            "tapegroup": 1,
            "owner": "flareset",
            "primekeys": [*series.keys],
            "primekeysinfo": primes,
            "dbindex": [*series.keys],
            "keywords": [
                {
                    "name": name,
                    "type": _type(name, value),
                    "recscope": "variable",
                    "defval": "",
                    "units": "",
                    "note": name,
                }
                for name, value in keywords.items()
                if name not in _HEADER_ONLY
            ],
            "segments": [
                {
                    "name": segment,
                    "type": "int",
                    "units": "",
                    "protocol": "fits",
                    "dims": _DIMENSIONS,
                    "note": segment,
                }
                for segment in series.segments
            ],
            "links": [],
            "Interval": {**last, "MaxRecnum": "1", "HasShadow": 0},
        }


def _names(text: str | None, everything: list[str]) -> list[str]:
    """The names that an argument asks for."""
    names: list[str] = []
    for name in filter(None, (part.strip() for part in (text or "").split(","))):
        if name.lower() == "**all**":
            names += everything
        elif name.lower() != "**none**":
            names.append(name)
    return list(dict.fromkeys(names))


def _text(record: Record, name: str, keywords: dict[str, Any]) -> str:
    """A keyword as jsoc_info prints it."""
    special: dict[str, Callable[[], object]] = {
        "*recnum*": lambda: record.recnum,
        "*sunum*": lambda: record.sunum,
        "*size*": lambda: 12_000_000 if record.has_image else 0,
        "*online*": lambda: "Y",
        "*archive*": lambda: "Y",
        "*retain*": lambda: "",
        "*recdir*": lambda: record.folder,
        "*logdir*": lambda: "NO LOG",
        "*dirmtime*": lambda: "2010.05.01_00:00:00_TAI",
        "*spec*": record.query,
        "T_REC": lambda: jsoc_time(record.series, record.t_rec),
    }
    if name in special:
        return str(special[name]())
    key = name.replace("__", "-")
    if key not in keywords or key in _HEADER_ONLY:
        return "Invalid KeyLink"
    value = keywords[key]
    if name in ("QUALITY", "QUALLEV0"):
        return f"0x{int(value) & 0xFFFFFFFF:08x}"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.10g}"
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value):
        # Two decimals, as JSOC prints T_OBS; the header has three.
        when = parse_jsoc_time(value) + timedelta(milliseconds=5)
        return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 10000:02d}Z"
    return "MISSING" if value == "" else str(value)


def _segment(found: list[Record], name: str) -> dict[str, Any]:
    files = found[0].series.segments
    if name not in files:
        return {"name": name, "values": ["InvalidSegName"] * len(found)}
    paths = [
        f"{record.folder}/{files[name]}.fits" if record.there(name) else "NoDataFile"
        for record in found
    ]
    empty = [""] * len(found)
    return {
        "name": name,
        "values": paths,
        "dims": [_DIMENSIONS] * len(found),
        "cparms": empty,
        "bzeros": empty,
        "bscales": empty,
    }


def _type(name: str, value: object) -> str:
    if name.startswith(("T_", "DATE")):
        return "time"
    return {int: "int", float: "double"}.get(type(value), "string")


def _primekeys(name: str) -> tuple[str, ...]:
    return SERIES[name].keys if name in SERIES else ("ObservationTime", "RegionNumber")


def _note(name: str) -> str:
    # JSOC's notes are not all UTF-8; this one has an Angstrom sign.
    return f"flareset stand-in of {name} (\N{LATIN CAPITAL LETTER A WITH RING ABOVE})"
