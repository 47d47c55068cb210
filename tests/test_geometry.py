from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.wcs import WCS

from flareset.sdo import geometry
from flareset.sdo.times import parse_jsoc_time

WHEN = datetime(2014, 2, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "file",
    [
        "sunkit_image_0.6.1/aia_171_cutout.fits",
        "hmi_sharp_jsoc_export/hmi.sharp_cea_720s.377.20110215_020000_TAI.Br.fits",
        "sunpy_0.5.4_sdist/AIA20110319_105400_0171.fits",
    ],
)
def test_the_observer_is_where_real_headers_have_it(file: str, real: Path) -> None:
    with fits.open(real / "fits" / file) as hdus:
        header = hdus[-1].header
    when = parse_jsoc_time(header["T_OBS"])
    rotation, longitude = geometry.carrington(when)
    assert rotation == header["CAR_ROT"]
    assert longitude == pytest.approx(header["CRLN_OBS"], abs=0.1)
    assert geometry.disk_latitude(when) == pytest.approx(header["CRLT_OBS"], abs=0.1)
    assert geometry.solar_radius_arcsec(when) == pytest.approx(header["RSUN_OBS"], rel=0.004)


def test_rotations_count_on_where_the_longitude_starts_anew() -> None:
    before = geometry.carrington(datetime(2010, 5, 1, tzinfo=UTC))
    for hours in range(1, 24 * 400):
        now = geometry.carrington(datetime(2010, 5, 1, tzinfo=UTC) + timedelta(hours=hours))
        turned = (now[0] - before[0]) * 360 - (now[1] - before[1])
        assert turned == pytest.approx(13.2 / 24, rel=0.03)
        before = now


@pytest.mark.parametrize(("lon", "lat"), [(0, 0), (40, 20), (-70, -35), (10, 83)])
def test_there_and_back(lon: float, lat: float) -> None:
    x, y = geometry.stonyhurst_to_arcsec(lon, lat, datetime(2014, 9, 8, tzinfo=UTC))
    assert geometry.arcsec_to_stonyhurst(x, y, datetime(2014, 9, 8, tzinfo=UTC)) == pytest.approx(
        (lon, lat), abs=1e-6
    )


def test_the_middle_of_the_disk_turns_to_the_west() -> None:
    x, y = geometry.rotated(0, 0, 86400, WHEN)
    assert x == pytest.approx(220, abs=5)
    assert abs(y) < 5
    back = geometry.rotated(x, y, -86400, WHEN + timedelta(days=1))
    assert back == pytest.approx((0, 0), abs=1e-3)


def test_what_is_off_the_disk_is_refused() -> None:
    limb = geometry.solar_radius_arcsec(WHEN)
    geometry.arcsec_to_stonyhurst(limb - 0.01, 0, WHEN)
    with pytest.raises(ValueError, match="980, 0 arcsec is off the disk"):
        geometry.arcsec_to_stonyhurst(980, 0, WHEN)
    with pytest.raises(ValueError, match="longitude 91, latitude 0 is off the disk"):
        geometry.stonyhurst_to_arcsec(91, 0, WHEN)
    with pytest.raises(ValueError, match="off the disk"):
        geometry.rotated(900, 0, 4 * 86400, WHEN)


