import io
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from support.images import check_image

from flareset.errors import StoreError, VerificationError
from flareset.proof.fits import Asked, ImageCheck, keywords_in, pack, packed_header
from flareset.sdo.checksum import ones_complement_sum
from flareset.sdo.times import parse_jsoc_time
from flareset.standin.frames import Frame, Frames

NAME = "aia.lev1_euv_12s.2014-01-07T180510Z.131.image_lev1.fits"
FRAMES = Frames(128, [])


@cache
def made(name: str = NAME) -> bytes:
    return b"".join(FRAMES.file(Frame.of(name)))


def asked(name: str = NAME) -> Asked:
    return Asked("the record", Frame.of(NAME).t_rec, 131, frozenset({"image"}), Frame.of(name).time)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[bytes], dict]:
    def run(content: bytes) -> dict:
        path = tmp_path / "x.fits.part"
        path.write_bytes(content)
        return check_image(path, asked())

    return run


def refused(check: Callable, content: bytes) -> str:
    with pytest.raises(VerificationError) as error:
        check(content)
    return str(error.value)


def test_a_good_frame(check: Callable) -> None:
    found = check(made())
    assert found["QUALITY"] == 0
    assert found["WAVELNTH"] == 131
    assert found["T_REC"] == "2014-01-07T18:05:01.000"


def test_astropy_agrees_with_our_checksums() -> None:
    with fits.open(io.BytesIO(made()), checksum=True) as hdus:
        assert hdus[1].data.shape == (128, 128)
        hdus.verify("exception")


def test_every_cut_is_seen(check: Callable) -> None:
    whole = made()
    for length in (
        0,
        1,
        79,
        2879,
        2880,
        3000,
        5760,
        len(whole) // 2,
        len(whole) - 2880,
        len(whole) - 1,
    ):
        message = refused(check, whole[:length])
        assert any(
            word in message for word in ("empty", "ends inside", "is cut", "no image", "no FITS")
        )


def test_bytes_too_many(check: Callable) -> None:
    assert "is no HDU" in refused(check, made() + b"\0" * 2880)
    assert "is no HDU" in refused(check, made() + b"x")


def test_pages_instead_of_images(check: Callable) -> None:
    assert "an HTML page" in refused(check, b"<!DOCTYPE HTML><html>sorry</html>")
    assert "an HTML page" in refused(check, b"\n\0\0<html>".ljust(5760, b"\0"))
    assert "no FITS file" in refused(check, b"\0" * 2880)


