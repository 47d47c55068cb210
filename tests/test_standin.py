import gzip
import io
import itertools
import re
import socket
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import requests
import urllib3
from astropy.io import fits
from PIL import Image
from support.images import check_image
from support.project import ROOT

from flareset.errors import ListingError, VerificationError
from flareset.proof.fits import Asked
from flareset.sdo.flares import Flare
from flareset.sdo.series import SERIES
from flareset.sdo.times import name_time
from flareset.standin import catalogue, pictures
from flareset.standin.frames import Frame, Frames
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import MadeUp
from flareset.standin.server import Fault, StandIn

NAME = "aia.lev1_euv_12s.2014-01-07T183510Z.131.image_lev1.fits"
PEAK = datetime(2014, 1, 7, 18, 34, 46, tzinfo=UTC)
FLARE = Flare(
    "x",
    datetime(2014, 1, 7, 18, 5, 34, tzinfo=UTC),
    datetime(2014, 1, 7, 19, 48, 58, tzinfo=UTC),
    PEAK,
    268.8,
    -115.2,
)


def frame(name: str, size: int = 128, flares: tuple[Flare, ...] = ()) -> bytes:
    return b"".join(Frames(size, list(flares)).file(Frame.of(name)))


def opened(content: bytes) -> tuple[np.ndarray, fits.Header]:
    with fits.open(io.BytesIO(content), do_not_scale_image_data=True) as hdus:
        return hdus[1].data.copy(), hdus[1].header.copy()


@pytest.mark.parametrize("size", [128, 512, 1024])
def test_a_frame_is_what_its_name_says(size: int, tmp_path: Path) -> None:
    content = frame(NAME, size)
    assert content == frame(NAME, size), "same name, same bytes"
    pixels, header = opened(content)
    assert pixels.shape == (size, size)
    assert pixels.dtype.itemsize == 2
    assert header["CDELT1"] == pytest.approx(0.600698 * 4096 / size)
    assert header["T_REC"] == "2014-01-07T18:35:01.000"
    assert header["T_OBS"].startswith("2014-01-07T18:35:")
    assert header["ORIGIN"] == "flareset stand-in"
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    asked = Asked("r", Frame.of(NAME).t_rec, 131, frozenset({"image"}), Frame.of(NAME).time)
    assert check_image(path, asked)["EXPTIME"] == pytest.approx(2.9, abs=1e-3)


def test_keywords_are_those_of_a_real_header(real: Path) -> None:
    folder = real / "fits/headers_only"
    (header_file,) = folder.glob("aia*spikes.fits.header.txt")
    cards = header_file.read_text().splitlines()
    theirs = {line[:8].strip() for line in cards if line[8:9] == "=" or line[:8] == "COMMENT "}
    _, header = opened(frame(NAME))
    ours = set(header)
    needed = (
        "T_REC T_OBS DATE-OBS WAVELNTH EXPTIME QUALITY AECTYPE FSN RECNUM DRMS_ID PRIMARYK"
        " CRPIX1 CDELT1 R_SUN NSPIKES"
    )
    assert set(needed.split()) <= theirs & ours
    structure = {"XTENSION", "PCOUNT", "GCOUNT", "CHECKSUM", "DATASUM", "BLANK", "NAXIS", "NAXIS1",
                 "NAXIS2", "BITPIX", "SIMPLE", "EXTEND"}  # fmt: skip
    strange = {key for key in ours - theirs - structure if not key.startswith("Z")}
    assert strange <= {"EXTNAME"}


def test_the_flare_shines_at_its_place_and_time() -> None:
    quiet, _ = opened(frame(NAME))
    flaring, _ = opened(frame(NAME, flares=(FLARE,)))
    lit = flaring.astype(int) - quiet
    y, x = np.unravel_index(lit.argmax(), lit.shape)
    scale = 0.6 * 4096 / 128
    assert abs((x - 63.5) * scale - 268.8) < 2 * scale
    assert abs((y - 63.5) * scale + 115.2) < 5 * scale  # blooming runs up and down
    before = NAME.replace("183510Z", "180510Z")
    assert frame(before) == frame(before, flares=(FLARE,))


