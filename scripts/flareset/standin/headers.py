"""Write the keywords of a record, in the order of JSOC's exports.

ORIGIN says that nothing was observed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

from flareset.sdo import geometry
from flareset.sdo.series import SERIES
from flareset.sdo.times import to_tai
from flareset.standin.processed import View
from flareset.standin.slots import epoch_of

Card = tuple[str, object, str]
# The highest stored value of AIA's cameras.
SATURATION = 16383
# Numbers of 8 bytes; all others have 4.
DOUBLES = (
    "EXPTIME", "EXPSDEV", "INT_TIME", "DSUN_REF", "DSUN_OBS", "RSUN_REF", "RSUN_OBS", "TRECSTEP",
)  # fmt: skip
# Unit and step of a stored value of HMI's segments; the others are plain numbers.
HMI_UNITS = {
    "magnetogram": ("Gauss", 0.1),
    "Dopplergram": ("m/s", 0.5),
    "continuum": ("DN/s", 1.0),
    "field": ("Mx/cm^2", 0.01),
    "inclination": ("degree", 0.01),
    "azimuth": ("degree", 0.01),
    "Bp": ("Mx/cm^2", 0.1),
    "Bt": ("Mx/cm^2", 0.1),
    "Br": ("Mx/cm^2", 0.1),
}


# Keywords that JSOC computes from an image's pixels, in headers and in jsoc_info's answers.
STATISTICS: dict[str, int | float] = {
    "DATAVALS": 0, "MISSVALS": 0,
    "DATAMIN": 0, "DATAMAX": 0, "DATAMEDN": 0, "DATAMEAN": 0.0, "DATARMS": 0.0, "DATASKEW": 0.0,
    "DATAKURT": 0.0, "DATAP01": 0.0, "DATAP10": 0.0, "DATAP25": 0.0, "DATAP75": 0.0,
    "DATAP90": 0.0, "DATAP95": 0.0, "DATAP98": 0.0, "DATAP99": 0.0, "NSATPIX": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """The facts of a header: times (UTC), numbers, and the view of its pixels.

    `origin` is the view before processing. `drms_series` and `drms_segment` are those afterwards.
    """

    series: str
    wavelength: int
    time: datetime
    t_rec: datetime
    t_obs: datetime
    recnum: int
    origin: View
    view: View
    drms_series: str
    drms_segment: str
    missing: int = 0

    @property
    def keys(self) -> str:
        """The prime keys, with the RequestID that JSOC adds to processed records."""
        added = ["RequestID"] if self.drms_series != self.series else []
        return ", ".join([*SERIES[self.series].keys, *added])


@dataclass(frozen=True)
class Patch:
    """A HARP: its number, that of its active region, and its centre (Stonyhurst, degrees)."""

    harpnum: int
    noaa_ar: int
    longitude: float
    latitude: float


def aia(record: Record, fsn: int, spikes: int, exposure: float, aectype: int) -> list[Card]:
    """Return the keywords of AIA level 1 (or 1.5). `exposure` is in seconds."""
    wavelength, view, origin = record.wavelength, record.view, record.origin
    total = view.columns * view.rows
    seen = view if view.unit == "arcsec" else origin
    telescope = _telescope(wavelength)
    date_obs = record.t_obs - timedelta(seconds=exposure / 2)
    filter_name = "" if wavelength >= 1600 else "_THIN"
    return [
        ("T_REC", _iso(record.t_rec), "[ISO] Slotted observation time"),
        ("T_OBS", _iso(record.t_obs), "[ISO] Observation time"),
        ("WAVELNTH", wavelength, "[angstrom] Wavelength"),
        ("DATE", _iso(record.time + timedelta(days=5)), "[ISO] Date_time of processing; ISO 8601"),
        ("FSN", fsn, "FSN Filtergram Sequence Number"),
        ("EXPTIME", round(exposure, 6), "[sec] Exposure duration: mean shutter open time"),
        ("QUALITY", 0, "Level 1 Quality word"),
        ("ORIGIN", "flareset stand-in", "made up: nothing was observed"),
        ("TELESCOP", "SDO/AIA", "For AIA: SDO/AIA"),
        ("INSTRUME", f"AIA_{telescope}", "For AIA: AIA_1 to AIA_4"),
        ("DATE-OBS", _iso(date_obs), "[ISO] Date when observation started; ISO 8601 {DATE__OBS}"),
        ("CAMERA", telescope, "For AIA: 1, 2, 3 or 4"),
        ("IMG_TYPE", "LIGHT", "Image type: LIGHT or DARK"),
        ("EXPSDEV", 0.000199, "Exposure standard deviation"),
        ("INT_TIME", round(exposure + 0.27, 6), "[sec] CCD integration duration"),
        ("WAVEUNIT", "angstrom", "Wavelength unit: angstrom"),
        ("WAVE_STR", f"{wavelength}{filter_name}", "Wavelength_FilterPosition"),
        ("FID", 0, "FID Filtergram ID"),
        ("QUALLEV0", 0, "Level 0 Quality word"),
        ("TOTVALS", total, "Expected number of data values (pixels)"),
        (
            "PERCENTD",
            round(100.0 * (1 - record.missing / total), 4),
            "Percent data; 100*DATAVALS/TOTVALS",
        ),
        ("NSPIKES", spikes, "Number of cosmic ray affected pixels"),
        *_pointing(view),
        ("R_SUN", round(_radius(record) / seen.cdelt, 5), "[pixel] Radius of the Sun in pixels"),
        ("INST_ROT", origin.crota, "[deg] Master pointing CCD rotation wrt SDO Z axis"),
        ("IMSCL_MP", origin.cdelt, "[arcsec/pixel] Master pointing image scale"),
        ("X0_MP", origin.crpix[0] - 1, "[pixel] Master pointing X0 sun center"),
        ("Y0_MP", origin.crpix[1] - 1, "[pixel] Master pointing Y0 sun center"),
        ("SAT_ROT", 0.0, "[deg] Angle of solar pole wrt the SDO X axis"),
        ("ACS_MODE", "SCIENCE", "ACS pointing mode"),
        ("ACS_ECLP", "NO", "ACS eclipse flag"),
        ("ACS_SUNP", "YES", "ACS sun presence flag"),
        ("ACS_SAFE", "NO", "ACS safe hold flag"),
        *_observer(record),
        ("PIXLUNIT", "DN", "Pixel intensity unit"),
        ("AIMGSHCE", round(exposure * 1000), "AIA_IMG_SH_CMDED_EXPOSURE"),
        ("AECTYPE", aectype, "AIA_IMG_AEC_TYPE"),
        ("AECMODE", "ON", "AIA_IMG_AEC_MODE"),
        ("AIAECENF", 1, "AIA_IMG_AEC_ENA_FLAG"),
        ("LVL_NUM", view.level, "LVL_NUM data level number"),
        ("TRECEPOC", _epoch(record), "[TAI] T_REC epoch {T_REC_epoch}"),
        ("TRECSTEP", _step(record), "[second] T_REC step {T_REC_step}"),
        *_drms(record),
    ]


def hmi(record: Record, segment: str, camera: int, patch: Patch | None) -> list[Card]:
    """Return the keywords of HMI's observables. The full disk has no `patch`."""
    unit, _ = HMI_UNITS.get(segment, ("", 1.0))
    return [
        ("DATE", _iso(record.time + timedelta(days=5)), "[ISO] HDU creation date"),
        ("DATE-OBS", _iso(record.t_obs), "[ISO] Observation date {DATE__OBS}"),
        ("T_OBS", _tai(record.t_obs), "[TAI] nominal time"),
        ("T_REC", _tai(record.t_rec), "[TAI] Slot time"),
        ("TRECEPOC", _epoch(record), "[TAI] Time of origin {T_REC_epoch}"),
        ("TRECSTEP", _step(record), "[seconds] ts_eq step {T_REC_step}"),
        ("TRECUNIT", "secs", "ts_eq unit {T_REC_unit}"),
        ("CADENCE", _step(record), "[seconds] repetition interval"),
        *_pointing(record.view),
        ("WCSNAME", _wcs_name(record.view), "WCS system name"),
        *_observer(record),
        ("TELESCOP", "SDO/HMI", "Telescope"),
        (
            "INSTRUME",
            _INSTRUMENT.get(camera, "HMI_COMBINED"),
            "HMI_SIDE1, HMI_FRONT2, HMI_COMBINED",
        ),
        ("WAVELNTH", float(record.wavelength), "[angstrom] Wavelength"),
        ("CAMERA", camera, "Camera"),
        ("QUALITY", 0, "Quality word"),
        ("QUALLEV1", 0, "Level 1 quality"),
        (
            "TOTVALS",
            record.view.columns * record.view.rows,
            "Expected number of data values (pixels)",
        ),
        ("BUNIT", unit, "Physical units"),
        ("ORIGIN", "flareset stand-in", "made up: nothing was observed"),
        ("CONTENT", segment.upper(), "Content"),
        ("HFLID", 1021, "HMI_SEQ_ID_FRAMELIST"),
        ("HCFTID", 11, "HMI_SEQ_ID_FOCUS"),
        ("QLOOK", 0, "QLOOK: 0=final data, 1=quick"),
        *(_patch(patch) if patch else []),
        *_drms(record),
    ]


