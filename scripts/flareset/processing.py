"""JSOC's processing of an export: steps in the field's words, checked, and in the wire's.

Source: the export page's processing.js, im_patch.c and processing.h of JSOC (arguments, their
order and defaults). JSOC ignores what it does not understand and delivers full frames with status
0, so all is checked here, before and after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from flareset import geometry
from flareset.errors import ExportError, ProcessingError
from flareset.events import Event
from flareset.recordset import parse_time
from flareset.series import Series
from flareset.times import iso, parse_duration

_FULL_PIXELS = 4096
_SCALE = {"aia": 0.6, "hmi": 0.504}  # arcsec per pixel of a full frame
_CENTER_UNITS = {
    "arcsec": "arcsec",
    "pixels": "pixels",
    "stonyhurst": "stony",
    "carrington": "carrlong",
}
# The Sun's radius in January, arcsec, and how far its centre may lie from the frame's, pixels.
_LARGEST_RADIUS, _OFF_CENTRE = 976.0, 20.0
# How far a cut-out's centre may lie from where it was asked, at least: rounding, registration, and
# the difference between models of solar rotation over half a day.
_NEAR_ARCSEC, _NEAR_PART = 20.0, 0.1


@dataclass(frozen=True)
class Step:
    """One step of a `process` argument: its name and arguments, as on the wire."""

    name: str
    args: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.args.items())])


def parse_process(text: str) -> tuple[int, list[Step]]:
    """The record limit `n` (0: none) and the steps of a `process` argument, `no_op` left out."""
    limit = 0
    steps = []
    for part in filter(None, text.split("|")):
        name, *pairs = part.split(",")
        if name.startswith("n="):
            limit = int(name[2:])
        elif name != "no_op":
            steps.append(Step(name, dict(pair.partition("=")[::2] for pair in pairs)))
    return limit, steps


def process_text(steps: list[Step]) -> str:
    """The `process` argument as JSOC's own form writes it."""
    return "|".join(["n=0", *(str(step) for step in steps or [Step("no_op")])])


def fingerprint(process: str) -> str:
    """A short name for what was done to an export's images; empty where nothing was."""
    steps = parse_process(process)[1]
    return sha256("|".join(map(str, steps)).encode()).hexdigest()[:12] if steps else ""


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


def check_steps(steps: list[dict[str, Any]], series: Series) -> list[str]:
    """What is wrong with a campaign's processing for every event: a sentence each."""
    problems = []
    names = [name for step in steps for name in step]
    for number, step in enumerate(steps):
        ((name, given),) = step.items()
        where = f"export.processing.{number}.{name}"
        if name == "aia_scale" and number and names[number - 1] != "no_op":
            problems.append(f"{where}: it needs full frames: put it first")
        if name == "resize" and "im_patch" in names[:number] and given["center_on"] == "sun":
            problems.append(
                f"{where}: center_on: sun moves the Sun's centre to the middle of the cut-out:"
                " write center_on: none"
            )
        if name == "im_patch":
            problems += [f"{where}: {problem}" for problem in _box_problems(given, series)]
            if "maproj" in names[:number]:
                problems.append(f"{where}: a map has no place in the sky: put maproj last")
    for name in dict.fromkeys(names):
        if names.count(name) > 1 and name != "no_op":
            problems.append(f"export.processing: {name} stands there {names.count(name)} times")
    return problems


def _box_problems(box: dict[str, Any], series: Series) -> list[str]:
    """What is wrong with a cut-out, whatever the event."""
    problems = []
    center, units = box["center"], box["center_units"]
    numbers = [*(center if isinstance(center, list) else ()), *(box["size"] or ())]
    if not all(math.isfinite(number) for number in numbers):
        return ["center and size must be numbers"]
    if box["cadence"] and not parse_duration(box["cadence"]):
        problems.append("cadence: must be longer than 0; leave it out for the series' own")
    if series.keys[0] != "T_REC":
        problems.append(f"a record of {series.name} is a patch already: leave im_patch out")
    if center is None and box["noaa_ar"] is None:
        problems.append("say where: center: [x, y], center: event, or noaa_ar")
    if center is not None and box["noaa_ar"] is not None:
        problems.append("center and noaa_ar both say where: leave one out")
    if isinstance(center, list) and not units:
        problems.append("center has no units: add center_units: arcsec, pixels, carrington or"
                        " stonyhurst")  # fmt: skip
    if not isinstance(center, list) and units not in ("", "arcsec"):
        problems.append(f"center_units: {units} goes with center: [x, y] only; leave it out")
    if box["size"] is None or not box["size_units"]:
        problems.append("say how large: size: [width, height] with size_units: arcsec, pixels or"
                        " degrees")  # fmt: skip
    elif any(side > most for side in box["size"] if (most := _largest(box, series))):
        problems.append(
            f"size: {box['size']} {box['size_units']} is more than a full frame; without im_patch"
            " JSOC sends full frames"
        )
    if units == "carrington" and not box["track"]:
        problems.append(
            "a Carrington longitude moves with the Sun: set track: true, or write the center in"
            " stonyhurst or arcsec"
        )
    if box["car_rot"] is not None and units != "carrington":
        problems.append("car_rot goes with center_units: carrington only; leave it out")
    if isinstance(center, list) and units:
        problems += _place_problems(center, units, box["track"], series)
    return problems


