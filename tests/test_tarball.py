import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from flareset.archive.tars import Tarball, check_tar
from flareset.errors import TransferError, VerificationError
from flareset.proof.check import AtEnd

RNG = np.random.default_rng(5)
# Files that end in zeros, as FITS files do, of lengths that are not those of blocks.
CONTENT = {
    f"{n}.fits": RNG.bytes(length) + bytes(zeros)
    for n, (length, zeros) in enumerate([(3000, 0), (700, 2180), (1, 5759), (0, 2880), (512, 0)])
}
LARGEST = 10_000


def packed(
    content: dict[str, bytes] = CONTENT, *more: tarfile.TarInfo, prefix: str = "./"
) -> bytes:
    """Return a tar as JSOC makes it: of `./`, with an index and scripts beside the images."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo(prefix)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in {**content, "index.html": b"<html>"}.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in more:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "JSOC_20260115_0123.tar.part"


def length(_: Path) -> AtEnd[int]:
    return AtEnd(lambda path: path.stat().st_size)


@pytest.mark.parametrize("prefix", ["./", ""])
def test_listed_members_arrive(path: Path, prefix: str) -> None:
    path.write_bytes(packed(prefix=prefix) if prefix else packed(CONTENT, prefix=""))
    assert check_tar(path) >= len(CONTENT) + 1
    tarball = Tarball(path, LARGEST)
    part = path.with_name("x.part")
    for name, data in CONTENT.items():
        fetched = tarball.take(name, part, length)
        assert part.read_bytes() == data
        assert (fetched.found, fetched.bytes) == (len(data), len(data))


def test_a_part_that_another_process_empties_is_too_short(path: Path) -> None:
    class Emptied(AtEnd[int]):
        """A check during which the part is emptied, once."""

        def feed(self, _: bytes) -> None:
            if not emptied:
                emptied.append(part)
                os.truncate(part, 0)

    emptied: list[Path] = []
    data = RNG.bytes(3 << 20)
    path.write_bytes(packed({"0.fits": data}))
    part = path.with_name("x.part")
    Tarball(path, len(data)).take("0.fits", part, lambda _: Emptied(lambda _: 0))
    # Not a file of the right size that begins with zeros.
    assert emptied
    assert 0 < part.stat().st_size < len(data)


def test_every_cut_is_seen(path: Path) -> None:
    whole = packed()
    end = len(whole.rstrip(b"\0"))
    end = -(-end // 512) * 512  # where index.html ends; what follows is padding
    for cut in [*range(0, end + 1023, 64), end, end + 512, end + 1023]:
        path.write_bytes(whole[:cut])
        with pytest.raises(VerificationError, match=r"no whole tar|it is cut"):
            check_tar(path)
    path.write_bytes(whole[: end + 1024])
    check_tar(path)


def test_what_is_no_tar(path: Path) -> None:
    for content in (
        b"",
        b"<html>no such file</html>" * 100,
        bytes(10240),
        RNG.bytes(10240),
        b"SIMPLE  =" + bytes(9000),
    ):
        path.write_bytes(content)
        with pytest.raises(VerificationError, match=r"no whole tar|it is cut"):
            check_tar(path)


def test_damaged_headers_never_end_in_another_error(path: Path) -> None:
    whole = packed()
    refused = 0
    for seed in range(300):
        damaged = bytearray(whole)
        rng = np.random.default_rng(seed)
        header = whole.index(b"./1.fits")
        for at in rng.integers(0, 512, size=int(rng.integers(1, 40))):
            damaged[header + at] = int(
                rng.choice([0, 0x30, 0x37, 0x80, 0xFF, int(rng.integers(256))])
            )
        block = bytearray(damaged[header : header + 512])
        block[148:156] = b" " * 8
        damaged[header + 148 : header + 156] = f"{sum(block):06o}\0 ".encode()
        path.write_bytes(damaged)
        try:
            check_tar(path)
            Tarball(path, LARGEST)
        except VerificationError:
            refused += 1
    assert refused


def member(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("./bad.fits", tarfile.SYMTYPE, "/etc/passwd"), "no regular file"),
        (member("./bad.fits", tarfile.LNKTYPE, "./0.fits"), "no regular file"),
        (member("./bad.fits", tarfile.CHRTYPE), "no regular file"),
        (member("./bad.fits", tarfile.BLKTYPE), "no regular file"),
        (member("./bad.fits", tarfile.FIFOTYPE), "no regular file"),
        (member("./bad.fits", tarfile.DIRTYPE), "no regular file"),
        (member("./bad.fits", tarfile.REGTYPE, size=LARGEST + 1), "over archive.max_file_size"),
        (member("../bad.fits", tarfile.REGTYPE, size=5), "is there 0 times"),
        (member("/tmp/bad.fits", tarfile.REGTYPE, size=5), "is there 0 times"),
    ],
    ids=lambda value: value.name + value.type.decode() if hasattr(value, "type") else "",
)
def test_members_that_are_not_taken(path: Path, bad: tarfile.TarInfo, why: str) -> None:
    path.write_bytes(packed(CONTENT, bad))
    check_tar(path)
    tarball = Tarball(path, LARGEST)
    part = path.with_name("x.part")
    with pytest.raises(TransferError, match=why):
        tarball.take("bad.fits", part, length)
    assert not part.exists()
    assert tarball.take("0.fits", part, length).found == len(CONTENT["0.fits"])


def test_a_sparse_member_is_not_taken(path: Path) -> None:
    made = bytearray(packed())
    at = made.index(b"./0.fits")
    # GNU's old sparse format: the type, the one piece of data (offset and length), the real size.
    made[at + 156 : at + 157] = b"S"
    made[at + 386 : at + 410] = b"%011o\0%011o\0" % (0, 3000)
    made[at + 483 : at + 495] = b"%011o\0" % 99_999
    made[at + 148 : at + 156] = b" " * 8
    made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    path.write_bytes(made)
    with pytest.raises(TransferError, match="no regular file"):
        Tarball(path, LARGEST).take("0.fits", path.with_name("x"), length)


def test_a_name_that_is_there_twice_or_not_at_all(path: Path) -> None:
    path.write_bytes(packed(CONTENT, member("0.fits", tarfile.REGTYPE, size=3000)))
    tarball = Tarball(path, LARGEST)
    for name, why in (("0.fits", "is there 2 times"), ("9.fits", "is there 0 times")):
        with pytest.raises(TransferError, match=f"{name} {why} in JSOC_20260115_0123.tar$"):
            tarball.take(name, path.with_name("x"), length)


@pytest.mark.parametrize("size", [0, 100, 5880, 20_000, 8**11 - 1, 2**40, 2**63])
def test_sizes_that_lie(path: Path, size: int) -> None:
    made = bytearray(packed())
    at = made.index(b"./1.fits")
    number = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    made[at + 124 : at + 136] = number
    made[at + 148 : at + 156] = b" " * 8
    made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    path.write_bytes(made)

    def whole(part: Path) -> None:
        if part.read_bytes() != CONTENT["1.fits"]:
            raise VerificationError("it is cut")

    with pytest.raises((VerificationError, TransferError)):  # noqa: PT012
        check_tar(path)
        Tarball(path, LARGEST).take("1.fits", path.with_name("x"), lambda _: AtEnd(whole))


def test_bad_content_leaves_nothing_behind(path: Path) -> None:
    path.write_bytes(packed())
    part = path.with_name("x")

    def refuse(part: Path) -> None:
        raise VerificationError(f"it has {part.stat().st_size} bytes")

    with pytest.raises(TransferError, match="it has 3000 bytes") as error:
        Tarball(path, LARGEST).take("0.fits", part, lambda _: AtEnd(refuse))
    assert not error.value.permanent
    assert part.read_bytes() == b""
