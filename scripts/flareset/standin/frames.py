"""Make frames from their names: images of AIA and HMI, and `spikes` tables.

A process draws pixels once per state of the Sun, and processes and compresses them once per cut-out
or other processing. Only the header is made for each name.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from flareset.sdo import geometry
from flareset.sdo.flares import Flare
from flareset.sdo.series import SERIES, Series, find_series
from flareset.sdo.times import iso, name_time
from flareset.standin import headers, sun
from flareset.standin.exposures import commanded, normal_second, slot_of
from flareset.standin.headers import SATURATION, Card
from flareset.standin.processed import Action, Flip, Point, View, centred, plan
from flareset.standin.regions import ROTATION, noaa_ar, regions_of
from flareset.standin.steps import Step, processed_series

if TYPE_CHECKING:
    from flareset.standin.fitsfile import Compressed

_T = TypeVar("_T")
_LEVELS = 6
# AIA's channels in the order in which their FSNs follow each other in a slot.
_CHANNELS = (94, 131, 171, 193, 211, 304, 335, 1600, 1700, 4500)
_SLOTS_OF_12_S = SERIES["aia.lev1_euv_12s"]
_FIRST_FSN = 20_000_000
# HARPs of one time whose numbers differ by a multiple of this would have the same recnum.
HARPS_APART = 1000
# Level 1 as the telescopes see it: arcsec per pixel, rotation (degrees), offset of Sun centre from
# the middle of a full frame (pixels). Those of 171, 304 and 1600 are the master pointing in real
# headers. The Sun is drawn without them and then resampled.
POINTING = {
    94: (0.600109, -0.06, 6.1, -2.9),
    131: (0.600698, -0.07, 4.4, 8.7),
    171: (0.599489, 0.019327, 5.3501, -0.93005),
    193: (0.600758, 0.033, -7.2, 3.1),
    211: (0.600758, 0.031, -5.8, 2.2),
    304: (0.600165, -0.131639, 6.01001, -11.07998),
    335: (0.600737, -0.065, 3.2, 6.9),
    1600: (0.609112, 0.10244, 10.889893, -3.380005),
    1700: (0.612898, 0.025, 2.6, 4.8),
    4500: (0.612898, 0.025, 2.6, 4.8),
}
# How wide (arcsec) and strong the magnetic field of a flare's region is.
_WIDTH, _STRENGTH = 50.0, 1.5
_COUNTED = ("disambig", "conf_disambig", "bitmap")


@dataclass(frozen=True)
class Frame:
    """The frame that a file name asks for. `time` is the UTC second in the name.

    `segment` is the series' name for it, not the file's.
    """

    name: str
    series: str
    wavelength: int
    segment: str
    time: datetime
    harpnum: int = 0
    camera: int = 0

    @classmethod
    def of(cls, name: str) -> Frame | None:
        """Return the frame of a default file name; None if it is no name of a known series."""
        parts = name.split(".")
        series, time = find_series(".".join(parts[:2])), name_time(name)
        if series is None or time is None or len(parts) != len(series.keys) + 4:
            return None
        *values, segment, extension = parts[2:]
        found = next((s for s, file in series.segments.items() if segment in (s, file)), None)
        numbers = _numbers(series, values)
        if found is None or extension != "fits" or len(numbers) != len(series.keys) - 1:
            return None
        wavelength = series.wavelengths[0]
        if series.instrument == "aia":
            wavelength = numbers.get("WAVELNTH", 0) or _CHANNELS[numbers["FSN"] % 10]
        if wavelength not in series.wavelengths:
            return None
        harpnum, camera = (numbers.get(key, 0) for key in ("HARPNUM", "CAMERA"))
        return cls(name, series.name, wavelength, found, time, harpnum, camera)

    @cached_property
    def t_rec(self) -> datetime:
        """The record's T_REC: that of the slot with the second in the name."""
        return slot_of(self.time, self.wavelength, SERIES[self.series])

    @cached_property
    def fsn(self) -> int:
        """AIA's filtergram number, one for each channel and slot of 12 s. It tells the channel."""
        slots = (self._slot_of_12_s - sun.EPOCH) // timedelta(seconds=12)
        return _FIRST_FSN + 10 * slots + _CHANNELS.index(self.wavelength)

    @cached_property
    def recnum(self) -> int:
        """The record's number, unique in its series."""
        if self.wavelength in _CHANNELS:
            slots = int(self._slot_of_12_s.timestamp()) // 12
            return slots * 10 + _CHANNELS.index(self.wavelength)
        slots = (self.t_rec - sun.EPOCH) // timedelta(seconds=SERIES[self.series].cadence)
        return slots * HARPS_APART + self.harpnum % HARPS_APART if self.harpnum else slots

    @cached_property
    def _slot_of_12_s(self) -> datetime:
        return slot_of(self.time, self.wavelength, _SLOTS_OF_12_S)

    def chance(self, what: str) -> float:
        """Return a number in [0, 1) that depends only on the frame's time, channel and `what`."""
        text = f"{self.time}|{self.wavelength}|{what}"
        return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / 2**48


