"""Read the records of a window from answers of `jsoc_info`.

Source: jsoc_info.c, `op=rs_list`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from flareset.errors import ExportError
from flareset.sdo.numbers import real, whole
from flareset.sdo.processing import Step
from flareset.sdo.quality import quality_of
from flareset.sdo.recordset import parse_time
from flareset.sdo.series import Series
from flareset.sdo.times import parse_jsoc_time
from flareset.tables.records import KEYS, VALUES
from flareset.tables.rows import Row, each
from flareset.tables.status import Status

_SPECIAL = ["*recnum*", "*online*", "*size*"]
# The size of a file of AIA's level 1, used if JSOC gives none.
_TYPICAL_BYTES = 12_000_000
_NO_IMAGE = 0x80000000


def keys_of(series: Series, more: Iterable[str] = ()) -> list[str]:
    """Return the keywords to ask `rs_list` for. `more` are additional keywords."""
    return list(dict.fromkeys([*series.keys, *KEYS, *more, *_SPECIAL]))


def expected_records(
    rows: list[dict[str, str]], recordset: str, series: Series, wavelength: int
) -> list[Row]:
    """Return a row per record at `wavelength`, in time order, from an answer to `rs_list`.

    Keywords are JSOC's text. `bytes` is JSOC's estimate of the image's size. `status` is
    `no_image`, with a `reason`, if QUALITY says that there is no image, else empty. Raises
    ExportError if there is no record.
    """
    found = [row for row in rows if _wavelength(row) == wavelength]
    if not found:
        raise ExportError(
            f"JSOC has no record of {recordset} at {wavelength}: check the window, the"
            " wavelength and the series"
        )
    name = series.name + "".join(f"[{{{key}}}]" for key in series.keys)
    identified = [(_t_rec(row), name.format_map(row), row) for row in found]
    identified.sort(key=itemgetter(0, 1))
    t_rec, names, found = map(list, zip(*identified, strict=True))
    t_obs = [_t_obs(row) for row in found]
    quality = [_quality(row.get("QUALITY", "")) for row in found]
    verdicts = each(_without_image, quality)
    columns = {
        "record": names,
        "t_rec": t_rec,
        "t_obs": t_obs,
        "time": [series.image_time(*moments) for moments in zip(t_rec, t_obs, strict=True)],
        "wavelength": [wavelength] * len(found),
        **{key: _values(found, key) for key in VALUES},
        "QUALITY": quality,
        "recnum": _values(found, "*recnum*"),
        "online": _values(found, "*online*"),
        "path": _paths(found),
        "bytes": each(_bytes, [row.get("*size*", "") for row in found]),
        "status": [status for status, _ in verdicts],
        "reason": [reason for _, reason in verdicts],
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _wavelength(row: dict[str, str]) -> int:
    """Return the record's channel. HMI's 6173.3 becomes 6173, as does a missing one."""
    try:
        return int(real(row["WAVELNTH"], 0, 1e6))
    except (KeyError, ValueError):
        return 6173


def _t_rec(row: Mapping[str, str]) -> datetime:
    try:
        return parse_jsoc_time(row["T_REC"])
    except (KeyError, ValueError) as error:
        raise ExportError(f"jsoc_info gives a record without a T_REC: {error}") from None


def _t_obs(row: Mapping[str, str]) -> datetime | None:
    try:
        return parse_jsoc_time(row.get("T_OBS", ""))
    except ValueError:
        return None


def _quality(text: str) -> str:
    # In decimals, the QUALITY of a record without image looks like JSOC's missing number.
    return hex(_NO_IMAGE) if text == str(-_NO_IMAGE) else _known(text)


def _without_image(quality: str) -> tuple[str, str]:
    """Return status and reason of a record with this QUALITY; both are empty if it has an image."""
    if not (quality_of(quality) or 0) & _NO_IMAGE:
        return "", ""
    return Status.NO_IMAGE, f"QUALITY {quality}: the record has no image"


def _bytes(text: str) -> int:
    """Return the size of a record's file (bytes), or a typical size if JSOC gives none."""
    try:
        return whole(text, 1)
    except ValueError:
        return _TYPICAL_BYTES


