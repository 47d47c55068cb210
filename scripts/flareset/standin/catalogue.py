"""What the stand-in has for a recordset: its records, files and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from typing import Any

from flareset.errors import ExportError, ListingError
from flareset.sdo.recordset import Recordset, Times, jsoc_time
from flareset.sdo.series import SERIES, Series, find_series
from flareset.sdo.times import from_tai, iso, to_tai
from flareset.standin.frames import Frame, Frames, noaa_ar

LINK_BASE = "https://jsoc1.stanford.edu"
NO_IMAGE = -0x80000000
_EPOCH = datetime(1977, 1, 1, tzinfo=UTC)
# Of a thousand slots, so many have no record, and so many records have no image.
_NO_RECORD, _NO_IMAGE = 0.0015, 0.001
# Seconds from T_REC to T_OBS of most exposures; those of 131 and 171 are as in JSOC's exports.
_OFFSETS = {
    94: 2, 131: 9, 171: 11, 193: 7, 211: 1, 304: 8, 335: 4, 1600: 16, 1700: 6, 4500: 7
}  # fmt: skip
# SDO's instruments opened their doors in the spring of 2010.
_FIRST_LIGHT = datetime(2010, 5, 1, tzinfo=UTC)
# A HARP begins every 6 days and lasts 12: that of AR 11158, and 177 of them later that of 11944.
_HARP_EPOCH = datetime(2011, 2, 10, tzinfo=UTC)
_HARP_EVERY = timedelta(days=6)
_HARP, _HARP_STEP = 377, 786 / 177
_FIRST_LIGHT = datetime(2010, 5, 1, tzinfo=UTC)
# Whose exposures make up aia.lev1.
_SOURCES = [SERIES[f"aia.lev1_{name}"] for name in ("euv_12s", "uv_24s", "vis_1h")]
_MOST_SLOTS = 200_000
_CONDITION = re.compile(
    r"(?P<key>\w+)\s*(?:(?P<op>=|!=|<>|<=|>=|<|>)\s*(?P<value>[^\s=<>]+)"
    r"|in\s*\((?P<list>[^()]*)\))",
    re.IGNORECASE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
Condition = Callable[[Any], bool]


class BadQuery(ListingError):
    """A recordset that the stand-in does not take, in JSOC's words."""


@dataclass(frozen=True)
class Record:
    """A record: `number` is its wavelength, camera or HARP, `time` the second in file names.

    `written` is the series' name as the query had it.
    """

    series: Series
    written: str
    t_rec: datetime
    time: datetime
    number: int
    has_image: bool = True

    @property
    def wavelength(self) -> int:
        """Angstrom."""
        return self.number if self.series.instrument == "aia" else self.series.wavelengths[0]

    @property
    def recnum(self) -> int:
        """The record's number in its series."""
        return self.frame(next(iter(self.series.segments))).recnum

    @property
    def sunum(self) -> int:
        """The storage unit: a number that `record_of` reads back."""
        seconds = round((to_tai(self.t_rec) - _EPOCH).total_seconds())
        place = [*SERIES].index(self.series.name)
        those = numbers(self.series, self.t_rec)
        return (seconds * 16 + those.index(self.number)) * 16 + place

    @property
    def folder(self) -> str:
        """The storage unit's folder."""
        return f"/SUM{1 + self.sunum % 89}/D{self.sunum}/S00000"

    def frame(self, segment: str) -> Frame:
        """What makes the file of a segment."""
        time = self.time.strftime("%Y-%m-%dT%H%M%SZ")
        place = f"{time}.{self.number}"
        if self.series.zone == "TAI":
            time = to_tai(self.t_rec).strftime("%Y%m%d_%H%M%S_TAI")
            keys = {"T_REC": time, "HARPNUM": str(self.number), "CAMERA": str(self.number)}
            place = ".".join(keys[key] for key in self.series.keys)
        name = f"{self.series.name}.{place}.{self.series.segments[segment]}.fits"
        harpnum = self.number if "HARPNUM" in self.series.keys else 0
        camera = self.number if "CAMERA" in self.series.keys else 0
        return Frame(name, self.series.name, self.wavelength, segment, self.time, harpnum, camera)

    def keywords(self, frames: Frames) -> dict[str, Any]:
        """The header keywords, with the QUALITY of a record without image."""
        first = next(iter(self.series.segments))
        found = dict(frames.keywords(self.frame(first)))
        if not self.has_image:
            found["QUALITY"] = NO_IMAGE
        return found

    def query(self) -> str:
        """The record as JSOC prints it: series and prime keys."""
        values = {"T_REC": jsoc_time(self.series, self.t_rec)}
        if "FSN" in self.series.keys:
            values["FSN"] = str(self.frame(next(iter(self.series.segments))).fsn)
        keys = (values.get(key, str(self.number)) for key in self.series.keys)
        return self.written + "".join(f"[{value}]" for value in keys)

    def there(self, segment: str) -> bool:
        """Whether the segment has a file."""
        return self.has_image or segment == "spikes"


