"""Answer as HEK does, with made-up flares: a few for each day, the same for every query.

SWPC reports each flare, SSW most of them, and AIA's detector the stronger ones. Rows have HEK's
faults: the whole disk as position, regions of four digits, fluxes in two units, nulls. The names of
keys, and the values of unknown ones, are as in a real answer.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from flareset.sdo.flares import MADE_UP, Flare
from flareset.sdo.geometry import stonyhurst_to_arcsec

HEK = "/hek/her"
# The most rows of a page, and the number of rows without `result_limit`.
_MOST_ROWS, _ROWS = 200, 100
_DAY = timedelta(days=1)
_LONGEST = timedelta(hours=6)
# The first day of the made-up regions, whose numbers begin with 11.
_FIRST_DAY = datetime(2009, 1, 1, tzinfo=UTC)
_TEXTS = """SOL_standard ar_compactnesscls ar_mcintoshcls ar_mtwilsoncls ar_noaaclass ar_penumbracls
ar_zurichcls area_unit bound_chaincode chaincodetype event_clippedspatial event_clippedtemporal
event_description event_expires event_importance_num_ratings event_mapurl event_maskurl
event_pixelunit event_title fl_efoldtimeunit fl_fluenceunit fl_goescls fl_halphaclass fl_peakemunit
fl_peakfluxunit fl_peaktempunit frm_specificid gs_galleryid gs_imageurl gs_movieurl gs_thumburl
hgc_bbox hgc_boundcc hgc_coord hgs_bbox hgs_boundcc hgs_coord hpc_bbox hpc_boundcc hpc_coord
hpc_geom hrc_a hrc_bbox hrc_boundcc hrc_coord hrc_r intensunit obs_dataprepurl
obs_firstprocessingdate obs_includesnrt obs_lastprocessingdate obs_title rasterscan rasterscantype
refs_orig skel_chaincode frm_contact frm_identifier frm_institute frm_paramset frm_url
search_channelid search_frm_name search_instrument search_observatory"""
_NULLS = """ar_noaanum ar_numspots ar_polarity area_atdiskcenter area_atdiskcenteruncert area_raw
area_uncert bound_ccnsteps bound_ccstartc1 bound_ccstartc2 event_avg_rating event_coord3
event_importance event_npixels event_probability fl_efoldtime fl_fluence fl_peakem fl_peakflux
fl_peaktemp frm_versionnumber hgc_x hgc_y hgs_x hgs_y hpc_radius hpc_x hpc_y intenskurt intensmax
intensmean intensmedian intensmin intensskew intenstotal intensvar obs_levelnum skel_curvature
skel_nsteps skel_startc1 skel_startc2 event_coord1 event_coord2 boundbox_c1ll boundbox_c1ur
boundbox_c2ll boundbox_c2ur event_c1error event_c2error"""
_SAME = {
    "active": "true", "comment_count": "0", "concept": "Flare", "event_coordsys": "UTC-HGS-TOPO",
    "event_coordunit": "degrees", "event_score": "0.36", "event_testflag": "false",
    "event_type": "FL", "eventtype": "9", "frm_humanflag": "false", "hcr_checked": "true",
    "kb_archivist": "flareset stand-in", "noposition": "false", "obs_meanwavel": 5e-08,
    "obs_wavelunit": "cm", "refs": [], "revision": "1", "sum_overlap_scores": "0",
}  # fmt: skip


@dataclass(frozen=True)
class _Made:
    """A made-up flare. Its position is in Stonyhurst degrees, its flux in W m-2."""

    name: str
    start: datetime
    peak: datetime
    end: datetime
    flux: float
    region: int
    place: tuple[float, float]

    @property
    def goes_class(self) -> str:
        letter, unit = next(p for p in (("X", 1e-4), ("M", 1e-5), ("C", 1e-6)) if self.flux >= p[1])
        return f"{letter}{math.floor(self.flux / unit * 10) / 10:.1f}"


def answer(asked: Mapping[str, str], flares: Sequence[Flare], fault: str = "") -> bytes:
    """Return a page of the rows that a query finds, rows of `flares` included.

    Faults: `shifted` (a new row has come in front, so that a row is in two pages), `overmax` (the
    last page comes again and again, and claims more rows), `broken_text` (bytes not in UTF-8).
    """
    begin, end = _time(asked.get("event_starttime", "")), _time(asked.get("event_endtime", ""))
    found = [] if asked.get("event_type") != "FL" or not (begin and end) else _found(
        begin, end, flares, strict=asked.get("temporalmode") == "strict"
    )  # fmt: skip
    limit = min(_whole(asked.get("result_limit", ""), _ROWS), _MOST_ROWS)
    first = (_whole(asked.get("page", ""), 1) - 1) * limit
    if fault == "overmax":
        first = min(first, max(0, len(found) - limit))
    elif fault == "shifted" and first:
        first -= 1
    rows = [_asked_for(row, asked.get("return", "")) for row in found[first : first + limit]]
    more = fault == "overmax" or first + limit < len(found)
    text = json.dumps({"result": rows, "overmax": more}).encode()
    return text.replace(b"made up", b"caf\xc5 made up") if fault == "broken_text" else text


def _found(
    begin: datetime, end: datetime, flares: Sequence[Flare], *, strict: bool
) -> list[dict[str, Any]]:
    """Return the rows that overlap a time range (`strict`: lie within it), in order of time."""
    day = (begin - _LONGEST).replace(hour=0, minute=0, second=0, microsecond=0)
    found = [(flare, [*_rows(flare)]) for flare in map(_of, flares)]
    while day <= end:
        found += _of_day(day)
        day += _DAY
    rows = [
        row
        for flare, reported in found
        if (
            begin <= flare.start and flare.end <= end
            if strict
            else flare.start <= end and flare.end >= begin
        )
        for row in reported
    ]
    return sorted(rows, key=lambda row: (row["event_starttime"], row["kb_archivid"]))


# Kept, since a query is looked up again for each of its pages.
@lru_cache(maxsize=1000)
def _of_day(day: datetime) -> list[tuple[_Made, list[dict[str, Any]]]]:
    """Return the flares of a day, each with its rows."""
    return [(flare, [*_rows(flare)]) for flare in _made(day)]


def _made(day: datetime) -> Iterator[_Made]:
    """Yield the flares of a day. Flares that are ten times as strong are ten times as rare."""
    chance = random.Random(f"HEK {day:%Y-%m-%d}")
    for place in range(chance.randint(0, 6)):
        start = day + timedelta(minutes=chance.randrange(24 * 60))
        peak = start + timedelta(minutes=chance.randint(3, 30))
        end = peak + timedelta(minutes=chance.randint(2, 45))
        flux = min(1e-6 / (1 - chance.random()), 9.9e-4)
        # A region lasts for six days, and turns with the Sun.
        days, number = (day - _FIRST_DAY).days, chance.randrange(3)
        region = 11000 + days // 2 + number
        own = random.Random(f"region {region}")
        latitude = own.choice((-1, 1)) * own.randint(5, 30)
        longitude = round(own.randint(-35, 35) + 13.2 * (days % 2 - 2 * number + 2))
        yield _Made(f"{place}", start, peak, end, flux, region, (longitude, latitude))


def _of(flare: Flare) -> _Made:
    """Return a flare of the campaign, with a class and a region that follow from its name."""
    chance = random.Random(f"HEK {flare.event_id}")
    peak = flare.peak or flare.start + (flare.end - flare.start) / 3
    minutes = [when.replace(second=0, microsecond=0) for when in (flare.start, peak, flare.end)]
    place = round(chance.uniform(-60, 60)), round(chance.uniform(-30, 30))
    flux = min(1e-5 / (1 - chance.random()), 9.9e-4)
    return _Made(flare.event_id, *minutes, flux, 11900 + chance.randrange(90), place)


def _rows(flare: _Made) -> Iterator[dict[str, Any]]:
    """Yield the rows in which different methods report a flare."""
    chance = random.Random(f"HEK {flare.start}")
    longitude, latitude = flare.place
    arcsec = stonyhurst_to_arcsec(longitude, latitude, flare.peak)
    place = {
        "hgs_x": longitude, "hgs_y": latitude, "hpc_x": arcsec[0], "hpc_y": arcsec[1],
        "hgs_coord": f"POINT({longitude} {latitude})",
    }  # fmt: skip
    unknown = chance.random() < 0.3
    nowhere = {"hgs_x": 0, "hgs_y": 0, "hpc_x": 0.0, "hpc_y": 50.74, "noposition": "true"}
    yield _row(
        flare, "SWPC", "XRA", observatory="GOES", fl_goescls=flare.goes_class,
        ar_noaanum=0 if unknown else flare.region, **(nowhere if unknown else place),
    )  # fmt: skip
    if chance.random() < 0.8:
        yield _row(
            flare, "SSW Latest Events", "EUV", fl_goescls=flare.goes_class,
            ar_noaanum=flare.region - 10000, **place,
        )  # fmt: skip
    if flare.flux >= 1e-5:
        by_hand = chance.random() < 0.2
        unit = "erg/cm/cm/s" if by_hand else "DN/sec/pixel"
        yield _row(
            flare, "Flare Detective - Trigger Module", "131", fl_peakflux=flare.flux * 3e7,
            fl_peakfluxunit=unit, event_coordsys="UTC-HPC-TOPO", event_coordunit="arcsec",
            hpc_x=arcsec[0], hpc_y=arcsec[1],
        )  # fmt: skip


def _row(
    flare: _Made, method: str, channel: str, observatory: str = "SDO", **over: Any
) -> dict[str, Any]:
    """Return a row with all keys of HEK."""
    times = {"starttime": flare.start, "peaktime": flare.peak, "endtime": flare.end}
    word = "".join(letter for letter in method if letter.isalpha())
    known = {
        **{f"event_{name}": f"{when:%Y-%m-%dT%H:%M:%S}" for name, when in times.items()},
        "kb_archivid": f"{MADE_UP}FL_{word}_{flare.start:%Y%m%d%H%M}_{flare.name}_{channel}",
        "kb_archivdate": f"{flare.start + _DAY:%Y-%m-%dT%H:%M:%S}",
        "frm_daterun": f"{flare.start:%Y-%m-%dT00:00:00}",
        "frm_name": method,
        "obs_observatory": observatory,
        "obs_instrument": "AIA" if observatory == "SDO" else observatory,
        "obs_channelid": channel,
        "event_description": "made up",
    }
    return {
        **dict.fromkeys(_TEXTS.split(), ""),
        **dict.fromkeys(_NULLS.split()),
        **_SAME,
        **known,
        **over,
    }


def _asked_for(row: dict[str, Any], fields: str) -> dict[str, Any]:
    """Return the fields of a row that are asked for; all fields if none are named."""
    wanted = [name for name in fields.split(",") if name]
    return {name: row[name] for name in wanted if name in row} if wanted else row


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _whole(text: str, otherwise: int) -> int:
    return max(1, int(text)) if text.isdecimal() else otherwise
