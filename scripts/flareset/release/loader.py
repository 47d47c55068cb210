"""Images and labels for training. Needs numpy, pandas, and astropy if there are only FITS files."""

import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd


class Images:
    """A map-style data set: `images[n]` is an image and its label.

    Images are float32, with NaN for missing pixels. With `channels`, like (131, 171), an image is a
    stack of these channels of one slot; slots without all of them are left out.
    """

    def __init__(self, folder, split=None, column="split", channels=()):
        self.folder, self.names, labels, self.tars = Path(folder), [], [], {}
        table = pd.read_csv(self.folder / "images.csv", keep_default_na=False)
        if unknown := {*channels} - {*table["wavelength"]}:
            raise ValueError(f"no image of the release is at {sorted(unknown)} angstrom")
        if split and split not in {*table[column]}:
            raise ValueError(f"no image of the release has {column} {split!r}")
        table = table[table[column] == split] if split else table
        for _, rows in table.groupby(["event_id", "slot"] if channels else "filename"):
            names = dict(zip(rows["wavelength"], rows["filename"], strict=True))
            if names.keys() >= {*channels}:
                self.names.append([names[each] for each in channels or names])
                labels.append(rows["label"].max())
        self.labels = np.array(labels)
        for path in sorted(self.folder.glob("data/webdataset/*.tar")):
            with tarfile.open(path) as tar:
                self.tars |= {m.name: (path, m.offset_data, m.size) for m in tar}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, n):
        images = [self._read(name).astype(np.float32) for name in self.names[n]]
        return np.stack(images) if len(images) > 1 else images[0], self.labels[n]

    def _read(self, name):
        if not self.tars:
            from astropy.io import fits

            return fits.getdata(self.folder / "data/fits" / name)
        key = re.sub(r"[^\w-]", "_", name.removesuffix(".fits"))
        path, start, size = self.tars[f"{key}.npy"]
        with open(path, "rb") as file:
            file.seek(start)
            pixels = np.load(io.BytesIO(file.read(size)))
        return np.where(pixels == -32768, np.float32("nan"), pixels)
