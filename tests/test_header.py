"""Headers as JSOC's exporter writes them: against one of its runs, and real exported headers."""

import hashlib
import io
import json
import re
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from support import needs

from flareset.archive.exported import write_image
from flareset.errors import VerificationError
from flareset.sdo.drms import Keyword, Record, Segment, Structure, parse_records, parse_structure
from flareset.sdo.header import (
    PRIMARY,
    Card,
    encode_checksum,
    exported_header,
    head_sum,
    header_bytes,
    record_cards,
)

SERIES = "aia.lev1_euv_12s"
RECNUM = 1157598001
# When the recorded file was exported.
EXPORTED = datetime(2026, 11, 26, 11, 43, 43, tzinfo=UTC)
# The recorded answer was asked for without M=1, so that its times end at hundredths.
MILLISECONDS = {
    "T_OBS": "2014-01-07T18:00:10.037000Z",
    "DATE__OBS": "2014-01-07T18:00:08.587000Z",
    "DATE-OBS": "2014-01-07T18:00:08.587000Z",
}
NOTHING = Structure((), (), (Segment("image", linked=False),))


def lines_of(path: Path, index: int) -> list[str]:
    """Return the lines of a file's header, bytes as they stand, END apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False, disable_image_compression=True) as hdus:
            begin = hdus[index]._header_offset
            end = hdus[index]._data_offset
    text = path.read_bytes()[begin:end].decode("latin-1")
    lines = [text[at : at + 80].rstrip() for at in range(0, len(text), 80)]
    return lines[: lines.index("END")]


@pytest.fixture
def direct(real: Path) -> Path:
    """Return the folder of what was recorded of one record and its file."""
    return real / "jsoc" / "recorded" / "direct"


@pytest.fixture
def structure(direct: Path) -> Structure:
    """Return the recorded series."""
    return parse_structure(json.loads((direct / "series_struct.json").read_text()))


@pytest.fixture
def record(direct: Path) -> Record:
    """Return the recorded record; its number is that of the exported file."""
    answer = json.loads((direct / "all_keys.json").read_text())
    answer["keywords"].append({"name": "*recnum*", "values": [RECNUM]})
    (found,) = parse_records(answer)
    return found


def precise(record: Record) -> Record:
    """Return a record with the digits that M=1 gives."""
    return replace(record, keywords={**record.keywords, **MILLISECONDS})


def made(direct: Path, cards: list[Card], now: datetime = EXPORTED) -> bytes:
    """Return the exported form of the recorded stored file."""
    out = io.BytesIO()
    digest = write_image(direct / "stored.fits", cards, out, now)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def test_the_file_is_the_exporter_s_to_the_last_byte(
    direct: Path, structure: Structure, record: Record
) -> None:
    cards = record_cards(SERIES, structure, precise(record), "image")
    assert made(direct, cards) == (direct / "exported.fits").read_bytes()


def test_at_another_time_checksum_alone_differs(
    direct: Path, structure: Structure, record: Record, tmp_path: Path
) -> None:
    cards = record_cards(SERIES, structure, precise(record), "image")
    path = tmp_path / "image.fits"
    path.write_bytes(made(direct, cards, datetime(2027, 1, 1, tzinfo=UTC)))
    new, old = lines_of(path, 1), lines_of(direct / "exported.fits", 1)
    assert [line[:8].strip() for line, other in zip(new, old, strict=True) if line != other] == [
        "CHECKSUM"
    ]
    with fits.open(path, checksum=True) as hdus:  # warns where one is wrong
        assert hdus[1].data.shape == (256, 256)


def test_without_m_1_the_times_are_those_of_hundredths(
    direct: Path, structure: Structure, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "image.fits"
    path.write_bytes(made(direct, record_cards(SERIES, structure, record, "image")))
    new, old = lines_of(path, 1), lines_of(direct / "exported.fits", 1)
    differ = [line[:8].strip() for line, other in zip(new, old, strict=True) if line != other]
    assert differ == ["T_OBS", "DATE-OBS", "HEADSUM"]  # whose sum is the same, so is CHECKSUM
    assert "T_OBS   = '2014-01-07T18:00:10.040' / [ISO] Observation time" in new


def test_sunpy_reads_the_coordinates_of_the_export(
    direct: Path, structure: Structure, record: Record, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = needs.module("sunpy.map")
        path = tmp_path / "image.fits"
        path.write_bytes(made(direct, record_cards(SERIES, structure, record, "image")))
        mine, theirs = maps.Map(path), maps.Map(direct / "exported.fits")
        assert type(mine).__name__ == "AIAMap"
        assert dict(mine.wcs.to_header()).keys() == dict(theirs.wcs.to_header()).keys()
        corners = [[0, 0], [255, 128], [12.5, 200]]
        assert np.array_equal(
            mine.wcs.wcs_pix2world(corners, 0), theirs.wcs.wcs_pix2world(corners, 0)
        )
        assert mine.observer_coordinate.radius == theirs.observer_coordinate.radius
        assert np.array_equal(mine.data, theirs.data)


def test_six_records_are_told_apart(direct: Path, structure: Structure) -> None:
    answer = json.loads((direct / "six_records.json").read_text())
    answer["keywords"].append({"name": "*recnum*", "values": list(range(6))})
    headers = [
        {card.name: card.value for card in record_cards(SERIES, structure, record, "image")}
        for record in parse_records(answer)
    ]
    assert [header["FSN"] for header in headers] == list(range(117039501, 117039561, 10))
    assert headers[2]["T_OBS"] == "2014-01-07T18:30:33.530"
    assert headers[2]["DRMS_ID"] == f"{SERIES}:2:image"
    assert (
        len({head_sum(record_cards(SERIES, structure, r, "image")) for r in parse_records(answer)})
        == 6
    )


def told(line: str, following: list[str]) -> tuple[Keyword, str]:
    """Return jsoc_info's keyword and text, with M=1, for a line of a real header."""
    name = line[:8].strip()
    text = re.match(r"'(?:[^']|'')*'|[^/]*", line[10:])[0]
    comment = line[10 + len(text) :].strip().removeprefix("/").strip()
    value = text.strip()
    for more in following:
        rest = re.match(r"'(.*)'", more[10:])[1].rstrip()
        value = f"{value[:-2]}{rest}'"
        comment = more.partition(" / ")[2].strip()
    unit, note = re.fullmatch(r"(?:\[(.*?)\] ?)?(.*)", comment).groups()
    note = note.removeprefix("(MISSING)").strip()
    drms, scope = name, "variable"
    if match := re.search(r" ?\{(\w+)\}$", note):
        drms, note = match[1], note[: match.start()]
        if re.search(r"_\d{3}$", drms):
            drms, scope = drms[:-4], "segment"
        elif re.sub("[^A-Z0-9]", "", drms.upper())[:8] != name:
            # A note that begins with a dash leaves nothing but the name.
            note = f"[{name}] {note or '-x'}"
    if value.startswith("'"):
        value = value[1:-1].replace("''", "'")
        value = value.rstrip() or " "
        kind = "string"
        if match := re.fullmatch(r"(\d{4}[.-]\d\d[.-]\d\d[T_].{8}\.\d{3})(_TAI)?", value):
            kind, value = "time", f"{match[1]}000{match[2] or 'Z'}"
    elif not value:
        kind, value = "int", "MISSING"
    elif "." in value:
        single = float(f"{float(np.float32(value)):.9G}") == float(value)
        kind, value = ("float" if single else "double"), f"{float(value):.{9 if single else 17}G}"
    else:
        kind = "longlong"
    return Keyword(drms, kind, unit or "none", note or " ", scope), value


