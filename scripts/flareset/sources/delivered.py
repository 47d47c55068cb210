"""Read the files that finished exports list, and match them with the records that JSOC has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from flareset.archive.responses import Answer
from flareset.errors import ListingError
from flareset.sdo.processing import fingerprint
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import Series
from flareset.sources.export_rows import ExportRows
from flareset.sources.links import Links, Missing
from flareset.sources.query import Query
from flareset.sources.records import match_rows, observed_second
from flareset.sources.rows import File, check_length, refuse_doubles
from flareset.tables.rows import Row, in_order
from flareset.tables.status import Kind, Status

_SUFFIX = {"fits": ".fits", "as-is": ".fits", "jpg": ".jpg", "mpg": ".mpg", "mp4": ".mp4"}
# The host in JSOC's links. Files are fetched from archive.data_url, whatever the host.
_LINK_BASE = "https://jsoc1.stanford.edu"


@dataclass(frozen=True)
class Delivery:
    """What exports are compared with: the query, all its records, and the processing.

    `shared`: the user made the exports, so they may contain other channels and times.
    """

    query: Query
    records: Sequence[Row]
    process: str = ""
    shared: bool = False

    @property
    def processed(self) -> bool:
        """Whether JSOC processed the images."""
        return bool(fingerprint(self.process))


@dataclass
class _Found:
    """The results from answers read so far: rows, and records without a file."""

    rows: list[Row] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)


def read_answers(answers: Iterable[Answer], delivery: Delivery) -> Links:
    """Return the links in finished exports, matched with the records of a delivery.

    A record that an export names without a file is missing, with the reason. Raises ListingError
    if an export is not the one asked for.
    """
    found = _Found()
    for answer in answers:
        _read_one(answer, delivery, found)
    # Two exports of one event may share records at their edges.
    files: dict[tuple[str, ...], Row] = {}
    for row in found.rows:
        if row["wavelength"] == delivery.query.wavelength:
            files.setdefault((row["record"], row["segment"], row["kind"], row["filename"]), row)
            found.missing.pop(row["record"], None)
    rows = [*files.values()]
    refuse_doubles(rows)
    return Links(in_order(rows, "time", "filename"), found.missing)


def warnings_of(answers: Iterable[Answer]) -> list[str]:
    """Return the warnings that JSOC wrote among the files of exports."""
    return [f"{answer.requestid}: {text}" for answer in answers for text in answer.warnings]


def _read_one(answer: Answer, delivery: Delivery, found: _Found) -> None:
    query, records = delivery.query, delivery.records
    protocol = kind_of_protocol(answer.protocol) or "fits"
    rows, bare = _answer_rows(answer)
    for record, missing in bare:
        (place,) = match_rows([_with_time(record)], records, query.series)
        if place >= 0:
            found.missing[records[place]["record"]] = missing
    pairs = _pairs_of(_reader(delivery, protocol).listing(rows), records, query.series)
    pairs = _without_others(pairs, answer, delivery)
    _compare_paths(pairs, query.segment, answer)
    for pair in pairs:
        row = _delivered(*pair, delivery, protocol)
        found.rows.append({**row, "requestid": answer.requestid})


def _reader(delivery: Delivery, protocol: str) -> ExportRows:
    query = delivery.query
    return ExportRows(
        query.event,
        query.wavelength,
        query.series,
        query.segment,
        query.wavelengths if delivery.shared else [query.wavelength],
        protocol,
        delivery.processed,
    )


# A listed row, and JSOC's record of it; a movie has none.
Pair = tuple[Row, Row | None]


def _pairs_of(listing: Sequence[Row], records: Sequence[Row], series: Series) -> list[Pair]:
    """Return each listed row with the record that it matches; None if there is none."""
    movies = [row for row in listing if row["kind"] == Kind.MOVIE]
    others = [row for row in listing if row["kind"] != Kind.MOVIE]
    places = match_rows(others, records, series)
    found = [records[place] if place >= 0 else None for place in places]
    return [*((movie, None) for movie in movies), *zip(others, found, strict=True)]


def _without_others(pairs: list[Pair], answer: Answer, delivery: Delivery) -> list[Pair]:
    """Return the rows of this channel. A shared export may have other channels.

    Raises ListingError if a processed file matches no record, and belongs to no other channel.
    """
    series = delivery.query.series
    if not (delivery.processed or (series.keys[-1] != "WAVELNTH" and len(series.wavelengths) > 1)):
        return pairs
    one_channel = not delivery.shared or len(delivery.query.wavelengths) == 1
    if delivery.processed and one_channel:
        _refuse_strange(pairs, delivery.query.wavelength, answer.requestid)
    return [pair for pair in pairs if not _is_strange(*pair)]


def _refuse_strange(pairs: Iterable[Pair], wavelength: int, requestid: str) -> None:
    """Raise ListingError if a row of the channel matches no record."""
    for row, record in pairs:
        if _is_strange(row, record) and row["wavelength"] == wavelength:
            raise ListingError(f"{requestid}: {row['record']} matches no record that was asked for")


def _is_strange(row: Row, record: Row | None) -> bool:
    """Return whether a listed row matches no record, though it is of one."""
    return record is None and row["kind"] != Kind.MOVIE


def _answer_rows(answer: Answer) -> tuple[list[File], list[tuple[str, Missing]]]:
    """Return record, link and name of each file, and the records that are listed without a file."""
    where = f" ({answer.requestid})"
    no_image = Missing(Status.NO_IMAGE, f"NoDataFile{where}")
    no_name = Missing(Status.FAILED, f"listed without a file name{where}")
    rows = [(record, *_link_of(answer, name)) for record, name in answer.files if name]
    # JSOC writes a file of spikes only if there are any.
    lacking = [(record, no_image) for record in answer.without_file if "spikes" not in record]
    lacking += [(record, no_name) for record, name in answer.files if not name]
    return rows, [(record.partition("{")[0], missing) for record, missing in lacking]


def _link_of(answer: Answer, name: str) -> tuple[str, str]:
    """Return the link of a listed file, and its bare name."""
    if answer.tarfile:
        return f"{_LINK_BASE}{answer.tarfile}#{name}", name
    if name.startswith("/"):
        return f"{_LINK_BASE}{name}", name.rpartition("/")[2]
    return f"{_LINK_BASE}{answer.folder.rstrip('/')}/{name}", name


def _compare_paths(pairs: Iterable[Pair], segment: str, answer: Answer) -> None:
    """Raise ListingError if stored files are not those that JSOC has for their records."""
    for row, record in pairs:
        if record is None or row["kind"] != Kind.IMAGE or row["segment"] != segment:
            continue
        path, known = urlsplit(row["url"]).path, record["path"]
        if path.startswith(answer.folder or "\0") or not known.startswith("/"):
            continue
        # The first folder is that of a disk, which changes when data are staged again.
        if path.partition("/D")[2] != known.partition("/D")[2]:
            raise ListingError(f"JSOC gives {path} for {row['record']}, but keeps {known} for it")


def _with_time(record: str) -> Row:
    times = Recordset.parse(record).times
    return {"record": record, "t_rec": times[1].begin if times else None}


def _delivered(row: Row, record: Row | None, delivery: Delivery, protocol: str) -> Row:
    """Return a listed row as its record is known, with a file name that is unique in the store.

    A stored file gets the name of its default export. A processed file, or a file that is not FITS,
    gets event and wavelength in its name, since a file of another event may have the same name.
    """
    if record is not None:
        row = {**row, **{name: record[name] for name in ("record", "t_rec", "wavelength")}}
    if row["kind"] == Kind.MOVIE or (protocol == "fits" and not delivery.processed):
        return row
    query = delivery.query
    if protocol == "as-is":
        name, time = _default_name(query.series, row, record and record["t_obs"])
        return {**row, "filename": name, "time": time}
    return {**row, "filename": _own_name(row, query, _SUFFIX[protocol])}


def _own_name(row: Row, query: Query, suffix: str) -> str:
    parts = row["filename"].replace(suffix, "", 1).split(".")
    own = [part for part in (str(row["wavelength"]), query.event.event_id) if part not in parts]
    name = f"{'.'.join([*parts, *own])}{suffix}"
    check_length(row["record"], name)
    return name


def _default_name(series: Series, row: Row, t_obs: datetime | None) -> tuple[str, datetime]:
    """Return a listed row's name in JSOC's default format, and the time in that name."""
    file = series.segments.get(row["segment"], row["segment"])
    time = row["t_rec"] if t_obs is None or series.zone == "TAI" else observed_second(t_obs)
    values = Recordset.parse(row["record"]).filters
    parts = [
        _stamp(value, time, series) if key == "T_REC" else value
        for key, value in zip(series.keys, values, strict=True)
    ]
    return ".".join([series.name, *parts, file, "fits"]), time


def _stamp(value: str, time: datetime, series: Series) -> str:
    """Return a time as it stands in file names: without dots and colons."""
    return re.sub("[.:]", "", value) if series.zone == "TAI" else f"{time:%Y-%m-%dT%H%M%SZ}"
