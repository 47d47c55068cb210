"""The statistics that JSOC computed from the pixels of an image, computed again.

They prove that a stored file is the record's image, which the file's own header cannot. All come
from one histogram. DATAVALS counts the pixels that are not missing. DATAMEDN is the least value
with half of the pixels at or below it. DATARMS is the deviation with n - 1. DATASKEW and DATAKURT
are moments in units of DATARMS; DATAKURT is minus the 3 of a normal distribution.

Source: do_flat.c (AIA), fstats.c, fstats2.c and set_statistics.c (HMI and processed images) of
JSOC. JSOC did not always compute them from the stored values: see `Basis`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits

from flareset.errors import VerificationError
from flareset.proof.pixels import MOST_PIXELS
from flareset.sdo.drms import Value
from flareset.sdo.keywords import STATISTICS
from flareset.system.aside import Aside

# HMI's observables have two sets. The plain names are for pixels within 99 % of the disk's radius.
_WHOLE_IMAGE = {
    "DATAMIN": "DATAMIN2",
    "DATAMAX": "DATAMAX2",
    "DATAMEDN": "DATAMED2",
    "DATAMEAN": "DATAMEA2",
    "DATARMS": "DATARMS2",
    "DATASKEW": "DATASKE2",
    "DATAKURT": "DATAKUR2",
}
_PERCENTILES = {f"DATAP{percent:02d}": percent for percent in (1, 10, 25, 75, 90, 95, 98, 99)}
# The relative precision of a 4-byte number. fstats2 finds the median in this number of bins.
_SINGLE = 2.0**-23
_BINS = 65536
# More levels than any instrument of SDO has between its least and its greatest value.
_MOST_LEVELS = 1 << 22
# The rows that are counted at a time: few, so that counting needs little memory.
_ROWS = 256
_SIGMAS = 6.0
# Bytes. A full frame takes 0.3 s, in which no thread could receive the next file.
_LARGE = 1 << 20
# So many full frames at a time: as many as two connections of 20 MB/s bring.
_AT_ONCE = 2


@dataclass(frozen=True)
class Basis:
    """The values from which JSOC computed its statistics; by default the stored values.

    `rounded`: the values before they were rounded to the file's step (HMI). `replaced`: the values
    before at most so many pixels were replaced, and perhaps values below 0 were set to 0 (AIA's
    spikes). Then the stored values give only bounds for the statistics.
    """

    rounded: bool = False
    replaced: int = 0


STORED = Basis()
# JSOC replaces a camera's bad pixels like spikes, but does not count them: an assumed maximum.
_BAD_PIXELS = 1000


@dataclass(frozen=True)
class Difference:
    """A statistic of JSOC that the pixels contradict: it should lie between `low` and `high`."""

    keyword: str
    stated: float
    low: float
    high: float

    def __str__(self) -> str:
        middle = f"{self.low:.9g}"
        if self.high > self.low:
            middle = f"{middle} to {self.high:.9g}"
        return f"{self.keyword} is {self.stated:.9g}, the pixels give {middle}"


@dataclass(frozen=True)
class Statistics:
    """The values in an image in rising order, the number of pixels with each, and their step."""

    levels: np.ndarray
    counts: np.ndarray
    step: float = 1.0

    @cached_property
    def count(self) -> int:
        """Return the number of pixels that are not missing."""
        return int(self.counts.sum())

    @property
    def minimum(self) -> float:
        """Return the least value."""
        return float(self.levels[0])

    @property
    def maximum(self) -> float:
        """Return the greatest value."""
        return float(self.levels[-1])

    @property
    def median(self) -> float:
        """Return the least value with half of the pixels at or below it."""
        return self.ranked(math.ceil(self.count / 2))

    @cached_property
    def mean(self) -> float:
        """Return the mean."""
        return float(self.counts @ self.levels / self.count)

    @cached_property
    def rms(self) -> float:
        """Return the standard deviation, computed with n - 1."""
        if self.count < 2:
            return math.nan
        return math.sqrt(float(self.counts @ (self.levels - self.mean) ** 2) / (self.count - 1))

    @property
    def skewness(self) -> float:
        """Return the skewness; NaN for an image with a single value."""
        return self.moment(3)

    @property
    def kurtosis(self) -> float:
        """Return the excess kurtosis; NaN for an image with a single value."""
        return self.moment(4) - 3

    def moment(self, power: int) -> float:
        """Return the mean of a power of the deviations from the mean, in units of `rms`."""
        if not self.rms > 0:
            return math.nan
        return float(self.counts @ ((self.levels - self.mean) / self.rms) ** power / self.count)

    def ranked(self, rank: int) -> float:
        """Return the value of the pixel with a rank: 1 for the least, clipped to the pixels."""
        rank = min(max(rank, 1), self.count)
        return float(self.levels[np.searchsorted(self._cumulated, rank)])

    def named(self) -> dict[str, float]:
        """Return the eight statistics by JSOC's names."""
        values = (
            self.count,
            self.minimum,
            self.maximum,
            self.median,
            self.mean,
            self.rms,
            self.skewness,
            self.kurtosis,
        )
        return dict(zip(STATISTICS, values, strict=True))

    @cached_property
    def _cumulated(self) -> np.ndarray:
        return np.cumsum(self.counts)


