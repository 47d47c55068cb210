"""Read the files that finished exports list, and match them with the records that JSOC has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from flareset.archive.responses import Answer
from flareset.errors import ListingError
from flareset.sdo.processing import fingerprint
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.recordset import Recordset
from flareset.sdo.series import Series
from flareset.sources.export_rows import ExportRows
from flareset.sources.links import COLUMNS, Links, Missing
from flareset.sources.query import Query
from flareset.sources.records import match_rows, observed_second
from flareset.sources.rows import check_length, in_time_order, refuse_doubles
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
    records: pd.DataFrame
    process: str = ""
    shared: bool = False

    @property
    def processed(self) -> bool:
        """Whether JSOC processed the images."""
        return bool(fingerprint(self.process))


@dataclass
class _Found:
    """The results from answers read so far: tables of rows, and records without a file."""

    tables: list[pd.DataFrame] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)


def read_answers(answers: Iterable[Answer], delivery: Delivery) -> Links:
    """Return the links in finished exports, matched with the records of a delivery.

    A record that an export names without a file is missing, with the reason. Raises ListingError
    if an export is not the one asked for.
    """
    found = _Found()
    for answer in answers:
        _read_one(answer, delivery, found)
    empty = pd.DataFrame(columns=COLUMNS)
    rows = pd.concat([t for t in found.tables if len(t)] or [empty], ignore_index=True)
    # Two exports of one event may share records at their edges.
    rows = rows[rows["wavelength"] == delivery.query.wavelength]
    rows = rows.drop_duplicates(["record", "segment", "kind", "filename"])
    refuse_doubles(rows)
    for record in rows["record"]:
        found.missing.pop(record, None)
    return Links(in_time_order(rows).reset_index(drop=True), found.missing)


def warnings_of(answers: Iterable[Answer]) -> list[str]:
    """Return the warnings that JSOC wrote among the files of exports."""
    return [f"{answer.requestid}: {text}" for answer in answers for text in answer.warnings]


def _read_one(answer: Answer, delivery: Delivery, found: _Found) -> None:
    query, records = delivery.query, delivery.records
    protocol = kind_of_protocol(answer.protocol) or "fits"
    rows, bare = _answer_rows(answer)
    for record, missing in bare:
        (place,) = match_rows(_with_times([record]), records, query.series)
        if place >= 0:
            found.missing[records["record"].iloc[place]] = missing
    listing = _reader(delivery, protocol).listing(rows)
    of_records = listing["kind"] != Kind.MOVIE
    place = np.full(len(listing), -1)
    place[of_records] = match_rows(listing[of_records], records, query.series)
    listing = _without_others(listing.assign(place=place), answer, delivery)
    images = (listing["kind"] == Kind.IMAGE) & (listing["segment"] == query.segment)
    _compare_paths(listing[images], records, answer)
    listing = _named(_known_by(listing, records), delivery, protocol)
    listing = listing.assign(requestid=answer.requestid)
    found.tables.append(listing.drop(columns="place"))


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


def _without_others(listing: pd.DataFrame, answer: Answer, delivery: Delivery) -> pd.DataFrame:
    """Return the rows of this channel. A shared export may have other channels.

    Raises ListingError if a processed file matches no record, and belongs to no other channel.
    """
    series = delivery.query.series
    if not (delivery.processed or (series.keys[-1] != "WAVELNTH" and len(series.wavelengths) > 1)):
        return listing
    movies = listing["kind"] == Kind.MOVIE
    strange = listing[(listing["place"] < 0) & ~movies]
    strange = strange[strange["wavelength"] == delivery.query.wavelength]
    one_channel = not delivery.shared or len(delivery.query.wavelengths) == 1
    if delivery.processed and len(strange) and one_channel:
        raise ListingError(
            f"{answer.requestid}: {strange['record'].iloc[0]} matches no record that was asked for"
        )
    return listing[(listing["place"] >= 0) | movies]


Row = tuple[str, str, str]


def _answer_rows(answer: Answer) -> tuple[list[Row], list[tuple[str, Missing]]]:
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


def _compare_paths(listing: pd.DataFrame, records: pd.DataFrame, answer: Answer) -> None:
    """Raise ListingError if stored files are not those that JSOC has for their records."""
    for row in listing[listing["place"] >= 0].itertuples():
        path, known = urlsplit(row.url).path, records["path"].iloc[row.place]
        if path.startswith(answer.folder or "\0") or not known.startswith("/"):
            continue
        # The first folder is that of a disk, which changes when data are staged again.
        if path.partition("/D")[2] != known.partition("/D")[2]:
            raise ListingError(f"JSOC gives {path} for {row.record}, but keeps {known} for it")


def _with_times(names: Sequence[str]) -> pd.DataFrame:
    found = [Recordset.parse(record).times for record in names]
    times = [times[1].begin if times else None for times in found]
    t_rec = pd.to_datetime(pd.Series(times, dtype="object"), utc=True)
    return pd.DataFrame({"record": list(names), "t_rec": t_rec})


def _known_by(listing: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the listing with record, T_REC and wavelength taken from the matching records."""
    place = listing["place"].to_numpy("int64")
    there = place >= 0
    listing = listing.copy()
    for column in ("record", "t_rec", "wavelength"):
        listing.loc[there, column] = records[column].iloc[place[there]].to_numpy()
    return listing


def _named(listing: pd.DataFrame, delivery: Delivery, protocol: str) -> pd.DataFrame:
    """Return the listing with file names that are unique in the store.

    A stored file gets the name of its default export. A processed file, or a file that is not FITS,
    gets event and wavelength in its name, since a file of another event may have the same name.
    """
    plain = protocol == "fits" and not delivery.processed
    if not len(listing) or plain or (listing["kind"] == Kind.MOVIE).all():
        return listing
    if protocol == "as-is":
        t_obs = [delivery.records["t_obs"].iloc[n] if n >= 0 else pd.NaT for n in listing["place"]]
        series = delivery.query.series
        pairs = [
            _default_name(series, row, when)
            for row, when in zip(listing.itertuples(), t_obs, strict=True)
        ]
        names, times = zip(*pairs, strict=True)
        return listing.assign(filename=names, time=pd.to_datetime(pd.Series(times), utc=True).array)
    return listing.assign(
        filename=[_own_name(row, delivery.query, _SUFFIX[protocol]) for row in listing.itertuples()]
    )


def _own_name(row: Any, query: Query, suffix: str) -> str:
    parts = row.filename.replace(suffix, "", 1).split(".")
    own = [part for part in (str(row.wavelength), query.event.event_id) if part not in parts]
    name = f"{'.'.join([*parts, *own])}{suffix}"
    check_length(row.record, name)
    return name


def _default_name(series: Series, row: Any, t_obs: pd.Timestamp) -> tuple[str, pd.Timestamp]:
    """Return a listed row's name in JSOC's default format, and the time in that name."""
    file = series.segments.get(row.segment, row.segment)
    time = row.t_rec if t_obs is pd.NaT or series.zone == "TAI" else observed_second(t_obs)
    values = Recordset.parse(row.record).filters
    parts = [
        _stamp(value, time, series) if key == "T_REC" else value
        for key, value in zip(series.keys, values, strict=True)
    ]
    return ".".join([series.name, *parts, file, "fits"]), time


def _stamp(value: str, time: pd.Timestamp, series: Series) -> str:
    """Return a time as it stands in file names: without dots and colons."""
    return re.sub("[.:]", "", value) if series.zone == "TAI" else f"{time:%Y-%m-%dT%H%M%SZ}"
