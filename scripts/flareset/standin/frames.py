"""FITS files made from their names: Rice-compressed int16 frames and `spikes` tables.

A frame's pixels are compressed once for each state of the Sun; for a name, only its header is
written anew, with a true DATASUM and CHECKSUM. Keywords as in JSOC's exports of AIA level 1;
ORIGIN says that nothing was observed.
"""

from __future__ import annotations

import io
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
from astropy.io import fits

from flareset.events import Flare
from flareset.fitscheck import BLOCK, ones_complement_sum
from flareset.series import SERIES
from flareset.standin import sun
from flareset.times import name_time

_NAME = re.compile(
    r"(?P<series>aia\.lev1_\w+?)\.\d{4}-\d{2}-\d{2}T\d{6}Z\.(?P<wavelength>\d+)"
    r"\.(?P<segment>image_lev1|image|spikes)\.fits"
)
_NORMAL = {94: 2.9, 131: 2.9, 171: 2.0, 193: 2.0, 211: 2.9, 304: 2.9, 335: 2.9}
_SATURATION = 16383
_LEVELS = 6
_PRIMARY = fits.PrimaryHDU().header.tostring().encode("ascii")
_EPOCH = datetime(2010, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Frame:
    """What a file name asks for."""

    name: str
    series: str
    wavelength: int
    segment: str
    time: datetime

    @classmethod
    def of(cls, name: str) -> Frame | None:
        """The frame of a file name, or None where it is no name of an AIA level 1 export."""
        match = _NAME.fullmatch(name)
        time = name_time(name)
        if not match or time is None or match["series"] not in SERIES:
            return None
        wavelength = int(match["wavelength"])
        if wavelength not in SERIES[match["series"]].wavelengths:
            return None
        segment = "spikes" if match["segment"] == "spikes" else "image"
        return cls(name, match["series"], wavelength, segment, time)

    @property
    def t_rec(self) -> datetime:
        """The record's T_REC: the slot that holds the name's second."""
        return SERIES[self.series].slot(self.time)

    def chance(self, what: str) -> float:
        """A number in [0, 1) that depends on the frame's time, channel and `what` alone."""
        text = f"{self.series}|{self.time}|{self.wavelength}|{what}"
        return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / 2**48


@dataclass(frozen=True)
class _Compressed:
    """A compressed HDU's structural cards, data block, and the data's checksum and statistics."""

    cards: list[bytes]
    data: bytes
    datasum: int
    statistics: dict[str, int | float]


class Frames:
    """Makes frames of `size` pixels a side, under a sky with the flares given."""

    def __init__(self, size: int, flares: list[Flare]) -> None:
        self.size = size
        self.flares = sorted(flares, key=lambda flare: (flare.start, flare.event_id))
        self._prepared: dict[tuple[object, ...], _Compressed] = {}
        self._locks: dict[tuple[object, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def file(self, frame: Frame) -> list[bytes]:
        """The FITS file of a frame, in pieces."""
        if frame.segment == "spikes":
            prepared = self._prepare(("spikes",), lambda: _compress(_spikes(), tile=0))
            return _assemble(frame, prepared, self._keywords(frame, 2.9, 0, prepared))
        kernel = self._kernel(frame.time)
        slot = int(frame.t_rec.timestamp()) // SERIES[frame.series].cadence
        # During a flare the exposure control shortens every other frame.
        short = kernel is not None and kernel.strength > 0.3 and slot % 2 == 1
        exposure = 0.25 if short else _NORMAL.get(frame.wavelength, 2.9)
        quarter_day = round((frame.time - _EPOCH) / timedelta(hours=6))
        key = (frame.wavelength, quarter_day, kernel, exposure)
        prepared = self._prepare(
            key, lambda: _compress(self._pixels(frame, quarter_day, kernel, exposure), tile=1)
        )
        measured = exposure + (frame.chance("exposure") - 0.5) * 1e-4
        return _assemble(
            frame, prepared, self._keywords(frame, measured, 2 if short else 0, prepared)
        )

    def _kernel(self, time: datetime) -> sun.Kernel | None:
        """The first flare in progress: its place and strength, in few steps."""
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

    def _pixels(
        self, frame: Frame, quarter_day: int, kernel: sun.Kernel | None, exposure: float
    ) -> np.ndarray:
        rate = sun.rates(self.size, frame.wavelength, quarter_day / 4, kernel)
        counts = rate * np.float32(exposure)
        noise = np.random.default_rng([frame.wavelength, quarter_day + 100_000])
        counts += noise.standard_normal(counts.shape, dtype="f4") * np.sqrt(counts + 1.5)
        return np.clip(np.rint(counts), -7, _SATURATION).astype("i2")

    def _prepare(self, key: tuple[object, ...], make: object) -> _Compressed:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._prepared:
                self._prepared[key] = make()  # type: ignore[operator]
            return self._prepared[key]

    def _keywords(
        self, frame: Frame, exposure: float, aectype: int, prepared: _Compressed
    ) -> list[tuple[str, object, str]]:
        """JSOC's keywords of a frame, in the order of its exports."""
        t_obs = frame.time + timedelta(seconds=round(frame.chance("t_obs") * 0.98 - 0.49, 3))
        date_obs = t_obs - timedelta(seconds=exposure / 2)
        scale = sun.FULL_SCALE * sun.FULL_SIZE / self.size
        centre = (self.size + 1) / 2
        fsn = 20_000_000 + int((frame.time - _EPOCH).total_seconds() * 2 / 3)
        recnum = int(frame.t_rec.timestamp()) // 12 * 10 + frame.wavelength % 10
        spikes = 15_000 + int(frame.chance("spikes") * 5000)
        radius = round(sun.radius((frame.time - _EPOCH) / timedelta(days=1)), 6)
        return [
            ("T_REC", _stamp(frame.t_rec), "[ISO] Slotted observation time"),
            ("T_OBS", _stamp(t_obs), "[ISO] Observation time"),
            ("WAVELNTH", frame.wavelength, "[angstrom] Wavelength"),
            (
                "DATE",
                _stamp(frame.time + timedelta(days=5)),
                "[ISO] Date_time of processing; ISO 8601",
            ),
            ("FSN", fsn, "FSN Filtergram Sequence Number"),
            ("EXPTIME", round(exposure, 6), "[sec] Exposure duration: mean shutter open time"),
            ("QUALITY", 0, "Level 1 Quality word"),
            ("ORIGIN", "flareset stand-in", "made up: nothing was observed"),
            ("TELESCOP", "SDO/AIA", "For AIA: SDO/AIA"),
            ("INSTRUME", f"AIA_{_telescope(frame.wavelength)}", "For AIA: AIA_1 to AIA_4"),
            ("DATE-OBS", _stamp(date_obs), "[ISO] {DATE__OBS}"),
            ("CAMERA", _telescope(frame.wavelength), "For AIA: 1, 2, 3 or 4"),
            ("IMG_TYPE", "LIGHT", "Image type: LIGHT or DARK"),
            ("EXPSDEV", 0.000199, "Exposure standard deviation"),
            ("INT_TIME", round(exposure + 0.27, 6), "[sec] CCD integration duration"),
            ("WAVEUNIT", "angstrom", "Wavelength unit: angstrom"),
            ("WAVE_STR", f"{frame.wavelength}_THIN", "Wavelength_FilterPosition"),
            ("FID", 0, "FID Filtergram ID"),
            ("QUALLEV0", 0, "Level 0 Quality word"),
            ("TOTVALS", self.size**2, "Expected number of data values (pixels)"),
            ("DATAVALS", self.size**2, "Actual number of data values in image"),
            ("MISSVALS", 0, "Missing values: TOTVALS - DATAVALS"),
            ("PERCENTD", 100.0, "Percent data; 100*DATAVALS/TOTVALS"),
            *((key, value, key) for key, value in prepared.statistics.items()),
            ("NSPIKES", spikes, "Number of cosmic ray affected pixels"),
            ("CTYPE1", "HPLN-TAN", "CTYPE1; Typically HPLN"),
            ("CUNIT1", "arcsec", "CUNIT1; Typically arcsec"),
            ("CRVAL1", 0.0, "[arcsec] CRVAL1"),
            ("CDELT1", scale, "[arcsec/pixel] CDELT1: image scale in the x dir"),
            ("CRPIX1", centre, "[pixel] CRPIX1: location of sun center in CCD x"),
            ("CTYPE2", "HPLT-TAN", "CTYPE2; Typically HPLT"),
            ("CUNIT2", "arcsec", "CUNIT2; Typically arcsec"),
            ("CRVAL2", 0.0, "[arcsec] CRVAL2"),
            ("CDELT2", scale, "[arcsec/pixel] CDELT2: image scale in the y dir"),
            ("CRPIX2", centre, "[pixel] CRPIX2: location of sun center in CCD y"),
            ("CROTA2", 0.0, "[degree] CROTA2: INST_ROT + SAT_ROT"),
            ("R_SUN", round(radius / scale, 5), "[pixel] Radius of the Sun in pixels"),
            ("INST_ROT", 0.0, "[deg] Master pointing CCD rotation wrt SDO Z axis"),
            ("IMSCL_MP", scale, "[arcsec/pixel] Master pointing image scale"),
            ("X0_MP", centre - 1, "[pixel] Master pointing X0 sun center"),
            ("Y0_MP", centre - 1, "[pixel] Master pointing Y0 sun center"),
            ("SAT_ROT", 0.0, "[deg] Angle of solar pole wrt the SDO X axis"),
            ("ACS_MODE", "SCIENCE", "ACS pointing mode"),
            ("ACS_ECLP", "NO", "ACS eclipse flag"),
            ("ACS_SUNP", "YES", "ACS sun presence flag"),
            ("ACS_SAFE", "NO", "ACS safe hold flag"),
            ("DSUN_REF", 149597870691.0, "[m] Reference distance to Sun"),
            ("DSUN_OBS", 149597870691.0, "[m] Distance from SDO to Sun center"),
            ("RSUN_REF", 696000000.0, "[m] Reference radius of the Sun"),
            ("RSUN_OBS", radius, "[arcsec] Apparent radius of the Sun seen by SDO"),
            ("HGLN_OBS", 0.0, "[deg] Stonyhurst heliographic longitude"),
            ("HGLT_OBS", 0.0, "[deg] Stonyhurst heliographic latitude"),
            ("CRLN_OBS", 0.0, "[deg] Carrington longitude of the observer"),
            ("CRLT_OBS", 0.0, "[deg] Carrington latitude of the observer"),
            ("PIXLUNIT", "DN", "Pixel intensity unit"),
            ("AIMGSHCE", round(exposure * 1000), "AIA_IMG_SH_CMDED_EXPOSURE"),
            ("AECTYPE", aectype, "AIA_IMG_AEC_TYPE"),
            ("AECMODE", "ON", "AIA_IMG_AEC_MODE"),
            ("AIAECENF", 1, "AIA_IMG_AEC_ENA_FLAG"),
            ("LVL_NUM", 1.0, "LVL_NUM data level number"),
            ("TRECSTEP", float(SERIES[frame.series].cadence), "[second] T_REC step"),
            ("RECNUM", recnum, "Recnum"),
            ("DRMS_ID", f"{frame.series}:{recnum}:{frame.segment}", "DRMS ID"),
            ("PRIMARYK", "T_REC, WAVELNTH", "DRMS primary key"),
            ("LICENSE", "CC0 1.0", "LICENSE"),
        ]


def frame_name(path: str) -> str:
    """The file name at the end of a URL's path."""
    return PurePosixPath(path).name


def _stamp(when: datetime) -> str:
    """A header's time: milliseconds, no zone."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}"


def _telescope(wavelength: int) -> int:
    return {131: 1, 335: 1, 193: 2, 211: 2, 171: 3, 94: 4, 304: 4}.get(wavelength, 3)


def _place(flare: Flare) -> tuple[float, float]:
    """Where a flare lies: its row's position, or one that its id decides."""
    if flare.hpc_x is not None and flare.hpc_y is not None:
        return flare.hpc_x, flare.hpc_y
    digest = sha256(flare.event_id.encode()).digest()
    return (digest[0] / 255 - 0.5) * 1500, (digest[1] / 255 - 0.5) * 800


def _spikes() -> np.ndarray:
    """A table of cosmic ray hits: pixel address, new and old value; int32 of (3, n)."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 4000, size=(3, 512), dtype="i4")


def _compress(pixels: np.ndarray, tile: int) -> _Compressed:
    """Rice-compress an image in tiles of a row (`tile` 1) or whole (0)."""
    shape = (1, pixels.shape[1])
    hdu = fits.CompImageHDU(pixels, compression_type="RICE_1", tile_shape=shape)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    raw = buffer.getvalue()
    header = fits.Header.fromstring(raw[BLOCK:])
    end = BLOCK + len(header.tostring())
    data = raw[end:]
    skip = ("EXTNAME", "CHECKSUM", "DATASUM", "ZTENSION", "ZPCOUNT", "ZGCOUNT")
    # A sample of the rows tells the percentiles well enough.
    rows = pixels[:: max(1, len(pixels) // 256)]
    percentiles = np.percentile(rows, (1, 10, 25, 50, 75, 90, 95, 98, 99))
    statistics: dict[str, int | float] = {
        "DATAMIN": int(pixels.min()),
        "DATAMAX": int(pixels.max()),
        "DATAMEDN": int(percentiles[3]),
        "DATAMEAN": round(float(pixels.mean()), 4),
        "DATARMS": round(float(pixels.std()), 4),
    }
    names = ("01", "10", "25", "", "75", "90", "95", "98", "99")
    statistics.update({f"DATAP{n}": float(p) for n, p in zip(names, percentiles, strict=True) if n})
    statistics["NSATPIX"] = int((pixels >= _SATURATION).sum()) if tile else 0
    return _Compressed(
        [str(card).encode("ascii") for card in header.cards if card.keyword not in skip],
        data,
        ones_complement_sum(np.frombuffer(data, dtype="u1")),
        statistics,
    )


def _assemble(
    frame: Frame, prepared: _Compressed, keywords: list[tuple[str, object, str]]
) -> list[bytes]:
    """Primary header, table header with the frame's keywords and true checksums, data."""
    blank = -32768 if frame.segment == "image" else -2147483648
    cards = [
        *prepared.cards,
        _card("BLANK", blank, ""),
        _card("CHECKSUM", "0" * 16, "HDU checksum"),
        _card("DATASUM", str(prepared.datasum), "data unit checksum"),
        *(_card(*keyword) for keyword in keywords),
        b"END".ljust(80),
    ]
    text = b"".join(cards)
    text = text.ljust(-(-len(text) // BLOCK) * BLOCK)
    total = ones_complement_sum(np.frombuffer(text, dtype="u1"), prepared.datasum)
    # "0" * 16 stands for a checksum of nothing, so the complement makes the whole sum all ones.
    text = text.replace(b"CHECKSUM= '" + b"0" * 16, b"CHECKSUM= '" + _encode(total), 1)
    return [_PRIMARY, text, prepared.data]


def _card(key: str, value: object, comment: str) -> bytes:
    """A header card in fixed format; astropy's own takes 20 times as long for a frame's 90."""
    shown = f"'{value:<8}'".ljust(20) if isinstance(value, str) else f"{value!r:>20}"
    return f"{key:<8}= {shown} / {comment}"[:80].ljust(80).encode("ascii")


def _encode(total: int) -> bytes:
    """The 16 characters of a CHECKSUM card for a sum (FITS standard 4.0, appendix J)."""
    value = 0xFFFFFFFF - total
    columns = np.zeros((4, 4), dtype=int)
    for byte in range(4):
        part = (value >> (24 - 8 * byte)) & 0xFF
        columns[:, byte] = part // 4 + 48
        columns[0, byte] += part % 4
        forbidden = {*range(58, 65), *range(91, 97)}
        while forbidden & set(columns[:, byte]):
            for first in (0, 2):
                pair = columns[first : first + 2, byte]
                if forbidden & set(pair):
                    columns[first, byte] += 1
                    columns[first + 1, byte] -= 1
    text = "".join(chr(code) for code in columns.reshape(-1))
    return (text[-1] + text[:-1]).encode("ascii")
