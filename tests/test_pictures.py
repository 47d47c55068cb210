from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from flareset.errors import VerificationError
from flareset.proof.pictures import check_picture
from flareset.standin.frames import Frame, Frames
from flareset.standin.pictures import jpeg, movie

FRAMES = Frames(128, [])
SHOWN = [
    Frame("x", "aia.lev1", wavelength, "image_lev1", datetime(2014, 1, 7, 18, tzinfo=UTC))
    for wavelength in (131, 171)
]
KINDS = (".jpg", ".mpg", ".mp4")


@cache
def good(suffix: str) -> bytes:
    return jpeg(FRAMES, SHOWN[0]) if suffix == ".jpg" else movie(suffix[1:], FRAMES, SHOWN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.part"


def refused(path: Path, content: bytes, suffix: str) -> str:
    path.write_bytes(content)
    with pytest.raises(VerificationError) as error:
        check_picture(path, suffix)
    return str(error.value)


@pytest.mark.parametrize("suffix", KINDS)
def test_good_ones(path: Path, suffix: str) -> None:
    path.write_bytes(good(suffix))
    check_picture(path, suffix)


@pytest.mark.parametrize("suffix", KINDS)
def test_every_cut_is_seen(path: Path, suffix: str) -> None:
    whole = good(suffix)
    cuts = {0, 1, 2, 3, 4, 8, len(whole) - 8, len(whole) - 4, len(whole) - 2, len(whole) - 1}
    cuts |= set(np.linspace(0, len(whole) - 1, 150, dtype=int).tolist())
    if suffix == ".mp4":
        # Between its boxes a cut leaves whole ones.
        cuts |= {whole.index(kind) - 4 for kind in (b"mdat", b"moov")}
    for cut in cuts:
        message = refused(path, whole[:cut], suffix)
        assert any(word in message for word in ("empty", "no whole", "is no", "is cut")), message


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE HTML><html><title>403 Forbidden</title></html>",
        b"<html></html>".ljust(20_000, b"\0"),
        bytes(5000),
        b"SIMPLE  =".ljust(2880),
        np.random.default_rng(1).bytes(5000),
    ],
    ids=["a page", "a padded page", "zeros", "FITS", "noise"],
)
def test_something_else(path: Path, suffix: str, content: bytes) -> None:
    refused(path, content, suffix)


@pytest.mark.parametrize(("suffix", "other"), [(a, b) for a in KINDS for b in KINDS if a != b])
def test_another_kind(path: Path, suffix: str, other: str) -> None:
    refused(path, good(other), suffix)


def test_forms_that_other_programs_write(path: Path) -> None:
    system_stream = b"\0\0\1\xba" + good(".mpg") + b"\0\0\1\xb9"
    for content in (good(".mpg") + bytes(100), system_stream):
        path.write_bytes(content)
        check_picture(path, ".mpg")
    whole = good(".mp4")
    at, size = whole.index(b"mdat") - 4, int.from_bytes(whole[whole.index(b"mdat") - 4 :][:4])
    long_box = b"\0\0\0\1mdat" + (size + 8).to_bytes(8)
    path.write_bytes(whole[:at] + long_box + whole[at + 8 :])
    check_picture(path, ".mp4")