def _largest(box: dict[str, Any], series: Series) -> float:
    sides = {"pixels": 1.0, "arcsec": _SCALE[series.instrument]}
    return _FULL_PIXELS * sides[box["size_units"]] if box["size_units"] in sides else 180.0


def _place_problems(center: list[float], units: str, track: bool, series: Series) -> list[str]:
    x, y = center
    if units == "stonyhurst" and not (abs(x) <= 90 and abs(y) <= 90):
        return [f"center: {center} is not on the side of the Sun that we see: Stonyhurst longitude"
                " and latitude lie between -90 and 90"]  # fmt: skip
    if units == "carrington" and not (0 <= x <= 360 and abs(y) <= 90):
        return [f"center: {center} is no Carrington longitude (0 to 360) and latitude (-90 to 90)"]
    if units == "pixels" and not (1 <= x <= _FULL_PIXELS and 1 <= y <= _FULL_PIXELS):
        return [f"center: {center} is not in the frame: pixels count from 1 to {_FULL_PIXELS}"]
    middle = (_FULL_PIXELS + 1) / 2
    off_disk = {
        "arcsec": math.hypot(x, y) > _LARGEST_RADIUS,
        "pixels": math.hypot(x - middle, y - middle)
        > _LARGEST_RADIUS / _SCALE[series.instrument] + _OFF_CENTRE,
    }
    if track and off_disk.get(units):
        return [f"center: {center} is off the disk, where nothing can be tracked: set track: false"]
    return []


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


def moment(text: str) -> datetime:
    """The UTC of a time in the settings, as users or JSOC write it; ValueError if it is none."""
    return parse_time(text.strip().replace(" ", "T"))


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


def size_ratio(steps: list[Step], series: Series) -> float:
    """Pixels of a processed image over those of a full frame: what lowers JSOC's estimate."""
    ratio = 1.0
    scale = _SCALE[series.instrument]
    for step in steps:
        if step.name == "im_patch":
            per_pixel = {"arcsec": scale, "pixels": 1.0, "degrees": scale / 16.7}
            unit = per_pixel[step.args["boxunits"]]
            width, height = (float(step.args[side]) / unit for side in ("width", "height"))
            ratio = width * height / _FULL_PIXELS**2
        elif step.name == "rebin" or "scale_to" in step.args:
            before = scale
            if step.name == "rebin":
                scale /= float(step.args["scale"])
            else:
                scale = float(step.args["scale_to"])
            ratio *= (before / scale) ** 2
        elif step.name == "Maproj":
            ratio = float(step.args["cols"]) * float(step.args["rows"]) / _FULL_PIXELS**2
    return min(1.0, ratio)


def check_processed(
    header: Mapping[str, Any], shape: tuple[int, int], steps: list[Step], time: datetime
) -> None:
    """ProcessingError where an image does not show what was asked to be done to it.

    `shape` is (rows, columns), `time` when it was observed. JSOC answers a `process` that it does
    not understand with unprocessed frames.
    """
    rows, columns = shape
    _check_series(header)
    for number, step in enumerate(steps):
        later = steps[number + 1 :]
        names = {other.name for other in later}
        binned = math.prod(float(other.args["scale"]) for other in later if other.name == "rebin")
        if step.name.startswith("aia_scale"):
            _check_level(header, resized=bool(names & {"resize", "rebin", "Maproj"}))
        elif "Maproj" in names:
            continue  # a map's header says nothing of the frame that it was made of
        elif step.name == "Maproj" and not names:
            asked = int(float(step.args["rows"])), int(float(step.args["cols"]))
            if (rows, columns) != asked:
                raise ProcessingError(
                    f"it has {columns} x {rows} pixels, the map asked for {asked[1]} x {asked[0]}"
                )
        elif step.name == "resize" and "scale_to" in step.args:
            scale, asked_scale = _float(header, "CDELT1"), float(step.args["scale_to"]) / binned
            if not math.isclose(scale, asked_scale, rel_tol=1e-3):
                raise ProcessingError(f"CDELT1 is {scale}, asked was {asked_scale:g}")
        elif step.name == "im_patch":
            # How many pixels a box in pixels has after a new scale, only the frame's own tells.
            rescaled = any("scale_to" in other.args for other in later)
            _check_box(header, shape, step.args, time, None if rescaled else binned)


