"""Turn a campaign's processing steps into JSOC's arguments for one event.

Source: the export page's processing.js, im_patch.c and processing.h of JSOC.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flareset.campaign.config import AiaScale, ImPatch, Maproj, ProcessingStep, Rebin, Resize
from flareset.campaign.events import Event
from flareset.errors import ExportError
from flareset.sdo import geometry
from flareset.sdo.flares import five_digits
from flareset.sdo.processing import Step
from flareset.sdo.recordset import parse_time
from flareset.sdo.series import Series
from flareset.sdo.times import iso

_CENTER_UNITS = {
    "arcsec": "arcsec",
    "pixels": "pixels",
    "stonyhurst": "stony",
    "carrington": "carrlong",
}


@dataclass(frozen=True)
class Region:
    """The position of an active region at a time: Stonyhurst longitude and latitude (degrees)."""

    time: datetime
    longitude: float
    latitude: float


@dataclass(frozen=True)
class Surroundings:
    """What the processing of an event's export depends on.

    `begin`, `end` and `cadence` (seconds, 0 for the series' own) are those of the event's
    recordset. `region` looks up an active region near a time.
    """

    event: Event
    series: Series
    begin: datetime
    end: datetime
    region: Callable[[int, datetime], Region | None]
    cadence: float = 0.0


@dataclass(frozen=True)
class Place:
    """A cut-out's center at a time, in the units of the settings, and a remark on its source."""

    when: datetime
    units: str
    x: float
    y: float
    remark: str = ""


def wire_steps(
    steps: tuple[ProcessingStep, ...], around: Surroundings
) -> tuple[list[Step], list[str]]:
    """Return JSOC's steps for one event, and remarks on where their values come from.

    Raises ExportError if the event lacks what a step needs.
    """
    wired: list[Step] = []
    remarks: list[str] = []
    for step in steps:
        if isinstance(box := step.settings, ImPatch):
            place = place_of(box, around)
            wired.append(_im_patch(box, place, around))
            remarks += [place.remark] if place.remark else []
        elif step.name != "no_op":
            wired.append(_WIRES[step.name](step.settings, around.series))
    return wired, remarks


def place_of(box: ImPatch, around: Surroundings) -> Place:
    """Return a cut-out's center for an event. Raise ExportError if it has none, or none in view."""
    event = around.event
    when = _reference(box.t_ref, event)
    if box.noaa_ar is not None:
        place = _region(box, when, around)
    elif isinstance(box.center, tuple):
        place = Place(when, box.center_units or "arcsec", *box.center)
    else:
        place = Place(when, "arcsec", *_position(event))
    if place.units == "carrington":
        _refuse_behind(place, (around.begin, place.when, around.end), event)
    beyond = place.units == "arcsec" and box.track
    if beyond and math.hypot(place.x, place.y) > geometry.solar_radius_arcsec(place.when):
        raise ExportError(
            f"event {event.event_id}: the cut-out's center {place.x}, {place.y} arcsec is off the"
            " disk, where nothing can be tracked: set track: false in export.processing"
        )
    return place


def _im_patch(box: ImPatch, place: Place, around: Surroundings) -> Step:
    """Return `im_patch` with its arguments in the order of JSOC's form."""
    t_start, t_stop = _span(box, around)
    cadence = around.cadence or around.series.cadence
    assert box.size is not None, "campaign/processing.py refuses a cut-out without a size"
    width, height = box.size
    return Step(
        "im_patch",
        {
            "t_start": t_start,
            "t_stop": t_stop,
            "t": "0" if box.track else "1",
            "r": str(int(box.registered)),
            "c": str(int(box.crop)),
            "cadence": f"{_number(box.cadence.total_seconds() if box.cadence else cadence)}s",
            "locunits": _CENTER_UNITS[place.units],
            "boxunits": str(box.size_units),
            **_turned(box, place, t_start, around),
            "x": _number(place.x),
            "y": _number(place.y),
            "width": _number(width),
            "height": _number(height),
        },
    )


def _span(box: ImPatch, around: Surroundings) -> tuple[str, str]:
    """Return the first and the last time of a cut-out, as JSOC's arguments."""
    t_start, t_stop = _edge(box.t_start, around.begin), _edge(box.t_stop, around.end)
    if "NotSpecified" not in (t_start, t_stop) and parse_time(t_start) >= parse_time(t_stop):
        raise ExportError(
            f"event {around.event.event_id}: im_patch's t_start {t_start} is not before its t_stop"
            f" {t_stop}"
        )
    return t_start, t_stop


def _edge(given: datetime | str, of_window: datetime) -> str:
    if given == "limb":
        return "NotSpecified"
    return iso(given if isinstance(given, datetime) else of_window)


def _turned(box: ImPatch, place: Place, t_start: str, around: Surroundings) -> dict[str, str]:
    """Return the argument for the time of a cut-out's center: `t_ref`, or a Carrington rotation."""
    if place.units == "carrington":
        rotation = geometry.carrington(place.when)[0] if box.car_rot is None else box.car_rot
        return {"car_rot": str(rotation)}
    if box.track:
        return {"t_ref": iso(place.when)}
    # Without tracking JSOC's form sends the start as the reference.
    return {"t_ref": t_start if t_start != "NotSpecified" else iso(around.begin)}


def _refuse_behind(place: Place, times: tuple[datetime, ...], event: Event) -> None:
    """Raise ExportError if a Carrington position is on the Sun's far side at all these times."""
    for when in times:
        centre = geometry.carrington(when)[1]
        try:
            geometry.stonyhurst_to_arcsec(place.x - centre, place.y, when)
        except ValueError:
            continue
        return
    raise ExportError(
        f"event {event.event_id}: Carrington {place.x:g}, {place.y:g} is behind the limb all the"
        f" time: at {iso(when)} the disk's centre has longitude {centre:.1f}"
    )


def _reference(t_ref: datetime | str, event: Event) -> datetime:
    if isinstance(t_ref, datetime):
        return t_ref
    return (t_ref == "peak" and event.flare_peak) or event.flare_start


def _position(event: Event) -> tuple[float, float]:
    if event.hpc_x is None or event.hpc_y is None:
        raise ExportError(
            f"event {event.event_id}: im_patch has center: event, but its row has no hpc_x and"
            " hpc_y; fill them in, or use noaa_ar"
        )
    return event.hpc_x, event.hpc_y


def _region(box: ImPatch, when: datetime, around: Surroundings) -> Place:
    """Return an active region's position, looked up as in JSOC's form, or else the event's."""
    event = around.event
    number = box.noaa_ar
    if not isinstance(number, int):
        if event.noaa_ar is None:
            x, y = _position_or_refuse(event, "its row has no noaa_ar")
            remark = f"no NOAA AR in the row; used the position {(x, y)}"
            return Place(when, "arcsec", x, y, remark)
        number = event.noaa_ar
    number = five_digits(number)
    found = around.region(number, when)
    if found is None and box.noaa_ar != "event":
        raise ExportError(
            f"event {event.event_id}: JSOC knows no NOAA AR {number} within a rotation of"
            f" {iso(when)}; check im_patch's noaa_ar"
        )
    if found is None:
        x, y = _position_or_refuse(event, f"JSOC knows no NOAA AR {number} then")
        remark = f"JSOC knows no NOAA AR {number}; used {(x, y)} arcsec"
        return Place(when, "arcsec", x, y, remark)
    said = f"NOAA AR {number}: {found.longitude}, {found.latitude} Stonyhurst at {iso(found.time)}"
    if box.track:
        return Place(found.time, "stonyhurst", found.longitude, found.latitude, said)
    # The position is from days before or after `when`. Without tracking, JSOC would not rotate it.
    turned = geometry.carrington(found.time)[1] - geometry.carrington(when)[1]
    longitude = round((found.longitude + turned + 180) % 360 - 180, 2)
    if abs(longitude) > 90:
        raise ExportError(
            f"event {event.event_id}: NOAA AR {number} was not on the side of the Sun that we see"
            f" at {iso(when)}: set another t_ref, or center"
        )
    said += f", {longitude} at {iso(when)}"
    return Place(when, "stonyhurst", longitude, found.latitude, said)


def _position_or_refuse(event: Event, why: str) -> tuple[float, float]:
    if event.hpc_x is None or event.hpc_y is None:
        raise ExportError(
            f"event {event.event_id}: {why}, and there is no hpc_x and hpc_y to use instead"
        )
    return event.hpc_x, event.hpc_y


def _aia_scale(given: AiaScale, series: Series) -> Step:
    variant = "other"
    if series.name == "aia.lev1":
        variant = "orig"
    elif series.name.startswith("aia.lev1"):
        variant = "aialev1"
    args = {"mpt": given.pointing_series} if given.pointing_series else {}
    for keys, pair in ((("xc", "yc"), given.center), (("wide", "high"), given.size)):
        if pair is not None:
            args.update({key: _number(value) for key, value in zip(keys, pair, strict=True)})
    return Step(f"aia_scale_{variant}", args)


def _resize(given: Resize, series: Series) -> Step:  # noqa: ARG001 - one signature for all
    args = {
        "regrid": "1" if given.interpolation == "bicubic" else "0",
        "do_stretchmarks": str(int(given.fill_off_limb)),
        "center_to": {"sun": "0", "first_image": "1", "none": "2"}[given.center_on],
        "rescale": str(int(given.scale is not None)),
    }
    if given.scale is not None:
        args["scale_to"] = _number(given.scale)
    if given.crop:
        args["c"] = "1"
    return Step("resize", args)


def _rebin(given: Rebin, series: Series) -> Step:  # noqa: ARG001
    args = {"method": given.method, "scale": _number(given.scale)}
    if given.crop:
        args["c"] = "1"
    if given.method == "gaussian":
        args |= {"FWHM": _number(given.fwhm), "nvector": _number(given.vector_length)}
    return Step("rebin", args)


def _maproj(given: Maproj, series: Series) -> Step:  # noqa: ARG001
    longitude, latitude = given.center
    columns, rows = given.size
    values = {
        "clon": longitude, "clat": latitude, "scale": given.scale, "cols": columns, "rows": rows
    }  # fmt: skip
    numbers = {key: _number(value) for key, value in values.items()}
    return Step("Maproj", {"map": given.projection, **numbers})


_WIRES: dict[str, Callable[[Any, Series], Step]] = {
    "aia_scale": _aia_scale,
    "resize": _resize,
    "rebin": _rebin,
    "maproj": _maproj,
}


def _number(value: float) -> str:
    return f"{value:.10g}"
