"""The stand-in's made-up records: one for almost every slot since first light.

Some slots have no record, and some records no image, as in the archive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

from flareset.sdo.series import SERIES, Series, find_series
from flareset.sdo.times import from_tai, iso, to_tai
from flareset.standin import exposures
from flareset.standin.database import DatabaseError
from flareset.standin.declared import declare
from flareset.standin.drmstime import EPOCH, printed, seconds_of
from flareset.standin.frames import HARPS_APART, Frame, Frames
from flareset.standin.headers import HMI_UNITS
from flareset.standin.others import OTHERS
from flareset.standin.recordset import Hull
from flareset.standin.regions import noaa_ar
from flareset.standin.slots import slots_of
from flareset.standin.structure import Structure

NO_IMAGE = -0x80000000
# The fraction of slots without a record, and of records without an image.
_NO_RECORD, _NO_IMAGE = 0.0015, 0.001
# SDO's instruments opened their doors in the spring of 2010; the end is the stand-in's own.
_FIRST_LIGHT, _END = datetime(2010, 5, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
# Besides the HARPs of flares, one begins every 6 days and lasts 12 days. The first is that of AR
# 11158; 177 HARPs later comes that of AR 11944.
_HARP_EPOCH = datetime(2011, 2, 10, tzinfo=UTC)
_HARP_EVERY = timedelta(days=6)
_HARP, _HARP_STEP = 377, 786 / 177
_SAMPLE = datetime(2014, 1, 7, 18, tzinfo=UTC)
_MOST_SLOTS = 200_000
# The numbers of records, of their channels or HARPs, are smaller.
_NUMBERS = 1 << 13
# The `number`s of wanted records; None for all.
_Wanted = Collection[int] | None


@dataclass(frozen=True)
class Record:
    """A record. `number` is its wavelength, camera or HARP; `time` is the second in file names.

    `written` is the series' name as written in the query.
    """

    series: Series
    written: str
    t_rec: datetime
    time: datetime
    number: int
    has_image: bool = True

    @property
    def wavelength(self) -> int:
        """The channel (angstrom)."""
        return self.number if self.series.instrument == "aia" else self.series.wavelengths[0]

    @cached_property
    def recnum(self) -> int:
        """The record's number in its series."""
        return self.frame(next(iter(self.series.segments))).recnum

    @property
    def sunum(self) -> int:
        """The number of the storage unit with the record's files. `MadeUp.held` decodes it."""
        seconds = round((to_tai(self.t_rec) - EPOCH).total_seconds())
        place = [*SERIES].index(self.series.name)
        return (seconds * _NUMBERS + self.number) * 16 + place

    @property
    def folder(self) -> str:
        """The storage unit's folder."""
        return f"/SUM{1 + self.sunum % 89}/D{self.sunum}/S00000"

    @property
    def online(self) -> bool:
        """Whether the record's files are on disk."""
        return True

    @property
    def linked(self) -> bool:
        """Whether the record's files belong to a record of another series."""
        return self.series.instrument == "aia" and not self.series.step

    def frame(self, segment: str) -> Frame:
        """Return the frame of a segment's file."""
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

    def keywords(self, frames: Frames) -> Mapping[str, Any]:
        """Return the keywords by their DRMS names. QUALITY marks a record without image."""
        frame = self.frame(next(iter(self.series.segments)))
        found = {key.replace("-", "__"): value for key, value in frames.keywords(frame).items()}
        if not self.has_image:
            found["QUALITY"] = NO_IMAGE
        return _Told(found, lambda: frames.statistics(frame) if self.has_image else {})

    def quick(self) -> Mapping[str, Any]:
        """Return the keywords that need no frame, for the conditions of long recordsets."""
        found: dict[str, Any] = {
            "WAVELNTH": self.wavelength,
            "QUALITY": 0 if self.has_image else NO_IMAGE,
            number_key(self.series): self.number,
        }
        if "FSN" in self.series.keys:
            found["FSN"] = self.frame(next(iter(self.series.segments))).fsn
        if "HARPNUM" in self.series.keys:
            found["NOAA_AR"] = noaa_ar(self.number)
            found["NOAA_ARS"] = str(noaa_ar(self.number))
        return found

    def special(self, frames: Frames) -> dict[str, Any]:
        """Return jsoc_info's keys with asterisks, except `*recnum*` and `*spec*`."""
        none = "NA"
        if self.linked:
            return {
                "*sunum*": -1, "*size*": none, "*online*": none, "*retain*": none,
                "*archive*": none, "*recdir*": "NoDataDirectory", "*dirmtime*": none,
                "*logdir*": "NoDataDirectory",
            }  # fmt: skip
        size = round(0.75 * frames.size**2) if self.has_image else 0
        return {
            "*sunum*": self.sunum, "*size*": str(size), "*online*": "Y" if self.online else "N",
            "*retain*": "2030.01.01", "*archive*": "N", "*recdir*": self.folder,
            "*dirmtime*": "2010.05.01_00:00:00_UT", "*logdir*": "NoDataDirectory",
        }  # fmt: skip

    def links(self) -> dict[str, str]:
        """Return the records that the record's links lead to, by the links' names."""
        return {"lev1": f"aia.lev1[:#{self.recnum}]"} if self.linked else {}

    def path(self, segment: str) -> str:
        """Return the path of a segment's stored file, even if there is none."""
        return f"{self.folder}/{self.series.segments[segment]}.fits"

    def scale(self, segment: str) -> str:
        """Return the step of a segment's stored values as jsoc_info prints it."""
        return f"{HMI_UNITS.get(segment, ('', 1.0))[1]:g}"

    def dimensions(self, segment: str, frames: Frames) -> str:
        """Return a segment's dimensions as jsoc_info prints them."""
        if segment == "spikes":
            return f"{frames.keywords(self.frame(segment))['NSPIKES']}x3"
        columns, rows = frames.shape(self.frame(segment))
        return f"{columns}x{rows}"

    def query(self) -> str:
        """Return the record as JSOC prints it: series and prime keys."""
        unit = "TAI" if self.series.zone == "TAI" else "ISO"
        values = {"T_REC": printed(seconds_of(self.t_rec), unit)}
        if "FSN" in self.series.keys:
            values["FSN"] = str(self.frame(next(iter(self.series.segments))).fsn)
        keys = (values.get(key, str(self.number)) for key in self.series.keys)
        return self.written + "".join(f"[{value}]" for value in keys)

    def there(self, segment: str) -> bool:
        """Return whether the segment has a file."""
        return self.has_image or segment == "spikes"


