"""What a finished export of the stand-in holds: its rows, index files, files and tar.

Formats: jsoc_export_make_index.c, jsoc_export_as_fits.c, jsoc_export_as_is.c, exputil.c of JSOC.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import IO, Any

from flareset.sdo.processing import Step, parse_process
from flareset.sdo.recordset import jsoc_time, parse_time
from flareset.sdo.times import parse_jsoc_time, parse_utc, to_tai
from flareset.standin import catalogue
from flareset.standin.catalogue import Record
from flareset.standin.faults import CHANGED, FILE_FAULTS, Fault, damaged, mistaken
from flareset.standin.frames import Frame, Frames
from flareset.standin.processed import processed_series

NO_FILE = "NoDataFile"
_NOTHING = "warning=No FITS files were exported. The requested FITS files no longer exist."
_KINDS = ("fits", "as-is", "su-as-is", "jpg", "png", "mpg", "mp4")
_STEPS = {
    "im_patch", "resize", "rebin", "aia_scale_orig", "aia_scale_aialev1", "aia_scale_other",
    "maproj", "map_proj", "hmib2ptr", "to_ptr", "hg_patch",
}  # fmt: skip
_DEFAULT = "{seriesname}.{recnum:%lld}.{segment}"
_DEFAULT_PROCESSED = "{seriesname}.{T_REC:A}.{CAMERA}.{segment}"
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_TIME_LAYOUT = re.compile(r"([A-Za-z]?)(\d?)(?:,(\w+))?")
_INTEGER = re.compile(r"%(0?\d*)l*([di])")
_MADE = 1735689600


@dataclass(frozen=True)
class Form:
    """The arguments of an export request that shape what it delivers."""

    ds: str
    method: str = "url"
    protocol: str = "as-is"
    process: str = ""
    filenamefmt: str = ""
    seg: str = ""
    max_recs: int = 0
    everything: bool = False

    @property
    def kind(self) -> str:
        """The protocol without its arguments (JSOC compares a prefix); empty where unknown."""
        return next((k for k in _KINDS if self.protocol.lower().startswith(k)), "")

    @property
    def steps(self) -> list[Step]:
        """What is to be done to the images; ValueError where the text cannot be read."""
        return parse_process(self.process)[1]

    def key(self, found: Sequence[Record]) -> str:
        """What makes two requests the same for JSOC: their records, and what is done to them."""
        recnums = ",".join(f"#{record.recnum}" for record in found)
        segments = ",".join(self.segments())
        what = f"{found[0].series.name}[:{recnums}]{{{segments}}}" if found else self.ds
        return "|".join([what, self.filenamefmt, self.process, self.protocol, self.method])

    def segments(self) -> tuple[str, ...]:
        """The segments to deliver of each record."""
        asked, series = catalogue.read(split(self.ds)[0])
        chosen = tuple(filter(None, self.seg.split(","))) or asked.segments
        if self._known_steps() and series.instrument == "aia":
            return tuple(series.segments)[:1]
        return chosen or tuple(series.segments)

    def selected(self, frames: Frames) -> list[Record]:
        """The records asked for; BadQuery in JSOC's words."""
        found: list[Record] = []
        for part in split(self.ds):
            found += catalogue.records(part, frames, images_only=not self.everything)
        limit = self.max_recs or _limit(self.process)
        if limit:
            found = found[:limit] if limit > 0 else found[limit:]
        return found

    def records(self, frames: Frames) -> list[Record]:
        """The records that are delivered, those that the processing skips left out."""
        found = self.selected(frames)
        for step in self._known_steps():
            if step.name == "im_patch":
                found = _patched(found, step.args)
        return found

    def rejection(self, frames: Frames) -> str:
        """Why JSOC's export manager refuses the request when its turn comes; empty if not."""
        invalid = f"Invalid process field value: {self.process}."
        try:
            names = [step.name.lower() for step in self.steps]
        except ValueError:
            return invalid
        if not set(names) <= _STEPS:
            return invalid
        if not self.kind:
            return "Problem running protocol-export command."
        if not names and len(split(self.ds)) > 1:
            return (
                "The export system does not currently support comma-separated lists of record-set"
                " specifications."
            )
        if not self.selected(frames):
            return f"Record-set {self.ds} contains no records.\n"
        return ""

    def _known_steps(self) -> list[Step]:
        try:
            return self.steps
        except ValueError:
            return []