@dataclass(frozen=True)
class File:
    """A file of an export: its record and name."""

    record: str
    name: str


@dataclass(frozen=True)
class Export:
    """An export: its id, folder and files."""

    requestid: str
    folder: str
    files: tuple[File, ...]
    megabytes: int
    exptime: datetime


def read(text: str) -> tuple[Recordset, Series]:
    """A recordset and its series; BadQuery in JSOC's words."""
    try:
        found = Recordset.parse(text)
    except (ExportError, ValueError) as error:
        raise BadQuery(f"Bad record-set query '{text}'.\n") from error
    series = find_series(found.series)
    if series is None:
        raise BadQuery(f"Cannot export series '{found.series}' - it does not exist.\n")
    if not set(found.segments) <= set(series.segments):
        raise BadQuery(f"Bad record-set query '{text}'.\n")
    return found, series


def records(text: str, frames: Frames, *, images_only: bool = False) -> list[Record]:
    """The records of a recordset in the order of its prime keys; BadQuery in JSOC's words.

    With `images_only`, those without image are left out unless the query speaks of QUALITY.
    """
    asked, series = read(text)
    conditions = _conditions(asked, text)
    if images_only and "quality" not in asked.sql.lower():
        conditions.append(("IMAGE", bool))
    recnums = [f for f in asked.filters if f.startswith(":")]
    if recnums:
        found = _by_recnum(series, recnums[0], text)
    else:
        found = list(_by_time(asked, series, conditions, text))
    found = [replace(record, written=asked.series) for record in found]
    for key, holds in conditions:
        found = [record for record in found if holds(_value(record, key, frames, text))]
    if series.keys[0] == "HARPNUM":
        found.sort(key=lambda record: (record.number, record.t_rec))
    return found


def record_of(sunum: int) -> Record | None:
    """The record of a storage unit, or None where there is none."""
    rest, place = divmod(sunum, 16)
    seconds, index = divmod(rest, 16)
    if place >= len(SERIES) or not 10**9 < seconds < 3 * 10**9:
        return None
    series = [*SERIES.values()][place]
    t_rec = from_tai(_EPOCH + timedelta(seconds=seconds))
    those = numbers(series, t_rec)
    if index >= len(those):
        return None
    time = _lev1_second(series, t_rec, those[index])
    found = _record(series, time, those[index]) if time else None
    return found if found and found.t_rec == t_rec else None


