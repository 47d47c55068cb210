"""A made-up flare: its row, its saved export page, and its images as files of their own."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso
from flareset.standin import catalogue
from flareset.standin.frames import Frames

ID = "flare"
# The stand-in's frames of this channel weigh 12.4 MB, since there is more light, and so more noise,
# than at 131 A: those weigh 9.0 MB.
WAVELENGTH = 171
# The flare of 2014-01-07: of the 460 minutes of its window, 178 come before it and 178 after it.
REAL_IMAGES = 2300
_BEFORE, _WINDOW = 178, 460
_BEGIN = datetime(2014, 1, 7, 15, 7, tzinfo=UTC)
_SERIES = SERIES["aia.lev1_euv_12s"]
# One folder whatever the number of images, so that files made once do for all.
_FOLDER = "/SUM1/D1000000000/S00000"


@dataclass(frozen=True)
class MadeFlare:
    """A flare with `images` images in its window, all else in proportion to the real one's 2300."""

    images: int

    @cached_property
    def records(self) -> list[catalogue.Record]:
        """The records of the images, in the order of time."""
        # Some slots have no image.
        span = timedelta(seconds=_SERIES.cadence) * (self.images * 1.05 + 10)
        asked = window_recordset(_SERIES, _BEGIN, _BEGIN + span, [WAVELENGTH])
        found = catalogue.records(str(asked), Frames(128, []))
        there = [record for record in found if record.has_image and record.time >= _BEGIN]
        return there[: self.images]

    @property
    def names(self) -> list[str]:
        """The names of the images."""
        return [record.frame("image").name for record in self.records]

    def urls(self, base: str) -> list[str]:
        """Where the images are, on a server of the folder that they were written to."""
        return [f"{base}{_FOLDER}/{name}" for name in self.names]

    @property
    def times(self) -> tuple[datetime, datetime, datetime, datetime]:
        """Beginning of the window, of the flare, end of the flare, of the window."""
        end = self.records[-1].time
        before = (end - _BEGIN) * (_BEFORE / _WINDOW)
        start, stop = (time.replace(microsecond=0) for time in (_BEGIN + before, end - before))
        return _BEGIN, start, stop, end

    @property
    def drawn_beside(self) -> int:
        """How many images are drawn before the flare, and how many after it."""
        return round(self.images * _BEFORE / REAL_IMAGES)

    def campaign(self, folder: Path, archive: dict[str, Any]) -> dict[str, Any]:
        """A config of this flare alone, its CSV and saved page written to `folder`."""
        begin, start, stop, end = self.times
        row = {
            "event_id": ID, "event_starttime": iso(start), "event_endtime": iso(stop),
            "jsoc_start_time": iso(begin), "jsoc_end_time": iso(end),
        }  # fmt: skip
        (folder / "events.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
        asked = str(window_recordset(_SERIES, begin, end, [WAVELENGTH]))
        made = replace(catalogue.export(asked, 4096), folder=_FOLDER)
        (folder / f"{ID}.html").write_text(catalogue.listing_page(made))
        beside = self.drawn_beside
        return {
            "events": str(folder / "events.csv"),
            "export_pages": str(folder),
            "wavelengths": [WAVELENGTH],
            "archive": {"kind": "jsoc", **archive},
            "sample": {"seed": 1, "per_minute": 1, "pre": beside, "post": beside},
        }

    def write_files(self, root: Path, frame_size: int) -> list[Path]:
        """Write the images that are not there yet, as a server of `root` shows them; their paths.

        The sky has no flare in it: all frames are exposed alike and weigh the same.
        """
        frames = Frames(frame_size, [])
        folder = root / _FOLDER[1:]
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in self.names]
        missing = [not path.exists() for path in paths]
        check_room(root, round(sum(missing) * 0.75 * frame_size**2))
        for record, path in compress(zip(self.records, paths, strict=True), missing):
            part = path.with_suffix(".part")
            part.write_bytes(b"".join(frames.file(record.frame("image"))))
            os.replace(part, path)
        return paths


def check_room(folder: Path, size: int) -> None:
    """End the script where so many bytes do not go into a folder."""
    if shutil.disk_usage(folder).free < 1.1 * size:
        sys.exit(f"{folder}: no room for {size / 1e9:.1f} GB; choose another folder")