def _check_series(header: Mapping[str, Any]) -> None:
    """ProcessingError where a file says that it is of a series of unprocessed images."""
    drms_id = str(header.get("DRMS_ID") or "")
    if drms_id and not drms_id.partition(":")[0].lower().endswith(("_mod", ".lev1p5")):
        raise ProcessingError(f"it is not processed: its DRMS_ID is {drms_id}")


def _check_level(header: Mapping[str, Any], *, resized: bool) -> None:
    scale = _float(header, "CDELT1")
    # HMI's images have no level: their scale shows it alone.
    level = _float(header, "LVL_NUM") if "LVL_NUM" in header else 1.5
    # Level 1.5 is 0.6 arcsec per pixel; a rehearsal's smaller frames are that times a power of 2.
    octave = math.log2(scale / 0.6) if scale > 0 else 0.5
    if level < 1.5 or (not resized and abs(octave - round(octave)) > 1e-4):
        raise ProcessingError(
            f"it is not scaled to level 1.5: LVL_NUM is {level}, CDELT1 is {scale}"
        )


def _check_box(
    header: Mapping[str, Any],
    shape: tuple[int, int],
    args: dict[str, str],
    time: datetime,
    binned: float | None,
) -> None:
    """Compare a cut-out's size and centre with its step; `binned` None: later steps set its size.

    The size may be off by 2 pixels or 2 %: JSOC rounds to whole pixels of a scale that is not
    exactly the nominal one. Rounded before a later step made the pixels smaller, by more.
    """
    scale = abs(_float(header, "CDELT1"))
    if not scale:
        raise ProcessingError("its CDELT1 is 0")
    for pixels, side in ((shape[1], float(args["width"])), (shape[0], float(args["height"]))):
        near = max(2.0, 0.02 * pixels) if binned is not None else max(4.0, 0.2 * pixels)
        if args["boxunits"] == "degrees":
            # Degrees are foreshortened away from the disk's centre, never stretched.
            arcsec = math.radians(side) * geometry.solar_radius_arcsec(time)
            wrong = pixels > 1.05 * arcsec / scale + near
        elif args["boxunits"] == "arcsec":
            wrong = abs(pixels - side / scale) > near
        else:
            wrong = binned is not None and abs(pixels - side * binned) > near
        if wrong:
            raise ProcessingError(
                f"it has {shape[1]} x {shape[0]} pixels of {scale:g} arcsec, asked was a cut-out"
                f" of {args['width']} x {args['height']} {args['boxunits']}"
            )
    wanted = _box_center(args, time)
    if wanted is None:
        return
    turned = "CROTA2" in header and header["CROTA2"] not in (None, "")
    turn = math.radians(_float(header, "CROTA2")) if turned else 0.0
    dx = ((shape[1] + 1) / 2 - _float(header, "CRPIX1")) * _float(header, "CDELT1")
    dy = ((shape[0] + 1) / 2 - _float(header, "CRPIX2")) * _float(header, "CDELT2")
    x = _float(header, "CRVAL1") + dx * math.cos(turn) - dy * math.sin(turn)
    y = _float(header, "CRVAL2") + dx * math.sin(turn) + dy * math.cos(turn)
    near = max(_NEAR_ARCSEC, _NEAR_PART * max(shape) * scale, 3 * scale)
    if math.hypot(x - wanted[0], y - wanted[1]) > near:
        raise ProcessingError(
            f"it shows {x:.0f}, {y:.0f} arcsec, asked was {wanted[0]:.0f}, {wanted[1]:.0f}"
        )


def _box_center(args: dict[str, str], time: datetime) -> tuple[float, float] | None:
    """Where a cut-out's centre should be at a time, arcsec; None where that cannot be told."""
    x, y = float(args["x"]), float(args["y"])
    units = args["locunits"]
    try:
        if units == "carrlong":
            longitude = (x - geometry.carrington(time)[1] + 180) % 360 - 180
            return geometry.stonyhurst_to_arcsec(longitude, y, time)
        reference = parse_time(args["t_ref"])
        if units == "stony":
            x, y = geometry.stonyhurst_to_arcsec(x, y, reference)
        elif units == "pixels":
            return None
        if args["t"] == "1":
            return x, y
        return geometry.rotated(x, y, (time - reference).total_seconds(), reference)
    except ValueError:
        return None  # beyond the limb, where no model says where it is


def _float(header: Mapping[str, Any], key: str) -> float:
    try:
        value = float(header[key])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ProcessingError(f"its header has no {key}, which the processing sets")
    return value