def _numbers(series: Series, values: list[str]) -> dict[str, int]:
    """Return the prime keys (but the time) that are numbers in the parts of a name."""
    named = zip(series.keys, values, strict=True)
    return {key: int(value) for key, value in named if key != "T_REC" and value.isdecimal()}


@dataclass(frozen=True)
class _State:
    """All that a frame's pixels depend on.

    HMI has a `segment` and the `regions` of flares, AIA `kernel` and `exposure`.
    """

    wavelength: int
    quarter_day: int
    kernel: sun.Kernel | None = None
    exposure: float = 0.0
    segment: str = ""
    regions: tuple[sun.Active, ...] = ()


class Frames:
    """A maker of frames with `size` pixels a side. They show the given flares."""

    def __init__(self, size: int, flares: Sequence[Flare]) -> None:
        self.size = size
        self.flares = sorted(flares, key=lambda flare: (flare.start, flare.event_id))
        self.regions = regions_of(self.flares)
        self._of_harp = {region.harpnum: region for region in self.regions.values()}
        self._drawn: _Memo[np.ndarray] = _Memo(most=6)

    def file(
        self,
        frame: Frame,
        steps: Sequence[Step] = (),
        *,
        as_is: bool = False,
        turned: bool = False,
    ) -> list[bytes]:
        """Return the FITS file of a frame after processing steps, in pieces.

        `as_is`: with the header of a stored file. `turned`: with the image upside down. A `spikes`
        table is never processed.
        """
        # imports astropy, which listings do not need
        from flareset.standin.fitsfile import LONG_STRINGS, assemble, compress

        if frame.segment == "spikes":
            made = _COMPRESSED.get("spikes", lambda: compress(_spikes()))
            keywords = self._keywords(frame, ())
        else:
            state, actions = self._plan(frame, steps)
            actions += (Flip(),) if turned else ()
            made = self._compressed(state, actions)
            keywords = self._keywords(frame, steps, made.missing)
        scaling = [] if frame.wavelength in _CHANNELS else headers.scaling(frame.segment)
        if as_is:
            return assemble(made, [*scaling, *headers.as_is(frame.time)])
        after = "RECNUM" if scaling else "PERCENTD"
        told = _with_statistics(keywords, _physical(made.statistics, frame), after)
        told = headers.exported(told)
        return assemble(made, [*scaling, *told], LONG_STRINGS)

    def keywords(self, frame: Frame, steps: Sequence[Step] = ()) -> dict[str, object]:
        """Return a record's keywords as `file` writes them, without statistics of the pixels."""
        return {key: value for key, value, _ in self._keywords(frame, steps)}

    def cards(self, frame: Frame) -> list[Card]:
        """Return a record's header cards as `file` writes them. Statistics of the pixels are 0."""
        cards = self._keywords(frame, ())
        after = "PERCENTD" if frame.wavelength in _CHANNELS else "RECNUM"
        return _with_statistics(cards, _physical(headers.STATISTICS, frame), after)

    def statistics(self, frame: Frame) -> dict[str, int | float]:
        """Return the statistics of a frame's pixels, by keyword."""
        return _physical(self._compressed(*self._plan(frame, ())).statistics, frame)

    def shape(self, frame: Frame) -> tuple[int, int]:
        """Return the columns and rows of a frame's image."""
        view, _ = self._origin(frame)
        return view.columns, view.rows

    def pixels(self, frame: Frame, steps: Sequence[Step] = ()) -> np.ndarray:
        """Return a frame's stored values after steps. The type's least value means missing."""
        state, actions = self._plan(frame, steps)
        return self._pixels(state, actions)

    def _plan(self, frame: Frame, steps: Sequence[Step]) -> tuple[_State, tuple[Action, ...]]:
        """Return the state of the Sun to draw, and all actions on the drawn pixels."""
        origin, before = self._origin(frame)
        _, actions = plan(origin, steps, frame.time)
        return self._state(frame), (*before, *actions)

    def _origin(self, frame: Frame) -> tuple[View, tuple[Action, ...]]:
        """Return the view of a frame before any step, and the actions that make it when drawn."""
        whole = sun.FULL_SIZE / self.size
        if frame.wavelength in _CHANNELS:
            scale, crota, x, y = POINTING[frame.wavelength]
            drawn = centred(self.size, self.size, sun.FULL_SCALE * whole)
            at = drawn.crpix[0] + x / whole, drawn.crpix[1] + y / whole
            native = replace(drawn, cdelt=scale * whole, crota=crota, crpix=at)
            return native, (Point(drawn, native),)
        # HMI's camera is upside down.
        disk, flip = centred(self.size, self.size, sun.HMI_SCALE * whole, 180.0), (Flip(),)
        if not frame.harpnum:
            return disk, flip
        place = self.place_of(frame.harpnum, frame.time)
        view, actions = plan(disk, [_patch(frame, place, whole)], frame.time)
        if frame.series == "hmi.sharp_720s":
            crpix = view.columns + 1 - view.crpix[0], view.rows + 1 - view.crpix[1]
            view, actions = replace(view, crota=180.0, crpix=crpix), (*actions, Flip())
        return view, (*flip, *actions)

    def _state(self, frame: Frame) -> _State:
        quarter_day = round((frame.time - sun.EPOCH) / timedelta(hours=6))
        if frame.wavelength not in _CHANNELS:
            when = sun.EPOCH + quarter_day * timedelta(hours=6)
            active = tuple(
                (region.longitude_at(when), region.latitude, _WIDTH, _STRENGTH)
                for region in self.regions.values()
            )
            return _State(frame.wavelength, quarter_day, segment=frame.segment, regions=active)
        kernel = self._kernel(frame.time)
        exposure = self.exposure(slot_of(frame.time, frame.wavelength), frame.wavelength)
        return _State(frame.wavelength, quarter_day, kernel, exposure)

    def exposure(self, slot: datetime, wavelength: int) -> float:
        """Return AIA's commanded exposure (s) in the slot with this T_REC."""
        kernel = self._kernel(normal_second(slot, wavelength))
        return commanded(slot, wavelength, kernel.strength if kernel else 0.0)

    def harps(self, when: datetime) -> list[int]:
        """Return the HARPs of the flares' regions that are on the disk at a time."""
        found = [(region.harpnum, region.seen) for region in self.regions.values()]
        return [harpnum for harpnum, (rise, end) in found if rise <= when <= end]

    def place_of(self, harpnum: int, when: datetime) -> tuple[float, float]:
        """Return the Stonyhurst longitude and latitude (degrees) of a HARP."""
        region = self._of_harp.get(harpnum)
        if region is not None:
            return region.longitude_at(when), region.latitude
        # Of no flare: it crosses the disk where its number says.
        digest = sha256(f"HARP {harpnum}".encode()).digest()
        days = (when - sun.EPOCH) / timedelta(days=1)
        longitude = (digest[0] / 256 * 120 + ROTATION * days) % 120 - 60
        return longitude, (1 if digest[1] % 2 else -1) * (8 + digest[2] / 256 * 15)

    def _kernel(self, time: datetime) -> sun.Kernel | None:
        """Return the place and strength of the first flare in progress; None if there is none.

        The strength has only a few levels, so that frames share their pixels.
        """
        for flare in self.flares:
            if not flare.start <= time <= flare.end:
                continue
            peak = flare.peak if flare.peak and flare.start < flare.peak < flare.end else None
            peak = peak or flare.start + (flare.end - flare.start) / 3
            if time <= peak:
                strength = (time - flare.start) / (peak - flare.start)
            else:
                strength = np.exp(-2.5 * ((time - peak) / (flare.end - peak)))
            step = max(1, round(float(strength) * _LEVELS)) / _LEVELS
            return sun.Kernel(*_place(flare), step)
        return None

    def _compressed(self, state: _State, actions: tuple[Action, ...]) -> Compressed:
        from flareset.standin.fitsfile import compress

        key = self.size, state, actions
        return _COMPRESSED.get(key, lambda: compress(self._pixels(state, actions)))

    def _pixels(self, state: _State, actions: tuple[Action, ...]) -> np.ndarray:
        if not actions:
            return self._draw(state)
        # All but the last action is kept: many cut-outs share one drawn and scaled frame.
        before = actions[:-1]
        pixels = self._drawn.get((state, before), lambda: self._pixels(state, before))
        return actions[-1](pixels)

    def _draw(self, state: _State) -> np.ndarray:
        day = state.quarter_day / 4
        if state.segment:
            values = sun.hmi(self.size, state.segment, day, state.regions)
            return _stored(values, state.segment)
        rate = sun.rates(self.size, state.wavelength, day, state.kernel)
        counts = rate * np.float32(state.exposure)
        noise = np.random.default_rng([state.wavelength, state.quarter_day + 100_000])
        counts += noise.standard_normal(counts.shape, dtype="f4") * np.sqrt(counts + 1.5)
        return np.clip(np.rint(counts), -7, SATURATION).astype("i2")

    def _keywords(self, frame: Frame, steps: Sequence[Step], missing: int = 0) -> list[Card]:
        origin, _ = self._origin(frame)
        view, _ = plan(origin, steps, frame.time)
        series = processed_series(frame.series, steps)
        aia = frame.wavelength in _CHANNELS
        early = 0.0 if aia else -5.0
        t_obs = frame.time + timedelta(
            seconds=early + round(frame.chance("t_obs") * 0.98 - 0.49, 3)
        )
        record = headers.Record(
            series=frame.series,
            wavelength=frame.wavelength,
            time=frame.time,
            t_rec=frame.t_rec,
            t_obs=t_obs,
            recnum=frame.recnum,
            origin=origin,
            view=view,
            drms_series=series,
            drms_segment=_drms_segment(frame, processed=series != frame.series),
            missing=missing,
        )
        if not aia:
            camera = frame.camera or (2 if SERIES[frame.series].cadence == 45 else 3)
            return headers.hmi(record, frame.segment, camera, self._patch(frame))
        exposure = self.exposure(slot_of(frame.time, frame.wavelength), frame.wavelength)
        measured = exposure + (frame.chance("exposure") - 0.5) * 1e-4
        # As in real headers, the type tells nothing of the exposure.
        aectype = 2 if frame.chance("aectype") < 0.5 else 0
        # The same number of spikes per pixel as in a full frame.
        part = (self.size / 4096) ** 2
        spikes = int((15_000 + frame.chance("spikes") * 5000) * part)
        return headers.aia(record, frame.fsn, spikes, measured, aectype)

    def _patch(self, frame: Frame) -> headers.Patch | None:
        if not frame.harpnum:
            return None
        longitude, latitude = self.place_of(frame.harpnum, frame.time)
        return headers.Patch(frame.harpnum, noaa_ar(frame.harpnum), longitude, latitude)