def seconds_into_slots(wavelength: int, flares: list[Flare]) -> list[tuple[float, int, float]]:
    """Return EXPTIME, AECTYPE and seconds from T_REC to T_OBS of a flare's exposures."""
    frames = Frames(128, flares)
    asked = f"[2014-01-07T18:05:00Z-2014-01-07T19:50:00Z][{wavelength}]"
    keywords = [
        (record, record.keywords(frames))
        for record in Holdings(MadeUp(frames), frames).find(f"aia.lev1_euv_12s{asked}")
    ]
    return [
        (told["EXPTIME"], told["AECTYPE"], (record.time - record.t_rec).total_seconds())
        for record, told in keywords
    ]


def test_exposures_are_short_and_late_in_flares_as_in_the_real_listing(real: Path) -> None:
    """The real listing of the same flare, at 131: 115 exposures come 2 s later, 19 by 1 s."""
    page = (real / "original/html_dump/2014-01-07.html").read_text()
    times = {name_time(name) for name in re.findall(r"aia[\w.-]+image_lev1\.fits", page)}
    late = Counter((time.second - 10) % 12 for time in times)
    assert {after: late[after] for after in (0, 1, 2)} == {0: 2156, 1: 19, 2: 115}
    there = {(time.second - 1) % 12 for time in times}
    exposures = seconds_into_slots(131, [FLARE])
    assert {seconds for *_, seconds in exposures} <= there
    seconds_of = {round(exposure, 2): seconds for exposure, _, seconds in exposures}
    assert seconds_of == {2.9: 9, 0.25: 11, 1.0: 10}
    by_kind = Counter(seconds for *_, seconds in exposures)
    assert by_kind[11] > by_kind[10] > 0, "most short ones are by 2 s late"
    short = [exposure < 2 for exposure, *_ in exposures]
    assert not any(a and b for a, b in itertools.pairwise(short)), "never two in a row"
    assert not any(exposure < 2 for exposure, *_ in seconds_into_slots(131, []))


def test_a_short_exposure_at_171_comes_after_the_end_of_its_slot(real: Path) -> None:
    """Real headers: 11.34 s into the slot at 2 s; on 2011-06-07, at 0.234 s, 12.88 s."""
    header = fits.getheader(real / "fits/sunkit_image_0.6.1/aia_171_cutout.fits", 1)
    t_rec, t_obs = (datetime.fromisoformat(header[key]) for key in ("T_REC", "T_OBS"))
    assert (t_obs - t_rec).total_seconds() == pytest.approx(11.34, abs=0.01)
    exposures = seconds_into_slots(171, [FLARE])
    assert {round(exposure, 2): late for exposure, _, late in exposures} == {
        2.0: 11, 0.25: 13, 1.0: 12,
    }  # fmt: skip
    slot = datetime(2014, 1, 7, 18, 30, 1, tzinfo=UTC)
    frame = Frame.of("aia.lev1_euv_12s.2014-01-07T183014Z.171.image_lev1.fits")
    assert frame.t_rec == slot


def test_aectype_tells_nothing_of_the_exposure(real: Path) -> None:
    """As in real headers, where normal exposures have 0 or 2."""
    cutout, synoptic = (
        fits.getheader(real / "fits" / name, number)
        for name, number in (
            ("sunkit_image_0.6.1/aia_171_cutout.fits", 1),
            ("sunpy_0.5.4_sdist/AIA20110319_105400_0171.fits", 0),
        )
    )
    for header, aectype in ((cutout, 2), (synoptic, 0)):
        assert (header["AIMGSHCE"], header["AECTYPE"]) == (2000, aectype)
    exposures = seconds_into_slots(131, [FLARE])
    for short in (True, False):
        found = [aectype for exposure, aectype, _ in exposures if (exposure < 2) == short]
        assert {*found} == {0, 2}
        assert found.count(2) / len(found) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("series", ["aia.lev1", "aia.lev1_euv_12s", "aia.lev1_uv_24s"])