def record_of(lines: list[str]) -> tuple[Structure, Record]:
    """Return the structure and record that lines of a real header come from."""
    keywords: list[Keyword] = []
    values: dict[str, str] = {}
    for place, line in enumerate(lines):
        if line.startswith(("CONTINUE", "COMMENT", "HISTORY")):
            name = line[:8].strip()
            if name != "CONTINUE" and name not in values:
                keywords.append(Keyword(name, "string", "none", name.title(), "variable"))
                own = [other[8:] for other in lines if other.startswith(name)]
                own = [text for text in own if f"{name:<8}{text}" not in PRIMARY]
                values[name] = "\n".join(own) or "MISSING"
            continue
        following = []
        for more in lines[place + 1 :]:
            if not more.startswith("CONTINUE"):
                break
            following.append(more)
        keyword, value = told(line, following)
        keywords.append(keyword)
        values[keyword.name + ("_000" if keyword.scope == "segment" else "")] = value
    return Structure(tuple(keywords), (), NOTHING.segments), Record(1, values)


REAL_HEADERS = [
    "hmi_sharp_magnetogram.header",
    "hmi_cea_sharp_magnetogram.header",
    "hmi_bharp_vlos_mag.header",
    "aia.lev1_euv_12s.2011-01-27T225858Z.304.spikes.fits.header.txt",
]


