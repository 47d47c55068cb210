"""The statistics that JSOC computed from the pixels of an image, computed again.

They tell of a stored file, which says nothing of itself, whether it is the record's image. One
histogram gives them all: DATAVALS counts the pixels that are there, DATAMEDN is the least value
with half of them at or below it, DATARMS divides by n - 1, DATASKEW and DATAKURT by its powers,
DATAKURT without the 3 of a normal distribution.

Source: do_flat.c (AIA), fstats.c, fstats2.c and set_statistics.c (HMI and what was processed) of
JSOC. What the numbers were computed from is not always what is stored: see `Basis`.
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

# HMI's observables have two sets, of which the plain names are that of 99 % of the disk's radius.
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
# A number of 4 bytes; fstats2 finds the median in bins of this part of the range.
_SINGLE = 2.0**-23
_BINS = 65536
# More levels than any instrument of SDO has between its least and its greatest value.
_MOST_LEVELS = 1 << 22
# Four times an image of SDO: what a header may say that decoding it will take.
# Few enough that counting them needs no memory to speak of.
_ROWS = 256
_SIGMAS = 6.0


@dataclass(frozen=True)
class Basis:
    """What JSOC's statistics are of, where not of the stored values themselves.

    `rounded`: of values that were rounded to the step of the file afterwards, as HMI's are.
    `replaced`: of an image in which so many pixels at most were replaced afterwards (and values
    below 0 perhaps set to it), as AIA's spikes are: bounds follow from it, not equality.
    """

    rounded: bool = False
    replaced: int = 0


STORED = Basis()
# JSOC replaces a camera's bad pixels like spikes, but does not count them: taken to be no more.
_BAD_PIXELS = 1000


@dataclass(frozen=True)
class Difference:
    """A statistic of JSOC that the pixels do not have: it should lie from `low` to `high`."""

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
    """The values in an image, in rising order, how many pixels have each, and their step."""

    levels: np.ndarray
    counts: np.ndarray
    step: float = 1.0

    @cached_property
    def count(self) -> int:
        """Return the number of pixels that are there."""
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
        """Return the deviation from the mean, of n - 1."""
        if self.count < 2:
            return math.nan
        return math.sqrt(float(self.counts @ (self.levels - self.mean) ** 2) / (self.count - 1))

    @property
    def skewness(self) -> float:
        """Return the skewness, NaN of an image of one value."""
        return self.moment(3)

    @property
    def kurtosis(self) -> float:
        """Return the excess kurtosis, NaN of an image of one value."""
        return self.moment(4) - 3

    def moment(self, power: int) -> float:
        """Return the mean of a power of the deviations in units of `rms`."""
        if not self.rms > 0:
            return math.nan
        return float(self.counts @ ((self.levels - self.mean) / self.rms) ** power / self.count)

    def ranked(self, rank: int) -> float:
        """Return the value of the pixel with a rank, 1 for the least; ranks beyond are the last."""
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

    `blank` stands for a pixel that is missing; values are `scale` times the stored ones plus
    `zero`. VerificationError where no pixel is there, or the values spread as no image's do.
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

    VerificationError where its pixels cannot be decoded, or are no whole numbers.
    """
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False, do_not_scale_image_data=True) as hdus:
                return _decoded(hdus[index])
    except VerificationError:
        raise
    except Exception as error:  # noqa: BLE001 - astropy and its C code raise whatever they like on bad bytes
        raise VerificationError(f"its pixels cannot be decoded: {error}") from None


def _decoded(hdu: fits.ImageHDU | fits.CompImageHDU) -> Statistics:
    header = hdu.header
    shape = tuple(int(header[f"NAXIS{axis}"]) for axis in (1, 2))
    if int(header["BITPIX"]) not in (8, 16, 32) or math.prod(shape) > MOST_PIXELS:
        raise VerificationError(f"it has {shape} pixels of BITPIX {header['BITPIX']}")
    # The tiles of a whole image are decoded in a third of the time of its parts.
    pixels = hdu.data
    parts = (pixels[at : at + _ROWS] for at in range(0, len(pixels), _ROWS))
    scale, zero = header.get("BSCALE", 1.0), header.get("BZERO", 0.0)
    return tally(parts, header.get("BLANK"), scale, zero)


def basis_of(instrument: str, keywords: Mapping[str, Value]) -> Basis:
    """Return what JSOC's statistics of a full frame of `aia` or `hmi` are of.

    What JSOC processed (a cut-out, a SHARP) has statistics of the stored values.
    """
    if instrument == "hmi":
        return Basis(rounded=True)
    return Basis(replaced=int(_figure(keywords.get("NSPIKES"))[0] or 0) + _BAD_PIXELS)


def stated_statistics(keywords: Mapping[str, Value]) -> dict[str, float]:
    """Return those of the eight statistics that a record's keywords state of the whole image."""
    stated = {name: _figure(keywords.get(_keyword(name, keywords)))[0] for name in STATISTICS}
    return {name: number for name, number in stated.items() if number is not None}


def compare(
    statistics: Statistics, keywords: Mapping[str, Value], basis: Basis = STORED
) -> list[Difference]:
    """Return the statistics in a record's keywords that are not those of the pixels.

    Keywords are numbers, or text as `jsoc_info` and headers have it; missing ones are left out.
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
    """Return the keyword that has a statistic of the whole image."""
    whole = _WHOLE_IMAGE.get(name, name)
    return whole if whole in keywords else name


def _figure(value: Value) -> tuple[float | None, float]:
    """Return a keyword's number and half a unit of its last digit; None where it has no number."""
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
    """Return where each statistic lies of values that are now rounded to multiples of `step`.

    Rounding adds noise, evenly spread over a step, to each value.
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
    """Return where each statistic lies of an image before pixels of it were replaced.

    A replaced pixel had any value between JSOC's least and greatest; one of 0 perhaps a lower one.
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
        # JSOC's percentiles are one more than the value that they are found at.
        bounds[name] = (low + 1, high + 1)
    return bounds
