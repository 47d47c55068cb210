"""Select the flares of a campaign from all that are known, each kept or refused with a reason."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from flareset.intake.cleaning import SDO_BEGINS
from flareset.intake.flares import ListedFlare, order
from flareset.intake.values import on_scale
from flareset.sdo.geometry import solar_radius_arcsec

Per = Literal["all", "year", "month", "date", "class"]
By = Literal["class", "fl_peakflux", "integrated_flux"]


@dataclass(frozen=True)
class Wanted:
    """Which flares are selected. Fluxes in W m-2 on `scale`; angles in degrees.

    Longitude and latitude are the largest from the disk's centre, `radius` the largest distance
    from it in solar radii. `strongest` or `sample` flares are kept of each `per`.
    """

    scale: str = "operational"
    begin: datetime | None = None
    end: datetime | None = None
    least_flux: float | None = None
    most_flux: float | None = None
    longitude: float | None = None
    latitude: float | None = None
    radius: float | None = None
    regions: tuple[int, ...] = ()
    region_required: bool = False
    position_required: bool = False
    apart: timedelta = timedelta(0)
    apart_flux: float = 1e-6
    strongest: int | None = None
    sample: int | None = None
    per: Per = "all"
    by: By = "class"
    seed: int | str = 20140107


@dataclass(frozen=True)
class Verdict:
    """A flare, and why it is not selected; an empty reason where it is.

    `missed` is its place behind the last that was kept (1 is the next), 0 where it is none.
    """

    flare: ListedFlare
    reason: str = ""
    missed: int = 0
    tied: bool = False


def select(flares: Sequence[ListedFlare], wanted: Wanted) -> list[Verdict]:
    """Return a verdict on each flare, in order of time."""
    ordered = sorted(flares, key=order)
    crowded = _crowded(ordered, wanted)
    reasons = {
        flare.flare_id: misfit(flare, wanted)
        or ("near another flare" if flare.flare_id in crowded else "")
        for flare in ordered
    }
    verdicts = {f.flare_id: Verdict(f, reasons[f.flare_id]) for f in ordered}
    bins: dict[str, list[ListedFlare]] = {}
    for flare in ordered:
        if not reasons[flare.flare_id]:
            bins.setdefault(_bin(flare, wanted.per), []).append(flare)
    for name, members in bins.items():
        verdicts |= {v.flare.flare_id: v for v in _kept(name, members, wanted)}
    return [verdicts[flare.flare_id] for flare in ordered]


def flux_on(flare: ListedFlare, scale: str) -> float | None:
    """Return the flux of a flare's class on a scale (W m-2), None where it has no figure."""
    return None if flare.flux is None else on_scale(flare.flux, flare.scale or scale, scale)


def misfit(flare: ListedFlare, wanted: Wanted) -> str:
    """Return the first thing about a flare itself that is not as wanted, or nothing."""
    checks: tuple[Callable[[], str], ...] = (
        lambda: _by_time(flare, wanted),
        lambda: _by_class(flare, wanted),
        lambda: _by_region(flare, wanted),
        lambda: _by_position(flare, wanted),
    )
    return next((reason for check in checks if (reason := check())), "")


def _by_time(flare: ListedFlare, wanted: Wanted) -> str:
    if flare.start < SDO_BEGINS:
        return "before SDO"
    if wanted.begin is not None and flare.start < wanted.begin:
        return "before select.from"
    return "not before select.to" if wanted.end is not None and flare.start >= wanted.end else ""


def _by_class(flare: ListedFlare, wanted: Wanted) -> str:
    if wanted.least_flux is None and wanted.most_flux is None:
        return ""
    flux = flux_on(flare, wanted.scale)
    if flux is None:
        return "no class"
    reason = _beyond(flux, wanted)
    if reason and flare.flux is not None and not _beyond(flare.flux, wanted):
        return f"{reason} on the {wanted.scale} scale, not as listed: see intake.scale"
    return reason


def _beyond(flux: float, wanted: Wanted) -> str:
    # Conversion and back may cost a last digit.
    if wanted.least_flux is not None and flux < wanted.least_flux * (1 - 1e-9):
        return "class below select.class"
    if wanted.most_flux is not None and flux > wanted.most_flux * (1 + 1e-9):
        return "class above select.class"
    return ""


def _by_region(flare: ListedFlare, wanted: Wanted) -> str:
    if wanted.region_required and flare.noaa_ar is None:
        return "no region"
    if wanted.regions and flare.noaa_ar not in wanted.regions:
        return "another region"
    return ""


def _by_position(flare: ListedFlare, wanted: Wanted) -> str:
    if wanted.position_required and not flare.has_position:
        return "no position"
    return _by_angles(flare, wanted) or _by_radius(flare, wanted.radius)


