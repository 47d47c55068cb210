"""What JSOC's real software answered, read from ../shared, and the records that its machine had.

Nothing of the recorded answers is kept here. What they do not tell is filled in plainly: an
exposure of 2.9 s, 9 or 11 s after its T_REC.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path("jsoc/recorded")
SERIES, LEV1, HMI = "aia.lev1_euv_12s", "aia.lev1", "hmi.M_45s"
FIRST, LAST = datetime(2014, 1, 7, 14, 50, 1), datetime(2014, 1, 7, 23, 49, 49)
FIRST_RECNUM, FIRST_FSN, FIRST_SUNUM = 1157588501, 117028501, 299054447632
CHANNELS = (131, 171)
# Slots without a record; the counts in the answers are of so many.
GAPS = {131: ("18:45:01", "22:34:01"), 171: ("17:05:13", "21:32:13", "22:58:13")}
OFFLINE, BARE = "17:12:49", "15:57:49"
LATE = {131: 9.0, 171: 11.0}
BRIGHT = "2.900040"
CUT = re.compile(r"\.\.\. (\d+) in all \.\.\.")
_HIDDEN = re.compile(r"\.\.\.\[(\d+) chars\]\.\.\.")
_ITEM = re.compile(r"#?\d{10}|2014[.-]01[.-]07[T_][\d:]{8}(?:_UTC|_TAI|_Z|Z|)(?:/\d+s)?")


@cache
def rows(real: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a recorded file, their requests whole."""
    found = json.loads((real / FOLDER / f"{name}.json").read_text())
    for row in found:
        if isinstance(row.get("request"), dict) and "ds" in row["request"]:
            row["request"]["ds"] = whole(row["request"]["ds"])
    return found


def text(real: Path, name: str) -> str:
    """Return a file of the recorded ones."""
    return (real / FOLDER / name).read_text()


def slot(n: int) -> datetime:
    """Return the time of the n-th slot of the records, UTC without a zone."""
    return FIRST + timedelta(seconds=12 * n)