def split(ds: str) -> list[str]:
    """The recordsets of a comma-separated list of them."""
    return [part.strip() for part in re.split(r"(?<=[\]}])\s*,\s*(?=[A-Za-z_]\w*\.)", ds.strip())]


def _limit(process: str) -> int:
    try:
        return parse_process(process)[0]
    except ValueError:
        return 0


def _patched(found: list[Record], args: dict[str, str]) -> list[Record]:
    """The records that im_patch takes: with image, from t_start to t_stop, at its cadence."""
    begin, end = (_argument_time(args.get(key, "")) for key in ("t_start", "t_stop"))
    taken = [
        record
        for record in found
        if record.has_image
        and (begin is None or record.t_rec >= begin)
        and (end is None or record.t_rec <= end)
    ]
    cadence = re.fullmatch(r"(\d+(?:\.\d+)?)s?", args.get("cadence", ""))
    if taken and cadence and float(cadence[1]) > taken[0].series.cadence:
        taken = catalogue.every(taken, float(cadence[1]), begin or taken[0].t_rec)
    return taken


def _argument_time(text: str) -> datetime | None:
    for read in (parse_time, parse_utc):
        try:
            return read(text)
        except ValueError:
            pass
    return None


@dataclass(frozen=True)
class Item:
    """A row of an export and what its file is made of."""

    record: str
    name: str
    source: Record | None
    segment: str
    steps: tuple[Step, ...] = ()