class _Memo(Generic[_T]):
    """A cache of the last `most` values. One thread makes a value, others wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, _T] = OrderedDict()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                if key in self._made:
                    self._made.move_to_end(key)
                    return self._made[key]
            made = make()
            with self._lock:
                self._made[key] = made
                if len(self._made) > self._most:
                    oldest, _ = self._made.popitem(last=False)
                    self._locks.pop(oldest, None)
            return made


# Of all frames that this process makes, whichever `Frames` they are of.
_COMPRESSED: _Memo[Compressed] = _Memo(most=200)


def frame_name(path: str) -> str:
    """Return the file name at the end of a URL's path."""
    return PurePosixPath(path).name


def _drms_segment(frame: Frame, *, processed: bool) -> str:
    if frame.wavelength not in _CHANNELS or frame.segment == "spikes":
        return frame.segment
    return "image" if processed else next(iter(SERIES[frame.series].segments))


def _physical(statistics: dict[str, int | float], frame: Frame) -> dict[str, int | float]:
    """Return the statistics of stored values in the unit of the segment, if it has one (HMI)."""
    if frame.wavelength in _CHANNELS:
        return statistics
    _, step = headers.HMI_UNITS.get(frame.segment, ("", 1.0))
    plain = ("DATAVALS", "MISSVALS", "DATASKEW", "DATAKURT", "NSATPIX")
    return {k: v if k in plain else round(v * step, 6) for k, v in statistics.items()}


