"""JSOC's image series: prime keys, cadence, segments, wavelengths.

Source: JSOC's series pages and jsd files. Slots begin at multiples of the step, in TAI
(drms_keyword_priv.h, CalcSlot).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flareset.sdo.times import tai_minus_utc

_EPOCH = datetime(1977, 1, 1, tzinfo=UTC)
_HALF_A_SECOND = timedelta(milliseconds=500)
_CENTRE = datetime(1993, 1, 1, second=4, tzinfo=UTC)
_EUV = (94, 131, 171, 193, 211, 304, 335)
_UV = (1600, 1700)


@dataclass(frozen=True)
class Series:
    """A series of images.

    `cadence` (seconds) is that of one wavelength. `keys` are the prime keys in order. `step`
    (seconds) is the length of T_REC's slots, 0 for the cadence. `zone` is the zone in which JSOC
    prints times. `segments` maps a segment's name to its file's name without extension.
    """

    name: str
    cadence: int
    wavelengths: tuple[int, ...]
    keys: tuple[str, ...]
    segments: dict[str, str]
    zone: str = "UTC"
    step: int = 0

    @property
    def instrument(self) -> str:
        """The instrument: `aia` or `hmi`."""
        return self.name.partition(".")[0].lower()

    @property
    def linked(self) -> bool:
        """Whether the records hold links into another series, as AIA's slotted series do."""
        return self.instrument == "aia" and self.step != 1

    @property
    def shares_slots(self) -> bool:
        """Whether a slot has a record of each channel. A slot of aia.lev1 has a single exposure."""
        return not self.step

    def names_of(self, segment: str) -> frozenset[str]:
        """Return the names that files and headers use for a segment, in lower case.

        AIA's image is `image_lev1` in a stored file's name, and `image` after processing.
        """
        names = {segment.lower(), self.segments.get(segment, segment).lower()}
        if self.instrument == "aia":
            names |= {name.removesuffix("_lev1") for name in names}
        return frozenset(names)

    def image_time(self, t_rec: datetime, t_obs: datetime | None) -> datetime:
        """Return the time of an image (UTC). Every stage uses this time.

        For AIA it is T_OBS rounded to the second, as in JSOC's file names. For HMI, or if T_OBS is
        not known (None or NaT), it is T_REC.
        """
        if self.zone == "TAI" or t_obs is None or t_obs != t_obs:
            return t_rec
        return (t_obs + _HALF_A_SECOND).replace(microsecond=0)

    def slot(self, when: datetime) -> datetime:
        """Return the T_REC (UTC) of the slot that contains `when`."""
        offset = tai_minus_utc(when)
        step = self.step or self.cadence
        seconds = (when + offset - _EPOCH) // timedelta(seconds=1)
        return _EPOCH + timedelta(seconds=seconds - seconds % step) - offset

    def centre(self, when: datetime) -> datetime:
        """Return the centre (UTC) of the slot nearest to `when`: the T_REC that aia_scale writes.

        Slots are counted from 1993.01.01_00:00:04 TAI (real headers, TRECEPOC).
        """
        offset = tai_minus_utc(when)
        step = timedelta(seconds=self.step or self.cadence)
        return _CENTRE + round((when + offset - _CENTRE) / step) * step - offset


_AIA = {"image": "image_lev1", "spikes": "spikes"}
# Results of the inversion of the Stokes parameters, and their errors (hmi.B_720s.jsd).
_INVERTED = (
    "inclination", "azimuth", "disambig", "field", "vlos_mag", "dop_width", "eta_0", "damping",
    "src_continuum", "src_grad", "alpha_mag", "chisq", "conv_flag", "info_map", "confid_map",
    "inclination_err", "azimuth_err", "field_err", "vlos_err", "alpha_err",
    "field_inclination_err", "field_az_err", "inclin_azimuth_err", "field_alpha_err",
    "inclination_alpha_err", "azimuth_alpha_err", "conf_disambig",
)  # fmt: skip
_PATCH = ("magnetogram", "bitmap", "Dopplergram", "continuum")
_CEA = ("Bp", "Bt", "Br", "Bp_err", "Bt_err", "Br_err", "conf_disambig")


def _named(*segments: str) -> dict[str, str]:
    return {segment: segment for segment in segments}


def _aia(name: str, cadence: int, wavelengths: tuple[int, ...]) -> Series:
    return Series(name, cadence, wavelengths, ("T_REC", "WAVELNTH"), _AIA)


def _hmi(name: str, cadence: int, keys: tuple[str, ...], *segments: str) -> Series:
    return Series(name, cadence, (6173,), keys, _named(*segments), "TAI")


SERIES = {
    series.name: series
    for series in (
        _aia("aia.lev1_euv_12s", 12, _EUV),
        _aia("aia.lev1_uv_24s", 24, _UV),
        _aia("aia.lev1_vis_1h", 3600, (4500,)),
        Series(
            "aia.lev1",
            12,
            (*_EUV, *_UV, 4500),
            ("T_REC", "FSN"),
            _named("image_lev1", "spikes"),
            step=1,
        ),
        _hmi("hmi.M_45s", 45, ("T_REC", "CAMERA"), "magnetogram"),
        _hmi("hmi.V_45s", 45, ("T_REC", "CAMERA"), "Dopplergram"),
        _hmi("hmi.Ic_45s", 45, ("T_REC", "CAMERA"), "continuum"),
        _hmi("hmi.M_720s", 720, ("T_REC", "CAMERA"), "magnetogram"),
        _hmi("hmi.V_720s", 720, ("T_REC", "CAMERA"), "Dopplergram"),
        _hmi("hmi.Ic_720s", 720, ("T_REC", "CAMERA"), "continuum"),
        _hmi("hmi.B_720s", 720, ("T_REC",), *_INVERTED),
        _hmi("hmi.sharp_720s", 720, ("HARPNUM", "T_REC"), *_PATCH, *_INVERTED),
        _hmi("hmi.sharp_cea_720s", 720, ("HARPNUM", "T_REC"), *_PATCH, *_CEA),
    )
}
_BY_LOWER_CASE = {name.lower(): series for name, series in SERIES.items()}


def find_series(name: str) -> Series | None:
    """Return the series of a name in upper or lower case; None if it is not in SERIES.

    JSOC ignores the case of series names.
    """
    return _BY_LOWER_CASE.get(name.lower())
