"""The content of a finished export of the stand-in: its rows, index files, files and tar.

Formats: jsoc_export_make_index.c, jsoc_export_as_fits.c, jsoc_export_as_is.c, exputil.c of JSOC.
"""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import IO, Any

from flareset.standin.drmstime import moment, printed, scan, seconds_of
from flareset.standin.faults import CHANGED, FILE_FAULTS, Fault, damaged, mistaken
from flareset.standin.forms import Form
from flareset.standin.frames import Frame, Frames
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import Record
from flareset.standin.slots import slots_of
from flareset.standin.steps import Step, listed, processed_series
from flareset.standin.wire import index_html, index_json, index_txt, proc_steps_txt

NO_FILE = "NoDataFile"
_NOTHING = "warning=No FITS files were exported. The requested FITS files no longer exist."
_DEFAULT = "{seriesname}.{recnum:%lld}.{segment}"
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_TIME_LAYOUT = re.compile(r"([A-Za-z]?)(\d?)(?:,(\w+))?")
_INTEGER = re.compile(r"%(0?\d*)l*([di])")
_LONGEST_NAME = 255
_MADE = 1735689600


@dataclass(frozen=True)
class Item:
    """A row of an export, and the source of its file."""

    record: str
    name: str
    source: Record | None
    segment: str
    steps: tuple[Step, ...] = ()


