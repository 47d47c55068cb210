"""A made-up Sun as AIA and HMI would see it.

Plausible, not physical: a limb, a corona, active regions that rotate with the Sun, holes at the
poles, and a flare with loops, a bright kernel, blooming and the mesh's diffraction cross; for HMI
the regions' magnetic field, spots and the Sun's rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from flareset.sdo.geometry import solar_radius_arcsec
from flareset.standin.regions import ROTATION

EPOCH = datetime(2010, 5, 1, tzinfo=UTC)
FULL_SIZE = 4096
FULL_SCALE = 0.6  # arcsec per pixel of a full frame of AIA
HMI_SCALE = 0.504
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
# An active region: longitude, latitude (degrees), width (arcsec), strength.
Active = tuple[float, float, float, float]


@dataclass(frozen=True)
class Kernel:
    """A flare in a frame: its place (arcsec from Sun centre) and strength, 0 to 1."""

    x: float
    y: float
    strength: float


def _grid(size: int, full_scale: float = FULL_SCALE) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's position (arcsec): x along a row, y up a column, as float32."""
    scale = full_scale * FULL_SIZE / size
    axis = (np.arange(size, dtype="f4") - np.float32((size - 1) / 2)) * np.float32(scale)
    return axis[None, :], axis[:, None]


def _radius(day: float) -> float:
    return solar_radius_arcsec(EPOCH + timedelta(days=day))


def rates(size: int, wavelength: int, day: float, kernel: Kernel | None) -> np.ndarray:
    """Return the Sun in DN/s, float32 of (size, size). `day` counts from 1 May 2010.

    It is computed on at most 1024 pixels a side and stretched to `size`.
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
    limb = np.float32(_radius(day))
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


def hmi(size: int, segment: str, day: float, more: tuple[Active, ...] = ()) -> np.ndarray:
    """Return the Sun in a segment of HMI in its unit, north up, float32 of (size, size).

    `more` has regions besides those that are made up. Pixels off the disk are NaN. It is computed
    on at most 1024 pixels a side and stretched.
    """
    coarse = min(size, 1024)
    x, y = _grid(coarse, HMI_SCALE)
    limb = np.float32(_radius(day))
    field = _field(coarse, day, more)
    mu = np.sqrt(np.clip(1 - (x * x + y * y) / limb**2, 0, 1))
    active = np.abs(field) > 200
    match segment:
        case "magnetogram" | "Br":
            values = field * mu
        case "Dopplergram":
            values = 2000 * (x / limb) + 250 * (_texture(coarse, seed=5) - 1)
        case "continuum":
            spots = np.exp(-((field / 900) ** 2))
            values = 50_000 * (0.35 + 0.65 * mu) * (0.25 + 0.75 * spots)
        case "field":
            values = 80 + 1.3 * np.abs(field)
        case "inclination":
            values = 90 - 75 * np.tanh(field / 300)
        case "azimuth":
            values = 180 * (0.5 + 0.5 * np.sin(3 * _texture(coarse, seed=6)))
        case "disambig":
            values = 7 * (_texture(coarse, seed=7) > 1) + 0 * mu
        case "conf_disambig":
            values = np.where(active, 90, 60) + 0 * mu
        case "bitmap":
            values = np.where(active, 34, 1) + 0 * mu
        case _:  # Bp, Bt
            values = field * (0.3 if segment == "Bp" else -0.2)
    values = values.astype("f4") if coarse == size else _smooth(values.astype("f4"), size)
    x, y = _grid(size, HMI_SCALE)
    return np.where(x * x + y * y < limb**2, values, np.float32("nan"))


@lru_cache(maxsize=4)
def _field(size: int, day: float, more: tuple[Active, ...]) -> np.ndarray:
    """Return the line-of-sight field (gauss): two feet of either sign per region, and a network."""
    x, y = _grid(size, HMI_SCALE)
    limb = _radius(day)
    field = 40 * (_texture(size, seed=6173) - 1)
    for longitude, latitude, width, strength in (*_regions(day), *more):
        if abs(longitude) > 85:
            continue
        # Hale's law: the leading foot has the hemisphere's sign.
        sign = math.copysign(1, latitude)
        for side in (-1, 1):
            lon, lat = math.radians(longitude + 3 * side), math.radians(latitude)
            dx = (x - limb * math.cos(lat) * math.sin(lon)) / max(math.cos(lon), 0.2)
            dy = y - limb * math.sin(lat)
            field += side * sign * 1500 * strength * np.exp(-(dx * dx + dy * dy) / width**2)
    return field.astype("f4")


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


def _regions(day: float) -> list[Active]:
    """Return regions near the disk."""
    found: list[Active] = []
    for rotation in range(math.floor(day / 27.27) - 1, math.floor(day / 27.27) + 2):
        rng = np.random.default_rng([131, rotation + 10_000])
        for _ in range(9):
            carrington = rng.uniform(0, 360)
            latitude = rng.choice([-1, 1]) * rng.normal(15, 4)
            width, strength = rng.uniform(26, 62), rng.uniform(0.5, 1.6)
            longitude = (day - 27.27 * rotation) * ROTATION - carrington
            if abs(longitude) < 97:
                found.append((longitude, latitude, width, strength))
    return found


def _filament(x: np.ndarray, y: np.ndarray, length: float, tilt: float) -> np.ndarray:
    """Return a dark thread: 1 on its spine, 0 away from it. Lengths in solar radii, tilt in rad."""
    along = x * math.cos(tilt) + y * math.sin(tilt)
    across = y * math.cos(tilt) - x * math.sin(tilt) + 0.5 * along * along / length
    return np.exp(-((across / 0.018) ** 2) - (along / length) ** 4)


def _region(
    x: np.ndarray, y: np.ndarray, limb: float, longitude: float, latitude: float, width: float
) -> np.ndarray:
    """Return a region: two feet, a bright core, and loops that fan out; 1 at its brightest."""
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
    """Return mottles of several scales around 1, float32 of (size, size)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), dtype="f4")
    for cells, weight in ((12, 0.30), (48, 0.30), (128, 0.28)):
        total += np.float32(weight) * _smooth(rng.standard_normal((cells, cells)), size)
    return np.exp(total * np.float32(0.6))


def _smooth(coarse: np.ndarray, size: int) -> np.ndarray:
    """Return a coarse square array stretched to (size, size) by linear interpolation."""
    at = np.linspace(0, len(coarse) - 1, size)
    low = np.minimum(at.astype(int), len(coarse) - 2)
    part = (at - low).astype("f4")
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    return (rows[:, low] * (1 - part) + rows[:, low + 1] * part).astype("f4")