_OFF = "off the disk that select.disk allows"


def _by_angles(flare: ListedFlare, wanted: Wanted) -> str:
    if wanted.longitude is None and wanted.latitude is None:
        return ""
    if flare.position is None:
        return "no position"
    longitude, latitude = flare.position
    inside = abs(longitude) <= (wanted.longitude or 180) and abs(latitude) <= (
        wanted.latitude or 90
    )
    return "" if inside else _OFF


def _by_radius(flare: ListedFlare, most: float | None) -> str:
    if most is None:
        return ""
    if flare.hpc_x is None or flare.hpc_y is None:
        return "no position" if flare.position is None else "behind the limb"
    radius = solar_radius_arcsec(flare.peak or flare.start)
    return _OFF if math.hypot(flare.hpc_x, flare.hpc_y) > most * radius else ""


def _crowded(ordered: Sequence[ListedFlare], wanted: Wanted) -> set[str]:
    """Return the flares that have another strong enough one nearer than `apart`."""
    if not wanted.apart:
        return set()
    strong = [f for f in ordered if (flux_on(f, wanted.scale) or 0) >= wanted.apart_flux]
    starts = [flare.start for flare in strong]
    longest = max((_end(f) - f.start for f in strong), default=timedelta(0))
    found = set()
    for flare in ordered:
        low = bisect_left(starts, flare.start - longest - wanted.apart)
        high = bisect_left(starts, _end(flare) + wanted.apart)
        ends = (_end(other) for other in strong[low:high] if other is not flare)
        if any(end > flare.start - wanted.apart for end in ends):
            found.add(flare.flare_id)
    return found


def _end(flare: ListedFlare) -> datetime:
    return flare.end or flare.start


def _bin(flare: ListedFlare, per: Per) -> str:
    """Return the bin of which some flares are kept."""
    match per:
        case "year":
            return f"{flare.start:%Y}"
        case "month":
            return f"{flare.start:%Y-%m}"
        case "date":
            return f"{flare.start:%Y-%m-%d}"
        case "class":
            return flare.goes_class[:1] or "no class"
        case _:
            return "all"


def _kept(name: str, members: list[ListedFlare], wanted: Wanted) -> list[Verdict]:
    """Return a verdict on each flare of a bin; those that are ranked first are kept."""
    what, most = ("strongest", wanted.strongest) if wanted.strongest else ("sample", wanted.sample)
    if most is None:
        return [Verdict(flare) for flare in members]
    able = members if what == "sample" else [f for f in members if _strength(f, wanted) is not None]
    ranked = sorted(able, key=lambda flare: _rank(flare, wanted))
    tied = _tied(ranked, most, wanted) if what == "strongest" else set()
    verdicts = []
    for place, flare in enumerate(ranked, 1):
        reason = f"not among the {most} of keep.{what} of {name}: number {place} of {len(ranked)}"
        missed = max(0, place - most)
        verdicts.append(Verdict(flare, reason if missed else "", missed, flare.flare_id in tied))
    left = [flare for flare in members if flare not in able]
    return verdicts + [Verdict(flare, f"no {wanted.by} to be ranked by") for flare in left]


def _tied(ranked: list[ListedFlare], most: int, wanted: Wanted) -> set[str]:
    """Return the flares as strong as the last that is kept, where the next is as strong."""
    if len(ranked) <= most:
        return set()
    cut = _strength(ranked[most - 1], wanted)
    if _strength(ranked[most], wanted) != cut:
        return set()
    return {flare.flare_id for flare in ranked if _strength(flare, wanted) == cut}


def _strength(flare: ListedFlare, wanted: Wanted) -> float | None:
    match wanted.by:
        case "class":
            return flux_on(flare, wanted.scale)
        case "fl_peakflux":
            return flare.fl_peakflux
        case _:
            return flare.integrated_flux


def _rank(flare: ListedFlare, wanted: Wanted) -> tuple[object, ...]:
    """Return what ranks a flare: its strength, or chance by the seed; ties by peak, then name."""
    if wanted.strongest is None:
        return (hashlib.sha256(f"{wanted.seed}|{flare.flare_id}".encode()).hexdigest(),)
    return -(_strength(flare, wanted) or 0), flare.peak or flare.start, flare.flare_id


def reasons(verdicts: Sequence[Verdict]) -> Counter[str]:
    """Return how many flares each reason kept out; those of a ranking are counted together."""
    texts = (verdict.reason for verdict in verdicts if verdict.reason)
    return Counter(
        "not among those to keep" if text.startswith("not among") else text for text in texts
    )
