"""Inputs that are nearly right, and the readers that have to take them or say what is wrong.

Each subject is given a random generator, makes one input and reads it. What it may raise are the
package's own errors; anything else is a fault.
"""

from __future__ import annotations

import copy
import io
import json
import tarfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from flareset.archive.jsoc import OTHERWISE
from flareset.archive.responses import read_answer, read_object, read_rows
from flareset.archive.tars import Tarball, check_tar
from flareset.campaign.checks import check_config
from flareset.campaign.pages import page_text
from flareset.campaign.rows import read_rows as read_events
from flareset.errors import FlaresetError, ListingError
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.drms import parse_records, parse_structure
from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import SERIES
from flareset.sources.page import read_page
from flareset.standin import catalogue
from flareset.standin.frames import Frame, Frames
from support.factories import an_event

EUV = SERIES["aia.lev1_euv_12s"]
NAME = "aia.lev1_euv_12s.2014-01-07T180510Z.131.image_lev1.fits"
EVENT = an_event(
    ("2014-01-07 18:05:34", "2014-01-07 18:08:34"), ("2014-01-07 18:03:00", "2014-01-07 18:11:00")
)
_ODD = [
    "",
    "²",
    "9" * 5000,
    "1e400",
    "-1",
    "0x2000",
    "nan",
    "inf",
    "null",
    "\0",
    "\ud7ff",
    "é",
    "<",
    "&",
    "'",
    '"',
    ",",
    ";",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "..",
    "/",
    "//",
    "%00",
    "2014-01-07T24:00:00Z",
    "9999-12-31T23:59:60Z",
    "8192.0",
    "<![x",
    "<!--",
    "http://[::1",
    "-x",
    "~",
    "$HOME",
]
_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1 << 70,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "²",
    "9" * 5000,
    [],
    {},
    [[]],
    {"": None},
    [None],
    "2014-01-07",
    "\0",
    [["no_image"]],
]


def mutated_text(text: str, random: Random) -> str:
    """Return a text with a few changes: pieces cut, doubled, swapped or replaced by odd ones."""
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text) + 1)
        end = min(len(text), at + random.choice([0, 1, 1, 4, 20, 200]))
        piece = random.choice([*_ODD, text[at:end] * 2, text[end : end + 30]])
        text = text[:at] + piece + text[end:]
    return text


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Return bytes with a few changes, mostly near their beginning, where headers are."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        most = min(len(made), random.choice([600, 9000, len(made)]))
        at = random.randrange(most) if most else 0
        match random.randrange(4):
            case 0:
                made[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del made[at : at + random.choice([1, 80, 512, 2880])]
            case 2:
                made[at : at + 8] = random.choice([b"99999999", b"77777777", b"       -", bytes(8)])
            case _:
                made = made[:at] if random.random() < 0.3 else made + made[at : at + 2880]
    return bytes(made)


def mutated_value(value: Any, random: Random) -> Any:
    """Return plain data in which a few parts are of another shape, or odd."""
    value = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        value = _replaced(value, random)
    return value


def _replaced(value: Any, random: Random) -> Any:
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value)
    elif isinstance(value, list):
        inner = list(range(len(value)))
    if not inner or random.random() < 0.15:
        return copy.deepcopy(random.choice([*_VALUES, [value], {"a": value}]))
    key = random.choice(inner)
    value[key] = _replaced(value[key], random)
    if isinstance(value, dict) and random.random() < 0.1:
        del value[key]
    return value


@cache
def _frame() -> bytes:
    return b"".join(Frames(128, []).file(Frame.of(NAME)))


def pages(random: Random, folder: Path, base: str) -> None:
    """Read a page."""
    path = folder / "page.html"
    path.write_bytes(mutated_text(base, random).encode("utf-8", "replace"))
    text = page_text(path)
    read_page(text, EVENT, 131, series=EUV, wavelengths=[131], hosts=["jsoc1.stanford.edu"])


_ANSWERS: list[dict[str, Any]] = [
    {
        "status": 0,
        "count": 2,
        "runtime": 0.1,
        "keywords": [
            {"name": "T_REC", "values": ["2014-01-07T18:05:01Z", "2014-01-07T18:05:13Z"]},
            {"name": "*recnum*", "values": ["12", "13"]},
        ],
        "segments": [{"name": "image", "values": ["/SUM1/D1/image_lev1.fits", ""]}],
    },
    {
        "status": 0,
        "primekeys": ["T_REC", "WAVELNTH"],
        "keywords": [
            {"name": "T_REC", "type": "time", "units": "time", "note": "", "recscope": "variable"}
        ],
        "segments": [{"name": "image", "protocol": "fits", "units": "", "dims": "4096x4096"}],
    },
    {
        "status": 0,
        "requestid": "JSOC_20140107_123",
        "method": "url",
        "protocol": "FITS",
        "dir": "/SUM1/D1",
        "count": 1,
        "rcount": "1",
        "size": 5,
        "exptime": "2014.01.07_10:00:00_UT",
        "data": [{"record": "aia.lev1_euv_12s[2014-01-07T18:05:01Z][131]", "filename": "a.fits"}],
    },
    {"status": 4, "error": "no such series", "requestid": "VOID"},
]