class Product:
    """A finished export. `faults` are the kinds and patterns of its faults."""

    def __init__(
        self,
        requestid: str,
        form: Form,
        folder: str,
        exptime: datetime,
        holdings: Holdings,
        faults: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.requestid = requestid
        self.form = form
        self.folder = folder
        self.exptime = exptime
        self._holdings = holdings
        self._faults = faults
        self._tars: dict[tuple[str, ...], IO[bytes]] = {}
        self._lock = threading.Lock()

    @cached_property
    def items(self) -> list[Item]:
        """The rows of the export, including those with `NoDataFile` or an empty name."""
        made: list[Item] = []
        for item in self._whole():
            text = f"{item.record} {item.name}"
            kinds = {kind for kind, pattern in self._faults if re.search(pattern, text)}
            if "missing" in kinds:
                continue
            name = NO_FILE if "nodata" in kinds else "" if "noname" in kinds else item.name
            steps = () if "unprocessed" in kinds else item.steps
            made.append(Item(item.record, name, item.source, item.segment, steps))
        return made

    @cached_property
    def index(self) -> dict[str, bytes]:
        """The index files and other files that JSOC leaves beside the data, by name."""
        form, summary, rows = self.form, self._summary(), self._rows()
        series = self._holdings.subsets(form.ds)[0][0].series
        dataset = form.dataset(self._holdings)
        steps = listed(form.steps, dataset, series, self.requestid, self._holdings.frames.size)
        texts = {
            "index.html": index_html(summary, rows, steps),
            "index.json": index_json(summary, rows),
            "index.txt": index_txt(summary, rows, steps),
            f"{self.requestid}.qsub": f"#! /bin/csh\n# {self.requestid}, flareset stand-in\n",
            f"{self.requestid}.drmsrun": f"#! /bin/csh\n# {self.requestid}\n",
            f"{self.requestid}.emlog": "",
            f"{self.requestid}.runlog": f"{dataset}\n",
        }
        if steps:
            texts["proc-steps.txt"] = proc_steps_txt(steps)
        if form.kind == "as-is":
            texts[f"{self.requestid}.keywords.txt"] = self._keywords_text()
        return {name: text.encode("latin-1", "replace") for name, text in texts.items()}

    def members(self, name: str) -> list[str] | None:
        """Return the names of the data files in the tar `name`; None if it is another file."""
        packed = self.form.method == "url-tar" and name == self.tar_name
        return [*self._by_name] if packed else None

    def file(self, name: str, fault: str = "") -> list[bytes] | None:
        """Return a file of the folder (but the tar) in pieces, after a fault of its bytes.

        None if there is no such file: members of the tar are not in the folder.
        """
        packed = self.form.method == "url-tar"
        if name in self.index and (not packed or name.startswith(("index.", self.requestid))):
            return damaged([self.index[name]], fault)
        return None if packed else self._data(name, fault)

    def _data(self, name: str, fault: str) -> list[bytes] | None:
        item = self._by_name.get(name)
        if item is None:
            return None
        from flareset.standin import pictures  # brings an imaging library, for pictures alone

        frames = self._holdings.frames
        if item.source is None:
            records = self.form.records(self._holdings)
            shown = [record.frame(item.segment) for record in records if record.has_image]
            return damaged([pictures.movie(self.form.kind, frames, shown)], fault)
        frame = item.source.frame(item.segment)
        if self.form.kind in ("jpg", "png"):
            return damaged([pictures.jpeg(frames, mistaken(frame, fault))], fault)
        return fits_file(frames, frame, fault, item.steps, as_is=self.form.kind == "as-is")

    def tar(self, fault: Fault | None = None) -> IO[bytes]:
        """Return the tar of a `url-tar` export, an open file to be read with `pread`.

        A fault of files strikes the first matching member, else the member in the middle. A fault
        `changed` strikes all members.
        """
        kind, struck = "", list[str]()
        if fault and fault.kind in FILE_FAULTS:
            kind, names = fault.kind, [*self._by_name]
            found = [name for name in names if re.search(fault.pattern, name)]
            struck = names if kind in CHANGED else (found or names[len(names) // 2 :])[:1]
        with self._lock:
            key = kind, *struck
            if key not in self._tars:
                self._tars[key] = self._packed(kind, struck)
            return self._tars[key]

    def close(self) -> None:
        """Close the tars."""
        for tar in self._tars.values():
            tar.close()

    @property
    def tar_name(self) -> str:
        """The name of the tar."""
        return f"{self.requestid}.tar"

    def _packed(self, fault: str, struck: list[str]) -> IO[bytes]:
        # The file is closed with the product. It has no name on the disk.
        file = tempfile.TemporaryFile(prefix="flareset-standin-")  # noqa: SIM115
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            top = _member("./", 0)
            top.type, top.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(top)
            for name, content in self._members(fault, struck):
                tar.addfile(_member(f"./{name}", len(content)), io.BytesIO(content))
        file.flush()
        return file

    def _members(self, fault: str, struck: list[str]) -> Iterator[tuple[str, bytes]]:
        yield from self.index.items()
        for name in self._by_name:
            yield name, b"".join(self._data(name, fault if name in struck else "") or [])

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self.items if item.name not in ("", NO_FILE)}

    def _whole(self) -> Iterator[Item]:
        """Yield the rows without faults."""
        form = self.form
        found, segments = form.records(self._holdings), form.segments(self._holdings)
        if form.kind in ("mpg", "mp4"):
            if found:
                yield Item("movie", f"{found[0].written}.{form.kind}", None, segments[0])
        elif form.kind == "as-is":
            yield from self._as_stored(found, segments)
        else:
            yield from self._exported(found, segments)

    def _as_stored(self, found: Sequence[Record], segments: Sequence[str]) -> Iterator[Item]:
        """Yield the rows of stored files. A record that only links has none."""
        number = 0
        for record in found:
            if record.linked:
                continue
            for segment in segments:
                row = f"{record.query()}{{{segment}}}"
                if not record.there(segment):
                    yield Item(row, NO_FILE, record, segment)
                    continue
                made = Made(record, (), "", record.t_rec)
                name = file_name(self.form.filenamefmt, made, segment, number, self._holdings)
                number += 1
                yield Item(row, name, record, segment)

    def _exported(self, found: Sequence[Record], segments: Sequence[str]) -> Iterator[Item]:
        """Yield the rows of exported files. A file whose name cannot be made has none."""
        kind, number = self.form.kind, 0
        frames = self._holdings.frames
        for made in outcomes(found, self.form.steps, self.requestid, frames):
            for segment in segments:
                if not made.source.there(segment) or (kind != "fits" and segment == "spikes"):
                    continue
                name = self._name(made, segment, number)
                number += 1
                if not name:
                    continue
                if kind in ("jpg", "png"):
                    name = f"{name.removesuffix('.fits')}.{kind}"
                yield Item(made.query(), name, made.source, segment, made.steps)

    def _name(self, made: Made, segment: str, number: int) -> str:
        """Return a file's name. With an empty format, the exporter uses its next argument."""
        if self.form.filenamefmt == "":
            return f"method={self.form.method}"
        return file_name(self.form.filenamefmt, made, segment, number, self._holdings)

    def _rows(self) -> list[tuple[str, str]]:
        rows = [(item.record, item.name) for item in self.items]
        return rows or ([] if self.form.kind == "as-is" else [(_NOTHING, "")])

    def _summary(self) -> dict[str, str]:
        form, kind = self.form, self.form.kind
        files = [item for item in self.items if item.name not in ("", NO_FILE)]
        images = sum(1 for item in files if item.segment != "spikes")
        count = str(len(files))
        size = str(megabytes(images, self._holdings.frames.size) if files else 0)
        exptime = self.exptime.strftime("%Y.%m.%d_%H:%M:%S_UT")
        method = form.method if form.filenamefmt != "" else "NOT SPECIFIED"
        if kind == "as-is":
            summary = {
                "version": "1", "requestid": self.requestid, "method": method,
                "protocol": kind, "wait": "0", "count": count, "size": size, "status": "0",
                "dir": self.folder, "keywords": f"{self.folder}/{self.requestid}.keywords.txt",
            }  # fmt: skip
        elif kind == "fits":
            summary = {
                "version": "0.5", "requestid": self.requestid, "method": method,
                "protocol": kind, "count": count, "size": size, "exptime": exptime,
                "dir": self.folder, "status": "0", "keywords": "**IN FITS FILES**",
            }  # fmt: skip
        else:
            summary = {
                "expversion": "0.5", "reqid": self.requestid, "recordset": form.ds,
                "method": form.method, "protocol": kind, "filefmt": form.filenamefmt or _DEFAULT,
                "cparms": form.protocol, "count": count, "size": size, "exptime": exptime,
                "dir": self.folder, "status": "0",
            }  # fmt: skip
        if form.method == "url-tar":
            summary["tarfile"] = f"{self.folder}/{self.tar_name}"
        return summary

    def _keywords_text(self) -> str:
        """Return a table of the keywords of an as-is export's records: names, then a line each."""
        lines = []
        for record in self.form.records(self._holdings):
            keywords = record.keywords(self._holdings.frames)
            lines = lines or ["\t".join(["record", *keywords])]
            values = (str(value) for value in keywords.values())
            lines.append("\t".join([record.query(), *values]))
        return "".join(f"{line}\n" for line in lines)


def megabytes(images: int, frame_size: int) -> int:
    """Return the size (MB) of so many images, at least 1."""
    return max(1, round(images * 0.75 * frame_size**2 / 1e6))


def quick(form: Form, holdings: Holdings) -> list[tuple[str, str]]:
    """Return the rows of an immediate answer: the paths and names of stored files.

    A segment that is a link has the name that the linked record uses.
    """
    rows = []
    segments = form.segments(holdings)
    for record in form.records(holdings):
        for segment in segments:
            stem = record.series.segments[segment]
            name = stem if record.linked else segment
            path = record.path(segment) if record.there(segment) else NO_FILE
            rows.append((f"{record.query()}{{{name}}}", path))
    return rows


def fits_file(
    frames: Frames,
    frame: Frame,
    fault: str = "",
    steps: Sequence[Step] = (),
    *,
    as_is: bool = False,
) -> list[bytes]:
    """Return a frame's FITS file in pieces (as `Frames.file`), after a fault of its bytes."""
    meant = mistaken(frame, fault)
    return damaged(frames.file(meant, steps, as_is=as_is, turned=fault in CHANGED), fault)


def original(path: str, holdings: Holdings, fault: str = "") -> list[bytes] | None:
    """Return a record's file that is stored at a path; None if there is none."""
    found = holdings.catalogue.stored(path)
    if found is None:
        return None
    record, segment = found
    return fits_file(holdings.frames, record.frame(segment), fault, as_is=True)


@dataclass(frozen=True)
class Made:
    """A record that an export delivers, made from its source by steps."""

    source: Record
    steps: tuple[Step, ...]
    requestid: str
    t_rec: datetime

    @property
    def series(self) -> str:
        """The series of the record."""
        return processed_series(self.source.written, self.steps)

    def query(self) -> str:
        """Return the record as JSOC prints it. A processed record has the RequestID as a key."""
        if not self.steps:
            return self.source.query()
        series = self.source.series
        own = re.findall(r"\[([^\]]*)\]", self.source.query())
        values = {
            **dict(zip(series.keys, own, strict=True)),
            "T_REC": self.shown(self.t_rec),
            "WAVELNTH": str(self.source.wavelength),
            "RequestID": self.requestid,
        }
        keys = [*(("T_REC", "WAVELNTH") if "lev1p5" in self.series else series.keys)]
        if self.series.endswith("_mod"):
            keys.append("RequestID")
        return self.series + "".join(f"[{values[key]}]" for key in keys)

    def shown(self, when: datetime) -> str:
        """Return a time in the zone of the record's T_REC."""
        unit = "TAI" if self.source.series.zone == "TAI" else "ISO"
        return printed(seconds_of(when), unit)


def outcomes(
    found: Sequence[Record],
    steps: tuple[Step, ...],
    requestid: str,
    frames: Frames,
) -> list[Made]:
    """Return the records that steps make of other records.

    JSOC's aia_scale sets T_REC to the middle of the slot nearest to T_OBS. If two records then
    share a slot, the later hides the earlier.
    """
    if not any(step.scales for step in steps):
        return [Made(record, steps, requestid, record.t_rec) for record in found]
    made = {}
    for record in found:
        slots = slots_of(record.series)
        t_obs, _ = scan(record.keywords(frames)["T_OBS"]) or (seconds_of(record.time), 0)
        place = slots.index(t_obs)
        made[place, record.number] = Made(record, steps, requestid, slots.centre(place))
    return [*made.values()]


def file_name(form: str | None, made: Made, segment: str, number: int, holdings: Holdings) -> str:
    """Return a file's name by a `filenamefmt`; empty if the format has an unknown field.

    The fields are those of the record that holds the file: AIA's T_REC is T_OBS rounded.
    """
    record = made.source
    processed = bool(made.steps) and record.series.instrument == "aia"
    stem = "image" if processed else record.series.segments[segment]
    special: dict[str, Any] = {
        "seriesname": made.series,
        "segment": f"{stem}.fits",
        "#": number,
        "WAVELNTH": record.wavelength,
        "recnum": record.recnum,
    }
    held = made.t_rec if made.steps else record.time

    def field(match: re.Match[str]) -> str:
        name, layout = match[1].strip(), match[2] or ""
        if name.upper() == "T_REC":
            return _time_field(record, held, layout)
        if name in special:
            value: Any = special[name]
        else:
            value = record.keywords(holdings.frames)[name.upper()]
        if isinstance(value, str) and re.match(r"\d{4}[-.]\d\d[-.]\d\d[T_]", value):
            return _time_field(record, moment((scan(value) or (0.0, 0))[0]), layout)
        return _INTEGER.sub(r"%\1\2", layout) % value if layout else str(value)

    try:
        return _FIELD.sub(field, form or _DEFAULT)
    except (KeyError, TypeError, ValueError):
        return ""


def _time_field(record: Record, when: datetime, layout: str) -> str:
    """Return a time in a file name. `layout` is letter, decimals and zone, like `A1,TAI`."""
    match = _TIME_LAYOUT.fullmatch(layout)
    if not match:
        raise ValueError(layout)
    letter, decimals, zone = match[1].upper(), int(match[2] or 0), match[3]
    if zone is None and record.series.zone == "TAI":
        zone = "TAI"
    text = printed(seconds_of(when), zone or "ISO", decimals)
    return re.sub("[.:]", "", text) if letter else text


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, _MADE, 0o644
    info.uname = info.gname = "jsoc"
    return info
