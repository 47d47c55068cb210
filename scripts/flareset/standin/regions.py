"""The active regions of a campaign's flares: each is where its flare is, and turns with the Sun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flareset.sdo.flares import Flare
from flareset.sdo.geometry import arcsec_to_stonyhurst

ROTATION = 13.2  # degrees of longitude a day, as seen from Earth
# A region is on the disk up to this longitude (degrees).
_LIMB = 80.0
# HARP 377 was NOAA AR 11158.
_NOAA_OF_HARP = 10781


@dataclass(frozen=True)
class Region:
    """An active region by its NOAA number: its Stonyhurst place (degrees) at a time."""

    number: int
    when: datetime
    latitude: float
    longitude: float

    def longitude_at(self, when: datetime) -> float:
        """Return the Stonyhurst longitude (degrees) at a time."""
        return self.longitude + ROTATION * ((when - self.when) / timedelta(days=1))

    @property
    def seen(self) -> tuple[datetime, datetime]:
        """The times at which the region comes onto the disk and leaves it."""
        rise, set_ = ((side - self.longitude) / ROTATION for side in (-_LIMB, _LIMB))
        return self.when + timedelta(days=rise), self.when + timedelta(days=set_)

    @property
    def harpnum(self) -> int:
        """The number of the region's HARP."""
        return self.number - _NOAA_OF_HARP


def noaa_ar(harpnum: int) -> int:
    """Return the NOAA number of a HARP's active region."""
    return harpnum + _NOAA_OF_HARP


def regions_of(flares: Iterable[Flare]) -> Mapping[int, Region]:
    """Return the active regions, by number, of the flares that have a place on the disk.

    The first flare of a region tells its place. Regions of before SDO are left out.
    """
    found: dict[int, Region] = {}
    for flare in flares:
        if flare.noaa_ar is None or flare.noaa_ar in found or flare.noaa_ar <= _NOAA_OF_HARP:
            continue
        if flare.hpc_x is None or flare.hpc_y is None:
            continue
        try:
            longitude, latitude = arcsec_to_stonyhurst(flare.hpc_x, flare.hpc_y, flare.start)
        except ValueError:
            continue
        found[flare.noaa_ar] = Region(flare.noaa_ar, flare.start, latitude, longitude)
    return found
