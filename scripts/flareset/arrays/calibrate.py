"""From the drawn images of an event and channel to arrays, and a row of what was done to each."""

from __future__ import annotations

import hashlib
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flareset.arrays.degradation import Responses
from flareset.arrays.frame import (
    SATURATED,
    Frame,
    as_integers,
    block_mean,
    crop,
    frame_of,
    refuse_unregistered,
    scaled,
)
from flareset.arrays.registration import Registration
from flareset.campaign.config import Arrays
from flareset.campaign.events import Event
from flareset.errors import ArraysError, FlaresetError
from flareset.proof.image import read_image
from flareset.sdo.exposure import seconds_of
from flareset.sdo.geometry import seen_later
from flareset.sdo.times import parse_utc
from flareset.tables.images import key_of

ZARR = "zarr>=3"
_KEYS = ("event_id", "wavelength", "filename", "slot")
# Bytes in a shard of Zarr, about: it is made in memory.
_SHARD = 2**28


class Calibration:
    """What is done to each image of an event, whatever the order of `steps`."""

    def __init__(
        self,
        event: Event,
        settings: Arrays,
        responses: Responses | None = None,
        registration: Registration | None = None,
    ) -> None:
        self._event = event
        self._settings = settings
        self._responses = responses
        self._registration = registration
        self._done = {*settings.steps}
        if "crop" in self._done and (event.hpc_x is None or event.hpc_y is None):
            raise ArraysError(f"{event.event_id}: its row has no hpc_x, hpc_y to crop around")

    def of(self, path: Path, row: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the array of an image, and the columns of its row. Raises FlaresetError."""
        header, raw = read_image(path)
        frame = frame_of(header, raw)
        if self._settings.register_by == "jsoc":
            refuse_unregistered(frame)
        if self._registration:
            frame = self._registration.registered(frame, header, row.wavelength)
        when = parse_utc(row.time)
        frame = self._cropped(frame, when)
        facts: dict[str, Any] = {
            "saturated": int((frame.pixels > SATURATED - 0.5).sum()),
            "missing": int(np.isnan(frame.pixels).sum()),
            "exposure_factor": self._exposure(row),
            "degradation_factor": self._degradation(row.wavelength, when),
        }
        factor = facts["exposure_factor"] * facts["degradation_factor"]
        # In this order, whole numbers are added before anything is rounded.
        frame = scaled(self._reduced(frame), factor)
        pixels = as_integers(frame.pixels) if self._settings.dtype == "int16" else frame.pixels
        facts |= {"CRPIX1": frame.crpix[0], "CRPIX2": frame.crpix[1]}
        facts |= {"CDELT1": frame.cdelt[0], "CDELT2": frame.cdelt[1], "CROTA2": frame.crota}
        return pixels, facts | _statistics(frame.pixels)

    def _cropped(self, frame: Frame, when: Any) -> Frame:
        if "crop" not in self._done:
            return frame
        side = round(self._settings.box / frame.cdelt[0])
        size = self._settings.size if "block_mean" in self._done else 1
        if side < size:
            raise ArraysError(
                f"arrays.box: {self._settings.box:g} arcsec are {side} of this frame's"
                f" {frame.pixels.shape[0]} pixels a side, fewer than arrays.size, {size}: make box"
                " larger or size smaller, or in a rehearsal archive.frame_size larger"
            )
        # Whole blocks, so that the box is no smaller.
        side = size * -(-side // size)
        event = self._event
        then = event.flare_peak or event.flare_start
        return crop(frame, seen_later((event.hpc_x, event.hpc_y), then, when), side)

    def _reduced(self, frame: Frame) -> Frame:
        if "block_mean" not in self._done:
            return frame
        side = frame.pixels.shape[0]
        if side % self._settings.size:
            raise ArraysError(
                f"arrays.size: {self._settings.size} is no whole part of its {side} pixels"
            )
        return block_mean(frame, side // self._settings.size)

    def _exposure(self, row: Any) -> float:
        if "exposure" not in self._done:
            return 1.0
        seconds = float(seconds_of(row.AIMGSHCE, row.EXPTIME) or 0)
        if not seconds:
            raise ArraysError("neither EXPTIME nor AIMGSHCE says how long it was exposed")
        return 1 / seconds

    def _degradation(self, wavelength: int, when: Any) -> float:
        return 1 / self._responses.factor(wavelength, when) if self._responses else 1.0


def _statistics(pixels: np.ndarray) -> dict[str, float]:
    there = pixels[np.isfinite(pixels)]
    if not there.size:
        return {"min": np.nan, "max": np.nan, "mean": np.nan}
    return {"min": there.min(), "max": there.max(), "mean": there.mean(dtype=np.float64)}


def read_sample(path: Path) -> pd.DataFrame:
    """Return a sample.csv; but for the wavelength, all is text."""
    kinds = defaultdict(lambda: "str", wavelength="int64")
    return pd.read_csv(path, dtype=kinds, keep_default_na=False)


def write_arrays(
    samples: pd.DataFrame, calibration: Calibration, store: Path, folder: Path, form: str
) -> pd.DataFrame:
    """Write an array per image into a new folder; return a row of each.

    `npy`: a file per image; `zarr`: one array (image, row, column), in the order of the rows.
    Raises ArraysError, with the name of the image.
    """
    rows: list[dict[str, Any]] = []

    def made() -> Iterator[tuple[str, np.ndarray]]:
        for n, row in enumerate(samples.itertuples()):
            try:
                pixels, facts = calibration.of(store / row.path, row)
            except FlaresetError as error:
                raise ArraysError(f"{row.filename}: {error}") from error
            told = {key: getattr(row, key) for key in _KEYS}
            name = f"{key_of(row.filename)}.npy" if form == "npy" else str(n)
            sum_ = hashlib.sha256(pixels.tobytes()).hexdigest()
            rows.append({**told, "array": name, **facts, "pixels_sha256": sum_})
            yield name, pixels

    folder.mkdir(parents=True)
    _WRITERS[form](folder, made(), len(samples))
    return pd.DataFrame(rows)


def _write_npy(folder: Path, arrays: Iterator[tuple[str, np.ndarray]], _: int) -> None:
    for name, pixels in arrays:
        np.save(folder / name, pixels)


def _write_zarr(folder: Path, arrays: Iterator[tuple[str, np.ndarray]], count: int) -> None:
    try:
        zarr = importlib.import_module("zarr")
    except ImportError:
        raise ArraysError(
            f"arrays.format: zarr needs zarr: .venv/bin/python -m pip install '{ZARR}'"
        ) from None
    whole, waiting, start = None, [], 0
    for _, pixels in arrays:
        if whole is None:
            together = max(1, min(count, _SHARD // pixels.nbytes))
            whole = zarr.create_array(
                folder,
                shape=(count, *pixels.shape),
                dtype=pixels.dtype,
                chunks=(1, *pixels.shape),
                shards=(together, *pixels.shape),
                compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
                dimension_names=("image", "row", "column"),
            )
        elif pixels.shape != whole.shape[1:]:
            raise ArraysError(f"image {start + len(waiting)} has another size: crop them to one")
        waiting.append(pixels)
        if len(waiting) == together or start + len(waiting) == count:
            whole[start : start + len(waiting)] = np.stack(waiting)
            start, waiting = start + len(waiting), []


_WRITERS: dict[str, Callable[[Path, Iterator[tuple[str, np.ndarray]], int], None]] = {
    "npy": _write_npy,
    "zarr": _write_zarr,
}