def test_pointing_is_that_of_real_headers(series: str, real: Path) -> None:
    """The master pointing of three channels, to which CRPIX and CROTA2 are equal here."""
    lines = next((real / "fits/headers_only").glob("aia*304.spikes.fits.header.txt")).read_text()
    files = {
        171: fits.getheader(real / "fits/sunkit_image_0.6.1/aia_171_cutout.fits", 1),
        304: fits.Header.fromstring(lines[lines.index("T_REC") :], sep="\n"),
        1600: fits.Header.fromfile(real / "fits/sunpy_paper/AIA20120606_040729_1600.fits"),
    }
    for wavelength in set(files) & set(SERIES[series].wavelengths):
        when = datetime(2014, 1, 7, 18, 35, 10, tzinfo=UTC)
        shown = Frames(4096, []).keywords(Frame("x", series, wavelength, "image", when))
        header = files[wavelength]
        for key, of_pixels, more in (
            ("IMSCL_MP", "CDELT1", 0), ("INST_ROT", "CROTA2", 0), ("X0_MP", "CRPIX1", 1),
            ("Y0_MP", "CRPIX2", 1),
        ):  # fmt: skip
            assert shown[key] == pytest.approx(header[key], rel=1e-6)
            assert shown[of_pixels] == pytest.approx(header[key] + more, rel=1e-6)
    whole = Frames(128, []).statistics(Frame.of(NAME))
    assert whole["MISSVALS"] == 0, "the telescope sees the sky beyond what is drawn"


def test_spikes_are_a_table() -> None:
    pixels, header = opened(frame(NAME.replace("image_lev1", "spikes")))
    assert pixels.shape[0] == 3
    assert header["DRMS_ID"].endswith(":spikes")


LEV1 = "aia.lev1.2014-01-07T183510Z.{}.image_lev1.fits"
OTHER_SERIES = {
    "aia.lev1_uv_24s.2014-01-07T183510Z.1600.image_lev1.fits": "image",
    "aia.lev1_uv_24s.2014-01-07T183510Z.1700.image_lev1.fits": "image",
    "aia.lev1_vis_1h.2014-01-07T180010Z.4500.image_lev1.fits": "image",
    "hmi.m_45s.20140107_180000_TAI.2.magnetogram.fits": "magnetogram",
    "hmi.v_45s.20140107_180000_TAI.2.Dopplergram.fits": "Dopplergram",
    "hmi.ic_45s.20140107_180000_TAI.2.continuum.fits": "continuum",
    "hmi.m_720s.20140107_180000_TAI.3.magnetogram.fits": "magnetogram",
    "hmi.b_720s.20140107_180000_TAI.inclination.fits": "inclination",
    "hmi.sharp_720s.3563.20140107_180000_TAI.field.fits": "field",
    "hmi.sharp_cea_720s.3563.20140107_180000_TAI.Br.fits": "Br",
}


@pytest.mark.parametrize("name", OTHER_SERIES)
def test_every_series_has_its_frames(name: str, tmp_path: Path) -> None:
    asked_frame = Frame.of(name)
    series = SERIES[asked_frame.series]
    assert asked_frame.segment == OTHER_SERIES[name]
    content = frame(name)
    pixels, header = opened(content)
    there = pixels[pixels != np.iinfo(pixels.dtype).min]
    assert there.min() < there.max()
    assert header["BLANK"] == np.iinfo(pixels.dtype).min
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    cadence = series.cadence
    asked = Asked(
        "r",
        asked_frame.t_rec,
        asked_frame.wavelength,
        series.names_of(asked_frame.segment),
        asked_frame.time,
        cadence,
    )
    assert check_image(path, asked)["QUALITY"] == 0
    if series.zone == "TAI":
        assert header["T_REC"] == "2014.01.07_18:00:00.000_TAI"
        assert header["WAVELNTH"] == 6173.0


