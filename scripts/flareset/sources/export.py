"""The listing in JSOC's answers: an export's `index.json`, compared with what JSOC has."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from flareset.archive.responses import Answer
from flareset.campaign.events import Event
from flareset.errors import ListingError
from flareset.sdo.processing import fingerprint, parse_process
from flareset.sdo.protocols import kind_of_protocol
from flareset.sdo.recordset import Recordset, parse_time
from flareset.sdo.series import Series
from flareset.sources.records import matched, observed_second
from flareset.sources.rows import Asked, edges_of, in_time_order, refuse_doubles, rows_to_listing
from flareset.tables.listing import MOVIE, PageFacts
from flareset.tables.status import Status

_SUFFIX = {"fits": ".fits", "as-is": ".fits", "jpg": ".jpg", "mpg": ".mpg", "mp4": ".mp4"}
# Where JSOC's pages link to; a file is fetched from archive.data_url all the same.
_LINK_BASE = "https://jsoc1.stanford.edu"


def read_export(
    answers: list[Answer],
    records: pd.DataFrame,
    event: Event,
    wavelength: int,
    *,
    series: Series,
    wavelengths: list[int],
    segment: str,
    process: str = "",
    recordset: str = "",
    remarks: list[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, PageFacts]:
    """The listing of `event` at `wavelength` in finished exports, the records, and their facts.

    `records` are those that JSOC has (`expected_records`); they come back with `status` `failed`
    or `no_image` and the reason where the exports have no file for them. A listed file is that of
    a record of theirs, or of one outside of the window. Raises ListingError with the reason.
    """
    processed = bool(fingerprint(process))
    asked = Asked(event, wavelength, series, segment, wavelengths, [], "fits", processed, True)
    gone: dict[int, tuple[Status, str]] = {}
    parts = []
    for answer in answers:
        if answer.status == 25:
            said = f"status 25: {answer.error}"
            gone.update({int(n): (Status.FAILED, said) for n in np.flatnonzero(_offline(records))})
            continue
        kind = kind_of_protocol(answer.protocol) or "fits"
        rows, bare = _answer_rows(answer)
        listing = rows_to_listing(rows, replace(asked, kind=kind))
        known = listing["segment"] != MOVIE
        place = np.full(len(listing), -1)
        place[known] = matched(listing[known], records, series)
        listing = listing.assign(place=place)
        # The export may hold other wavelengths: what matches no record of ours is theirs.
        if processed or (series.keys[-1] != "WAVELNTH" and len(series.wavelengths) > 1):
            strange = listing[(place < 0) & known & (listing["wavelength"] == wavelength)]
            if processed and len(strange) and len(wavelengths) == 1:
                raise ListingError(
                    f"{answer.requestid}: {strange['record'].iloc[0]} matches no record that was"
                    " asked for"
                )
            listing = listing[(place >= 0) | ~known]
        _compare_paths(listing[listing["segment"] == segment], records, answer)
        listing = _named(_known_by(listing, records), records, series, event, kind, processed)
        parts.append(listing)
        bare_rows = pd.DataFrame(bare, columns=["record", "reason", "status"])
        for row, n in zip(
            bare_rows.itertuples(), matched(_with_times(bare_rows), records, series), strict=True
        ):
            gone[int(n)] = (row.status, f"{row.reason} ({answer.requestid})")
    nothing = rows_to_listing([], asked).assign(place=pd.Series(dtype="int64"))
    listing = pd.concat([p for p in parts if len(p)] or [nothing], ignore_index=True)
    # Two exports of one event may share records at their edges.
    listing = listing[listing["wavelength"] == wavelength].drop_duplicates(
        ["record", "segment", "filename"]
    )
    refuse_doubles(listing)
    facts = _facts_of(answers, listing, process if processed else "", recordset, remarks or [])
    if len(listing) and not _is_movie(listing) and not recordset:
        facts = replace(facts, edges=edges_of(listing, event, series))
    there = set(listing["place"])
    ids = " ".join(answer.requestid for answer in answers if answer.requestid) or "the export"
    missing = f"asked for, but not in {ids}"
    if not recordset:
        missing = (
            f"not in {ids}; if that was made of other times than the window's, say which in the"
            " row's recordset"
        )
    spared = _spared(records, there, process, series.cadence)
    status, reason = records["status"].tolist(), records["reason"].tolist()
    for n in range(len(records)):
        if n not in there and not status[n] and not _is_movie(listing):
            lost = (Status.NOT_NEEDED, spared[n]) if n in spared else (Status.FAILED, missing)
            status[n], reason[n] = gone.get(n, lost)
    records = records.assign(status=status, reason=reason)
    return in_time_order(listing.drop(columns="place")), records, facts


def _answer_rows(
    answer: Answer,
) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, Status]]]:
    """Record, link and name of each file; record, reason and status of those without one."""
    rows, bare = [], []
    for record, name in answer.data:
        if record.startswith("warning="):
            continue
        if name == "NoDataFile":
            # Of what was asked for, the archive has no more than the record.
            if "spikes" not in record:
                bare.append((record.partition("{")[0], "NoDataFile", Status.NO_IMAGE))
            continue
        if not name.strip():
            bare.append((record.partition("{")[0], "listed without a file name", Status.FAILED))
            continue
        if answer.tarfile:
            link = f"{answer.tarfile}#{name}"
        elif name.startswith("/"):
            link, name = name, name.rpartition("/")[2]
        else:
            link = f"{answer.folder.rstrip('/')}/{name}"
        rows.append((record, f"{_LINK_BASE}{link}", name))
    return rows, bare


def _spared(records: pd.DataFrame, there: set[int], process: str, cadence: int) -> dict[int, str]:
    """The records that the processing was told to leave out, each with the reason."""
    boxes = [step.args for step in parse_process(process)[1] if step.name == "im_patch"]
    if not boxes or not there:
        return {}
    (args,) = boxes
    times = records["t_rec"]
    delivered = times.iloc[sorted(n for n in there if n >= 0)]
    first, last = (
        limit if args[key] == "NotSpecified" else pd.Timestamp(parse_time(args[key]))
        for key, limit in (("t_start", delivered.min()), ("t_stop", delivered.max()))
    )
    step = float(args["cadence"].rstrip("s"))
    # Half a slot less than a step: what lies there was passed over, what was lost lies further.
    slack = pd.Timedelta(seconds=step - cadence / 2 if step > cadence else 0)
    spared = {}
    for n, time in enumerate(times):
        if not first <= time <= last:
            spared[n] = "not asked for: beyond im_patch's t_start and t_stop"
        elif slack > pd.Timedelta(0) and (abs(delivered - time) < slack).any():
            spared[n] = f"not asked for: im_patch's cadence is {args['cadence']}"
    return spared


def _compare_paths(listing: pd.DataFrame, records: pd.DataFrame, answer: Answer) -> None:
    """ListingError where files as stored are not those that JSOC has for their records."""
    for row in listing[listing["place"] >= 0].itertuples():
        path, known = urlsplit(row.url).path, records["path"].iloc[row.place]
        if path.startswith(answer.folder or "\0") or not known.startswith("/"):
            continue
        # The first folder is that of a disk, and changes when data are staged.
        if path.partition("/D")[2] != known.partition("/D")[2]:
            raise ListingError(f"JSOC gives {path} for {row.record}, but keeps {known} for it")


def _with_times(rows: pd.DataFrame) -> pd.DataFrame:
    found = [Recordset.parse(record).times for record in rows["record"]]
    times = [times[1].begin if times else None for times in found]
    return rows.assign(t_rec=pd.to_datetime(pd.Series(times, dtype="object"), utc=True))


def _offline(records: pd.DataFrame) -> pd.Series:
    """The records that JSOC has offline; all of them where it names none."""
    offline = records["online"].str.upper().isin(["N", "OFFLINE"])
    unknown = not offline.any()
    return (offline | unknown) & (records["status"] == "")


def _known_by(listing: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """The listing with record, T_REC and wavelength of the records that its rows match."""
    place = listing["place"].to_numpy("int64")
    there = place >= 0
    listing = listing.copy()
    for column in ("record", "t_rec", "wavelength"):
        listing.loc[there, column] = records[column].iloc[place[there]].to_numpy()
    return listing


def _named(
    listing: pd.DataFrame,
    records: pd.DataFrame,
    series: Series,
    event: Event,
    kind: str,
    processed: bool,
) -> pd.DataFrame:
    """The listing with names under which its files can be kept together with all others.

    A file as stored is called like a default export of it; a processed one, and one that is not
    FITS, has the event and the wavelength in its name, since another event's may have the same.
    """
    if not len(listing) or _is_movie(listing) or (kind == "fits" and not processed):
        return listing
    names, times = [], []
    for row in listing.itertuples():
        if kind == "as-is":
            t_obs = records["t_obs"].iloc[row.place] if row.place >= 0 else pd.NaT
            name, time = _default_name(series, row, t_obs)
        else:
            stem = row.filename.replace(_SUFFIX[kind], "", 1)
            parts = stem.split(".")
            own = [p for p in (str(row.wavelength), event.event_id) if p not in parts]
            name, time = f"{'.'.join([*parts, *own])}{_SUFFIX[kind]}", row.time
        names.append(name)
        times.append(time)
    return listing.assign(filename=names, time=pd.to_datetime(pd.Series(times), utc=True).array)


def _default_name(series: Series, row: object, t_obs: pd.Timestamp) -> tuple[str, pd.Timestamp]:
    """The name of JSOC's default format for a listed row, and the time that it carries."""
    file = series.segments.get(row.segment, row.segment)  # type: ignore[attr-defined]
    time = row.t_rec if t_obs is pd.NaT or series.zone == "TAI" else observed_second(t_obs)  # type: ignore[attr-defined]
    values = Recordset.parse(row.record).filters  # type: ignore[attr-defined]
    parts = [
        _stamp(value, time, series) if key == "T_REC" else value
        for key, value in zip(series.keys, values, strict=True)
    ]
    return ".".join([series.name, *parts, file, "fits"]), time


def _stamp(value: str, time: pd.Timestamp, series: Series) -> str:
    """A time in a file name: dots and colons are left out."""
    return re.sub("[.:]", "", value) if series.zone == "TAI" else f"{time:%Y-%m-%dT%H%M%SZ}"


def _is_movie(listing: pd.DataFrame) -> bool:
    return bool(len(listing)) and bool((listing["segment"] == MOVIE).all())


def _facts_of(
    answers: list[Answer],
    listing: pd.DataFrame,
    process: str,
    recordset: str,
    remarks: list[str],
) -> PageFacts:
    first = next((answer for answer in answers if answer.status == 0), answers[0])
    warnings = [
        f"{answer.requestid}: {record.removeprefix('warning=')}"
        for answer in answers
        for record, _ in answer.data
        if record.startswith("warning=")
    ]
    return PageFacts(
        requestid=" ".join(answer.requestid for answer in answers),
        count=sum(answer.count for answer in answers),
        rows=len(listing),
        exptime=first.exptime,
        method=first.method,
        protocol=first.protocol,
        megabytes=sum(answer.size for answer in answers),
        process=process,
        recordset=recordset,
        remarks=[*remarks, *warnings],
    )