def _with_statistics(
    keywords: list[Card], statistics: dict[str, int | float], after: str
) -> list[Card]:
    """Return the keywords with the pixels' statistics behind the keyword `after`."""
    place = next(i for i, (key, *_) in enumerate(keywords) if key == after) + 1
    cards = [(key, value, key) for key, value in statistics.items()]
    return [*keywords[:place], *cards, *keywords[place:]]


def _patch(frame: Frame, place: tuple[float, float], whole: float) -> Step:
    """Return the step that makes a SHARP at a place (Stonyhurst, degrees) from a full disk."""
    longitude, latitude = place
    if "_cea_" in frame.series:
        carrington = (longitude + geometry.carrington(frame.time)[1]) % 360
        columns, rows = (max(16, round(side / whole)) for side in (744, 377))
        place = {"clon": carrington, "clat": latitude, "cols": columns, "rows": rows}
        return Step("Maproj", {"map": "cyleqa", "scale": str(0.03 * whole), **_texts(place)})
    box = {"x": longitude, "y": latitude, "width": 22.0, "height": 11.0}
    units = {"t": "1", "t_ref": iso(frame.time), "locunits": "stony", "boxunits": "degrees"}
    return Step("im_patch", {**units, **_texts(box)})


def _texts(numbers: dict[str, float]) -> dict[str, str]:
    return {key: str(value) for key, value in numbers.items()}


def _stored(values: np.ndarray, segment: str) -> np.ndarray:
    """Return a segment's values as multiples of its step; the type's least value off the disk."""
    kind = np.dtype("i2" if segment in _COUNTED else "i4")
    _, step = headers.HMI_UNITS.get(segment, ("", 1.0))
    there = ~np.isnan(values)
    whole = np.rint(np.where(there, values, 0) / step)
    return np.where(there, whole, np.iinfo(kind).min).astype(kind)


def _place(flare: Flare) -> tuple[float, float]:
    """Return a flare's position (arcsec): that of its row, or one that its id decides."""
    if flare.hpc_x is not None and flare.hpc_y is not None:
        return flare.hpc_x, flare.hpc_y
    digest = sha256(flare.event_id.encode()).digest()
    return (digest[0] / 255 - 0.5) * 1500, (digest[1] / 255 - 0.5) * 800


def _spikes() -> np.ndarray:
    """Return a table of cosmic ray hits: pixel address, new and old value; int32 of (3, n)."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 4000, size=(3, 512), dtype="i4")