def _patch(patch: Patch) -> list[Card]:
    """Return the keywords of a HARP. Its active pixels fill most of the patch."""
    longitude, latitude = round(patch.longitude, 6), round(patch.latitude, 6)
    wide, high = 8.0, 4.0
    return [
        ("HARPNUM", patch.harpnum, "HARP ID"),
        ("LAT_MIN", latitude - high, "[degree] Minimum Stonyhurst latitude of pixels"),
        ("LON_MIN", longitude - wide, "[degree] Minimum Stonyhurst longitude of pixels"),
        ("LAT_MAX", latitude + high, "[degree] Maximum Stonyhurst latitude of pixels"),
        ("LON_MAX", longitude + wide, "[degree] Maximum Stonyhurst longitude of pixels"),
        ("LAT_FWT", latitude, "[degree] Stonyhurst latitude of flux-weighted centre"),
        ("LON_FWT", longitude, "[degree] Stonyhurst longitude of flux-weighted centre"),
        ("NOAA_AR", patch.noaa_ar, "NOAA AR number that best matches this HARP"),
        ("NOAA_NUM", 1, "Number of NOAA ARs that match this HARP"),
        ("NOAA_ARS", str(patch.noaa_ar), "Comma-separated list of NOAA ARs"),
    ]


def exported(cards: list[Card]) -> list[Card]:
    """Return the cards as JSOC's exporter writes them: 4-byte numbers are read from 9 digits."""

    def written(key: str, value: object) -> object:
        if not isinstance(value, float) or key in DOUBLES:
            return value
        (single,) = struct.unpack("f", struct.pack("f", value))
        return float(f"{single:.9g}")

    return [(key, written(key, value), comment) for key, value, comment in cards]


