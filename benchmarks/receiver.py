"""Try a release as whoever gets it: verify, load by its loader, train a tiny model, judge it.

The model is a logistic regression on what little a picture of few pixels says, trained by batches
for one epoch: no good model, but the same under each split.

    python benchmarks/receiver.py results/release/<name>-<version>
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_SIDE, _BATCH, _STEP = 8, 8, 0.1


def verify(release: Path) -> int:
    """Return how many files are what the manifests of a release say. AssertionError: one is not."""
    lines = (release / "manifest-sha256.txt").read_text().splitlines()
    lines += (release / "tagmanifest-sha256.txt").read_text().splitlines()
    for line in lines:
        expected, path = line.split("  ", 1)
        assert hashlib.sha256((release / path).read_bytes()).hexdigest() == expected, path
    return len(lines)


def loader_of(release: Path) -> ModuleType:
    """Return the loader of a release."""
    spec = importlib.util.spec_from_file_location("loader", release / "loader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def features(images: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model sees of each image, a row, and the labels.

    That is the logarithm of the highest pixel of each of 8 x 8 blocks, less the image's median.
    """
    rows = []
    for n in range(len(images)):
        pixels, _ = images[n]
        side = pixels.shape[0] // _SIDE
        cut = pixels[: side * _SIDE, : side * _SIDE].reshape(_SIDE, side, _SIDE, side)
        highest = np.log1p(np.clip(cut.max(axis=(1, 3)), 0, None)).ravel()
        rows.append(highest - np.median(highest))
    return np.array(rows), images.labels


def scaled(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return features in standard deviations of those of training, and a one for the offset."""
    return np.c_[(x - like.mean(axis=0)) / (like.std(axis=0) + 0.1), np.ones(len(x))]


def trained(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weights after one epoch."""
    weights = np.zeros(x.shape[1])
    for batch in _batches(len(x)):
        p = 1 / (1 + np.exp(-x[batch] @ weights))
        weights += _STEP * x[batch].T @ (y[batch] - p) / len(batch)
    return weights


def _batches(count: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng(7).permutation(count)
    yield from np.array_split(order, max(1, count // _BATCH))


def skill(labels: np.ndarray, said: np.ndarray) -> float:
    """Return the true skill statistic: recall less false alarms."""
    return float(said[labels == 1].mean() - said[labels == 0].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path)
    args = parser.parse_args()
    found: dict[str, Any] = {"files as their manifests say": verify(args.release)}
    loader = loader_of(args.release)
    for column in ("split", "split_leaky"):
        sets = [loader.Images(args.release, split, column) for split in ("train", "test")]
        (x, y), (x_test, y_test) = map(features, sets)
        x, x_test = scaled(x, like=x), scaled(x_test, like=x)
        weights = trained(x, y)
        found[column] = {
            "train": len(y),
            "test": len(y_test),
            "TSS": round(skill(y_test, x_test @ weights > 0), 3),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
