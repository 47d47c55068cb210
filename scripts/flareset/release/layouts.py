"""The layouts of a release. Each function writes one layout into the bag."""

from __future__ import annotations

import importlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits as astropy_fits

from flareset import __version__
from flareset.errors import ReleaseError
from flareset.release.bag import Bag
from flareset.release.contents import INTEGERS, NUMBERS, SPLITS, Contents

# The package that a layout needs besides the base install, as in the extras of pyproject.toml.
EXTRAS = {"parquet": "pyarrow>=20", "zarr": "zarr>=3", "asdf": "asdf>=4"}
# Layouts that publish the images' headers.
WITH_HEADERS = {"fits", "asdf"}
_BLOCK = 2880
# The images in a row group of Parquet, and the largest side of a chunk of Zarr.
_ROWS, _CHUNK = 32, 1024


def needed(layout: str) -> ModuleType | None:
    """Return the library of a layout; None if the base install has all that it needs.

    Raises ReleaseError if the library is not installed.
    """
    if layout not in EXTRAS:
        return None
    name = EXTRAS[layout].partition(">")[0]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ReleaseError(
            f"release.layouts: {layout} needs {name}: .venv/bin/python -m pip install"
            f" '{EXTRAS[layout]}'"
        ) from None


def write_fits(contents: Contents, bag: Bag, _: int) -> None:
    """Link the images under JSOC's names."""
    files = contents.files
    sources = {name: contents.path(name) for name in files["filename"]}
    bag.link("data/fits", sources, dict(zip(files["filename"], files["sha256"], strict=True)))
    for row in files.itertuples():
        if (size := bag.sizes[f"data/fits/{row.filename}"]) != row.bytes:
            raise ReleaseError(
                f"{row.filename} has {size} bytes, and had {row.bytes} when it was verified:"
                " run `snakemake repair`"
            )


def header_text(path: Path) -> str:
    """Return the text of a file's headers up to its first pixels."""
    text = b""
    with open(path, "rb") as file:
        while (block := file.read(_BLOCK)) and block.isascii() and b"\0" not in block:
            text += block
    return text.decode()


def write_webdataset(contents: Contents, bag: Bag, shard_size: int) -> None:
    """Write tars of samples: `<split>-<shard>.tar` with `<key>.npy`, `.cls` and `.json`."""
    for name, rows in _shards(contents, shard_size):
        with (
            bag.open(f"data/webdataset/{name}.tar") as out,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar,
        ):
            for row in rows:
                told = {key: value for key, value in row.items() if key not in ("key", "label")}
                pixels = io.BytesIO()
                np.save(pixels, contents.pixels(row))
                _add(tar, f"{row['key']}.cls", str(row["label"]).encode())
                _add(tar, f"{row['key']}.json", json.dumps(told).encode())
                _add(tar, f"{row['key']}.npy", pixels.getvalue())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def write_parquet(contents: Contents, bag: Bag, shard_size: int) -> None:
    """Write `<split>-<shard>.parquet`: a row per image with its pixels, label and columns."""
    pa = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    columns = [name for name in contents.files if name not in ("key", "label")]
    for name, rows in _shards(contents, shard_size):
        file = f"data/parquet/{name}.parquet"
        with bag.open(file) as out:
            writer = None
            for batch in _batches(rows, _ROWS):
                pixels = [contents.pixels(row) for row in batch]
                table = _arrow_table(pa, batch, pixels, columns)
                writer = writer or parquet.ParquetWriter(
                    pa.PythonFile(out, mode="w"), table.schema, compression="zstd"
                )
                writer.write_table(table)
            writer.close()


def _arrow_table(
    pa: ModuleType, rows: list[dict[str, Any]], pixels: list[np.ndarray], columns: list[str]
) -> Any:
    """Return rows as a table that `datasets` reads: images as lists of numbers, named labels."""
    images = _nested(pa, pixels)
    kinds = {name: _arrow_kind(pa, name) for name in columns}
    texts = {name: pa.array([row[name] for row in rows], kinds[name]) for name in columns}
    labels = pa.array([row["label"] for row in rows], pa.int64())
    table = pa.table({"image": images, "label": labels, **texts})
    number = {"dtype": str(pixels[0].dtype), "_type": "Value"}
    features = {
        "image": {"feature": {"feature": number, "_type": "List"}, "_type": "List"},
        "label": {"names": ["no flare", "flare"], "_type": "ClassLabel"},
        **{name: {"dtype": str(kind), "_type": "Value"} for name, kind in kinds.items()},
    }
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata(described)


