"""All that a server can do wrong, for single files and for tars: right bytes, or a reason."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from support.bench import Bench
from support.project import ROOT
from support.rows import column

from flareset.sdo.times import iso
from flareset.standin.faults import CHANGED, FILE_FAULTS
from flareset.standin.frames import Frame, Frames
from flareset.standin.products import fits_file
from flareset.standin.server import Fault, StandIn, running

IMAGES = 3
ASKED = {
    "method": "url-tar",
    "protocol": "fits",
    "notify": "jane.doe@example.org",
    "filenamefmt": "{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}",
}
SMALL = {"max_file_size": 10**6}
IMPATIENT = {**SMALL, "stall": 0.25}
# Where another try helps, where none is made (but the next run does), and where none is needed.
RETRIED, FINAL, HARMLESS = "retried", "final", "harmless"


@dataclass(frozen=True)
class Case:
    """Faults of one file or of its tar, what becomes of it, and what the reason says.

    A tar may fare otherwise than a single file: its own `tar` fate, and reason.
    """

    name: str
    faults: list[Fault]
    reason: str = ""
    fate: str = RETRIED
    tar_reason: str = ""
    tar_fate: str = ""
    limits: dict[str, Any] = field(default_factory=lambda: SMALL)
    waits: int = 0
    # The requests that the first try makes.
    first: int = 1

    def __str__(self) -> str:
        return self.name


CUT = Fault("cut", times=1)
NO_TAR = "its tar: it is no whole tar|its tar: the tar has no end"
CASES = [
    Case("cut", [Fault("cut")], r"of \d+ announced bytes|IncompleteRead"),
    Case("cut_unannounced", [Fault("cut_unannounced")], "it is cut|ends inside", tar_reason=NO_TAR),
    Case("cut_chunked", [Fault("cut_chunked")], "the connection failed"),
    Case("reset", [Fault("reset")], "the connection failed"),
    Case("empty", [Fault("empty")], "the file is empty", tar_reason=NO_TAR),
    Case("html", [Fault("html")], "HTML page"),
    Case("padded", [Fault("padded")], "HTML page"),
    *(
        Case(
            f"{n} with Retry-After" if wait else f"{n}",
            [Fault("status", code=n, retry_after=wait)],
            f"HTTP {n}",
            FINAL if n < 410 else RETRIED,
            limits={**SMALL, "patience": 10**5},
            waits=0 if n < 410 else wait,
        )
        for n in (403, 404, 416, 429, 503)
        for wait in (0, 200)
    ),
    Case("416 to a Range", [CUT, Fault("status", code=416, skip=1)], "HTTP 416"),
    Case(
        "redirect to another host",
        [Fault("redirect", text="http://evil.example/x.fits")],
        "redirects to http://evil.example/x.fits, which is not in archive.hosts",
        FINAL,
    ),
    Case(
        "redirect to file:",
        [Fault("redirect", text="file:///etc/passwd")],
        "redirects to file:///etc/passwd, which is not in archive.hosts",
        FINAL,
    ),
    Case("redirect in a loop", [Fault("redirect")], "more than 5 redirects", FINAL, first=6),
    Case("stall", [Fault("stall", seconds=60)], "timed out", limits=IMPATIENT),
    Case("stall_body", [Fault("stall_body", seconds=60)], "timed out", limits=IMPATIENT),
    Case("trickle", [Fault("trickle", seconds=0.05)], "trickles", limits=IMPATIENT),
    Case("no_range", [CUT, Fault("no_range", skip=1)], fate=HARMLESS),
    Case("wrong_range", [CUT, Fault("wrong_range", skip=1)], fate=HARMLESS),
    Case("changed", [CUT, Fault("changed", skip=1)], fate=HARMLESS),
    Case("changed_silent", [CUT, Fault("changed_silent", skip=1)], fate=HARMLESS),
    Case("longer", [Fault("longer")], fate=HARMLESS),
    # What stands behind the end of a tar is nobody's.
    Case("trailing", [Fault("trailing")], "behind HDU 1", tar_fate=HARMLESS),
    Case("flip", [Fault("flip")], "DATASUM of HDU 1"),
    Case("card", [Fault("card")], "CHECKSUM of HDU 1"),
    Case("other", [Fault("other")], "it is another record"),
    Case("spikes", [Fault("spikes")], "it holds no image"),
    Case("big", [Fault("big")], "over archive.max_file_size", FINAL),
    Case(
        "big_unannounced",
        [Fault("big_unannounced")],
        "behind HDU 1",
        tar_reason="over archive.max_file_size",
        tar_fate=FINAL,
    ),
    Case("gzip", [Fault("gzip")], fate=HARMLESS),
]


class World:
    """Three images behind a server, one of them `struck` by a case: as single files, or the first
    two in a tar and the third in another."""

    def __init__(self, server: StandIn, folder: Path, case: Case, *, packed: bool) -> None:
        self.server = server
        self.folder = folder
        self.case = case
        self.packed = packed
        bench = Bench(server, folder)
        self.images = bench.images[:IMAGES]
        self.names = column(self.images, "filename")
        self.tars: dict[str, bytes] = {}
        if packed:
            first, last = (self._tar(begin, n) for begin, n in ((0, 2), (2, 1)))
            links = [f"{first}#{n}" for n in self.names[:2]] + [f"{last}#{self.names[2]}"]
            self.images = [
                {**row, "url": link} for row, link in zip(self.images, links, strict=True)
            ]
        self.struck = self.names[1]
        self.fate = (packed and case.tar_fate) or case.fate
        self.reason = (packed and case.tar_reason) or case.reason

    def _tar(self, begin: int, count: int) -> str:
        """Return the link of a tar of so many images."""
        when = iso(self.images[begin]["t_rec"])
        ds = f"aia.lev1_euv_12s[{when}/{12 * count}s][131]{{image}}"
        answer = json.loads(self.server.exports.request({**ASKED, "ds": ds}, "127.0.0.1").text)
        done = json.loads(self.server.exports.status(answer["requestid"]).text)
        _, product = self.server.exports.find(done["dir"])
        tar = product.tar()
        self.tars[product.tar_name] = os.pread(tar.fileno(), os.fstat(tar.fileno()).st_size, 0)
        return done["tarfile"]

    @property
    def lost(self) -> set[str]:
        """The images that a fault which stays takes away: with a tar that never comes, all."""
        whole_tar = self.packed and self.case.faults[-1].kind not in FILE_FAULTS
        return {*self.names[:2]} if whole_tar else {self.struck}

    def requests(self) -> int:
        """Return how often the struck file was asked for, or its tar."""
        link = self.images[-2 if len(self.images) > 1 else 0]["url"]
        return self.server.log[urlsplit(link).path]

    def strike(self, *, once: bool = False) -> None:
        """Let the faults begin; each holds for `once` a try."""
        times = {"times": self.case.first} if once else {}
        for fault in self.case.faults:
            self.server.faults.append(replace(fault, pattern=self.struck, **times))

    def run(self, **options: Any) -> tuple[Bench, pd.DataFrame]:
        """Download with new objects, as a new process would. Return them and the manifest."""
        bench = Bench(self.server, self.folder, **{**self.case.limits, **options})
        bench.images = self.images
        with bench.downloader:
            return bench, bench.fetch(IMAGES).set_index("filename")

    def right(self, name: str) -> set[bytes]:
        """Return the bytes that a file may have. A changed file must have the new ones."""
        frame = Frame.of(name)
        was, is_now = (b"".join(fits_file(self.server.frames, frame, k)) for k in ("", "changed"))
        kind = self.case.faults[-1].kind
        if kind not in CHANGED or name not in (self.names[:2] if self.packed else [self.struck]):
            return {was}
        # Nothing tells that a tar is half of one export and half of another, and each half is good.
        return {was, is_now} if self.packed and kind == "changed_silent" else {is_now}

    def check(self, manifest: pd.DataFrame, lost: set[str]) -> None:
        """Check that all files but the lost ones are right and named, and that nothing is left."""
        root = self.folder
        for name, row in manifest.iterrows():
            assert row["status"] == ("failed" if name in lost else "verified"), row["reason"]
            if name in lost:
                assert re.search(self.reason, row["reason"]), row["reason"]
                assert any(
                    where in row["reason"]
                    for where in (urlsplit(self.server.url).netloc, *self.tars)
                )
            else:
                content = (root / row["path"]).read_bytes()
                assert content in self.right(name)
                assert row["sha256"] == sha256(content).hexdigest()
        assert {path.name for path in root.rglob("*.fits")} == {*self.names} - lost
        for path in (path for path in root.rglob("*") if path.is_file()):
            name = path.name.removesuffix(".json")
            if not name.endswith(".part"):
                assert name in manifest.index.drop([*lost]), path
                continue
            # Only what the next run can go on with is left.
            part = path.with_name(name)
            assert part.exists(), f"{path.name} stands alone"
            whole = {self.tars.get(name.removesuffix(".part"), b""), *self.right(self.struck)}
            sound = any(content.startswith(part.read_bytes()) for content in whole)
            assert lost
            assert part.stat().st_size
            assert sound, f"{name} is no part of what is wanted"


@pytest.fixture
def world(serve: Callable[..., StandIn], tmp_path: Path) -> Callable[..., World]:
    return lambda case, packed: World(
        serve(faults=[], delay=0), tmp_path / "store", case, packed=packed
    )


@pytest.mark.parametrize("packed", [False, True], ids=["single", "tar"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_that_stays(world: Callable[..., World], case: Case, packed: bool) -> None:
    w = world(case, packed)
    w.strike()
    b, manifest = w.run()
    lost = set() if w.fate == HARMLESS else w.lost
    w.check(manifest, lost)
    once = w.fate == FINAL or (w.fate == HARMLESS and CUT not in case.faults)
    assert (w.requests() == case.first) == once
    if case.waits:
        assert max(b.waited) >= case.waits
    # Once the server is right again, only what is missing is fetched.
    before = sum(w.server.log.values())
    w.server.faults.clear()
    w.check(w.run()[1], set())
    asked = sum(w.server.log.values()) - before
    assert asked == (bool(lost) if packed else len(lost))


@pytest.mark.parametrize("packed", [False, True], ids=["single", "tar"])
@pytest.mark.parametrize("case", [c for c in CASES if c.fate != HARMLESS], ids=str)
def test_a_fault_that_passes(world: Callable[..., World], case: Case, packed: bool) -> None:
    w = world(case, packed)
    w.strike(once=True)
    b, manifest = w.run()
    if w.fate == FINAL:
        w.check(manifest, w.lost)
        assert w.requests() == case.first
        b, manifest = w.run()
    w.check(manifest, set())
    if case.waits:
        assert max(b.waited) >= case.waits


def test_a_tar_that_jobs_share_is_fetched_once(world: Callable[..., World]) -> None:
    w = world(Case("shared", []), True)
    every = w.images
    for part in (every[:1], every[1:2]):
        w.images = part
        assert w.run(shared=True)[1]["status"].tolist() == ["verified"]
    assert w.requests() == 1
    # Who is alone with a tar leaves nothing of it.
    w.run()
    assert not list(w.folder.rglob("*.tar.part*"))


def spend(name: str, packed: bool) -> None:
    """Print what became of the struck file, and the most memory that this process had (bytes).

    Every fault is one of 100 MB and more, if somebody were to keep it.
    """
    case = Case(name, [], limits={"max_file_size": 15 * 10**6 if packed else 150 * 10**6})
    with running(StandIn(frame_size=128, delay=0)) as server, TemporaryDirectory() as folder:
        w = World(server, Path(folder) / "store", case, packed=packed)
        if name == "big_unannounced":
            server.faults.append(Fault(name, w.struck))
        if name == "no END":
            server.frames = Endless(server.frames, w.struck)
        row = w.run()[1].loc[w.struck]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"status": row["status"], "reason": row["reason"], "bytes": most}))


class Endless:
    """Frames of which one has a header that goes on and on."""

    def __init__(self, frames: Frames, name: str) -> None:
        self.frames = frames
        self.name = name

    def file(self, frame: Frame, *args: Any, **kwargs: Any) -> list[bytes]:
        """Return the file of a frame, in pieces."""
        if frame.name == self.name:
            return [b"SIMPLE  =                    T".ljust(80), *[b" " * 2**20] * 100]
        return self.frames.file(frame, *args, **kwargs)


def spent(name: str, *, packed: bool) -> dict[str, Any]:
    """Return what `spend` prints in a process of its own."""
    code = f"import test_faults; test_faults.spend({name!r}, {packed})"
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("scripts", "tests"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_memory_is_flat() -> None:
    usual = spent("", packed=False)
    assert usual["status"] == "verified"
    for name, packed, reason in (
        ("big_unannounced", False, "behind HDU 1"),
        ("big_unannounced", True, "over archive.max_file_size"),
        ("no END", False, "has no end"),
    ):
        found = spent(name, packed=packed)
        assert found["status"] == "failed"
        assert reason in found["reason"]
        assert found["bytes"] - usual["bytes"] < 30 * 10**6, name