@pytest.mark.parametrize("name", [NAME, NAME.replace("image_lev1", "spikes"), *OTHER_SERIES])
def test_a_records_keywords_are_those_of_its_file(name: str) -> None:
    _, header = opened(frame(name))
    keywords = Frames(128, []).keywords(Frame.of(name))
    different = {
        key for key, value in keywords.items() if key not in ("DATAVALS", "MISSVALS")
        # Most numbers have 4 bytes.
        and header[key] != (pytest.approx(value, rel=1e-7) if isinstance(value, float) else value)
    }  # fmt: skip
    assert not different


def test_numbers_are_those_of_one_exposure() -> None:
    start = datetime(2014, 1, 7, 18, 0, 10, tzinfo=UTC)
    wavelengths = SERIES["aia.lev1"].wavelengths
    exposures = [
        Frame(
            "x", "aia.lev1", wavelength, "image_lev1", start + timedelta(seconds=12 * slot + late)
        )
        for slot, late in enumerate((0, 2, 0, 1, 0))
        for wavelength in wavelengths
    ]
    for numbers in ([e.fsn for e in exposures], [e.recnum for e in exposures]):
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) < 2**31
    for exposure in exposures:
        name = LEV1.replace("183510", f"{exposure.time:%H%M%S}").format(exposure.fsn)
        assert Frame.of(name) == replace(exposure, name=name)
    assert Frame.of(NAME).fsn == replace(Frame.of(NAME), series="aia.lev1").fsn


def test_a_sharp_is_a_patch_of_the_disk() -> None:
    cut, header = opened(frame("hmi.sharp_720s.377.20110214_020000_TAI.magnetogram.fits", 1024))
    assert header["CTYPE1"] == "HPLN-TAN"
    assert header["CROTA2"] == 180
    assert (header["HARPNUM"], header["NOAA_AR"]) == (377, 11158)
    assert cut.shape < (512, 512)
    flat, header = opened(frame("hmi.sharp_cea_720s.377.20110214_020000_TAI.Br.fits", 1024))
    assert header["CTYPE1"] == "CRLN-CEA"
    assert header["CDELT1"] == pytest.approx(0.03 * 4)
    assert flat.shape == (94, 186)
    assert (flat != -(2**31)).mean() > 0.99


def test_as_stored_a_file_has_no_keywords() -> None:
    frames = Frames(128, [])
    content = b"".join(frames.file(Frame.of(NAME), as_is=True))
    pixels, header = opened(content)
    assert (pixels == opened(frame(NAME))[0]).all()
    assert not {"T_REC", "T_OBS", "QUALITY", "WAVELNTH", "DRMS_ID"} & set(header)
    assert header["ORIGIN"] == "flareset stand-in"


def test_pictures_and_movies_are_valid() -> None:
    frames = Frames(256, [FLARE])
    shown = [
        Frame.of(NAME.replace("1835", f"18{minute}").replace("131", "171")) for minute in (20, 34)
    ]
    picture = pictures.jpeg(frames, shown[0])
    with Image.open(io.BytesIO(picture)) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", (256, 256))
        grey = np.asarray(image, dtype=int)
    assert grey[128, 128] > grey[3, 3]
    film = pictures.movie("mp4", frames, shown)
    boxes, at = {}, 0
    while at < len(film):
        size = int.from_bytes(film[at : at + 4], "big")
        boxes[film[at + 4 : at + 8]] = film[at + 8 : at + size]
        at += size
    assert [*boxes] == [b"ftyp", b"mdat", b"moov"]
    assert boxes[b"mdat"] == picture + pictures.jpeg(frames, shown[1])
    film = pictures.movie("mpg", frames, shown)
    assert film.startswith(b"\0\0\1\xb3")
    assert film.endswith(b"\0\0\1\xb7")
    assert film.count(b"\0\0\1\0") == 2
    with pytest.raises(ValueError, match="no movie of kind 'gif' with 2 frames"):
        pictures.movie("gif", frames, shown)