def slots() -> Iterator[tuple[int, int, datetime]]:
    """Yield the records: number of the slot, wavelength, T_REC."""
    for n in range((LAST - FIRST) // timedelta(seconds=12) + 1):
        for wavelength in CHANNELS:
            when = slot(n)
            if f"{when:%H:%M:%S}" not in GAPS[wavelength]:
                yield n, wavelength, when


def recnum(n: int, wavelength: int) -> int:
    """Return the number of a record."""
    return FIRST_RECNUM + 10 * n + CHANNELS.index(wavelength)


def whole(ds: str) -> str:
    """Return a recordset, whose middle was cut out of the recording, with its records again."""
    hidden = _HIDDEN.search(ds)
    if hidden is None:
        return ds
    head, tail, length = ds[: hidden.start()], ds[hidden.end() :], int(hidden[1])
    begun, ended = head[head.rindex(",") + 1 :], tail[: tail.index(",")]
    before, behind = head[: len(head) - len(begun)], tail[len(ended) :]
    low = [found[0] for found in _ITEM.finditer(before)][-1]
    high = next(found[0] for found in _ITEM.finditer(behind) if len(found[0]) == len(low))
    items = [spelled(n, when, low) for n, wavelength, when in slots() if wavelength == 131]
    items = items[items.index(low) + 1 : items.index(high)]
    count = (length - len(before) - len(behind) + 1) // (len(low) + 1)
    odd = [spelled(n, when, low) for n, _, when in slots() if f"{when:%H:%M:%S}" in (BARE, OFFLINE)]
    if count < len(items) - len(odd):
        items = [item for item in items if item not in odd]
    first = next(k for k, item in enumerate(items) if item.startswith(begun))
    last = max(k for k, item in enumerate(items) if item.endswith(ended))
    chosen = [*items[first : first + count - 1], items[last]]
    made = before + ",".join(chosen) + behind
    assert (len(made), made[: len(head)], made[-len(tail) :]) == (length, head, tail)
    return made


def spelled(n: int, when: datetime, like: str) -> str:
    """Return a record in the spelling of another."""
    if like.lstrip("#").isdigit():
        return ("#" if like.startswith("#") else "") + str(recnum(n, 131))
    if "_TAI" in like:
        when += timedelta(seconds=35)
    layout = "%Y-%m-%dT%H:%M:%S" if like[4] == "-" else "%Y.%m.%d_%H:%M:%S"
    return when.strftime(layout) + like[19:]


def holdings(real: Path) -> list[dict[str, Any]]:
    """Return the series and records of that machine, as the stand-in is given them."""
    own = _structure(json.loads(text(real, "direct/series_struct.json")))
    given = {name.lower(): name for name in (key["name"] for key in own["keywords"])}
    (sample,) = _columns(json.loads(text(real, "direct/all_keys.json")))
    sample = {name: value for name, value in sample.items() if value != "MISSING"}
    records = {
        (f"{when:%H:%M:%S}", wavelength): _record(sample, n, wavelength, when)
        for n, wavelength, when in slots()
    }
    for when, wavelength, values in _told(real):
        row = records.get((when, wavelength))
        for name, value in values.items():
            if row is not None and name.lower() in given:
                row[given[name.lower()]] = value
    for when, wavelength, second in _seconds_told(real):
        if (row := records.get((when, wavelength))) is not None and row["T_OBS"][11:19] != second:
            row["T_OBS"] = f"{row['T_OBS'][:11]}{second}.00Z"
    for when in _bright(real):
        records[when, 131]["EXPTIME"] = BRIGHT
    lev1 = [_linked(row) for row in records.values()]
    return [
        {"name": SERIES, "struct": own, "records": [*records.values()]},
        {"name": LEV1, "struct": _lev1_structure(real, own), "records": lev1},
        {"name": HMI, "struct": _hmi_structure(own), "records": [*_hmi_records()]},
    ]


def _structure(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in answer.items() if k not in ("Interval", "runtime", "status")}


def _lev1_structure(real: Path, own: dict[str, Any]) -> dict[str, Any]:
    """Return the structure of aia.lev1.

    The middle of its recording is cut out: the keywords are those of the linked series, unlinked.
    """
    answer = next(
        row["real"]["json"]
        for row in rows(real, "info_ops")
        if row["request"] == {"op": "series_struct", "ds": LEV1}
    )
    ends = [key for key in answer["keywords"] if isinstance(key, dict)]
    head, tail = ends[:6], ends[6:]
    middle = []
    for key in own["keywords"]:
        key = {name: value for name, value in key.items() if name != "linkinfo"}
        if key["name"] == "T_REC":
            key["recscope"] = "ts_slot"
        elif key["name"] == "T_REC_epoch":
            key["defval"] = "1977.01.01_00:00:00_TAI"
        elif key["name"] == "T_REC_step":
            round_ = {**key, "name": "T_REC_round", "type": "int", "defval": "1"}
            middle.append(round_)
            key["defval"] = "1.000000"
        if key["name"] not in [end["name"] for end in tail]:
            middle.append(key)
    return {**_structure(answer), "keywords": [*head, *middle, *tail]}


def _hmi_structure(own: dict[str, Any]) -> dict[str, Any]:
    """hmi.M_45s as that machine had it: ts_eq, 45 s, epoch 1993.01.01_00:00:00_TAI."""
    kept = ("T_REC", "T_REC_epoch", "T_REC_step", "QUALITY", "CAMERA", "T_REC_index")
    keywords = []
    for key in own["keywords"]:
        if key["name"] in kept:
            key = {name: value for name, value in key.items() if name != "linkinfo"}
            changed = {
                "T_REC": {"units": "TAI", "defval": "-4712.01.01_11:59:28_TAI"},
                "T_REC_epoch": {"defval": "1993.01.01_00:00:00_TAI"},
                "T_REC_step": {"defval": "45.000000"},
            }
            keywords.append({**key, **changed.get(key["name"], {})})
    segment = {"name": "magnetogram", "type": "int", "units": "Gauss", "protocol": "fits"}
    return {
        **own,
        "primekeys": ["T_REC", "CAMERA"],
        "keywords": keywords,
        "segments": [{**segment, "dims": "4096x4096", "note": "magnetogram"}],
        "links": [],
    }


def _hmi_records() -> Iterator[dict[str, Any]]:
    # Slots begin at midnight TAI.
    for n in range(1170, 1960):
        when = datetime(2014, 1, 7) + timedelta(seconds=45 * n)
        yield {
            "T_REC": f"{when:%Y.%m.%d_%H:%M:%S}_TAI",
            "CAMERA": 2,
            "QUALITY": 0,
            "*recnum*": 5_000_000 + n,
            "segments": {"magnetogram": {"path": f"/SUM0/D{n}/S00000/magnetogram.fits"}},
        }


def _record(sample: dict[str, Any], n: int, wavelength: int, when: datetime) -> dict[str, Any]:
    """Return a record of the 12 s series. Keywords that were not recorded are as in the sample."""
    sunum = FIRST_SUNUM + 3072 * n + 16 * CHANNELS.index(wavelength)
    folder = f"/SUM{1 + sunum % 89}/D{sunum}/S00000"
    number = recnum(n, wavelength)
    return {
        **sample,
        "T_REC": f"{when:%Y-%m-%dT%H:%M:%S}Z",
        "T_OBS": f"{when + timedelta(seconds=LATE[wavelength]):%Y-%m-%dT%H:%M:%S}.00Z",
        "WAVELNTH": wavelength,
        "FSN": FIRST_FSN + 10 * n + CHANNELS.index(wavelength),
        "EXPTIME": "2.900000",
        "QUALITY": "0x80000000" if f"{when:%H:%M:%S}" == BARE and wavelength == 131 else 0,
        "*recnum*": number,
        "*sunum*": -1,
        "*recdir*": "NoDataDirectory",
        **dict.fromkeys(("*size*", "*online*", "*retain*", "*archive*", "*dirmtime*"), "NA"),
        "links": {"lev1": f"{LEV1}[:#{number}]"},
        "segments": {
            "image": {"path": f"{folder}/image_lev1.fits", "dims": "256x256"},
            "spikes": {"path": f"{folder}/spikes.fits", "dims": ""},
        },
    }


def _linked(row: dict[str, Any]) -> dict[str, Any]:
    """Return the record of aia.lev1 that a record links to, with the dimensions of its spikes."""
    row["segments"]["spikes"]["dims"] = f"{row['NSPIKES']}x3"
    folder = row["segments"]["image"]["path"].rpartition("/")[0]
    second = datetime.fromisoformat(row["T_OBS"][:-1]) + timedelta(milliseconds=500)
    offline = row["T_REC"][11:19] == OFFLINE and row["WAVELNTH"] == 131
    return {
        **{key: value for key, value in row.items() if key != "links"},
        "T_REC": f"{second:%Y-%m-%dT%H:%M:%S}Z",
        "*sunum*": int(folder.split("/D")[1].split("/")[0]),
        "*size*": "46079",
        "*online*": "N" if offline else "Y",
        "*retain*": "2030.01.01",
        "*archive*": "N",
        "*recdir*": folder,
        "*dirmtime*": "2026.11.26_11:09:07_UT",
        "*logdir*": "NoDataDirectory",
        "segments": {
            "image_lev1": row["segments"]["image"],
            "spikes": row["segments"]["spikes"],
        },
    }


def _columns(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Yield the keywords of an answer of rs_list, a dict for each record in it."""
    columns = {key["name"]: key["values"] for key in answer["keywords"] if isinstance(key, dict)}
    told = range(len(next(iter(columns.values()), [])))
    return [{name: values[n] for name, values in columns.items()} for n in told]


def _told(real: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield the records with keywords in answers: time of T_REC, wavelength, keywords."""
    answers = [json.loads(text(real, f"direct/{n}.json")) for n in ("all_keys", "six_records")]
    for row in rows(real, "info_ops"):
        asked, answer = row["request"], row["real"]["json"] or {}
        own = asked.get("ds", "").startswith(SERIES)
        if asked["op"] == "rs_list" and own and "M" not in asked and answer.get("count"):
            answers.append(answer)
    for answer in answers:
        for record in _columns(answer):
            when = record.get("T_REC") or record.get("t_rec") or ""
            values = {
                name: value
                for name, value in record.items()
                if not CUT.match(str(value)) and value not in ("MISSING", "Invalid KeyLink")
            }
            yield when[11:19], 131, values
        for segment in answer["segments"]:
            if segment["name"] == "spikes":
                for record, dims in zip(_columns(answer), segment["dims"], strict=True):
                    yield record["T_REC"][11:19], 131, {"NSPIKES": dims.partition("x")[0]}


def _seconds_told(real: Path) -> Iterator[tuple[str, int, str]]:
    """Yield time of T_REC, wavelength and second of the exposures whose second was recorded."""
    names = re.compile(rf"{SERIES}\.2014-01-07T(\d\d)(\d\d)(\d\d)Z\.(\d+)\.image_lev1")
    told = [text(real, "exports_finished.json"), text(real, "index/081.index.txt")]
    for hour, minute, second, wavelength in (found for t in told for found in names.findall(t)):
        observed = datetime(2014, 1, 7, int(hour), int(minute), int(second))
        t_rec = slot((observed - FIRST) // timedelta(seconds=12))
        yield f"{t_rec:%H:%M:%S}", int(wavelength), f"{observed:%H:%M:%S}"
    numbers = {recnum(n, w): (f"{when:%H:%M:%S}", w) for n, w, when in slots()}
    for name in ("info_ops", "info_recordsets"):
        for row in rows(real, name):
            answer = row["real"]["json"] or {}
            if answer.get("count") and row["request"]["ds"].startswith(f"{LEV1}["):
                for record in _columns(answer):
                    yield *numbers[record["*recnum*"]], record["T_REC"][11:19]


def _bright(real: Path) -> list[str]:
    """Return the T_RECs of the exposures over 2.90003 s, recorded ones and others between."""
    answer = next(
        row["real"]["json"]
        for row in rows(real, "info_recordsets")
        if "EXPTIME>2.90003" in row["request"]["ds"]
    )
    (told,) = [key["values"] for key in answer["keywords"] if key["name"] == "T_REC"]
    place = next(n for n, value in enumerate(told) if CUT.match(value))
    head, tail = ([value[11:19] for value in part] for part in (told[:place], told[place + 1 :]))
    told_of = {when for when, _, values in _told(real) if "EXPTIME" in values}
    between = [
        f"{when:%H:%M:%S}"
        for _, wavelength, when in slots()
        if wavelength == 131 and head[-1] < f"{when:%H:%M:%S}" < tail[0]
    ]
    free = [when for when in between if when not in told_of]
    return [*head, *free[: answer["count"] - len(head) - len(tail)], *tail]
