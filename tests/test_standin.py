import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits
from conftest import ROOT

from flareset.errors import ListingError
from flareset.events import Flare
from flareset.fitscheck import Asked, check_image
from flareset.standin import catalogue
from flareset.standin.frames import Frame, Frames
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


@pytest.mark.parametrize("size", [128, 512, 4096])
def test_a_frame_is_what_its_name_says(size: int, tmp_path: Path) -> None:
    content = frame(NAME, size)
    assert content == frame(NAME, size), "same name, same bytes"
    pixels, header = opened(content)
    assert pixels.shape == (size, size)
    assert pixels.dtype.itemsize == 2
    assert header["CDELT1"] == pytest.approx(0.6 * 4096 / size)
    assert header["T_REC"] == "2014-01-07T18:35:01.000"
    assert header["T_OBS"].startswith("2014-01-07T18:35:")
    assert header["ORIGIN"] == "flareset stand-in"
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    asked = Asked("r", Frame.of(NAME).t_rec, 131, "image", NAME)
    assert check_image(path, asked)["EXPTIME"] == pytest.approx(2.9, abs=1e-3)


def test_keywords_are_those_of_a_real_header(real: Path) -> None:
    folder = real / "fits/headers_only"
    (header_file,) = folder.glob("aia*spikes.fits.header.txt")
    cards = header_file.read_text().splitlines()
    theirs = {line[:8].strip() for line in cards if line[8:9] == "="}
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


def test_exposures_are_short_in_flares_only() -> None:
    frames = Frames(128, [FLARE])
    exposures = []
    for second in (10, 22, 34, 46):
        name = NAME.replace("183510Z", f"1835{second}Z")
        _, header = opened(b"".join(frames.file(Frame.of(name))))
        exposures.append((header["EXPTIME"] < 1, header["AECTYPE"]))
    assert sorted(exposures) == [(False, 0), (False, 0), (True, 2), (True, 2)]


def test_spikes_are_a_table() -> None:
    pixels, header = opened(frame(NAME.replace("image_lev1", "spikes")))
    assert pixels.shape[0] == 3
    assert header["DRMS_ID"].endswith(":spikes")


@pytest.mark.parametrize("name", ["x.fits", NAME.replace("131", "132"), NAME + ".gz", "index.html"])
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