@pytest.mark.parametrize(
    "name",
    [
        "x.fits",
        NAME.replace("131", "132"),
        NAME + ".gz",
        "index.html",
        "hmi.m_45s.20140107_180000_TAI.magnetogram.fits",
        "hmi.m_45s.20140107_180000_TAI.x.magnetogram.fits",
        "aia.lev1_uv_24s.2014-01-07T183510Z.131.image_lev1.fits",
        "hmi.sharp_cea_720s.3563.20140107_180000_TAI.image.fits",
    ],
)
def test_other_names_are_not_there(name: str) -> None:
    assert Frame.of(name) is None


def test_the_page_is_jsocs_own_template(real: Path) -> None:
    sample = (real / "jsoc/index_samples/s1/index.html").read_text()
    name = "aia.lev1_euv_12s.2014-02-20T0818{}Z.131.{}.fits"
    record = "aia.lev1_euv_12s[2014-02-20T08:18:{}Z][131]"
    made = catalogue.Export(
        requestid="JSOC_20260115_0123",
        folder="/SUM12/D1234567890/S00000",
        files=(
            catalogue.File(record.format("01"), name.format(11, "image_lev1")),
            catalogue.File(record.format("01"), name.format(11, "spikes")),
            catalogue.File(record.format("13"), name.format(23, "image_lev1")),
        ),
        megabytes=27,
        exptime=datetime(2026, 1, 15, 10, 20, 30, tzinfo=UTC),
    )
    assert catalogue.listing_page(made) == sample


def test_a_days_records_have_gaps_as_the_archive_has() -> None:
    text = "aia.lev1_euv_12s[2014-01-07T00:00:00Z/1d][131]"
    made = catalogue.export(text, 256)
    assert made == catalogue.export(text, 256)
    images = {file.record for file in made.files if "image_lev1" in file.name}
    spikes = {file.record for file in made.files if "spikes" in file.name}
    assert 7150 < len(spikes) < 7200, "slots without a record"
    assert 0 < len(spikes - images) < 30, "records without an image"
    only = catalogue.export(text + "{image}", 256)
    assert {file.record for file in only.files} == images
    with pytest.raises(ListingError, match="not a recordset that the stand-in knows"):
        catalogue.export("hmi.M_45s[2014.01.07/1d]", 256)