@pytest.mark.parametrize("name", REAL_HEADERS)
def test_every_line_of_a_real_export_comes_out_again(real: Path, name: str) -> None:
    """Names, order, units, comments, digits, times and strings of JSOC's exports of 2023 and 2024.

    The segments' own numbers are not in the file.
    """
    text = (real / "fits" / "headers_only" / name).read_text("latin-1")
    lines = re.sub(r"_00\d\}", "_000}", text).splitlines()
    begin = next(
        place for place, line in enumerate(lines) if line.startswith(("DATE    =", "T_REC   ="))
    )
    end = next(place for place, line in enumerate(lines) if line.startswith("RECNUM  ="))
    structure, record = record_of(lines[begin:end])
    cards = record_cards("hmi.sharp_720s", structure, record, "image")[:-4]
    stored = lines[:begin][-11:]
    new = exported_header([line for line in stored if line != "END"], cards)
    start = new.index(lines[begin].rstrip())
    assert new[start : start + end - begin] == [line.rstrip() for line in lines[begin:end]]


def test_headsum_of_a_real_export(real: Path) -> None:
    """An AIA cut-out of 2023, with HISTORY and COMMENT, a renamed and 15 missing keywords."""
    lines = lines_of(real / "fits" / "sunkit_image_0.6.1" / "aia_171_cutout.fits", 1)
    begin = next(place for place, line in enumerate(lines) if line.startswith("T_REC   ="))
    end = next(place for place, line in enumerate(lines) if line.startswith("RECNUM  ="))
    texts = [line for line in lines if line.startswith(("HISTORY", "COMMENT"))]
    structure, record = record_of([*lines[begin:end], *texts])
    structure = replace(structure, keys=("T_REC", "WAVELNTH", "RequestID"))
    cards = record_cards(
        "aia.lev1_euv_12s_mod", structure, replace(record, recnum=49010523), "image"
    )
    assert "HEADSUM = 'TNeWUKZWTKbWTKZW'   / Keyword checksum" in lines
    assert head_sum(cards) == "TNeWUKZWTKbWTKZW"


def card(keyword: Keyword, text: str) -> list[str]:
    """Return the exported lines of a keyword; none if it is left out."""
    structure = replace(NOTHING, keywords=(keyword,))
    name = f"{keyword.name}_000" if keyword.scope == "segment" else keyword.name
    cards = record_cards("a.b", structure, Record(1, {name: text}), "image")
    return [line for one in cards[:-4] for line in one.final()]


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("float", "9.60000038", "9.6000003800000009"),
        ("float", "9.600000", "9.6000003800000009"),
        ("double", "2.8999649999999999", "2.8999649999999999"),
        ("double", "149597870691", "149597870691."),
        ("double", "1E+21", "1.0E+21"),
        ("double", "1.0000000000000001E-15", "1.0000000000000001E-15"),
        ("float", "-0.00012966893", "-0.00012966892999999999"),
        ("int", "0x00020000", "131072"),
        ("short", "-5", "-5"),
        ("longlong", "2211462238", "2211462238"),
    ],
)
def test_numbers(kind: str, text: str, shown: str) -> None:
    (line,) = card(Keyword("X", kind, "none", "note", "variable"), text)
    assert line == f"X       = {shown:>20} / note"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "MISSING"),
        ("int", "0x80000000"),
        ("int", "-2147483648"),
        ("short", "-32768"),
        ("float", "nan"),
        ("double", "-inf"),
        ("string", "MISSING"),
        ("time", "-4712.01.01_11:59:28.000000Z"),
    ],
)
def test_missing_values(kind: str, text: str) -> None:
    (line,) = card(Keyword("X", kind, "m/s", "note", "variable"), text)
    assert line == "X       =                      / [m/s] (MISSING) note"