def every(found: Sequence[Record], cadence: float, begin: datetime) -> list[Record]:
    """The records of the first slot at or after each step of a cadence (seconds)."""
    kept: list[Record] = []
    step, due = timedelta(seconds=cadence), begin
    for record in found:
        if kept and kept[-1].t_rec == record.t_rec:
            kept.append(record)
        elif record.t_rec >= due:
            kept.append(record)
            due += ((record.t_rec - due) // step + 1) * step
    return kept


def export(text: str, frame_size: int) -> Export:
    """The export of a recordset; its ids depend on the recordset alone."""
    asked, series = read(text)
    if series.instrument != "aia" or asked.times is None:
        raise ListingError(f"{text!r} is not a recordset that the stand-in knows")
    frames = Frames(frame_size, [])
    segments = asked.segments or tuple(series.segments)
    found = records(text, frames)
    files = [
        File(record.query(), record.frame(segment).name)
        for record in found
        for segment in segments
        if record.there(segment)
    ]
    digest = sha256(text.encode()).digest()
    begin = asked.times[1].begin
    images = sum(1 for file in files if ".image" in file.name)
    return Export(
        requestid=f"JSOC_{begin:%Y%m%d}_{int.from_bytes(digest[:2], 'big') % 1000:03d}",
        folder=f"/SUM{1 + digest[2] % 90}/D{10**9 + int.from_bytes(digest[3:7], 'big')}/S00000",
        files=tuple(files),
        megabytes=megabytes(images, frame_size),
        exptime=begin + timedelta(days=1),
    )


def megabytes(images: int, frame_size: int) -> int:
    """What so many images weigh, at least 1."""
    return max(1, round(images * 0.75 * frame_size**2 / 1e6))


def listing_page(made: Export) -> str:
    """The export's `index.html` as JSOC writes it."""
    summary = {
        "version": "0.5",
        "requestid": made.requestid,
        "method": "url",
        "protocol": "fits",
        "count": str(len(made.files)),
        "size": str(made.megabytes),
        "exptime": made.exptime.strftime("%Y.%m.%d_%H:%M:%S_UT"),
        "dir": made.folder,
        "status": "0",
        "keywords": "**IN FITS FILES**",
    }
    return index_html(summary, [(file.record, file.name) for file in made.files])


def index_html(
    summary: dict[str, str], data: Sequence[tuple[str, str]], steps: Sequence[str] = ()
) -> str:
    """A listing page in JSOC's HTML (template: jsoc_export_make_index.c).

    `summary` has the rows of the first table, `tarfile` among them; `steps` what was done.
    """
    folder, tarfile = summary["dir"], summary.get("tarfile")
    rows = [
        f"<tr><td><b>{key}</b></td><td>{escape(value, quote=False)}</td></tr>"
        for key, value in summary.items()
        if key != "tarfile"
    ]
    if tarfile:
        link = f'<a href="{LINK_BASE}{tarfile}">{tarfile}</a>'
        rows.append(f"<tr><td>tarfile</td><td>{link}</td></tr>")
    if steps:
        rows.append("</table><p><h2><b>Processing Steps</b></h2><p><table>")
        rows += [f"<tr><td>{escape(step)}</td></tr>" for step in steps]
    cells = (
        name if tarfile else f'<A HREF="{LINK_BASE}{folder}/{name}">{name}</A>' for _, name in data
    )
    return "\n".join(
        [
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN"'
            ' "http://www.w3.org/TR/html4/loose.dtd">'
            '<html><head title="JSOC Data Export Request Results Index">',
            "</head><body>",
            "<h2>JSOC Data Request Summary</h2>",
            "<table>",
            *rows,
            "</table><p><h2><b>Selected Data</b></h2><p><table>",
            *(
                f"<tr><td>{escape(record, quote=False)}</td><td>{cell}</td></tr>"
                for (record, _), cell in zip(data, cells, strict=True)
            ),
            "</table></body></html>",
            "",
        ]
    )


def _by_time(
    asked: Recordset, series: Series, conditions: list[tuple[str, Condition]], text: str
) -> Iterator[Record]:
    """The records of the filters on time and number."""
    found = asked.times
    lists = asked.numbers
    understood = len(lists) + (found is not None)
    others = [f for f in asked.filters if f and not f.startswith(("?", "!"))]
    if len(others) != understood:
        raise BadQuery(f"Bad record-set query '{text}'.\n")
    wanted = set(lists[0]) if lists else None
    if found is None and series.keys[0] == "HARPNUM" and wanted:
        born = [_harp_birth(number) for number in sorted(wanted)]
        found = 0, Times(born[0], born[-1] + 2 * _HARP_EVERY)
    if found is None:
        raise BadQuery(f"Can not open RecordSet, bad query or too many records: {text}")
    times = found[1]
    if (times.end - times.begin).total_seconds() > _MOST_SLOTS * series.cadence:
        raise BadQuery(f"Can not open RecordSet, bad query or too many records: {text}")
    fsn = wanted if "FSN" in series.keys else None
    if fsn is not None:
        conditions.append(("FSN", lambda value: value in fsn))
        wanted = None
    tests = [holds for key, holds in conditions if key == "WAVELNTH"]
    made = (
        record
        for second, number in _exposures(series, times, wanted, tests)
        if (record := _record(series, second, number)) is not None
    )
    records = [r for r in made if times.values or times.hold(r.t_rec)]
    yield from every(records, times.cadence, times.begin) if times.cadence else records


def _exposures(
    series: Series, times: Times, wanted: set[int] | None, tests: list[Condition]
) -> Iterator[tuple[datetime, int]]:
    """The seconds and numbers of what may be records of a filter on time."""
    if series.name == "aia.lev1":
        widened = replace(
            times, begin=times.begin - timedelta(hours=1), end=times.end, values=(), cadence=0.0
        )
        exposures = []
        for source in _SOURCES:
            exposures += _exposures(source, widened, wanted, tests)
        inside = (e for e in exposures if times.hold(e[0]))
        yield from sorted(inside)
        return
    slots: Any = (series.slot(value) for value in times.values)
    if not times.values:
        slots = _slots(series, times.begin, times.end, times.inclusive)
    for slot in slots:
        for number in numbers(series, slot):
            if wanted is not None and number not in wanted:
                continue
            if series.instrument == "aia" and not all(holds(number) for holds in tests):
                continue
            time = _lev1_second(series, slot, number)
            if time is not None:
                yield time, number


def _slots(
    series: Series, begin: datetime, end: datetime, inclusive: bool = False
) -> Iterator[datetime]:
    begin = max(begin, _FIRST_LIGHT)
    slot = series.slot(begin)
    while slot < end or (inclusive and slot == end):
        if slot >= begin:
            yield slot
        slot = series.slot(slot + timedelta(seconds=series.cadence))


def numbers(series: Series, when: datetime) -> tuple[int, ...]:
    """The wavelengths, cameras or HARPs that a slot has records of, in order."""
    if series.instrument == "aia":
        return series.wavelengths
    if "HARPNUM" in series.keys:
        newest = (when - _HARP_EPOCH) // _HARP_EVERY
        return tuple(_HARP + round(harp * _HARP_STEP) for harp in (newest - 1, newest))
    return (2,) if series.cadence == 45 else (3,)


def _harp_birth(number: int) -> datetime:
    return _HARP_EPOCH + round((number - _HARP) / _HARP_STEP) * _HARP_EVERY


def _luck(series: Series, t_rec: datetime, number: int) -> list[float]:
    digest = sha256(f"{series.name}|{iso(t_rec)}|{number}".encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8)]