class Product:
    """A finished export; `faults` are the kinds and patterns of what went wrong with it."""

    def __init__(
        self,
        requestid: str,
        form: Form,
        folder: str,
        exptime: datetime,
        frames: Frames,
        faults: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.requestid = requestid
        self.form = form
        self.folder = folder
        self.exptime = exptime
        self._frames = frames
        self._faults = faults
        self._tars: dict[tuple[str, ...], IO[bytes]] = {}
        self._lock = threading.Lock()

    @cached_property
    def items(self) -> list[Item]:
        """The rows, `NoDataFile` and empty names among them."""
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
        """The index files and what else JSOC leaves beside the data, by name."""
        summary, rows = self._summary(), self._rows()
        steps = [str(step) for step in self.form.steps]
        texts = {
            "index.html": catalogue.index_html(summary, rows, steps),
            "index.json": index_json(summary, rows),
            "index.txt": index_txt(summary, rows),
            f"{self.requestid}.qsub": f"#! /bin/csh\n# {self.requestid}, flareset stand-in\n",
            f"{self.requestid}.runlog": f"{self.form.ds}\n",
            "proc-steps.txt": "".join(f"{step}\n" for step in steps),
        }
        if self.form.kind == "as-is":
            texts[f"{self.requestid}.keywords.txt"] = self._keywords_text()
        return {name: text.encode("latin-1", "replace") for name, text in texts.items()}

    def members(self, name: str) -> list[str] | None:
        """The names of the data files in the folder's tar; None where `name` is another file."""
        packed = self.form.method == "url-tar" and name == self.tar_name
        return [*self._by_name] if packed else None

    def file(self, name: str, fault: str = "") -> list[bytes] | None:
        """A file of the folder in pieces, the tar apart, after a fault of its kind (one of files).

        None where there is no such name: what is in the tar is nowhere else.
        """
        packed = self.form.method == "url-tar"
        if name in self.index and (not packed or name.startswith("index.")):
            return damaged([self.index[name]], fault)
        return None if packed else self._data(name, fault)

    def _data(self, name: str, fault: str) -> list[bytes] | None:
        item = self._by_name.get(name)
        if item is None:
            return None
        from flareset.standin import pictures  # brings an imaging library, for pictures alone

        frames = self._frames
        if item.source is None:
            shown = [r.frame(item.segment) for r in self.form.records(frames) if r.has_image]
            return damaged([pictures.movie(self.form.kind, frames, shown)], fault)
        frame = item.source.frame(item.segment)
        if self.form.kind in ("jpg", "png"):
            return damaged([pictures.jpeg(frames, mistaken(frame, fault))], fault)
        return fits_file(frames, frame, fault, item.steps, as_is=self.form.kind == "as-is")

    def tar(self, fault: Fault | None = None) -> IO[bytes]:
        """The tar of a `url-tar` export, an open file to be read with `pread`.

        A fault of files strikes the first member that matches, else the one in the middle; where
        the export has changed, all have.
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
        """Let go of the tars."""
        for tar in self._tars.values():
            tar.close()

    @property
    def tar_name(self) -> str:
        """The name of the tar."""
        return f"{self.requestid}.tar"

    def _packed(self, fault: str, struck: list[str]) -> IO[bytes]:
        # Closed with the product; it has no name on the disk.
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
        """The rows as they should be."""
        form, frames = self.form, self._frames
        steps, kind = tuple(form.steps), form.kind
        found, segments = form.records(frames), form.segments()
        if kind in ("mpg", "mp4"):
            if found:
                yield Item("movie", f"{found[0].written}.{kind}", None, segments[0])
            return
        number = 0
        for record in found:
            label = processed_query(record, steps, frames) if steps else record.query()
            for segment in segments:
                there = record.there(segment)
                if kind == "as-is":
                    row = f"{label}{{{segment}}}"
                elif kind == "fits" or (segment != "spikes" and there):
                    row = label
                else:
                    continue
                if not there:
                    if kind == "as-is":
                        yield Item(row, NO_FILE, record, segment)
                    continue
                name = file_name(form.filenamefmt, record, segment, steps, number, frames)
                number += 1
                if kind in ("jpg", "png"):
                    name = f"{name.removesuffix('.fits')}.{kind}"
                yield Item(row, name, record, segment, steps)

    def _rows(self) -> list[tuple[str, str]]:
        rows = [(item.record, item.name) for item in self.items]
        return rows or [(_NOTHING, "")]

    def _summary(self) -> dict[str, str]:
        form, kind = self.form, self.form.kind
        images = sum(1 for item in self._by_name.values() if item.segment != "spikes")
        count = str(len(self._by_name))
        size = str(catalogue.megabytes(images, self._frames.size) if self._by_name else 0)
        exptime = self.exptime.strftime("%Y.%m.%d_%H:%M:%S_UT")
        if kind == "as-is":
            summary = {
                "version": "1", "requestid": self.requestid, "method": form.method,
                "protocol": kind, "wait": "0", "count": count, "size": size, "status": "0",
                "dir": self.folder, "keywords": f"{self.folder}/{self.requestid}.keywords.txt",
            }  # fmt: skip
        elif kind == "fits":
            summary = {
                "version": "0.5", "requestid": self.requestid, "method": form.method,
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
        """The keywords of an as-is export's records, a line each below their names."""
        lines = []
        for record in self.form.records(self._frames):
            keywords = record.keywords(self._frames)
            lines = lines or ["\t".join(["record", *keywords])]
            values = (str(value) for value in keywords.values())
            lines.append("\t".join([record.query(), *values]))
        return "".join(f"{line}\n" for line in lines)


def quick(form: Form, frames: Frames) -> list[tuple[str, str]]:
    """The rows of an immediate answer: the files where they are stored, under their own names."""
    rows = []
    segments = form.segments()
    for record in form.records(frames):
        label = record.query()
        for segment in segments:
            path = f"{record.folder}/{record.series.segments[segment]}.fits"
            there = record.there(segment)
            rows.append((f"{label}{{{segment}}}", path if there else NO_FILE))
    return rows


def fits_file(
    frames: Frames,
    frame: Frame,
    fault: str = "",
    steps: Sequence[Step] = (),
    *,
    as_is: bool = False,
) -> list[bytes]:
    """A frame's FITS file in pieces, as `Frames.file` makes it, after a fault of its kind."""
    meant = mistaken(frame, fault)
    return damaged(frames.file(meant, steps, as_is=as_is, turned=fault in CHANGED), fault)


def original(path: str, frames: Frames, fault: str = "") -> list[bytes] | None:
    """The file that is stored at a path as a record's own; None where there is none."""
    match = re.fullmatch(r"(/SUM\d+/D(\d+)/S00000)/(\w+)\.fits", path)
    record = catalogue.record_of(int(match[2])) if match else None
    if match is None or record is None or record.folder != match[1]:
        return None
    for segment, stem in record.series.segments.items():
        if stem == match[3] and record.there(segment):
            return fits_file(frames, record.frame(segment), fault, as_is=True)
    return None


def processed_query(record: Record, steps: Sequence[Step], frames: Frames) -> str:
    """The record that the steps make of one: an off-grid T_REC, and no wavelength."""
    series = processed_series(record.written, steps)
    keywords = record.keywords(frames)
    values = {key: str(keywords.get(key, record.number)) for key in record.series.keys}
    values["T_REC"] = jsoc_time(record.series, record.time)
    if record.series.instrument == "aia":
        second = "CAMERA" if series.endswith("_mod") else "WAVELNTH"
        return f"{series}[{values['T_REC']}][{keywords[second]}]"
    return series + "".join(f"[{values[key]}]" for key in record.series.keys)


def file_name(
    form: str, record: Record, segment: str, steps: Sequence[Step], number: int, frames: Frames
) -> str:
    """A file's name by a `filenamefmt`; empty where the format has a field that is none.

    The fields are those of the record that holds the file: AIA's T_REC is T_OBS rounded.
    """
    stem = record.series.segments[segment]
    if steps and record.series.instrument == "aia":
        stem = "image"
    series = processed_series(record.written, steps) if steps else record.written
    special = {"seriesname": series, "segment": f"{stem}.fits", "#": number}
    keywords: dict[str, Any] = {}

    def field(match: re.Match[str]) -> str:
        name, layout = match[1].strip(), match[2] or ""
        if name.upper() == "T_REC":
            return _time_field(record, record.time, layout)
        if name == "WAVELNTH":
            value: Any = record.wavelength
        elif name in special:
            value = special[name]
        else:
            keywords.update(keywords or record.keywords(frames))
            value = keywords[name.upper()]
        if isinstance(value, str) and re.match(r"\d{4}[-.]\d\d[-.]\d\d[T_]", value):
            return _time_field(record, parse_jsoc_time(value), layout)
        return _INTEGER.sub(r"%\1\2", layout) % value if layout else str(value)

    try:
        return _FIELD.sub(field, form or (_DEFAULT_PROCESSED if steps else _DEFAULT))
    except (KeyError, TypeError, ValueError):
        return ""


def _time_field(record: Record, when: datetime, layout: str) -> str:
    """A time in a file name: letter, decimals and zone, `A1,TAI`."""
    match = _TIME_LAYOUT.fullmatch(layout)
    if not match:
        raise ValueError(layout)
    letter, decimals, zone = match[1].upper(), int(match[2] or 0), match[3]
    if zone is None and record.series.zone == "TAI":
        zone = "TAI"
    when += timedelta(seconds=0.5 / 10**decimals) if decimals or when.microsecond else timedelta(0)
    shown = to_tai(when) if zone == "TAI" else when
    fraction = f".{shown.microsecond:06d}"[: decimals + 1] if decimals else ""
    if zone in (None, "ISO"):
        text = shown.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
    else:
        text = shown.strftime("%Y.%m.%d_%H:%M:%S") + f"{fraction}_{zone}"
    return re.sub("[.:]", "", text) if letter else text


def index_json(summary: dict[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """An `index.json`: tabs, everything a string, `/` escaped."""
    head = [f"\t{_quoted(key)}: {_quoted(value)}" for key, value in summary.items()]
    data = [
        f'{{\n\t\t"record": {_quoted(record)},\n\t\t"filename": {_quoted(name)}\n\t}}'
        for record, name in rows
    ]
    body = ",\n\t".join(data)
    return "{\n" + ",\n".join([*head, f'\t"data": [{body}]']) + "\n}\n"


def index_txt(summary: dict[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """An `index.txt`, from which JSOC makes the other two."""
    as_is = summary.get("version") == "1"
    lines = ["# JSOC Export File List" if as_is else "# JSOC "]
    lines += [f"{k}={v}" for k, v in summary.items() if k not in ("keywords", "tarfile")]
    lines.append("# DATA" if as_is else "# DATA ")
    lines += [f"{record}\t{name}" if name else record for record, name in rows]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, _MADE, 0o644
    info.uname = info.gname = "jsoc"
    return info
