"""GOES classes as fluxes, and numbers of active regions."""

import pytest

from flareset.sdo.flares import class_flux, five_digits


@pytest.mark.parametrize(
    ("goes_class", "flux"),
    [("A5", 5e-8), ("B1", 1e-7), ("C9.9", 9.9e-6), ("M5", 5e-5), ("M4.9", 4.9e-5), ("X12", 1.2e-3)],
)
def test_a_class_is_its_peak_flux(goes_class: str, flux: float) -> None:
    assert class_flux(goes_class) == flux


def test_a_letter_alone_is_no_flux() -> None:
    assert class_flux("M") is None
    assert class_flux("") is None


def test_numbers_of_regions_went_on_after_9999() -> None:
    assert [five_digits(number) for number in (7000, 9999, 10_000, 11944)] == [
        7000, 9999, 10_000, 11944
    ]  # fmt: skip
    assert [five_digits(number) for number in (0, 1944, 6999)] == [10_000, 11944, 16999]