def _nested(pa: ModuleType, pixels: list[np.ndarray]) -> Any:
    """Return images of any shape as a list of lists of numbers."""
    widths = np.concatenate([np.full(each.shape[0], each.shape[1]) for each in pixels])
    heights = [each.shape[0] for each in pixels]
    flat = pa.array(np.concatenate([each.ravel() for each in pixels]))
    rows = pa.ListArray.from_arrays(_offsets(pa, widths), flat)
    return pa.ListArray.from_arrays(_offsets(pa, heights), rows)


def _offsets(pa: ModuleType, lengths: Iterable[int]) -> Any:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _arrow_kind(pa: ModuleType, column: str) -> Any:
    if column in INTEGERS:
        return pa.int64()
    return pa.float64() if column in NUMBERS else pa.string()


def write_zarr(contents: Contents, bag: Bag, shard_size: int) -> None:
    """Write an array (image, row, column) per flare and channel; its attributes name the images."""
    zarr = importlib.import_module("zarr")
    top = "data/zarr"
    root = zarr.create_group(bag.folder / top)
    for (event, wavelength), rows in contents.images.groupby(["event_id", "wavelength"]):
        names = list(rows["filename"])
        first = contents.pixels(rows.iloc[0])
        height, width = first.shape
        together = max(1, min(len(names), shard_size // first.nbytes))
        chunk = (1, min(height, _CHUNK), min(width, _CHUNK))
        # A shard must consist of whole chunks.
        shard = (
            together,
            *(-(-side // part) * part for side, part in zip(first.shape, chunk[1:], strict=True)),
        )
        codec = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
        array = root.create_array(
            f"{event}/{wavelength}",
            shape=(len(names), height, width),
            dtype=first.dtype,
            chunks=chunk,
            shards=shard,
            compressors=codec,
            attributes=_attributes(rows),
            dimension_names=("image", "row", "column"),
        )
        for start in range(0, len(names), together):
            batch = rows.iloc[start : start + together].to_dict("records")
            stack = [contents.pixels(row) for row in batch]
            if {each.shape for each in stack} != {first.shape}:
                raise ReleaseError(
                    f"zarr: the images of {event} at {wavelength} differ in size: leave the layout"
                    " out, or export cut-outs of one size"
                )
            array[start : start + len(stack)] = np.stack(stack)
    for path in sorted((bag.folder / top).rglob("*")):
        if path.is_file():
            bag.add(path.relative_to(bag.folder).as_posix())


def _attributes(rows: pd.DataFrame) -> dict[str, list[Any]]:
    columns = ["filename", "label", "slot", "time", "split", "sha256"]
    return {name: rows[name].tolist() for name in columns}


def write_asdf(contents: Contents, bag: Bag, _: int) -> None:
    """Write `<key>.asdf`: a tree of header, data, flare, label and provenance per image."""
    asdf = importlib.import_module("asdf")
    for row in _rows(contents.files):
        header, pixels = contents.header(row), contents.pixels(row)
        tree = {
            "header": _header_tree(header),
            "data": pixels,
            "flare": {name: row[name] for name in ["event_id", *contents.event_columns]},
            "label": row["label"],
            "provenance": {
                "software": f"flareset {__version__}",
                **{name: row[name] for name in ("filename", "record", "proof", "sha256", "split")},
            },
        }
        with bag.open(f"data/asdf/{row['key']}.asdf") as out:
            whole = io.BytesIO()
            asdf.AsdfFile(tree).write_to(whole, all_array_compression="zlib")
            out.write(whole.getvalue())


def _header_tree(header: astropy_fits.Header) -> dict[str, Any]:
    """Return a header's values. Repeated cards, like COMMENT, become one text."""
    return {
        key: str(header[key]) if key in ("COMMENT", "HISTORY", "") else header[key]
        for key in dict.fromkeys(header)
    }


def _shards(contents: Contents, shard_size: int) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield `<split>-<shard>` and the rows of its files, shuffled by their sha256.

    A shard has as many images of the first image's size as fit in `shard_size` bytes.
    """
    files = contents.files
    for split in SPLITS:
        rows = files[files["split"] == split].sort_values("sha256", ignore_index=True)
        if rows.empty:
            continue
        bytes_each = contents.pixels(rows.iloc[0]).nbytes
        together = max(1, shard_size // bytes_each)
        for number, start in enumerate(range(0, len(rows), together)):
            yield f"{split}-{number:06}", _rows(rows.iloc[start : start + together])


def _rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield rows as plain values. Missing values are None."""
    for row in table.astype("object").where(table.notna(), None).to_dict("records"):
        yield {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}


def _batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


WRITERS: dict[str, Callable[[Contents, Bag, int], None]] = {
    "fits": write_fits,
    "webdataset": write_webdataset,
    "parquet": write_parquet,
    "zarr": write_zarr,
    "asdf": write_asdf,
}