def answers(random: Random, bases: list[dict[str, Any]]) -> None:
    """Read an answer of JSOC's CGI by each reader, as the client does."""
    answer = mutated_value(random.choice(bases), random)
    text = json.dumps(answer)
    if random.random() < 0.3:
        text = mutated_text(text, random)
    readers = (read_answer, _by(read_rows), _by(parse_structure), _by(parse_records))
    unread = 0
    for read in readers:
        try:
            read(text)
        except OTHERWISE:
            unread += 1
    if unread == len(readers):
        raise ListingError("it is read by none")


def _by(read: Callable[[dict[str, Any]], object]) -> Callable[[str], object]:
    return lambda text: read(read_object(text))


def events(random: Random, folder: Path) -> None:
    """Read events.csv."""
    base = (
        "event_id,event_starttime,event_peaktime,event_endtime,hpc_x,hpc_y,noaa_ar,goes_class,"
        "wavelengths,jsoc_start_time,recordset,source,request_id\n"
        "A,2014-01-07 18:05:34,2014-01-07T18:20:00Z,2014-01-07 19:48:58,268.8,-115.2,11944,X1.2,"
        "131;171,2014-01-07 15:07:00,,direct,JSOC_20140107_123\n"
        "B,2014-02-20 07:23:58,,2014-02-20 09:09:58,,,1976,M3.0,,,"
        '"aia.lev1_euv_12s[2014-02-20T04:00:00Z-2014-02-20T12:00:00Z][131]",export,\n'
    )
    path = folder / "events.csv"
    path.write_bytes(mutated_text(base, random).encode("utf-8", "surrogatepass"))
    span = timedelta(minutes=178)
    read_events(path, series=EUV, wavelengths=[131], pre=span, post=span)


@cache
def _config() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    found = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    box = {"center": "event", "size": [400, 400], "size_units": "arcsec"}
    more = {"processing": [{"aia_scale": {}}, {"im_patch": box}], "method": "url"}
    return {**found, "source": "export", "export": more, "quality": {"reject": ["no_image"]}}


def configs(random: Random) -> None:
    """Check a config."""
    check_config(mutated_value(_config(), random))


def tars(random: Random, folder: Path) -> None:
    """Read a tar."""
    buffer = io.BytesIO()
    form = random.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in ("./", "./a.fits", f"./{'b' * 120}.fits"):
            member = tarfile.TarInfo(name)
            member.size = 700 if name.endswith("fits") else 0
            member.pax_headers = {"comment": "x" * 50}
            tar.addfile(member, io.BytesIO(bytes(700)))
    path = folder / "x.tar.part"
    path.write_bytes(mutated_bytes(buffer.getvalue(), random))
    check_tar(path)
    Tarball(path, 10_000)


def images(random: Random, folder: Path) -> None:
    """Check a FITS file, as it arrives or whole."""
    path = folder / "x.fits"
    path.write_bytes(mutated_bytes(_frame(), random))
    frame = Frame.of(NAME)
    asked = Asked("aia", frame.t_rec, 131, EUV.names_of("image"), frame.time)
    check = ImageCheck(asked, None if (arrives := random.random() < 0.5) else path)
    if arrives:
        check.feed(path.read_bytes())
    check.finish(path)


@cache
def _page() -> str:
    wanted = window_recordset(EUV, EVENT.window_start, EVENT.window_end, [131])
    return catalogue.listing_page(catalogue.export(str(wanted), 128))


SUBJECTS: dict[str, Callable[[Random, Path], None]] = {
    "pages": lambda random, folder: pages(random, folder, _page()),
    "answers": lambda random, _folder: answers(random, _ANSWERS),
    "events": events,
    "configs": lambda random, _folder: configs(random),
    "tars": tars,
    "images": images,
}


def read_one(subject: str, seed: int, folder: Path) -> bool:
    """Make and read one input. Return whether it was refused; raises what no reader may raise."""
    try:
        SUBJECTS[subject](Random(f"{subject} {seed}"), folder)
    except FlaresetError:
        return True
    return False