@pytest.mark.parametrize(
    ("unit", "text", "shown"),
    [
        ("ISO", "2014-01-07T18:00:10.036500Z", "2014-01-07T18:00:10.036"),
        ("ISO", "2014-12-31T23:59:59.999900Z", "2015-01-01T00:00:00.000"),
        ("ISO", "2014-01-07T18:00:10Z", "2014-01-07T18:00:10.000"),
        ("TAI", "2024.06.28_00:00:08.212000_TAI", "2024.06.28_00:00:08.212_TAI"),
        ("UTC", "2024.06.28_00:00:08.2_UTC", "2024.06.28_00:00:08.200_UTC"),
    ],
)
def test_times(unit: str, text: str, shown: str) -> None:
    (line,) = card(Keyword("T_X", "time", unit, "note", "variable"), text)
    assert line == f"T_X     = '{shown}' / [{unit}] note"


@pytest.mark.parametrize(
    ("name", "scope", "note", "start", "comment"),
    [
        ("T_REC_epoch", "constant", "Time of origin", "TRECEPOC", "Time of origin {T_REC_epoch}"),
        ("DATAMIN", "segment", "Minimum value", "DATAMIN", "Minimum value {DATAMIN_000}"),
        ("INVKEYD1", "variable", "[USFLUXL] Total flux", "USFLUXL", "Total flux {INVKEYD1}"),
        ("Quality", "variable", "word", "QUALITY", "word"),
        ("OFFDISK", "variable", "Mask value for off-disk pixels", "OFFDISK", "Mask value for off"),
        ("RequestID", "variable", "an id -- one", "REQUESTI", "an id - one {RequestID}"),
        ("T_REC_x", "variable", "line-of-sight", "T_REC_X", "line"),
        ("LONGER_NAME", "variable", "line-of-sight", "LONGERNA", "line {LONGER_NAME}"),
    ],
)
def test_names_and_notes(name: str, scope: str, note: str, start: str, comment: str) -> None:
    (line,) = card(Keyword(name, "int", "none", note, scope), "7")
    assert line == f"{start:<8}= {7:>20} / {comment}"


def test_a_missing_coordinate_is_given_a_number() -> None:
    for name, value in (("CRDER1", "0."), ("CDELT2", "1."), ("CRPIX1", "0.")):
        (line,) = card(Keyword(name, "float", "arcsec", "note", "variable"), "MISSING")
        assert line == f"{name:<8}= {value:>20} / [arcsec] note"
    (line,) = card(Keyword("CSYSER1", "float", "arcsec", "note", "variable"), "MISSING")
    assert "(MISSING)" in line


def test_what_belongs_to_the_file_is_not_of_the_record() -> None:
    for name in ("BSCALE", "NAXIS1", "BITPIX", "ZCMPTYPE", "END"):
        assert card(Keyword(name, "int", "none", "note", "variable"), "3") == []
    assert card(Keyword("DATE", "time", "UTC", "note", "variable"), "2014.01.01_00:00:00_UTC") == []
    assert card(Keyword("DATE", "time", "ISO", "note", "variable"), "MISSING") == []


