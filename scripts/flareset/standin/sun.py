"""A made-up Sun as AIA would see it in an EUV channel: count rates over the frame.

Plausible, not physical: a limb, a corona, active regions that rotate with the Sun, holes at the
poles, and a flare with loops, a bright kernel, blooming and the mesh's diffraction cross.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

FULL_SIZE = 4096
FULL_SCALE = 0.6  # arcsec per pixel of a full frame
# Rough rate of the quiet disk, DN/s, and how sharply active regions stand out.
_CHANNELS = {
    94: (0.9, 9.0),
    131: (4.0, 16.0),
    171: (95.0, 4.0),
    193: (110.0, 5.0),
    211: (40.0, 6.0),
    304: (25.0, 3.0),
    335: (2.0, 8.0),
    1600: (35.0, 2.0),
    1700: (380.0, 1.5),
    4500: (4000.0, 0.05),
}
_ROTATION = 13.2  # degrees of longitude a day, as seen from Earth
_PERIHELION = 247.0  # days from the epoch, 1 May, to early January


@dataclass(frozen=True)
class Kernel:
    """A flare in a frame: its place (arcsec from Sun centre) and strength, 0 to 1."""

    x: float
    y: float
    strength: float


def radius(day: float) -> float:
    """The Sun's apparent radius in arcsec: largest in January, smallest in July."""
    return 959.63 / (1 - 0.0167 * math.cos(2 * math.pi * (day - _PERIHELION) / 365.25))


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Arcsec from Sun centre of each pixel: x along a row, y up a column, as float32."""
    scale = FULL_SCALE * FULL_SIZE / size
    axis = (np.arange(size, dtype="f4") - np.float32((size - 1) / 2)) * np.float32(scale)
    return axis[None, :], axis[:, None]


def rates(size: int, wavelength: int, day: float, kernel: Kernel | None) -> np.ndarray:
    """The Sun in DN/s, float32 of (size, size); `day` counts from 1 May 2010.

    Worked out on at most 1024 pixels a side and stretched from there.
    """
    coarse = min(size, 1024)
    sun = _disk(coarse, wavelength, day)
    if kernel is not None:
        sun = sun + _flare(coarse, wavelength, kernel)
    return sun if coarse == size else _smooth(sun, size)


@lru_cache(maxsize=16)
def _disk(size: int, wavelength: int, day: float) -> np.ndarray:
    quiet, contrast = _CHANNELS[wavelength]
    x, y = _grid(size)
    limb = np.float32(radius(day))
    r = np.sqrt(x * x + y * y) / limb
    inside = np.clip(1 - r * r, 0.02, 1)
    on_disk = 0.75 + 0.25 / np.sqrt(inside)
    corona = 2.0 * np.exp(-np.clip(r - 1, 0, None) / 0.09)
    rate = np.where(r < 1, np.minimum(on_disk, 2.0), corona)
    rate *= _texture(size, seed=wavelength)
    rate *= 1 - 0.55 * np.exp(-((np.abs(y) / limb - 1.0) ** 2) / 0.03)
    for cx, cy, length, tilt in (
        (-0.35, 0.42, 0.25, 0.4),
        (0.2, -0.55, 0.3, -0.3),
        (0.5, 0.3, 0.2, 1),
    ):
        rate *= 1 - 0.5 * _filament(x / limb - cx, y / limb - cy, length, tilt)
    for longitude, latitude, width, strength in _regions(day):
        rate += _region(x, y, limb, longitude, latitude, width) * np.float32(strength * contrast)
    rate *= 1 + 0.9 * np.clip(_texture(size, seed=wavelength + 1) - 1.9, 0, 2)
    return (rate * np.float32(quiet)).astype("f4")


def _flare(size: int, wavelength: int, kernel: Kernel) -> np.ndarray:
    quiet, contrast = _CHANNELS[wavelength]
    x, y = _grid(size)
    dx, dy = x - np.float32(kernel.x), y - np.float32(kernel.y)
    r = np.sqrt(dx * dx + dy * dy)
    peak = np.float32(quiet * contrast * 140 * kernel.strength)
    light = np.exp(-((r / (10 + 14 * kernel.strength)) ** 2))
    for radius in (28, 42, 58):
        loop = np.sqrt((dx * 0.9) ** 2 + np.clip(dy, 0, None) ** 2) - radius
        light += 0.10 * np.exp(-((loop / 5) ** 2)) * (dy > -6)
    light += 0.03 * np.exp(-r / 40) + 0.0015 * np.exp(-r / 260)
    for angle in (-50.0, -40.0, 40.0, 50.0):
        u = dx * math.cos(math.radians(angle)) + dy * math.sin(math.radians(angle))
        v = -dx * math.sin(math.radians(angle)) + dy * math.cos(math.radians(angle))
        fringe = 0.5 + 0.5 * np.cos(u / 3.2)
        light += 0.012 * kernel.strength * fringe * np.exp(-((v / 5) ** 2) - np.abs(u) / 180)
    bloom = np.exp(-((dx / 6) ** 2)) * (np.abs(dy) < 30 + 190 * kernel.strength)
    light += 0.25 * kernel.strength**2 * bloom
    return (light * peak).astype("f4")


def _regions(day: float) -> list[tuple[float, float, float, float]]:
    """Active regions near the disk: longitude and latitude (degrees), width (arcsec), strength."""
    found = []
    for rotation in range(math.floor(day / 27.27) - 1, math.floor(day / 27.27) + 2):
        rng = np.random.default_rng([131, rotation + 10_000])
        for _ in range(9):
            carrington = rng.uniform(0, 360)
            latitude = rng.choice([-1, 1]) * rng.normal(15, 4)
            width, strength = rng.uniform(26, 62), rng.uniform(0.5, 1.6)
            longitude = (day - 27.27 * rotation) * _ROTATION - carrington
            if abs(longitude) < 97:
                found.append((longitude, latitude, width, strength))
    return found


def _filament(x: np.ndarray, y: np.ndarray, length: float, tilt: float) -> np.ndarray:
    """A dark thread: 1 on its spine, 0 away from it; all in solar radii and radians."""
    along = x * math.cos(tilt) + y * math.sin(tilt)
    across = y * math.cos(tilt) - x * math.sin(tilt) + 0.5 * along * along / length
    return np.exp(-((across / 0.018) ** 2) - (along / length) ** 4)


def _region(
    x: np.ndarray, y: np.ndarray, limb: float, longitude: float, latitude: float, width: float
) -> np.ndarray:
    """Two feet, a bright core between them, and loops that fan out; 1 at its brightest."""
    lon, lat = math.radians(longitude), math.radians(latitude)
    cx, cy = limb * math.cos(lat) * math.sin(lon), limb * math.sin(lat)
    squeeze = max(math.cos(lon), 0.28)
    dx, dy = (x - np.float32(cx)) / np.float32(squeeze), y - np.float32(cy)
    dx, dy = dx / np.float32(width), dy / np.float32(width)
    light = 0.55 * np.exp(-(dx * dx + dy * dy)) + 0.18 * np.exp(-np.sqrt(dx * dx + dy * dy) / 1.6)
    # Joy's law: the leading foot lies nearer the equator.
    tilt = math.copysign(0.25, latitude)
    u, v = dx * math.cos(tilt) - dy * math.sin(tilt), dx * math.sin(tilt) + dy * math.cos(tilt)
    for foot in (-0.9, 0.9):
        light += 0.5 * np.exp(-(((u - foot) ** 2 + v * v) / 0.09))
    for index in range(10):
        rise, lean = 0.25 + 0.28 * index, (index % 5 - 2) * 0.25
        arch = rise * np.clip(1 - (u / (0.9 + 0.08 * index)) ** 2, 0, None)
        for side in (-1, 1):
            ridge = (side * v + lean * u - arch) / 0.06
            inside = np.abs(u) < 0.9 + 0.08 * index
            light += 0.42 / (1 + 0.35 * index) * np.exp(-ridge * ridge) * inside
    return light.astype("f4")


def _texture(size: int, seed: int) -> np.ndarray:
    """Mottles of several scales around 1, float32 of (size, size)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), dtype="f4")
    for cells, weight in ((12, 0.30), (48, 0.30), (128, 0.28)):
        total += np.float32(weight) * _smooth(rng.standard_normal((cells, cells)), size)
    return np.exp(total * np.float32(0.6))


def _smooth(coarse: np.ndarray, size: int) -> np.ndarray:
    """A coarse square array stretched to (size, size), linear in between."""
    at = np.linspace(0, len(coarse) - 1, size)
    low = np.minimum(at.astype(int), len(coarse) - 2)
    part = (at - low).astype("f4")
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    return (rows[:, low] * (1 - part) + rows[:, low + 1] * part).astype("f4")
