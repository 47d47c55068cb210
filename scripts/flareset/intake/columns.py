"""The names that the field's lists have for the columns of a flare, and ours for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from flareset.intake.rows import Note, Row

# Ours first. Names are compared in lower case, with _ for all that is no letter or digit.
NAMES: dict[str, tuple[str, ...]] = {
    "start": (
        "event_starttime", "start", "start_time", "starttime", "begin", "begin_time", "begintime",
        "begin_datetime", "time_start", "tstart", "start_date_time", "flare_start",
    ),
    "peak": (
        "event_peaktime", "peak", "peak_time", "peaktime", "max", "max_time", "maxtime",
        "max_datetime", "time_peak", "tpeak", "flare_peak",
    ),
    "end": (
        "event_endtime", "end", "end_time", "endtime", "stop", "stop_time", "end_datetime",
        "time_end", "tend", "flare_end",
    ),
    "date": ("date", "start_date", "day"),
    "goes_class": (
        "goes_class", "fl_goescls", "goescls", "class", "xray_class", "classtype", "class_type",
        "abs_class_full", "max_class", "flare_class", "importance",
    ),
    "cmx": ("cmx",),
    "cmx_value": ("cmx_value",),
    "peak_flux": ("peak_flux", "goes_class_val", "max_xrlong", "xrsb_flux", "intensity"),
    "integrated_flux": ("integrated_flux", "flux_integral", "flux"),
    "background_flux": ("background_flux", "bg_flux"),
    "satellite": ("satellite", "goes_sat", "goes_satellite"),
    "noaa_ar": (
        "noaa_ar", "ar_noaanum", "noaa_number", "noaa", "nar", "ar", "active_region",
        "activeregionnum", "region",
    ),
    "place": ("position_hgs", "sourcelocation", "location", "derived_position", "position"),
    "hgs_lat": ("hgs_lat", "hgs_y", "lat_hg", "latitude"),
    "hgs_lon": ("hgs_lon", "hgs_x", "long_hg", "longitude"),
    "hpc_x": ("hpc_x", "x_arcsec"),
    "hpc_y": ("hpc_y", "y_arcsec"),
    "hpc_coord": ("hpc_coord",),
    "noposition": ("noposition",),
    "box_left": ("boundbox_c1ll",),
    "box_right": ("boundbox_c1ur",),
    "box_bottom": ("boundbox_c2ll",),
    "box_top": ("boundbox_c2ur",),
    "method": ("frm_name",),
    "channel": ("obs_channelid",),
    "event_type": ("event_type",),
    "label": ("hv_labels_formatted",),
    "fl_peakflux": ("fl_peakflux",),
    "fl_peakfluxunit": ("fl_peakfluxunit",),
    "key": ("event_id", "flare_id", "kb_archivid", "ename", "flrid", "event_no", "hec_id"),
}  # fmt: skip
# What a list has to have: without these it is no list of flares.
NEEDED = ("start", "end")
_OURS = {name: ours for ours, names in NAMES.items() for name in names}
_RANK = {name: place for names in NAMES.values() for place, name in enumerate(names)}
# The one who finds flares, by the name that HEK has for the method.
_METHODS = {"SWPC": "swpc", "SSW Latest Events": "ssw"}
_DETECTIVE = "Flare Detective"


def plain(name: str) -> str:
    """Return a column's name as names are compared."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def ours(header: Iterable[str]) -> dict[str, list[int]]:
    """Return the places of our columns in a list's header, the best known name first.

    Several columns may hold the derived position: at most one of them is filled.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for place, name in enumerate(map(plain, header)):
        if name.startswith("derived_position"):
            name = "derived_position"
        if name in _OURS:
            found.setdefault(_OURS[name], []).append((_RANK[name], place))
    return {column: [place for _, place in sorted(places)] for column, places in found.items()}


def make_row(
    cells: dict[str, str],
    *,
    file: str,
    line: int,
    otherwise: str,
    whole: str,
    notes: tuple[Note, ...] = (),
) -> Row:
    """Return the row of these texts, with the source that they name; else it is `otherwise`."""
    key = cells.pop("key", "").strip()
    if re.fullmatch(r"\d{1,4}", key):  # SWPC's numbers begin anew every few weeks
        key = f"{re.sub(r'[^0-9]', '', cells.get('date', cells.get('start', '')))[:8]}-{key}"
    more: tuple[Note, ...] = ()
    if "cmx_value" in cells:  # NCEI's reports as a table: a letter, and tenths
        given = f"{cells.pop('cmx', '')} {cells.pop('cmx_value')}".strip()
        cells["goes_class"] = implied(given)
        more = (Note("class.implied_decimal", "goes_class", given, cells["goes_class"]),)
    if "place" in cells:
        _split_place(cells, otherwise == "ssw")
    return Row(_source(cells, key, otherwise), file, line, cells, key, whole, notes + more)


def implied(text: str) -> str:
    """Return a class whose figure is written in tenths (`X 12`) as X1.2."""
    match = re.fullmatch(r"([A-Z])\s*(\d{1,3})", text.strip())
    return f"{match[1]}{int(match[2]) / 10:.1f}" if match else text


def _split_place(cells: dict[str, str], of_ssw: bool) -> None:
    """Part SSW's `S26W41 ( 1039 )` into place and region, which a row of SSW may leave out."""
    place, bracket, region = cells["place"].partition("(")
    cells["place"] = place.strip()
    if "noaa_ar" not in cells and (bracket or of_ssw):
        cells["noaa_ar"] = region.rstrip(") ").strip()


def _source(cells: Mapping[str, str], key: str, otherwise: str) -> str:
    """Return who found a flare: `swpc`, `ssw`, `aia_131`, an observer, or the list itself."""
    method = cells.get("method", "").strip()
    if method in _METHODS:
        return _METHODS[method]
    if method.startswith(_DETECTIVE):
        return f"aia_{plain(cells.get('channel', ''))}"
    if method:
        return plain(method)
    return "ssw" if key.startswith("gev_") and otherwise == "list" else otherwise


def source_of_table(header: Iterable[str], stem: str) -> str:
    """Return the source of a table whose rows name none: by its columns, else by its file."""
    names = set(map(plain, header))
    if "ename" in names and "url_nar" not in names:
        return "ssw"
    if {"goes_sat", "goes_channel", "date"} <= names:
        return "swpc"
    if "cmx_value" in names:
        return "ngdc"
    if "hec_id" in names:
        return "hec_goes"
    if {"url_nar", "long_carr"} <= names:
        return "hec_gevloc"
    if "flrid" in names:
        return "donki"
    return plain(stem) or "list"