def tally(
    parts: Iterable[np.ndarray], blank: int | None = None, scale: float = 1.0, zero: float = 0.0
) -> Statistics:
    """Return the statistics of an integer image that comes in parts.

    `blank` stands for a missing pixel. Values are `scale` times the stored integers plus `zero`.
    Raises VerificationError if all pixels are missing, or have a larger range than any image's.
    """
    counts = np.zeros(0, dtype=np.int64)
    lowest = 0
    for part in parts:
        there = part.ravel()
        if blank is not None:
            known = there != blank
            there = there if known.all() else there[known]
        if not there.size:
            continue
        low, high = int(there.min()), int(there.max())
        if not counts.size:
            lowest = low
        spread = max(high, lowest + counts.size - 1) - min(low, lowest) + 1
        if spread > _MOST_LEVELS:
            raise VerificationError(f"its pixels spread over {spread} values")
        counts = np.pad(counts, (max(0, lowest - low), max(0, high + 1 - lowest - counts.size)))
        lowest = min(low, lowest)
        found = np.bincount(there.astype(np.intp) - low)
        counts[low - lowest :][: found.size] += found
    present = np.flatnonzero(counts)
    if not present.size:
        raise VerificationError("it has no pixel that is not missing")
    return Statistics((present + lowest) * scale + zero, counts[present], abs(scale))


def image_statistics(path: Path, index: int) -> Statistics:
    """Return the statistics of the image in an HDU of a file.

    Raises VerificationError if its pixels cannot be decoded, or are not stored as integers.
    """
    large = path.stat().st_size > _LARGE
    return (_counted_aside if large else counted)(path, index)