def _paths(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the path of the segment's file of each record; empty if JSOC gives none."""
    segment = next((key for key in rows[0] if key.startswith("segment:")), "")
    paths = [row.get(segment, "") for row in rows]
    return [path if path.startswith("/") else "" for path in paths]


def _values(rows: Iterable[Mapping[str, str]], key: str) -> list[str]:
    """Return the values of a keyword, as `_known` gives them."""
    return each(_known, [row.get(key, "") for row in rows])


def _known(text: str) -> str:
    """Return a value; empty if JSOC writes that it is missing."""
    # Most values are such numbers, and a window has 20,000 values.
    if text[:1].isdigit():
        return text
    no_number = text.lower().lstrip("+-") in ("nan", "inf")
    missing = no_number or text in ("", "MISSING", "-2147483648", "Invalid KeyLink")
    return "" if missing or text.startswith("-4712") else text


def match_rows(rows: Sequence[Row], records: Sequence[Row], series: Series) -> list[int]:
    """Return the index in `records` of each listed row (`record`, `t_rec`); -1 without a match.

    A processed row's record belongs to another series, and is matched by its time. JSOC's modules
    write T_REC, T_OBS rounded to the second, or the slot centre nearest T_OBS. The kind of time
    that matches most rows counts, since an exposure can share its second with the next slot.
    """
    place = {row["record"].lower(): n for n, row in enumerate(records)}
    found = [place.get(row["record"].lower(), -1) for row in rows]
    own = f"{series.name.lower()}["
    left = [
        n
        for n, row in enumerate(rows)
        if found[n] < 0 and not row["record"].lower().startswith(own)
    ]
    matches = _match_times([rows[n]["t_rec"] for n in left], records, series) if left else []
    for n, match in zip(left, matches, strict=True):
        found[n] = match
    return found


def _match_times(times: Sequence[datetime], records: Sequence[Row], series: Series) -> list[int]:
    """Return the index in `records` of each time; -1 without a match."""
    rounded = [row["t_obs"] and observed_second(row["t_obs"]) for row in records]
    # Of two exposures with the same slot centre, JSOC keeps the later, so the last index counts.
    # Of equal T_REC or T_OBS the first index counts, hence `reversed`.
    keys = [
        _places(reversed([*enumerate(row["t_rec"] for row in records)])),
        _places(reversed([*enumerate(rounded)])),
        _places(enumerate(_centres(records, series))),
    ]
    return max(
        ([places.get(time, -1) for time in times] for places in keys),
        key=lambda matches: sum(place >= 0 for place in matches),
    )


def _places(times: Iterable[tuple[int, datetime | None]]) -> dict[datetime, int]:
    """Return the index of each time; of equal times the one that comes last."""
    return {when: n for n, when in times if when is not None}


def _centres(records: Iterable[Row], series: Series) -> list[datetime | None]:
    """Return the slot centre nearest to each record's T_OBS; None if T_OBS is missing."""
    return [row["t_obs"] and series.centre(row["t_obs"]) for row in records]


def mark_left_out(records: Sequence[Row], steps: Iterable[Step], series: Series) -> list[Row]:
    """Return the records; `status` and `reason` mark those that JSOC's processing leaves out."""
    records = list(records)
    for step in steps:
        there = [row for row in records if not row["status"]]
        if step.name.startswith("aia_scale"):
            status, found = Status.NO_IMAGE, _dropped_by_scaling(there, series)
        elif step.name == "im_patch":
            status, found = Status.NOT_NEEDED, _beside_cut_outs(there, step.args, series)
        else:
            continue
        records = [
            {**row, "status": status, "reason": found[row["record"]]}
            if row["record"] in found
            else row
            for row in records
        ]
    return records


def _dropped_by_scaling(records: Sequence[Row], series: Series) -> dict[str, str]:
    """Return the records that JSOC's aia_scale drops, with the reason.

    The module writes an exposure into the slot whose centre is nearest T_OBS. If there are two, the
    later one stays (aia_lev1p5.c).
    """
    slots: dict[datetime | None, str] = {}
    dropped: dict[str, str] = {}
    for row, centre in zip(records, _centres(records, series), strict=True):
        record = row["record"]
        if centre is not None and centre in slots:
            why = f"JSOC's aia_scale puts it into the slot of {record}, and keeps that one alone"
            dropped[slots[centre]] = why
        slots[centre] = record
    return dropped


def _beside_cut_outs(
    records: Sequence[Row], args: Mapping[str, str], series: Series
) -> dict[str, str]:
    """Return the records that `im_patch` makes no cut-out of, with the reason.

    The module uses records from t_start to t_stop: the first at or after each step of its cadence
    (im_patch.c).
    """
    if not records:
        return {}
    times = [row["t_rec"] for row in records]
    first, last = (
        limit if args[key] == "NotSpecified" else parse_time(args[key])
        for key, limit in (("t_start", min(times)), ("t_stop", max(times)))
    )
    step = timedelta(seconds=float(args["cadence"].removesuffix("s")))
    every = step > timedelta(seconds=series.cadence)
    due, left = first, {}
    for row in records:
        record, time = row["record"], row["t_rec"]
        if not first <= time <= last:
            left[record] = "not asked for: beyond im_patch's t_start and t_stop"
        elif every and time < due:
            left[record] = f"not asked for: im_patch's cadence is {args['cadence']}"
        elif every:
            due += ((time - due) // step + 1) * step
    return left


def observed_second(t_obs: datetime) -> datetime:
    """Return T_OBS rounded to the second, as in JSOC's file names."""
    return (t_obs + timedelta(milliseconds=500)).replace(microsecond=0)