def scaling(segment: str) -> list[Card]:
    """Return the cards that tell how a segment of HMI stores its values."""
    _, step = HMI_UNITS.get(segment, ("", 1.0))
    return [("BZERO", 0.0, ""), ("BSCALE", step, "")]


def as_is(time: datetime) -> list[Card]:
    """Return the few cards of a stored file. The record's keywords are only in JSOC's database."""
    return [
        ("DATE", _iso(time + timedelta(minutes=40)), "[ISO] HDU creation date"),
        ("ORIGIN", "flareset stand-in", "made up: nothing was observed"),
    ]


_INSTRUMENT = {1: "HMI_SIDE1", 2: "HMI_FRONT2", 3: "HMI_COMBINED"}


def _pointing(view: View) -> list[Card]:
    longitude, latitude = view.ctype
    unit = view.unit
    return [
        ("CTYPE1", longitude, "CTYPE1; Typically HPLN"),
        ("CUNIT1", unit, "CUNIT1; Typically arcsec"),
        ("CRVAL1", view.crval[0], f"[{unit}] CRVAL1"),
        ("CDELT1", view.cdelt, f"[{unit}/pixel] CDELT1: image scale in the x dir"),
        ("CRPIX1", round(view.crpix[0], 6), "[pixel] CRPIX1: location of sun center in CCD x"),
        ("CTYPE2", latitude, "CTYPE2; Typically HPLT"),
        ("CUNIT2", unit, "CUNIT2; Typically arcsec"),
        ("CRVAL2", view.crval[1], f"[{unit}] CRVAL2"),
        ("CDELT2", view.cdelt, f"[{unit}/pixel] CDELT2: image scale in the y dir"),
        ("CRPIX2", round(view.crpix[1], 6), "[pixel] CRPIX2: location of sun center in CCD y"),
        ("CROTA2", view.crota, "[degree] CROTA2: INST_ROT + SAT_ROT"),
    ]