class _Told(Mapping[str, Any]):
    """The keywords of a record. Statistics of pixels are computed only when asked for."""

    def __init__(self, known: dict[str, Any], statistics: Callable[[], Mapping[str, Any]]) -> None:
        self._known = known
        self._statistics = cache(statistics)

    def __getitem__(self, name: str) -> Any:
        """Return a keyword's value. Raise KeyError if the record has none."""
        if name.startswith(("DATA", "MISSVALS", "NSATPIX")) and name not in self._known:
            return self._statistics()[name]
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the keywords that do not need the pixels."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return the number of keywords that do not need the pixels."""
        return len(self._known)


class MadeUp:
    """The catalogue of made-up records, with the keywords of `frames`; OTHERS have no records."""

    names: Sequence[str] = [*SERIES, *(other.name for other in OTHERS.values())]

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._structures: dict[str, Structure] = {}

    def structure(self, name: str) -> Structure | None:
        """Return the series of a name in upper or lower case; None if there is none."""
        series = find_series(name)
        if series is None:
            return OTHERS.get(name.lower())
        if series.name not in self._structures:
            slots = slots_of(series)
            slot = slots.t_rec(slots.exposed(_SAMPLE))
            sample = Record(series, series.name, slot, slot, self._numbers(series, slot)[0])
            cards = self._frames.cards(sample.frame(next(iter(series.segments))))
            self._structures[series.name] = declare(series, cards)
        return self._structures[series.name]

    def candidates(self, structure: Structure, hull: Hull) -> Sequence[Record]:
        """Return at least the records within bounds, in the order of the prime keys."""
        series = SERIES.get(structure.name)
        if series is None:
            return []
        if hull.recnums is not None:
            found = self._numbered(series, hull.recnums)
        else:
            first, last = self._window(series, hull)
            if last - first > _MOST_SLOTS * _slots_per_image(series):
                raise DatabaseError("ERROR:  too many records\n")
            wanted = dict(hull.values).get(number_key(series))
            found = [*self._records(series, first, last, wanted)]
        if series.keys[0] == "HARPNUM":
            found.sort(key=lambda record: (record.number, record.t_rec))
        return found

    def stored(self, path: str) -> tuple[Record, str] | None:
        """Return the record and the segment whose file is stored at a path; None if unknown."""
        match = re.fullmatch(r"(/SUM\d+/D(\d+)/S00000)/(\w+)\.fits", path)
        record = self.held(int(match[2])) if match else None
        if match is None or record is None or record.folder != match[1]:
            return None
        for segment, stem in record.series.segments.items():
            if stem == match[3] and record.there(segment):
                return record, segment
        return None

    def held(self, sunum: int) -> Record | None:
        """Return the record of a storage unit; None if there is none."""
        rest, place = divmod(sunum, 16)
        seconds, number = divmod(rest, _NUMBERS)
        if place >= len(SERIES) or not 10**9 < seconds < 3 * 10**9:
            return None
        series = [*SERIES.values()][place]
        t_rec = from_tai(EPOCH + timedelta(seconds=seconds))
        if number not in self._numbers(series, t_rec):
            return None
        time = self._second(series, t_rec, number)
        found = self._record(series, time, number) if time else None
        return found if found and found.t_rec == t_rec else None

    def _numbers(self, series: Series, when: datetime) -> tuple[int, ...]:
        """Return the wavelengths, cameras or HARPs of a slot's records, in order."""
        if series.instrument == "aia":
            return series.wavelengths
        if "HARPNUM" not in series.keys:
            return (2,) if series.cadence == 45 else (3,)
        newest = (when - _HARP_EPOCH) // _HARP_EVERY
        others = (_HARP + round(harp * _HARP_STEP) for harp in (newest - 1, newest))
        return tuple(sorted((*self._frames.harps(when), *filter(self._is_free, others))))

    def _is_free(self, harpnum: int) -> bool:
        """Return whether no region of a flare has this HARP or one with the same recnums."""
        taken = (region.harpnum for region in self._frames.regions.values())
        return all((harpnum - other) % HARPS_APART for other in taken)

    def _window(self, series: Series, hull: Hull) -> tuple[int, int]:
        """Return the first and last slot that may have records within bounds."""
        slots = slots_of(series)
        first, last = (slots.index(seconds_of(when)) + 1 for when in (_FIRST_LIGHT, _END))
        if hull.slots:
            return max(first, hull.slots[0]), min(last, hull.slots[1])
        few = 40 * _slots_per_image(series)
        if hull.extreme:
            return (first, first + few) if hull.extreme == "first" else (last - few, last)
        if harps := dict(hull.values).get("HARPNUM"):
            lives = [self._life(harpnum) for harpnum in harps]
            begin, end = min(born for born, _ in lives), max(gone for _, gone in lives)
            return max(first, slots.exposed(begin)), min(last, slots.exposed(end))
        return first, last

    def _life(self, harpnum: int) -> tuple[datetime, datetime]:
        """Return the times between which a HARP may have records."""
        region = self._frames.regions.get(noaa_ar(harpnum))
        if region is not None:
            return region.seen
        born = _HARP_EPOCH + round((harpnum - _HARP) / _HARP_STEP) * _HARP_EVERY
        return born, born + 2 * _HARP_EVERY

    def _records(self, series: Series, first: int, last: int, wanted: _Wanted) -> Iterator[Record]:
        """Yield the records of slots, in the order of time and number."""
        for second, number in self._exposures(series, first, last, wanted):
            record = self._record(series, second, number)
            if record is not None:
                yield record

    def _exposures(
        self, series: Series, first: int, last: int, wanted: _Wanted
    ) -> Iterator[tuple[datetime, int]]:
        """Yield the seconds and numbers of the exposures of slots."""
        slots = slots_of(series)
        if series.name == "aia.lev1":
            begin, end = slots.t_rec(first), slots.t_rec(last)
            found: list[tuple[datetime, int]] = []
            for source in exposures.SOURCES:
                grid = slots_of(source)
                # An exposure may come after the end of its slot.
                before = grid.exposed(begin) - 1
                found += self._exposures(source, before, grid.exposed(end), wanted)
            yield from sorted(exposure for exposure in found if begin <= exposure[0] <= end)
            return
        for index in range(first, last + 1):
            t_rec = slots.t_rec(index)
            for number in self._numbers(series, t_rec):
                if wanted is None or number in wanted:
                    time = self._second(series, t_rec, number)
                    if time is not None:
                        yield time, number

    def _second(self, series: Series, t_rec: datetime, number: int) -> datetime | None:
        """Return the second of a slot's exposure (T_OBS rounded); None if it has no record."""
        if series.name == "aia.lev1":
            return t_rec
        missing, _ = _luck(series, t_rec, number)
        if missing < _NO_RECORD:
            return None
        if series.instrument != "aia":
            return t_rec
        return exposures.second(t_rec, number, self._frames.exposure(t_rec, number))

    def _record(self, series: Series, time: datetime, number: int) -> Record | None:
        """Return the record of a second and number; None if aia.lev1 has no exposure there."""
        source = series
        if series.name == "aia.lev1":
            source = next(s for s in exposures.SOURCES if number in s.wavelengths)
        slot = exposures.slot_of(time, number, source)
        if source is not series and self._second(source, slot, number) != time:
            return None
        _, bare = _luck(source, slot, number)
        t_rec = time if source is not series else slot
        return Record(series, series.name, t_rec, time, number, bare >= _NO_IMAGE)

    def _numbered(self, series: Series, ranges: Sequence[tuple[int, int]]) -> list[Record]:
        """Return the records whose numbers lie in ranges, in the order of time and number."""
        found: dict[int, Record] = {}
        for low, high in ranges:
            if low == high:
                if record := self._with_recnum(series, low):
                    found[low] = record
                continue
            slots = slots_of(series)
            first, last = (slots.exposed(self._near(series, number)) for number in (low, high))
            few = 4 * _slots_per_image(series)
            near = self._records(series, first - few, last + few, None)
            found.update((r.recnum, r) for r in near if low <= r.recnum <= high)
        return sorted(found.values(), key=lambda record: (record.t_rec, record.number))

    def _with_recnum(self, series: Series, recnum: int) -> Record | None:
        """Return the record with a number."""
        if series.name == "aia.lev1":
            for source in exposures.SOURCES:
                if found := self._with_recnum(source, recnum):
                    return self._record(series, found.time, found.number)
            return None
        slots = slots_of(series)
        guess = slots.exposed(self._near(series, recnum))
        for record in self._records(series, guess - 4, guess + 4, None):
            if record.recnum == recnum:
                return record
        return None

    def _near(self, series: Series, recnum: int) -> datetime:
        """Return about the time of the record with a number. Numbers grow evenly with time."""
        source = exposures.SOURCES[0] if series.name == "aia.lev1" else series
        slots = slots_of(source)
        first = slots.exposed(_FIRST_LIGHT)
        begin, later = (self._first_recnum(source, slots.t_rec(n)) for n in (first, first + 1000))
        guess = first + round((recnum - begin) / (later - begin) * 1000)
        return slots.t_rec(max(first, min(guess, slots.exposed(_END))))

    def _first_recnum(self, series: Series, slot: datetime) -> int:
        return Record(series, series.name, slot, slot, self._numbers(series, slot)[0]).recnum


def number_key(series: Series) -> str:
    """Return the name of the keyword with a record's `number`."""
    if series.instrument == "aia":
        return "WAVELNTH"
    return next((key for key in series.keys if key != "T_REC"), "")


def _slots_per_image(series: Series) -> int:
    return series.cadence // (series.step or series.cadence)


def _luck(series: Series, t_rec: datetime, number: int) -> tuple[float, float]:
    digest = sha256(f"{series.name}|{iso(t_rec)}|{number}".encode()).digest()
    missing, bare = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 8))
    return missing, bare
