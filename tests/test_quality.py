"""The bits of QUALITY, in their order in JSOC's quallev1.h."""

import pytest

from flareset.sdo.quality import BITS, rejected_by

# Four bits have no meaning there.
ORDER = [
    *("no_flat", "no_orbit", "no_asd", "no_pointing", "no_limb_fit", "instrument_anomaly"),
    *("misconfiguration", "camera_anomaly", "missing_any", "missing_1_percent"),
    *("missing_5_percent", "missing_25_percent", "not_science", "eclipse", "no_sun", "safe_mode"),
    *("dark", "iss_loop_open", "calibration", "hmi_calibration", "aia_focus", "aia_register"),
    *("hmi_thermal", "lunar_transit", "occulted", "atmosphere", "", "", "", "", "nrt", "no_image"),
]


@pytest.mark.parametrize("place", range(32))
def test_each_bit_has_its_name(place: int) -> None:
    found = rejected_by(1 << place, list(BITS))
    assert found == [name for name in ORDER[place : place + 1] if name]


def test_a_word_that_is_no_bit_rejects_nothing() -> None:
    assert rejected_by(0xFFFFFFFF, ["blank"]) == []