def test_every_flipped_bit_is_seen(check: Callable) -> None:
    whole = made()
    rng = np.random.default_rng(1)
    # The primary header has no checksum, as at JSOC; all of the image's HDU has.
    for position in rng.integers(2880, len(whole), size=60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        assert refused(check, bytes(damaged))


def without_checksums(whole: bytes) -> bytes:
    return whole.replace(b"CHECKSUM=", b"XHECKSUM=").replace(b"DATASUM =", b"XATASUM =")


def test_without_a_datasum_the_pixels_are_decoded(check: Callable) -> None:
    bare = without_checksums(made())
    assert check(bare)["WAVELNTH"] == 131
    start = bare.index(b"END     ", 2880)
    start = start - start % 2880 + 2880
    damaged = bytearray(bare)
    damaged[start : start + 128 * 8] = b"\xff" * (128 * 8)  # the table that says where tiles lie
    assert "cannot be decoded" in refused(check, bytes(damaged))


def test_another_record(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(made(NAME.replace("T180510Z", "T180534Z")))
    with pytest.raises(VerificationError, match="it is another record"):
        check_image(path, asked())
    path.write_bytes(made(NAME.replace(".131.", ".171.")))
    with pytest.raises(VerificationError, match="WAVELNTH is 171"):
        check_image(path, asked())


def test_a_spikes_table_under_an_images_name(check: Callable) -> None:
    spikes = made(NAME.replace("image_lev1", "spikes"))
    assert "holds no image (a spikes table?)" in refused(check, spikes)


def test_times_that_contradict_each_other(check: Callable) -> None:
    whole = without_checksums(made())
    other_day = whole.replace(b"T_OBS   = '2014-01-07", b"T_OBS   = '2014-01-08")
    assert "it is another record" in refused(check, other_day)
    other_slot = whole.replace(b"T_REC   = '2014-01-07", b"T_REC   = '2014-01-05")
    assert "it is another record" in refused(check, other_slot)


def test_t_obs_alone_is_proof_enough(check: Callable) -> None:
    # A lev1 header has T_OBS rounded to the second as its T_REC.
    whole = without_checksums(made()).replace(b"T_REC   =", b"XREC    =")
    assert check(whole)["T_REC"] is None
    neither = whole.replace(b"T_OBS   =", b"XOBS    =")
    assert "T_REC None, T_OBS None" in refused(check, neither)


REAL_FILES = [
    "sunkit_image_0.6.1/aia_171_cutout.fits",
    "hmi_sharp_jsoc_export/hmi.sharp_cea_720s.377.20110215_020000_TAI.magnetogram.fits",
    "hmi_sharp_jsoc_export/hmi.sharp_cea_720s.377.20110215_020000_TAI.bitmap.fits",
    "sunpy_0.5.4_sdist/AIA20110319_105400_0171.fits",
    "sunpy_0.5.4_sdist/aia_171_level1.fits",
    "sunpy_paper/AIA20120606_040729_1600.fits",
]


@pytest.mark.parametrize("name", REAL_FILES)
def test_intact_files_of_jsoc_raise_no_false_alarm(real: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "copy.fits"
    shutil.copy(real / "fits" / name, path)
    path.chmod(0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.getheader(path, 1 if b"XTENSION" in path.read_bytes()[:2890] else 0)
    t_obs = parse_jsoc_time(str(header["T_OBS"]))
    t_rec = parse_jsoc_time(str(header.get("T_REC", header["T_OBS"])))
    wavelength = int(float(header["WAVELNTH"]))
    segments = frozenset(
        {"image", "magnetogram", "bitmap"} & {*Path(name).name.lower().split(".")} or {"image"}
    )
    wanted = Asked("real", t_rec, wavelength, segments, t_obs.replace(microsecond=0))
    check_image(path, wanted)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VerificationError):
        check_image(path, wanted)


@pytest.mark.parametrize("name", REAL_FILES)
def test_the_whole_header_is_kept(real: Path, name: str) -> None:
    path = real / "fits" / name
    packed = packed_header(path)
    assert len(packed) < 7000, "with the file's other facts, it fits two blocks of a disk"
    content = io.BytesIO(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(content, disable_image_compression=True) as hdus:
            header = hdus[min(1, len(hdus) - 1)].header
        names = [name for name in header if name not in ("HISTORY", "COMMENT", "")]
        truth: dict[str, object] = {"NOSUCH": None}
        for name in names:
            try:
                value = header[name]
            except fits.VerifyError:  # JSOC's own writes -nan
                value = None
            truth[name] = None if isinstance(value, fits.card.Undefined) else value
    assert len(truth) > 60
    assert keywords_in(packed, truth) == truth


def test_a_proof_keeps_the_header_that_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(made())
    proof = ImageCheck(asked(), path).finish(path)
    assert proof.header == packed_header(path)
    assert keywords_in(proof.header, ["EXPTIME", "T_REC"]) == {
        name: proof.keywords[name] for name in ("EXPTIME", "T_REC")
    }
    path.write_bytes(made()[: 3 * 2880])
    with pytest.raises(StoreError, match=r"x.fits: .*`repair` fetches it again"):
        packed_header(path)


def test_a_card_that_cannot_be_read_has_no_value() -> None:
    cards = made()[2880:]
    place = cards.index(b"EXPTIME =")
    bad = cards[: place + 10] + b"no value".ljust(70) + cards[place + 80 :]
    assert keywords_in(pack(bad), ["EXPTIME", "QUALITY"]) == {"EXPTIME": None, "QUALITY": 0}


def test_a_header_cannot_ask_for_all_memory(check: Callable) -> None:
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((64, 64), "i2"))]).writeto(buffer)
    for axis in (b"ZNAXIS1", b"ZNAXIS2"):
        place = buffer.getvalue().index(axis.ljust(8) + b"=")
        buffer.seek(place)
        buffer.write(axis.ljust(8) + b"=" + b"100000".rjust(21))
    assert "says that the image has (100000, 100000) pixels" in refused(check, buffer.getvalue())


PLAIN = io.BytesIO()
fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.ones((64, 64), "i2"))]).writeto(PLAIN)


@given(st.data())
@settings(max_examples=300)
def test_whatever_a_header_says_is_an_answer(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([made(), PLAIN.getvalue()])))
    place = data.draw(st.integers(0, min(len(content), 7 * 2880) - 1))
    content[place] = data.draw(st.sampled_from(b"'\"09-.eE,()T \x00\xff/="))
    step = data.draw(st.sampled_from([977, 2880, 4099, len(content)]))
    with TemporaryDirectory() as folder, suppress(VerificationError):
        path = Path(folder) / "x"
        path.write_bytes(content)
        check_in_steps(path, step)