def counted(path: Path, index: int) -> Statistics:
    """Return the statistics of an image, as `image_statistics` does, from this process."""
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False, do_not_scale_image_data=True) as hdus:
                return _decoded(hdus[index])
    except (VerificationError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None


_counted_aside = Aside(counted, _AT_ONCE)


def _decoded(hdu: fits.ImageHDU | fits.CompImageHDU) -> Statistics:
    header = hdu.header
    shape = tuple(int(header[f"NAXIS{axis}"]) for axis in (1, 2))
    if int(header["BITPIX"]) not in (8, 16, 32) or math.prod(shape) > MOST_PIXELS:
        raise VerificationError(f"it has {shape} pixels of BITPIX {header['BITPIX']}")
    # Decoding the tiles of a whole image takes a third of the time of decoding its parts.
    pixels = hdu.data
    parts = (pixels[at : at + _ROWS] for at in range(0, len(pixels), _ROWS))
    scale, zero = header.get("BSCALE", 1.0), header.get("BZERO", 0.0)
    return tally(parts, header.get("BLANK"), scale, zero)


def basis_of(instrument: str, keywords: Mapping[str, Value]) -> Basis:
    """Return the basis of JSOC's statistics of a full frame of `aia` or `hmi`.

    Images that JSOC processed (cut-outs, SHARPs) have statistics of the stored values.
    """
    if instrument == "hmi":
        return Basis(rounded=True)
    return Basis(replaced=int(_figure(keywords.get("NSPIKES"))[0] or 0) + _BAD_PIXELS)


def stated_statistics(keywords: Mapping[str, Value]) -> dict[str, float]:
    """Return the statistics of the whole image that are in a record's keywords, at most eight."""
    stated = {name: _figure(keywords.get(_keyword(name, keywords)))[0] for name in STATISTICS}
    return {name: number for name, number in stated.items() if number is not None}


def compare(
    statistics: Statistics, keywords: Mapping[str, Value], basis: Basis = STORED
) -> list[Difference]:
    """Return the statistics in a record's keywords that the pixels contradict.

    Keywords are numbers, or text as in `jsoc_info` and headers. Missing keywords are not compared.
    """
    if basis.replaced:
        ranges = _bounds(statistics, stated_statistics(keywords), basis.replaced)
    else:
        ranges = _ranges(statistics, statistics.step if basis.rounded else 0.0)
    differences = []
    for name, (low, high) in ranges.items():
        keyword = _keyword(name, keywords)
        stated, precision = _figure(keywords.get(keyword))
        if stated is None or math.isnan(low):
            continue
        margin = precision + abs(stated) * _SINGLE
        if not low - margin <= stated <= high + margin:
            differences.append(Difference(keyword, stated, low, high))
    return differences


def _keyword(name: str, keywords: Mapping[str, Value]) -> str:
    """Return the name of the keyword with a statistic of the whole image."""
    whole = _WHOLE_IMAGE.get(name, name)
    return whole if whole in keywords else name


def _figure(value: Value) -> tuple[float | None, float]:
    """Return a keyword's number (None if it has none), and half a unit of its last digit."""
    text = str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None, 0.0
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        return None, 0.0
    return float(number), 0.5 * 10.0**exponent if "." in text else 0.0


def _ranges(statistics: Statistics, step: float) -> dict[str, tuple[float, float]]:
    """Return the range of each statistic before the values were rounded to multiples of `step`.

    Rounding adds to each value noise that is evenly spread over a step.
    """
    rms = statistics.rms
    noise = _SIGMAS * step / math.sqrt(12 * statistics.count)
    relative, bias = (noise / rms, (step / rms) ** 2) if rms > 0 else (0.0, 0.0)
    skewness, kurtosis = statistics.skewness, statistics.kurtosis
    margins = {
        "DATAVALS": 0.0,
        "DATAMIN": step / 2,
        "DATAMAX": step / 2,
        "DATAMEDN": step / 2 + (statistics.maximum - statistics.minimum) / _BINS,
        "DATAMEAN": noise,
        "DATARMS": noise + bias * rms,
        "DATASKEW": 3 * relative * math.sqrt(kurtosis + 3) + bias * (1 + abs(skewness)),
        "DATAKURT": 4 * relative * math.sqrt(statistics.moment(6)) + bias * (3 + abs(kurtosis)),
    }
    named = statistics.named()
    return {name: (named[name] - margin, named[name] + margin) for name, margin in margins.items()}


def _bounds(
    statistics: Statistics, stated: Mapping[str, float], replaced: int
) -> dict[str, tuple[float, float]]:
    """Return the range of each statistic before pixels of the image were replaced.

    A replaced pixel had any value between JSOC's least and greatest. A pixel of 0 may have had a
    lower value.
    """
    count, least, greatest = statistics.count, statistics.minimum, statistics.maximum
    lowest = min(stated.get("DATAMIN", least), least)
    highest = max(stated.get("DATAMAX", greatest), greatest)
    cut = int(statistics.counts[0]) * (0 - lowest) if least == 0 else 0.0

    def ranks(rank: int) -> tuple[float, float]:
        low = statistics.ranked(rank - replaced)
        return lowest if low == least == 0 else low, statistics.ranked(rank + replaced)

    bounds = {
        "DATAVALS": (count, count),
        "DATAMIN": (-math.inf, least),
        "DATAMAX": (greatest, math.inf),
        "DATAMEDN": ranks(math.ceil(count / 2)),
        "DATAMEAN": (
            statistics.mean - (replaced * (greatest - lowest) + cut) / count,
            statistics.mean + replaced * (highest - least) / count,
        ),
    }
    for name, percent in _PERCENTILES.items():
        low, high = ranks(percent * count // 100 + 1)
        # JSOC adds 1 to the value at which it finds a percentile.
        bounds[name] = (low + 1, high + 1)
    return bounds