def _lev1_second(series: Series, t_rec: datetime, number: int) -> datetime | None:
    """The second of a slot's exposure, T_OBS rounded; None where the slot has no record."""
    if series.name == "aia.lev1":
        return t_rec
    missing, late, _ = _luck(series, t_rec, number)
    if missing < _NO_RECORD:
        return None
    if series.instrument != "aia":
        return t_rec
    # Most exposures lie equally far into their slot; a few come later.
    more = 0 if late < 0.94 else 2 if late < 0.99 else 1
    offset = min(_OFFSETS[number] + more, series.cadence - 1)
    return t_rec + timedelta(seconds=offset)


def _record(series: Series, time: datetime, number: int) -> Record | None:
    """The record of an exposure that `_exposures` gives."""
    if series.name != "aia.lev1":
        slot = series.slot(time)
        image = _luck(series, slot, number)[2] >= _NO_IMAGE
        return Record(series, series.name, slot, time, number, image)
    source = next(s for s in _SOURCES if number in s.wavelengths)
    slot = source.slot(time)
    if _lev1_second(source, slot, number) != time:
        return None
    image = _luck(source, slot, number)[2] >= _NO_IMAGE
    return Record(series, series.name, time, time, number, image)


def _conditions(asked: Recordset, text: str) -> list[tuple[str, Condition]]:
    """The `[? ... ?]` conditions as keyword and test; BadQuery where one cannot be read."""
    found: list[tuple[str, Condition]] = []
    sql = " AND ".join(f.strip("?! ") for f in asked.filters if f.startswith(("?", "!")))
    for part in re.split(r"\s+AND\s+", sql, flags=re.IGNORECASE):
        part = _bare(part)
        if re.fullmatch(r"drms\.image_exists\(\s*quality\s*\)", part, re.IGNORECASE):
            found.append(("IMAGE", bool))
            continue
        match = _CONDITION.fullmatch(part)
        if match:
            found.append((match["key"].upper(), _test(match)))
        elif part:
            raise BadQuery(f"Bad record-set query '{text}'.\n")
    return found