@pytest.mark.parametrize("roll", [0.0, 30.0, -90.0, 179.0])
def test_a_pixel_is_where_astropy_has_it(roll: float) -> None:
    header = fits.Header({"CRPIX1": 512.5, "CRPIX2": 500.5, "CRVAL1": 3.0, "CRVAL2": -7.0})
    header.update({"CDELT1": 0.6, "CDELT2": 0.7, "CROTA2": roll})
    header.update({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"})
    header.update({"CUNIT1": "arcsec", "CUNIT2": "arcsec"})
    found = geometry.pixel_of(250.0, -120.0, (512.5, 500.5), (3.0, -7.0), (0.6, 0.7), roll)
    column, row = WCS(header).wcs_world2pix(250.0 / 3600, -120.0 / 3600, 1)
    # So near to the middle, the sky is a plane.
    assert found == pytest.approx((float(column), float(row)), abs=0.01)


def test_the_disk_s_centre_is_where_meeus_has_it() -> None:
    # Astronomical Algorithms, 2nd ed., example 29.a. A minute of dynamical time is neglected.
    when = datetime(1992, 10, 13, tzinfo=UTC)
    assert geometry.carrington(when)[1] == pytest.approx(238.63, abs=0.015)
    assert geometry.disk_latitude(when) == pytest.approx(5.99, abs=0.006)


# From sunpy 7.0.5: carrington_rotation_number, L0, B0 and angular_radius of sunpy.coordinates.sun,
# and where SkyCoord has Stonyhurst 60, 20 and -45, -10 (arcsec, seen from the Earth).
AS_SUNPY = [
    ("2013-01-04T06:00Z", 2132, 284.176, -3.410, 975.52, (795.56, 361.08), (-681.59, -129.12)),
    ("2014-02-05T08:00Z", 2146, 84.159, -6.307, 972.88, (793.32, 381.71), (-679.75, -93.80)),
    ("2017-09-06T12:00Z", 2194, 82.205, 7.248, 951.75, (776.35, 267.12), (-664.81, -248.33)),
    ("2021-07-05T00:00Z", 2246, 358.407, 3.305, 943.45, (769.49, 297.25), (-659.05, -202.06)),
    ("2024-05-10T18:00Z", 2284, 303.665, -3.117, 949.80, (774.54, 349.36), (-663.55, -129.14)),
    ("2029-10-01T00:00Z", 2356, 228.480, 6.724, 958.04, (781.49, 273.35), (-669.23, -244.09)),
]


@pytest.mark.parametrize(("time", "rotation", "l0", "b0", "radius", "west", "east"), AS_SUNPY)
def test_the_sun_is_as_sunpy_has_it(
    time: str,
    rotation: int,
    l0: float,
    b0: float,
    radius: float,
    west: tuple[float, float],
    east: tuple[float, float],
) -> None:
    when = datetime.fromisoformat(time)
    found, longitude = geometry.carrington(when)
    assert found == rotation
    assert longitude == pytest.approx(l0, abs=0.07)
    assert geometry.disk_latitude(when) == pytest.approx(b0, abs=0.005)
    assert geometry.solar_radius_arcsec(when) == pytest.approx(radius, abs=1)
    assert geometry.stonyhurst_to_arcsec(60, 20, when) == pytest.approx(west, abs=0.8)
    assert geometry.stonyhurst_to_arcsec(-45, -10, when) == pytest.approx(east, abs=0.8)


def test_a_little_less_than_half_of_the_sun_is_seen() -> None:
    # The limb is the longitude whose cosine is 1 / 213.
    equinox = datetime(2014, 6, 7, tzinfo=UTC)
    geometry.stonyhurst_to_arcsec(89.7, 0, equinox)
    with pytest.raises(ValueError, match="off the disk"):
        geometry.stonyhurst_to_arcsec(89.8, 0, equinox)


@pytest.mark.parametrize(("pole", "day"), [(90, "2010-06-09T09:36Z"), (-90, "2010-06-03T19:12Z")])
def test_a_pole_at_the_limb_is_a_pole(pole: float, day: str) -> None:
    # Here the sine of the latitude comes out a little beyond 1.
    when = datetime.fromisoformat(day)
    place = geometry.stonyhurst_to_arcsec(0, pole, when)
    assert geometry.arcsec_to_stonyhurst(*place, when)[1] == pytest.approx(pole, abs=0.01)


def test_a_place_is_seen_later_where_the_sun_has_carried_it() -> None:
    then = WHEN + timedelta(hours=6)
    assert geometry.seen_later((0, 0), WHEN, then) == geometry.rotated(0, 0, 6 * 3600, WHEN)
    assert geometry.seen_later((55, 0), WHEN, then)[0] == pytest.approx(110, abs=3)
    assert geometry.seen_later((1000, 0), WHEN, then) == (1000, 0)
