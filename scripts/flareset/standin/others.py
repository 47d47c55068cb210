"""Series of other instruments that JSOC lists beside those of SDO's images: their structure alone.

The stand-in lists and describes them, and has no records of them. Sources: JSOC's pages of series,
MDI's pages of observables.
"""

from __future__ import annotations

from typing import Any

from flareset.standin.slots import HMI_EPOCH
from flareset.standin.structure import Structure

_Keyword = dict[str, Any]
_MISSING = {
    "time": "-4712.01.01_11:59:28",
    "int": "-2147483648",
    "longlong": "-9223372036854775808",
    "float": "nan",
    "double": "nan",
    "string": "",
}


def _keyword(name: str, kind: str, note: str, unit: str = "none", **other: str) -> _Keyword:
    missing = _MISSING[kind]
    if kind == "time":
        missing += "Z" if unit == "ISO" else "_TAI"
    declared = {"name": name, "type": kind, "recscope": "variable", "defval": missing}
    return {**declared, "units": unit, "note": note, **other}


def _series(
    name: str, note: str, primes: tuple[str, ...], segment: str, keywords: list[_Keyword]
) -> Structure:
    steps = {
        key["name"].removesuffix("_step"): key["defval"]
        for key in keywords
        if key["name"].endswith("_step")
    }
    return Structure(
        name,
        {
            "note": note,
            "retention": 60,
            "stagingretention": 3,
            "unitsize": 1,
            "archive": 1,
            "tapegroup": 1,
            "primekeys": [*primes],
            "primekeysinfo": [
                {"name": key, "slotted": 1, "step": steps[key]}
                if key in steps
                else {"name": key, "slotted": 0}
                for key in primes
            ],
            "dbindex": [*primes],
            "keywords": keywords,
            "segments": [
                {
                    "name": segment,
                    "type": "short",
                    "units": "none",
                    "protocol": "fits",
                    "dims": "VARxVAR",
                    "note": segment,
                }
            ],
            "links": [],
        },
    )


def _mdi(name: str, note: str) -> Structure:
    """Return a series of full disks of MDI: a slot each minute."""
    keywords = [
        _keyword("T_REC", "time", "Slot time", "TAI", recscope="ts_eq"),
        _keyword("T_REC_epoch", "time", "Slot 0", "TAI", recscope="constant", defval=HMI_EPOCH),
        _keyword("T_REC_step", "double", "Slot", "s", recscope="constant", defval="60.000000"),
        _keyword("T_OBS", "time", "Observation time", "TAI"),
        _keyword("QUALITY", "int", "Quality word", defval="0x80000000"),
        _keyword("DATAVALS", "int", "Actual number of data values in image"),
        _keyword("T_REC_index", "longlong", "Index of T_REC", recscope="index", defval="0"),
    ]
    return _series(name, note, ("T_REC",), "data", keywords)


def _iris(name: str, note: str) -> Structure:
    """Return a series of images of IRIS, without slots."""
    keywords = [
        _keyword("DATE__OBS", "time", "[DATE-OBS] Date when observation started", "ISO"),
        _keyword("T_OBS", "time", "Observation time", "ISO"),
        _keyword("FSN", "int", "Filtergram Sequence Number"),
        _keyword("INSTRUME", "string", "FUV, NUV or SJI"),
        _keyword("IMG_PATH", "string", "Light path and SJI filter setting"),
        _keyword("EXPTIME", "float", "Exposure duration: mean shutter open time", "sec"),
        _keyword("QUALITY", "int", "Level 1 Quality word", defval="0x80000000"),
    ]
    return _series(name, note, ("T_OBS", "FSN"), "image_lev1", keywords)


# By name in lower case, as JSOC compares names.
OTHERS = {
    structure.name.lower(): structure
    for structure in (
        _mdi("mdi.fd_M_lev182", "MDI Full Disk 01-m Magnetogram"),
        _mdi("mdi.fd_V", "MDI Full Disk Dopplergram"),
        _iris("iris.lev1", "IRIS level 1"),
    )
}