def _bare(part: str) -> str:
    """A condition without the brackets around the whole of it."""
    part = part.strip()
    while part.startswith("(") and part.endswith(")") and part.count("(") == part.count(")"):
        part = part[1:-1].strip()
    return part


def _test(match: re.Match[str]) -> Condition:
    if match["list"] is not None:
        values = [_literal(value) for value in match["list"].split(",")]
        return lambda value: value in values
    compare, wanted = _COMPARE[match["op"]], _literal(match["value"])

    def holds(value: Any) -> bool:
        try:
            return compare(value, wanted)
        except TypeError:
            return False

    return holds


def _literal(text: str) -> float | str:
    text = text.strip().strip("\"'")
    try:
        return float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except ValueError:
        return text


def _value(record: Record, key: str, frames: Frames, text: str) -> Any:
    """A keyword's value, the cheap ones without the header."""
    if key == "IMAGE":
        return record.has_image
    if key == "WAVELNTH":
        return record.wavelength
    if key == "NOAA_AR" and "HARPNUM" in record.series.keys:
        return noaa_ar(record.number)
    keywords = record.keywords(frames)
    if key not in keywords:
        raise BadQuery(f"Bad record-set query '{text}'.\n")
    return keywords[key]


def _by_recnum(series: Series, text: str, query: str) -> list[Record]:
    """The records of a `:#n,#n` filter."""
    if not re.fullmatch(r":\s*#\d+(\s*,\s*#\d+)*", text):
        raise BadQuery(f"Bad record-set query '{query}'.\n")
    recnums = {int(part) for part in re.findall(r"\d+", text)}
    found = (_with_recnum(series, recnum) for recnum in recnums)
    return sorted(filter(None, found), key=lambda record: (record.t_rec, record.number))


def _with_recnum(series: Series, recnum: int) -> Record | None:
    """The record with a number, which grows evenly with time."""
    if series.name == "aia.lev1":
        for source in _SOURCES:
            if found := _with_recnum(source, recnum):
                return _record(series, found.time, found.number)
        return None
    step = timedelta(seconds=series.cadence)
    first = series.slot(_FIRST_LIGHT)
    per_slot = (_recnum(series, first + 1000 * step) - _recnum(series, first)) / 1000
    guess = first + (recnum - _recnum(series, first)) / per_slot * step
    for slot in (series.slot(guess + n * step) for n in range(-4, 5)):
        for number in numbers(series, slot):
            time = _lev1_second(series, slot, number)
            found = _record(series, time, number) if time else None
            if found and found.recnum == recnum:
                return found
    return None


def _recnum(series: Series, slot: datetime) -> int:
    return Record(series, series.name, slot, slot, numbers(series, slot)[0]).recnum