def _observer(record: Record) -> list[Card]:
    rotation, longitude = geometry.carrington(record.t_obs)
    latitude = round(geometry.disk_latitude(record.t_obs), 6)
    return [
        ("DSUN_REF", 149597870691.0, "[m] Reference distance to Sun"),
        ("DSUN_OBS", 149597870691.0, "[m] Distance from SDO to Sun center"),
        ("RSUN_REF", 696000000.0, "[m] Reference radius of the Sun"),
        ("RSUN_OBS", _radius(record), "[arcsec] Apparent radius of the Sun seen by SDO"),
        ("HGLN_OBS", 0.0, "[deg] Stonyhurst heliographic longitude"),
        ("HGLT_OBS", latitude, "[deg] Stonyhurst heliographic latitude"),
        ("CAR_ROT", rotation, "Carrington rotation number of CRLN_OBS"),
        ("CRLN_OBS", round(longitude, 6), "[deg] Carrington longitude of the observer"),
        ("CRLT_OBS", latitude, "[deg] Carrington latitude of the observer"),
    ]


def _drms(record: Record) -> list[Card]:
    drms_id = f"{record.drms_series}:{record.recnum}:{record.drms_segment}"
    return [
        ("RECNUM", record.recnum, "Recnum"),
        ("DRMS_ID", drms_id, "DRMS ID"),
        ("PRIMARYK", record.keys, "DRMS primary key"),
        # The exporter has value and comment the wrong way round; so must this.
        ("LICENSE", "LICENSE", "CC0 1.0"),
    ]


def _radius(record: Record) -> float:
    return round(geometry.solar_radius_arcsec(record.time), 6)


def _epoch(record: Record) -> str:
    return epoch_of(SERIES[record.series]).replace("_TAI", ".000_TAI")


def _step(record: Record) -> float:
    series = SERIES[record.series]
    return float(series.step or series.cadence)


def _wcs_name(view: View) -> str:
    return "Helioprojective-cartesian" if view.unit == "arcsec" else "Carrington Heliographic"


def _iso(when: datetime) -> str:
    """Return a header's time: milliseconds, no zone."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}"


def _tai(when: datetime) -> str:
    """Return a time of HMI's headers, in TAI."""
    tai = to_tai(when)
    return tai.strftime("%Y.%m.%d_%H:%M:%S.") + f"{tai.microsecond // 1000:03d}_TAI"


def _telescope(wavelength: int) -> int:
    return {131: 1, 335: 1, 193: 2, 211: 2, 171: 3, 94: 4, 304: 4}.get(wavelength, 3)