def test_a_long_string_goes_on_in_further_lines() -> None:
    text = "hmi.Marmask_720s[2024.07.09_00:12:00_TAI-2024.07.10_00:00:37_TAI]{mask}"
    assert card(Keyword("TKP_RUNN", "string", "none", "Run name", "variable"), text) == [
        "TKP_RUNN= 'hmi.Marmask_720s[2024.07.09_00:12:00_TAI-2024.07.10_00:00:37_TAI]{m&'",
        "CONTINUE  'ask}    '           / Run name",
    ]


@pytest.mark.parametrize("length", [66, 67, 68, 69, 70, 134, 135, 136, 300])
def test_astropy_reads_long_strings(length: int) -> None:
    text = ("it's a note of any length, " * 20)[:length].rstrip()
    lines = card(Keyword("X", "string", "none", "note", "variable"), text)
    assert all(len(line) <= 80 for line in lines)
    assert fits.Header.fromstring("".join(f"{line:<80}" for line in lines))["X"] == text


def test_the_checksum_is_the_standard_s() -> None:
    """astropy's own code, over sums of every kind."""
    hdu = fits.PrimaryHDU()
    rng = np.random.default_rng(2)
    for total in [0, 0xFFFFFFFF, *rng.integers(0, 1 << 32, 500).tolist()]:
        assert encode_checksum(total) == hdu._char_encode(0xFFFFFFFF - total)


def test_a_stored_image_without_datasum_is_given_one(direct: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.fits"
    raw = (direct / "stored.fits").read_bytes()
    stored.write_bytes(
        re.sub(rb"(CHECKSUM|DATASUM )= '.{16,68}", lambda m: b"HISTORY".ljust(len(m[0])), raw)
    )
    out = io.BytesIO()
    write_image(stored, [], out, EXPORTED)
    assert (
        b"DATASUM = '3120427408'         / data unit checksum updated 2026-11-26" in out.getvalue()
    )
    path = tmp_path / "image.fits"
    path.write_bytes(out.getvalue())
    with fits.open(path, checksum=True) as hdus:
        assert hdus[1].header["NAXIS1"] == 256


def test_an_uncompressed_image_stays_the_primary_one(tmp_path: Path) -> None:
    stored, path = tmp_path / "stored.fits", tmp_path / "image.fits"
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    fits.writeto(stored, pixels)
    with open(path, "wb") as out:
        write_image(stored, [Card("WAVELNTH", 131, "Wavelength", "angstrom")], out, EXPORTED)
    with fits.open(path, checksum=True) as hdus:
        assert len(hdus) == 1
        assert hdus[0].header["WAVELNTH"] == 131
        assert np.array_equal(hdus[0].data, pixels)


def damaged(raw: bytes, how: str) -> bytes:
    """Return a damaged stored file."""
    if how == "cut":
        return raw[: len(raw) - 2880]
    if how == "cut in the header":
        return raw[:3000]
    if how == "another byte":
        return raw[:9000] + bytes([raw[9000] ^ 1]) + raw[9001:]
    if how == "a table":
        return raw.replace(b"ZIMAGE  =                    T", b"ZIMAGE  =                    F")
    if how == "an HTML page":
        return b"<html>" + b" " * 2874
    return raw[:2880]


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("cut", "it is cut: 2880 bytes"),
        ("cut in the header", "header at byte 2880 has no end"),
        ("another byte", "DATASUM is 3120427408, its bytes give"),
        ("a table", "no compressed image"),
        ("an HTML page", "header at byte 0 has no end"),
        ("no image", "holds no image"),
    ],
)
def test_what_is_no_sound_image_is_not_given_a_header(
    direct: Path, tmp_path: Path, how: str, what: str
) -> None:
    stored = tmp_path / "stored.fits"
    stored.write_bytes(damaged((direct / "stored.fits").read_bytes(), how))
    with pytest.raises(VerificationError, match=what):
        write_image(stored, [], io.BytesIO(), EXPORTED)


def test_lines_are_in_whole_blocks_with_one_to_spare_for_the_end() -> None:
    assert len(header_bytes(["X"] * 35)) == 2880
    assert len(header_bytes(["X"] * 36)) == 5760