def check_in_steps(path: Path, step: int) -> dict[str, Any]:
    """Check a file whose bytes come in pieces of a size; return its keywords."""
    check, content = ImageCheck(asked()), path.read_bytes()
    for begin in range(0, len(content), step):
        check.feed(content[begin : begin + step])
    return check.finish(path).keywords


@pytest.mark.parametrize("step", [1, 7])
def test_bytes_may_come_one_by_one(tmp_path: Path, step: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(made())
    assert check_in_steps(path, step) == check_image(path, asked())
    damaged = bytearray(made())
    damaged[-3000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(VerificationError):
        check_in_steps(path, step)


@pytest.mark.parametrize(
    ("pixels", "blank"),
    [
        (np.zeros((64, 64), "int16"), True),
        (np.full((64, 64), 7, "int16"), True),
        (np.full((64, 64), np.nan, "float32"), True),
        (np.where(np.eye(64) > 0, np.nan, 0.0).astype("float32"), True),
        (np.eye(64).astype("int16"), False),
        (np.where(np.eye(64) > 0, np.nan, np.eye(64, k=1)).astype("float32"), False),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_an_image_that_shows_nothing(
    tmp_path: Path, pixels: np.ndarray, blank: bool, compressed: bool
) -> None:
    header = fits.Header({"T_OBS": "2014-01-07T15:07:10.34Z", "WAVELNTH": 131})
    path = tmp_path / "x.fits"
    if compressed:
        kind = "RICE_1" if pixels.dtype.kind == "i" else "GZIP_1"
        quantum = {} if kind == "RICE_1" else {"quantize_level": 0}
        fits.CompImageHDU(pixels, header, compression_type=kind, **quantum).writeto(path)
    else:
        fits.PrimaryHDU(pixels, header).writeto(path)
    time = datetime(2014, 1, 7, 15, 7, 10, tzinfo=UTC)
    wanted = Asked("aia", time, 131, frozenset({"image"}), time)
    check = ImageCheck(wanted, path)
    assert check.finish(path).blank is blank


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "PLIO_1"])
@pytest.mark.parametrize("width", [16, 128, 4096])
@pytest.mark.parametrize("bits", ["int16", "int32"])
def test_a_blank_image_with_a_checksum(tmp_path: Path, kind: str, width: int, bits: str) -> None:
    header = fits.Header({"T_OBS": "2014-01-07T15:07:10.34Z", "WAVELNTH": 131})
    path = tmp_path / "x.fits"
    pixels = np.full((16, width), 7, bits)
    fits.CompImageHDU(pixels, header, compression_type=kind).writeto(path, checksum=True)
    time = datetime(2014, 1, 7, 15, 7, 10, tzinfo=UTC)
    proof = ImageCheck(Asked("aia", time, 131, frozenset({"image"}), time), path).finish(path)
    assert (proof.grade, proof.blank) == ("datasum", True)


def test_an_image_that_says_to_be_huge_is_not_decoded(tmp_path: Path) -> None:
    header = fits.Header({"T_OBS": "2014-01-07T15:07:10.34Z", "WAVELNTH": 131})
    path = tmp_path / "x.fits"
    image = fits.CompImageHDU(np.zeros((64, 64), "int16"), header, compression_type="RICE_1")
    image.writeto(path, checksum="datasum")
    content = path.read_bytes()
    for axis in (b"ZNAXIS1 ", b"ZNAXIS2 "):
        card = content.index(axis + b"=")
        content = content[: card + 10] + b"%20d" % 200_000 + content[card + 30 :]
    path.write_bytes(content)
    time = datetime(2014, 1, 7, 15, 7, 10, tzinfo=UTC)
    wanted = Asked("aia", time, 131, frozenset({"image"}), time)
    with pytest.raises(VerificationError, match=r"the image has \(200000, 200000\) pixels"):
        ImageCheck(wanted, path).finish(path)


def test_a_carry_is_added_to_the_sum_of_a_checksum() -> None:
    assert ones_complement_sum(b"\xff\xff\xff\xff\x00\x00\x00\x02") == 2
    assert ones_complement_sum(b"\xff\xff\xff\xff" * 3) == 0xFFFFFFFF
    assert ones_complement_sum(b"\x00\x00\x00\x01", start=0xFFFFFFFF) == 1
