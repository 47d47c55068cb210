"""Positions on the Sun as seen from Earth: arcsec, Stonyhurst and Carrington degrees.

Plain floats: arcsec from Sun centre (x to the west, y to the north), degrees of heliographic
longitude (to the west) and latitude. The Sun turns as a rigid body at Carrington's rate, as in
im_patch.c. SDO's own orbit is neglected: an error below 0.1 degrees, and 0.3 % of the radius.
Source: Meeus, Astronomical Algorithms, 2nd ed., chapters 25 and 29; Thompson 2006, A&A 449, 791.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2010, 5, 1, tzinfo=UTC)
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_J2000_JD = 2451545.0
_PERIHELION = 247.0  # days from the epoch to early January
_TILT = math.radians(7.25)  # of the Sun's equator against the ecliptic
_ARCSEC = math.degrees(1) * 3600


def solar_radius_arcsec(when: datetime) -> float:
    """Return the Sun's apparent radius (arcsec): largest in January, smallest in July."""
    day = (when - _EPOCH) / timedelta(days=1)
    return 959.63 / (1 - 0.0167 * math.cos(2 * math.pi * (day - _PERIHELION) / 365.25))


def carrington(when: datetime) -> tuple[int, float]:
    """Return the Carrington rotation's number, and the disk centre's longitude (0 to 360)."""
    julian, turned = _julian(when), _since_node(when)
    axis = math.atan2(math.sin(turned) * math.cos(_TILT), math.cos(turned)) + math.pi
    longitude = (math.degrees(axis) - (julian - 2398220.0) * 360 / 25.38) % 360
    # The mean rotation gives the number to a third of a day; the longitude corrects that.
    mean = (julian - 2398140.2270) / 27.2752316
    return round(mean - (1 - longitude / 360)), longitude


def disk_latitude(when: datetime) -> float:
    """Return B0, the heliographic latitude of the disk's centre (degrees)."""
    return math.degrees(math.asin(math.sin(_since_node(when)) * math.sin(_TILT)))


def arcsec_to_stonyhurst(x: float, y: float, when: datetime) -> tuple[float, float]:
    """Return a point's Stonyhurst longitude and latitude (degrees).

    Raises ValueError if the point (arcsec) is off the disk.
    """
    distance = _distance(when)
    across, up = math.tan(x / _ARCSEC), math.tan(y / _ARCSEC)
    slope = 1 + across * across + up * up
    inside = distance * distance - slope * (distance * distance - 1)
    if inside < 0:
        raise ValueError(f"{x:g}, {y:g} arcsec is off the disk")
    along = (distance - math.sqrt(inside)) / slope
    west, north, near = along * across, along * up, distance - along
    tilt = math.radians(disk_latitude(when))
    pole = north * math.cos(tilt) + near * math.sin(tilt)
    front = near * math.cos(tilt) - north * math.sin(tilt)
    return math.degrees(math.atan2(west, front)), math.degrees(math.asin(max(-1, min(1, pole))))


def stonyhurst_to_arcsec(lon: float, lat: float, when: datetime) -> tuple[float, float]:
    """Return where a Stonyhurst longitude and latitude (degrees) is seen, as x and y (arcsec).

    Raises ValueError if the point is on the far side.
    """
    longitude, latitude = math.radians(lon), math.radians(lat)
    tilt = math.radians(disk_latitude(when))
    west = math.cos(latitude) * math.sin(longitude)
    front, pole = math.cos(latitude) * math.cos(longitude), math.sin(latitude)
    north = pole * math.cos(tilt) - front * math.sin(tilt)
    near = front * math.cos(tilt) + pole * math.sin(tilt)
    distance = _distance(when)
    if near * distance < 1:
        raise ValueError(f"longitude {lon:g}, latitude {lat:g} is off the disk")
    far = distance - near
    return math.atan(west / far) * _ARCSEC, math.atan(north / far) * _ARCSEC


def rotated(x: float, y: float, seconds: float, when: datetime) -> tuple[float, float]:
    """Return where rotation carries a point in so many seconds, as x and y (arcsec).

    At `when` the point is at `x`, `y`. Raises ValueError if it is off the disk, then or later.
    """
    later = when + timedelta(seconds=seconds)
    longitude, latitude = arcsec_to_stonyhurst(x, y, when)
    turn = carrington(when)[1] - carrington(later)[1]
    return stonyhurst_to_arcsec(longitude + turn, latitude, later)


def seen_later(place: tuple[float, float], when: datetime, then: datetime) -> tuple[float, float]:
    """Return where a point, seen at `place` (arcsec) at `when`, is seen `then`.

    A point off the limb stays where it is.
    """
    try:
        return rotated(*place, (then - when).total_seconds(), when)
    except ValueError:
        return place


def pixel_of(
    x: float,
    y: float,
    crpix: tuple[float, float],
    crval: tuple[float, float],
    cdelt: tuple[float, float],
    crota: float,
) -> tuple[float, float]:
    """Return the pixel (column, row; from 1) of a point in arcsec, as if the image were a plane.

    `crpix` is the pixel at `crval` (arcsec), `cdelt` arcsec a pixel, `crota` degrees.
    """
    angle = math.radians(crota)
    across, up = x - crval[0], y - crval[1]
    along = math.cos(angle) * across + math.sin(angle) * up
    beside = math.cos(angle) * up - math.sin(angle) * across
    return crpix[0] + along / cdelt[0], crpix[1] + beside / cdelt[1]


def _distance(when: datetime) -> float:
    """Return the observer's distance (solar radii)."""
    return 1 / math.sin(solar_radius_arcsec(when) / _ARCSEC)


def _julian(when: datetime) -> float:
    return _J2000_JD + (when - _J2000) / timedelta(days=1)


def _since_node(when: datetime) -> float:
    """Return the Sun's longitude from the node of its equator (radians; Meeus, lambda - K)."""
    century = (_julian(when) - _J2000_JD) / 36525
    anomaly = math.radians(357.52911 + 35999.05029 * century)
    longitude = (
        280.46646
        + 36000.76983 * century
        + (1.914602 - 0.004817 * century) * math.sin(anomaly)
        + 0.019993 * math.sin(2 * anomaly)
        + 0.000289 * math.sin(3 * anomaly)
        - 0.00569  # aberration
    )
    node = 73.6667 + 1.3958333 * (_julian(when) - 2396758.0) / 36525
    return math.radians((longitude - node) % 360)
