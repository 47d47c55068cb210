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
