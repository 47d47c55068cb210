"""Turn the processing steps of a campaign into those of one event, as JSOC reads them.

Source: the export page's processing.js, im_patch.c and processing.h of JSOC.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flareset.campaign.events import Event
from flareset.errors import ExportError
from flareset.sdo import geometry
from flareset.sdo.processing import Step
from flareset.sdo.recordset import moment, parse_time
from flareset.sdo.series import Series
from flareset.sdo.times import iso, parse_duration

_CENTER_UNITS = {
    "arcsec": "arcsec",
    "pixels": "pixels",
    "stonyhurst": "stony",
    "carrington": "carrlong",
}


@dataclass(frozen=True)
class Region:
    """Where an active region was: Stonyhurst degrees at a time, and who says so."""

    time: datetime
    longitude: float
    latitude: float


@dataclass(frozen=True)
class Surroundings:
    """What an event gives to the processing of its export.

    `begin`, `end` and `cadence` (seconds, 0 for the series' own) are those of its recordset;
    `region` looks up an active region near a time.
    """

    event: Event
    series: Series
    begin: datetime
    end: datetime
    region: Callable[[int, datetime], Region | None]
    cadence: float = 0.0


def wire_steps(steps: list[dict[str, Any]], around: Surroundings) -> tuple[list[Step], list[str]]:
    """The steps as JSOC reads them for one event, and remarks on where they came from.

    Raises ExportError with a sentence where the event does not give what a step needs.
    """
    wired: list[Step] = []
    remarks: list[str] = []
    for step in steps:
        ((name, given),) = step.items()
        if name == "im_patch":
            box, remark = _box(given, around)
            wired.append(box)
            remarks += [remark] if remark else []
        elif name != "no_op":
            wired.append(_WIRES[name](given, around.series))
    return wired, remarks


def _box(given: dict[str, Any], around: Surroundings) -> tuple[Step, str]:
    """`im_patch` with its arguments in the order of JSOC's form."""
    t_start, t_stop = (
        {"window": iso(edge), "limb": "NotSpecified"}.get(given[key]) or iso(moment(given[key]))
        for key, edge in (("t_start", around.begin), ("t_stop", around.end))
    )
    if "NotSpecified" not in (t_start, t_stop) and parse_time(t_start) >= parse_time(t_stop):
        raise ExportError(
            f"event {around.event.event_id}: im_patch's t_start {t_start} is not before its t_stop"
            f" {t_stop}"
        )
    when = _reference(given["t_ref"], around.event)
    units, remark = given["center_units"] or "arcsec", ""
    if given["noaa_ar"] is not None:
        when, units, (x, y), remark = _region(given, when, around)
    elif given["center"] == "event":
        x, y = _position(around.event)
    else:
        x, y = given["center"]
    if units == "carrington":
        _refuse_behind(x, y, (around.begin, when, around.end), around.event)
    t_ref = iso(when)
    if not given["track"]:
        # Without tracking nothing moves, and the form sends the start as the reference.
        t_ref = t_start if t_start != "NotSpecified" else iso(around.begin)
    elif units == "arcsec" and math.hypot(x, y) > geometry.solar_radius_arcsec(when):
        raise ExportError(
            f"event {around.event.event_id}: the cut-out's center {x}, {y} arcsec is off the disk,"
            " where nothing can be tracked: set track: false in export.processing"
        )
    cadence = around.cadence or around.series.cadence
    if given["cadence"]:
        cadence = parse_duration(given["cadence"]).total_seconds()
    args = {
        "t_start": t_start,
        "t_stop": t_stop,
        "t": "0" if given["track"] else "1",
        "r": str(int(given["register"])),
        "c": str(int(given["crop"])),
        "cadence": f"{_number(cadence)}s",
        "locunits": _CENTER_UNITS[units],
        "boxunits": given["size_units"],
    }
    if units == "carrington":
        rotation = given["car_rot"]
        args["car_rot"] = str(geometry.carrington(when)[0] if rotation is None else rotation)
    else:
        args["t_ref"] = t_ref
    width, height = given["size"]
    place = {"x": x, "y": y, "width": width, "height": height}
    args.update({key: _number(value) for key, value in place.items()})
    return Step("im_patch", args), remark


def _refuse_behind(
    longitude: float, latitude: float, times: tuple[datetime, ...], event: Event
) -> None:
    """ExportError where a Carrington position is on the far side of the Sun at all the times."""
    for when in times:
        centre = geometry.carrington(when)[1]
        try:
            geometry.stonyhurst_to_arcsec((longitude - centre + 180) % 360 - 180, latitude, when)
        except ValueError:
            continue
        return
    raise ExportError(
        f"event {event.event_id}: Carrington {longitude:g}, {latitude:g} is behind the limb all the"
        f" time: at {iso(when)} the disk's centre has longitude {centre:.1f}"
    )


def _reference(text: str, event: Event) -> datetime:
    if text == "peak":
        return event.flare_peak or event.flare_start
    if text == "start":
        return event.flare_start
    return moment(text)


def _position(event: Event) -> tuple[float, float]:
    if event.hpc_x is None or event.hpc_y is None:
        raise ExportError(
            f"event {event.event_id}: im_patch has center: event, but its row has no hpc_x and"
            " hpc_y; fill them in, or use noaa_ar"
        )
    return event.hpc_x, event.hpc_y


def _region(
    given: dict[str, Any], when: datetime, around: Surroundings
) -> tuple[datetime, str, tuple[float, float], str]:
    """Where an active region is, looked up as JSOC's form does; else the event's own position."""
    event = around.event
    number = given["noaa_ar"]
    if number == "event":
        text = event.row.get("noaa_ar", "")
        if not text.isdigit() or int(text) == 0:
            position = _position_or_refuse(event, f"its row has noaa_ar {text!r}")
            return when, "arcsec", position, f"no NOAA AR in the row; used the position {position}"
        number = int(text)
    # Numbers began anew at 10000 in 2002.
    number = number + 10000 if number < 7000 else number
    found = around.region(number, when)
    if found is None and given["noaa_ar"] != "event":
        raise ExportError(
            f"event {event.event_id}: JSOC knows no NOAA AR {number} within a rotation of"
            f" {iso(when)}; look at im_patch's noaa_ar"
        )
    if found is None:
        position = _position_or_refuse(event, f"JSOC knows no NOAA AR {number} then")
        return when, "arcsec", position, f"JSOC knows no NOAA AR {number}; used {position} arcsec"
    said = f"NOAA AR {number}: {found.longitude}, {found.latitude} Stonyhurst at {iso(found.time)}"
    if given["track"]:
        return found.time, "stonyhurst", (found.longitude, found.latitude), said
    # It was seen days before or after: without tracking, it is where it has turned to by then.
    turned = geometry.carrington(found.time)[1] - geometry.carrington(when)[1]
    longitude = round((found.longitude + turned + 180) % 360 - 180, 2)
    if abs(longitude) > 90:
        raise ExportError(
            f"event {event.event_id}: NOAA AR {number} was not on the side of the Sun that we see"
            f" at {iso(when)}: set another t_ref, or center"
        )
    said += f", {longitude} at {iso(when)}"
    return when, "stonyhurst", (longitude, found.latitude), said


def _position_or_refuse(event: Event, why: str) -> tuple[float, float]:
    if event.hpc_x is None or event.hpc_y is None:
        raise ExportError(
            f"event {event.event_id}: {why}, and there is no hpc_x and hpc_y to use instead"
        )
    return event.hpc_x, event.hpc_y


def _aia_scale(given: dict[str, Any], series: Series) -> Step:
    variant = "other"
    if series.name == "aia.lev1":
        variant = "orig"
    elif series.name.startswith("aia.lev1"):
        variant = "aialev1"
    args = {"mpt": given["pointing_series"]} if given["pointing_series"] else {}
    for keys, setting in ((("xc", "yc"), "center"), (("wide", "high"), "size")):
        if given[setting] is not None:
            args.update({k: _number(v) for k, v in zip(keys, given[setting], strict=True)})
    return Step(f"aia_scale_{variant}", args)


def _resize(given: dict[str, Any], series: Series) -> Step:  # noqa: ARG001 - one signature for all
    args = {
        "regrid": "1" if given["interpolation"] == "bicubic" else "0",
        "do_stretchmarks": str(int(given["fill_off_limb"])),
        "center_to": {"sun": "0", "first_image": "1", "none": "2"}[given["center_on"]],
        "rescale": str(int(given["scale"] is not None)),
    }
    if given["scale"] is not None:
        args["scale_to"] = _number(given["scale"])
    if given["crop"]:
        args["c"] = "1"
    return Step("resize", args)


def _rebin(given: dict[str, Any], series: Series) -> Step:  # noqa: ARG001
    args = {"method": given["method"], "scale": _number(given["scale"])}
    if given["crop"]:
        args["c"] = "1"
    if given["method"] == "gaussian":
        args |= {"FWHM": _number(given["fwhm"]), "nvector": _number(given["vector_length"])}
    return Step("rebin", args)


def _maproj(given: dict[str, Any], series: Series) -> Step:  # noqa: ARG001
    longitude, latitude = given["center"]
    columns, rows = given["size"]
    values = {
        "clon": longitude, "clat": latitude, "scale": given["scale"], "cols": columns, "rows": rows
    }  # fmt: skip
    numbers = {key: _number(value) for key, value in values.items()}
    return Step("Maproj", {"map": given["projection"], **numbers})


_WIRES: dict[str, Callable[[dict[str, Any], Series], Step]] = {
    "aia_scale": _aia_scale,
    "resize": _resize,
    "rebin": _rebin,
    "maproj": _maproj,
}


def _number(value: float) -> str:
    return f"{value:.10g}"