def test_over_http(serve: Callable[..., StandIn]) -> None:
    server = serve(faults=[Fault("status", "T150010Z", times=1, code=503)])
    session = requests.Session()
    session.trust_env = False
    recordset = "aia.lev1_euv_12s[2014-01-07T15:00:00Z/2m][131]"
    page = session.get(f"{server.url}/export", params={"ds": recordset})
    assert page.text == server.page(recordset)
    folder = catalogue.export(recordset, 128).folder
    assert session.get(server.url + folder + "/").text == page.text
    url = f"{server.url}/SUM1/D1/S00000/{NAME.replace('183510', '150010')}"
    assert session.get(url).status_code == 503
    whole = session.get(url)
    assert whole.headers["Content-Length"] == str(len(whole.content))
    part = session.get(url, headers={"Range": "bytes=5000-", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[5000:])
    stale = session.get(url, headers={"Range": "bytes=5000-", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    assert session.get(f"{server.url}/SUM1/D1/S00000/x.fits").status_code == 404
    assert session.get(f"{server.url}/export?ds=x").status_code == 400
    assert "<form" in session.get(server.url).text
    session.close()


FOLDER = "/SUM1/D1/S00000"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.headers["Accept-Encoding"] = "identity"
        yield made


def exported_tar(session: requests.Session, server: StandIn) -> str:
    """Return the URL of the tar of an export of three images."""
    asked = {
        "op": "exp_request", "ds": "aia.lev1_euv_12s[2014-01-07T15:00:00Z/36s][131]{image}",
        "method": "url-tar", "protocol": "fits", "notify": "jane.doe@example.org",
        "filenamefmt": "{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}",
    }  # fmt: skip
    requestid = session.post(server.cgi_url + "jsoc_fetch", data=asked).json()["requestid"]
    status = {"op": "exp_status", "requestid": requestid}
    return server.url + session.get(server.cgi_url + "jsoc_fetch", params=status).json()["tarfile"]


@pytest.mark.parametrize("packed", [False, True], ids=["single", "tar"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("padded", lambda whole: b"<!DOCTYPE" + bytes(len(whole) - 9)),
        ("trailing", lambda whole: whole + b"?" * 5000),
        ("longer", lambda whole: whole),
        ("empty", lambda _: b""),
    ],
)
def test_faulty_bodies(
    serve: Callable[..., StandIn],
    session: requests.Session,
    packed: bool,
    kind: str,
    expected: Callable[[bytes], bytes],
) -> None:
    server = serve(delay=0)
    url = exported_tar(session, server) if packed else f"{server.url}{FOLDER}/{NAME}"
    wanted = expected(session.get(url).content)
    server.faults.append(Fault(kind))
    answer = session.get(url)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content) == len(wanted)
    assert (answer.content[:9], answer.content[-500:]) == (wanted[:9], wanted[-500:])


@pytest.mark.parametrize("kind", ["flip", "card", "other", "spikes", "changed", "changed_silent"])
def test_faulty_files(
    serve: Callable[..., StandIn], session: requests.Session, tmp_path: Path, kind: str
) -> None:
    server = serve(delay=0)
    url = f"{server.url}{FOLDER}/{NAME}"
    whole = session.get(url)
    server.faults.append(Fault(kind))
    faulty = session.get(url)
    assert faulty.content != whole.content
    path = tmp_path / "x.fits"
    path.write_bytes(faulty.content)
    wrong = {
        "flip": "DATASUM of HDU 1",
        "card": "CHECKSUM of HDU 1",
        "other": "it is another record",
        "spikes": "it holds no image",
    }
    fits_checks(path, wrong.get(kind, ""))
    validators = [(r.headers["ETag"], r.headers["Last-Modified"]) for r in (whole, faulty)]
    assert (validators[0] == validators[1]) == (kind != "changed")
    if kind.startswith("changed"):
        part = {"Range": "bytes=5000-", "If-Range": whole.headers["ETag"]}
        answer = session.get(url, headers=part)
        rest = (200, faulty.content) if kind == "changed" else (206, faulty.content[5000:])
        assert (answer.status_code, answer.content) == rest


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.name.endswith(".fits")}


@pytest.mark.parametrize("kind", ["flip", "card", "other", "spikes", "changed", "changed_silent"])
def test_faulty_members(
    serve: Callable[..., StandIn], session: requests.Session, kind: str
) -> None:
    server = serve(delay=0)
    url = exported_tar(session, server)
    whole = members(session.get(url).content)
    names = [*whole]
    assert len(names) == 3
    for pattern, struck in ((r"\.tar$", names[1]), (names[2][2:], names[2])):
        server.faults[:] = [Fault(kind, pattern)]
        faulty = members(session.get(url).content)
        assert [*faulty] == names
        different = [name for name in names if faulty[name] != whole[name]]
        assert different == (names if kind.startswith("changed") else [struck])
    server.faults.clear()
    assert members(session.get(url).content) == whole


@pytest.mark.parametrize("packed", [False, True], ids=["single", "tar"])
def test_endless_and_slow_bodies(
    serve: Callable[..., StandIn], session: requests.Session, packed: bool
) -> None:
    server = serve(delay=0)
    url = exported_tar(session, server) if packed else f"{server.url}{FOLDER}/{NAME}"
    whole = session.get(url).content
    server.faults.append(Fault("big"))
    with session.get(url, stream=True) as answer:
        assert answer.headers["Content-Length"] == str(2**40)
        assert answer.raw.read(len(whole) + 10**7) == whole + bytes(10**7)
    server.faults[:] = [Fault("big_unannounced")]
    with session.get(url, stream=True) as answer:
        assert "Content-Length" not in answer.headers
        assert answer.raw.read(len(whole) + 10**7) == whole + bytes(10**7)
    server.faults[:] = [Fault("stall_body", seconds=60)]
    with session.get(url, stream=True, timeout=0.5) as answer:
        assert answer.headers["Content-Length"] == str(len(whole))
        half = len(whole) // 2
        assert answer.raw.read(half) == whole[:half]
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            answer.raw.read(1)
    server.faults[:] = [Fault("trickle", seconds=0.02)]
    with session.get(url, stream=True, timeout=60) as answer:
        pieces = [answer.raw.read1(1000) for _ in range(3)]
        assert whole.startswith(b"".join(pieces))
        assert all(0 < len(piece) < 200 for piece in pieces)


def test_more_bytes_than_announced(serve: Callable[..., StandIn]) -> None:
    server = serve(faults=[Fault("longer")])
    with socket.create_connection(server.server_address) as connection:
        connection.sendall(f"GET {FOLDER}/{NAME} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            header, _, body = answer.read().partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", header)[1])
    assert body[length:] == b"?" * 5000


