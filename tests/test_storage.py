"""What a run does when its disk is full, read-only, limited or shared with another run.

Filesystems of a test's own need a mount namespace. `unshare` gives one to a plain user, with the
rights of root in it, where the kernel lets users have them, and to root anywhere but in a container
without CAP_SYS_ADMIN. What is mounted there is seen by the runs alone, and is gone with the test.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import loaded, needs
from support.project import ONE_FLARE, ROOT, TWO_FLARES, Project, Run
from support.stages import script, settings_file

from flareset.campaign.campaign import Campaign
from flareset.standin.frames import Frame
from flareset.standin.server import Fault, StandIn

A, B = "2014-01-07T180534", "2014-02-24T235710"
FULL, ROOM = "No space left on device", "free space"


class Mounts:
    """A mount namespace, kept by a process that ends when its standard input does."""

    def __init__(self, folder: Path) -> None:
        probe = folder / "probe"
        probe.mkdir()
        # Told in so many words: a namespace may be had in which nothing can be mounted.
        held = 'mount -t tmpfs -o size=4k probe "$1" && umount "$1" && echo held && exec cat'
        said = []
        for unshare, enter in (
            (["-r", "-m"], ["--user", "--preserve-credentials", "--mount"]),
            (["-m"], ["--mount"]),
        ):
            self._holder = subprocess.Popen(
                ["unshare", *unshare, "sh", "-c", held, "sh", str(probe)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said.append(self._holder.stdout.readline())
            if said[-1] == "held\n":
                self.enter = ["nsenter", "--target", str(self._holder.pid), *enter, "--"]
                return
            self.close()
        raise OSError(f"nothing can be mounted here: {said}")

    def mount(self, folder: Path, size: str) -> None:
        """Mount a tmpfs of a size like `400k` at a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-t", "tmpfs", "-o", f"size={size}", "flareset-test", str(folder))

    def remount(self, folder: Path, option: str) -> None:
        """Change a mounted filesystem: `size=8m`, `ro`, `rw`."""
        # With its source named, mount adds none of the options that it has: to a plain user's
        # namespace its owner may be nobody.
        self._run("mount", "-o", f"remount,{option}", "flareset-test", str(folder))

    def seen(self, path: Path) -> Path:
        """Return the path at which this process sees a path of the namespace."""
        return Path(f"/proc/{self._holder.pid}/root", *path.parts[1:])

    def _run(self, *words: str) -> None:
        done = subprocess.run([*self.enter, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        """Let the namespace go, with all that is mounted in it."""
        self._holder.stdin.close()
        self._holder.wait(timeout=60)
        self._holder.stdout.close()


class Confined(Project):
    """A campaign that is run in a mount namespace, and looked at there."""

    def __init__(self, folder: Path, mounts: Mounts, **config: Any) -> None:
        super().__init__(folder, config)
        self.mounts = mounts
        self.prefix = mounts.enter

    def path(self, name: str) -> Path:
        return self.mounts.seen(super().path(name))


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounts]:
    """Return a mount namespace. Without one the test is skipped, but in CI it fails."""
    try:
        found = Mounts(tmp_path_factory.mktemp("mounts"))
    except OSError as error:
        needs.skip(str(error))
    yield found
    found.close()


@pytest.fixture
def confined(tmp_path: Path, mounts: Mounts) -> Confined:
    """Return a small campaign whose store can be a filesystem of its own."""
    return Confined(tmp_path / "campaign", mounts)


def error_in(text: str) -> str:
    """Return the only error in a job's log."""
    assert "Traceback" not in text, text
    assert "Exception ignored" not in text, text
    (error,) = [line for line in text.splitlines() if line.startswith("error: ")]
    return error


def assert_whole(project: Project, server: StandIn) -> set[str]:
    """Return the stored images' names, after a check that files and notes are the server's."""
    for path in project.path("store").rglob("*.fits"):
        content = path.read_bytes()
        assert content == b"".join(server.frames.file(Frame.of(path.name))), path
        assert json.loads(path.with_name(f"{path.name}.json").read_text())["bytes"] == len(content)
    return project.stored()


def leftovers(project: Project) -> list[Path]:
    """Return files that a finished download should have removed."""
    store = project.path(project.config.get("store", "store"))
    return [
        path
        for path in store.rglob("*")
        if path.is_file()
        and path.suffix not in (".fits", ".json", ".lock")
        and path.stem != ".lock"
    ]


def images_asked(server: StandIn) -> Counter[str]:
    """Return how often each image was asked for, by its name."""
    names = Counter[str]()
    for path, count in server.log.items():
        if path.endswith(".fits"):
            names[path.rpartition("/")[2]] += count
    return names


@pytest.mark.parametrize("room", ["0", "300k"])
def test_a_full_store(confined: Confined, serve: Callable[..., StandIn], room: str) -> None:
    server = serve()
    confined.events(ONE_FLARE)
    confined.use(server)
    store = confined.folder / "store"
    # No room at all cannot be had: size=0 is no limit to a tmpfs, and a page holds a lock.
    confined.mounts.mount(store, "4k" if room == "0" else room)
    run = confined.run(fails=True)
    kept = assert_whole(confined, server)
    assert bool(kept) == (room != "0")
    error = error_in(confined.log("download", A))
    assert FULL in error
    assert str(confined.folder / "store") in error or "store/" in error
    assert ROOM in error
    assert f": {error.removeprefix('error: ')}" in run.text
    assert not confined.path(f"results/events/{A}/131/manifest.csv").exists()

    before = images_asked(server)
    confined.mounts.remount(store, "size=8m")
    confined.run()
    asked = images_asked(server) - before
    assert asked == dict.fromkeys(assert_whole(confined, server) - kept, 1)
    assert leftovers(confined) == []
    confined.run("verify")


def test_a_store_that_fills_at_any_point(confined: Confined, serve: Callable[..., StandIn]) -> None:
    """The disk grows by two pages, so that nearly every kind of write meets its end once."""
    server = serve()
    confined.events(ONE_FLARE)
    confined.use(server)
    confined.configure(sample={"pre": 1, "post": 1})
    confined.run("--until", "draw")
    store = confined.folder / "store"
    job, environment = download_job(confined)
    confined.mounts.mount(store, "4k")
    failed = 0
    kept: set[str] = set()
    for pages in range(1, 200, 2):
        confined.mounts.remount(store, f"size={4 * pages}k")
        done = loaded.run([*confined.prefix, *job], confined.folder, environment)
        stored = assert_whole(confined, server)
        assert kept <= stored, "what was verified stays"
        kept = stored
        if done.returncode == 0:
            break
        failed += 1
        error = error_in(done.stdout)
        assert FULL in error
        assert "store" in error
        assert ROOM in error
    assert len(kept) == 7
    assert failed > 7 * 3
    complete = images_asked(server)
    assert loaded.run([*confined.prefix, *job], confined.folder, environment).returncode == 0
    assert images_asked(server) == complete


def download_job(project: Project) -> tuple[list[str], dict[str, str]]:
    """Return the download of the first event as its rule runs it, and its environment."""
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    config["events"] = str(project.folder / "config/events.csv")
    campaign = Campaign(config)
    environment = {**os.environ, **campaign.environment()}
    event, wavelength = campaign.jobs[0]
    top = project.folder
    words = [
        "--job", str(top / f"results/events/{event}/{wavelength}"), "--store", str(top / "store"),
        "--settings", settings_file(campaign, "download", top),
        "--manifest", str(top / "manifest.csv"), "--ledger", str(top / "ledger.csv"),
    ]  # fmt: skip
    return [sys.executable, str(ROOT / "scripts/download.py"), *words], environment


def test_a_store_that_is_full_while_a_tar_arrives(
    confined: Confined, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSOC_EMAIL", "jane.doe@example.org")
    server = serve()
    confined.events(ONE_FLARE)
    confined.configure(
        fetch="all",
        source="export",
        export={"method": "url-tar"},
        archive={"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url},
    )
    store = confined.folder / "store"
    # Room for some of the tar, for the tar alone, and for the tar and some of what is in it.
    confined.mounts.mount(store, "400k")
    for size in ("400k", "1500k", "2m"):
        confined.mounts.remount(store, f"size={size}")
        run = confined.run(fails=True)
        error = error_in(confined.log("download", A))
        assert FULL in error
        assert "store" in error
        assert ROOM in error
        assert f": {error.removeprefix('error: ')}" in run.text
        kept = confined.stored()
    assert kept
    confined.mounts.remount(store, "size=8m")
    confined.run()
    assert kept < confined.stored()
    assert len(server.created) == 1
    assert not list(confined.path("store").rglob("*.tar*"))
    confined.run("verify")


def test_full_results(confined: Confined, serve: Callable[..., StandIn]) -> None:
    server = serve()
    confined.use(server)
    results = confined.folder / "results"
    confined.mounts.mount(results, "4k")
    # With each step another stage is the first that finds no room.
    for size in ("4k", "60k", "400k", "1700k"):
        confined.mounts.remount(results, f"size={size}")
        text = confined.run(fails=True).text
        for link in confined.path("results").rglob("*.fits"):
            if not link.name.startswith("."):
                content = b"".join(server.frames.file(Frame.of(link.name)))
                assert link.read_bytes() == content, (size, link)
        assert "Traceback" not in text, (size, text)
        # Where there is no free space for the log either, that is what can be said.
        told = [
            line for line in text.splitlines() if FULL in line or "no free space for it" in line
        ]
        assert told, (size, text)
        # The shell's own printf, in rule event, names no file.
        for line in (line for line in told if "printf: " not in line):
            assert re.match(r"failed: [^:]+: (results/|its log is empty)", line), (size, line)
            assert ROOM in line, (size, line)
    confined.mounts.remount(results, "size=16m")
    confined.run()
    assert set(images_asked(server).values()) == {1}
    confined.run("verify")
    assert not list(confined.path("results").rglob(".*"))
    assert confined.planned() == {}


def test_a_read_only_store(confined: Confined, serve: Callable[..., StandIn]) -> None:
    server = serve()
    confined.use(server)
    store = confined.folder / "store"
    confined.mounts.mount(store, "8m")
    confined.configure(fetch="all")
    confined.events(ONE_FLARE)
    confined.run()
    asked, stored, data = images_asked(server), confined.stored(), confined.data_set()

    confined.mounts.remount(store, "ro")
    assert confined.run().jobs == {}
    confined.run("verify")
    # What needs no download needs no store that can be written.
    confined.configure(sample={"pre": 4})
    confined.run()
    assert confined.data_set() != data
    confined.configure(sample={"pre": 5})

    confined.events(TWO_FLARES)
    run = confined.run(fails=True)
    error = error_in(confined.log("download", B))
    assert "Read-only file system" in error
    assert "store/.locks/runs.lock: cannot write" in error
    assert "check free space and permissions" in error
    assert f": {error.removeprefix('error: ')}" in run.text
    assert confined.data_set() != data, "the first event is done anew"
    assert images_asked(server) == asked
    assert confined.stored() == stored

    confined.mounts.remount(store, "rw")
    confined.run()
    assert set(images_asked(server).values()) == {1}
    confined.run("verify")


def test_a_store_on_another_filesystem(
    confined: Confined, fetched: Project, serve: Callable[..., StandIn]
) -> None:
    confined.use(serve())
    confined.mounts.mount(confined.folder / "store", "8m")
    confined.run()
    assert confined.data_set() == fetched.data_set()

    copies = {path: path.stat() for path in confined.path("results").rglob("*.fits")}
    assert len(copies) == 2 * 31
    devices = {path.stat().st_dev for path in confined.path("store").rglob("*.fits")}
    assert devices.isdisjoint(stat.st_dev for stat in copies.values())
    assert {stat.st_nlink for stat in copies.values()} == {1}
    assert confined.run().jobs == {}
    confined.run("--forcerun", "partition")
    again = {path: path.stat() for path in confined.path("results").rglob("*.fits")}
    assert {path: stat.st_ino for path, stat in again.items()} == {
        path: stat.st_ino for path, stat in copies.items()
    }, "a copy that is right is left alone"
    confined.run("verify")

    os.truncate(min(copies), 2880)
    assert "is not the store's file" in confined.run("verify", fails=True).text
    confined.run("repair")
    confined.run("verify")


class Limited(Project):
    """A campaign whose runs may write files of so many bytes and no more."""

    prefix = ("prlimit", "--fsize=100000", "--")


def test_a_limit_on_the_size_of_files(tmp_path: Path, serve: Callable[..., StandIn]) -> None:
    """`ulimit -f`, as a batch system sets it: the kernel refuses the rest of each image."""
    server = serve(frame_size=512)
    project = Limited(tmp_path / "campaign")
    project.events(ONE_FLARE)
    project.use(server)
    run = project.run(fails=True)
    error = error_in(project.log("download", A))
    assert "File too large" in error
    assert "store" in error
    assert f": {error.removeprefix('error: ')}" in run.text
    assert project.stored() == set()
    project.prefix = ()
    project.run()
    assert len(assert_whole(project, server)) == 15
    project.run("verify")


@pytest.mark.parametrize("what", [".part", ".json", ".lock"])
def test_a_quota(
    project: Project,
    serve: Callable[..., StandIn],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """A stand-in for a real quota, which few kernels have for filesystems that users can mount.

    Writes to one kind of file in the store give EDQUOT in this process; so this shows what is said
    of it and what is left behind, not that a kernel behaves so.
    """
    server = serve()
    project.events(ONE_FLARE)
    project.use(server)
    project.run("--until", "draw")
    job, environment = download_job(project)
    for name in ("FLARESET_ARCHIVE", "FLARESET_CAMPAIGN"):
        monkeypatch.setenv(name, environment[name])
    store = str(project.folder / "store")

    def over(path: str) -> bool:
        name = re.sub(r"([.]new|[.]tmp|[.][0-9a-f]{32}/[0-9a-f]{32})$", "", path)
        return path.startswith(store) and name.endswith(what)

    with monkeypatch.context() as limited:
        plain_open, plain_write = builtins.open, os.write

        def opened(file: Any, *args: Any, **more: Any) -> Any:
            found = plain_open(file, *args, **more)
            if isinstance(file, str | os.PathLike) and over(os.fspath(file)) and found.writable():
                return Refusing(found)
            return found

        def write(descriptor: int, data: bytes) -> int:
            if over(os.readlink(f"/proc/self/fd/{descriptor}")):
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            return plain_write(descriptor, data)

        limited.setattr(builtins, "open", opened)
        limited.setattr("io.open", opened)
        limited.setattr(os, "write", write)
        with pytest.raises(Exception, match="Disk quota exceeded") as raised:
            script("download", *job[2:])
    assert type(raised.value).__name__ == "StoreError"
    assert "store" in str(raised.value)
    assert ROOM in str(raised.value)
    assert project.stored() == set()
    assert loaded.run(job, project.folder, environment).returncode == 0
    assert len(assert_whole(project, server)) == 15


class Refusing:
    """An open file whose writes pass a quota."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, _: Any) -> int:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.fixture
def gate(serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return a server that sends three images at once, and the others when it is told to."""
    return Gate(serve(), monkeypatch)


class Gate:
    """A server whose images wait behind a gate."""

    def __init__(self, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._passed = 0
        plain = server.frames.file

        def file(*args: Any, **more: Any) -> list[bytes]:
            self._passed += 1
            if self._passed > 3:
                self.reached.set()
                assert self.opened.wait(300)
            return plain(*args, **more)

        monkeypatch.setattr(server.frames, "file", file)


class Started:
    """A run of snakemake that is under way."""

    def __init__(self, project: Project) -> None:
        self._process = subprocess.Popen(
            project.forked(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=project.folder,
        )

    def end(self) -> Run:
        """Wait for its end."""
        text, _ = self._process.communicate(timeout=300)
        return Run(subprocess.CompletedProcess([], self._process.returncode, text))


def later(minutes: int) -> str:
    """Return the first of the two flares, so many minutes later."""
    rows = []
    for moment in ("2014-01-07 18:05:34", "2014-01-07 18:09:58"):
        begin = datetime.fromisoformat(moment) + timedelta(minutes=minutes)
        rows.append(f"{begin:%Y-%m-%d %H:%M:%S}")
    return f"event_starttime,event_endtime\n{','.join(rows)}\n"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Project, Project]:
    """Two campaigns on one store, with events that overlap."""
    first, second = (
        Project(tmp_path / name, {"fetch": "all", "store": "../store"}) for name in ("one", "two")
    )
    first.events(later(0))
    second.events(later(3))
    return first, second


def names_in(project: Project) -> set[str]:
    """Return the names of the images in a campaign's manifests."""
    (manifest,) = project.path("results").glob("events/*/131/manifest.csv")
    return {row["filename"] for row in project.table(str(manifest.relative_to(project.folder)))}


def test_a_run_on_a_store_that_is_in_use(pair: tuple[Project, Project], gate: Gate) -> None:
    first, second = pair
    for project in pair:
        project.use(gate.server)
    running = Started(first)
    assert gate.reached.wait(120)
    refused = second.run(fails=True)
    error = error_in(second.log("download", "2014-01-07T180834"))
    assert "store: another run uses this store" in error
    assert f"from {first.folder}, results in results" in error
    assert "wait for it to end or give this campaign a store of its own" in error
    assert error.removeprefix("error: ").splitlines()[0] in refused.text
    gate.opened.set()
    done = running.end()
    assert done.code == 0, done.text
    second.run()
    assert_once(pair, gate.server)


def test_two_runs_on_one_store_at_once(
    pair: tuple[Project, Project], serve: Callable[..., StandIn]
) -> None:
    server = serve(faults=[Fault("stall", seconds=0.02)])
    for project in pair:
        project.use(server)
    runs = [Started(project) for project in pair]
    for project, run in zip(pair, [started.end() for started in runs], strict=True):
        if run.code:
            assert "failed: " in run.text
            assert "another run uses this store" in run.text
            project.run()
    assert_once(pair, server)


def assert_once(pair: tuple[Project, Project], server: StandIn) -> None:
    """Check that both campaigns are complete, and that shared files were fetched once."""
    first, second = pair
    ours, theirs = names_in(first), names_in(second)
    assert len(ours & theirs) > 30
    assert ours - theirs
    assert theirs - ours
    assert images_asked(server) == dict.fromkeys(ours | theirs, 1)
    assert {path.name for path in first.path("../store").rglob("*.fits")} == ours | theirs
    assert leftovers(first) == []
    for project in pair:
        project.run("verify")


def test_two_runs_in_one_folder(project: Project, gate: Gate) -> None:
    project.events(ONE_FLARE)
    project.use(gate.server)
    running = Started(project)
    assert gate.reached.wait(120)
    refused = project.run(fails=True)
    assert "Directory cannot be locked" in refused.text
    assert refused.jobs == {}
    gate.opened.set()
    done = running.end()
    assert done.code == 0, done.text
    assert set(images_asked(gate.server).values()) == {1}
    project.run("verify")


def test_overlapping_events_of_campaigns_one_after_the_other(
    pair: tuple[Project, Project], tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    first, _ = pair
    for project in pair:
        project.use(server)
        project.run()
    # A third has two events, which overlap each other as well, and nothing that is new.
    third = Project(tmp_path / "three", {"fetch": "all", "store": "../store"})
    third.events(later(1) + later(2).splitlines(keepends=True)[1])
    third.use(server)
    third.run()
    for event in ("2014-01-07T180634", "2014-01-07T180734"):
        assert re.search(r": 0 fetched .* \d\d in the store before", third.log("download", event))
    assert_once(pair, server)
    shared = set(os.listdir(third.path("results/final_fits/2014-01-07T180634/131/pre")))
    assert shared & set(os.listdir(first.path(f"results/final_fits/{A}/131/pre")))
    (store,) = first.path("../store").rglob(min(shared))
    copies = [path for path in tmp_path.rglob(min(shared)) if path.samefile(store)]
    assert len(copies) >= 3, "one copy on disk for all"


def test_a_job_that_is_run_again_reads_no_image(
    fetched: Project, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project = fetched.copy(tmp_path / "copy")
    project.configure(archive={"data_url": server.url})
    project.run()
    manifest = project.table(f"results/events/{A}/131/manifest.csv")
    # Bytes that are not the image's: who reads them cannot but notice.
    for path in project.path("store").rglob("*.fits"):
        before = path.stat()
        path.chmod(0o644)
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.run().jobs == {}
    assert project.run("--forcerun", "download").jobs["download"] == 2
    assert project.table(f"results/events/{A}/131/manifest.csv") == manifest
    assert images_asked(server) == {}
    assert "31 of 31 files are damaged" in project.run("verify", fails=True).text