def test_redirects_and_gzip(serve: Callable[..., StandIn], session: requests.Session) -> None:
    server = serve()
    url = f"{server.url}{FOLDER}/{NAME}"
    whole = session.get(url).content
    for text, location in (("file:///etc/passwd", "file:///etc/passwd"), ("", f"{FOLDER}/{NAME}")):
        server.faults[:] = [Fault("redirect", text=text)]
        answer = session.get(url, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (302, location)
    server.faults[:] = [Fault("gzip")]
    with session.get(url, stream=True) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.raw.read(decode_content=False)) == whole


def fits_checks(path: Path, wrong: str) -> None:
    """Check that a file is the image of NAME or, with `wrong`, is refused for that reason."""
    asked = Asked("r", Frame.of(NAME).t_rec, 131, frozenset({"image"}), Frame.of(NAME).time)
    if not wrong:
        check_image(path, asked)
        return
    with pytest.raises(VerificationError, match=wrong):
        check_image(path, asked)


def by_hand(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/standin.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_by_hand() -> None:
    recordset = "aia.lev1_euv_12s[2014-01-07T15:00:00Z/2m][131]"
    assert by_hand("--page", recordset).stdout.startswith("<!DOCTYPE HTML PUBLIC")
    done = by_hand("--fault", "nonsense:x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --fault nonsense:x: write KIND:PATTERN")
    assert "must be from 128 to 4096" in by_hand("--frame-size", "5000").stderr


def drain(client: socket.socket) -> None:
    """Receive until the other side has done."""
    while client.recv(1 << 16):
        pass


def test_a_reset_is_one(serve: Callable[..., StandIn]) -> None:
    server = serve(faults=[Fault("reset")])
    name = "aia.lev1_euv_12s.2014-01-07T180112Z.131.image_lev1.fits"
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(f"GET /SUM1/D1/S00000/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            drain(client)


def test_the_stand_in_shares_no_reading_of_recordsets_with_the_client() -> None:
    shared = set()
    for path in (ROOT / "scripts/flareset/standin").glob("*.py"):
        for line in path.read_text().splitlines():
            if match := re.match(r"from flareset\.sdo(?:\.(\w+) import|( import .+))", line):
                shared.add(match[1] or match[2].strip())
    assert shared == {"checksum", "flares", "import geometry", "geometry", "series", "times"}
