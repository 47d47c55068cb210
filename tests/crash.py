"""Rounds of crashes: kill or terminate a download, or take its power, and check the results.

`python tests/crash.py --rounds 200 --seed 1` tells what went wrong and what the crashes cost.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import powerloss

from flareset.archive import transfer
from flareset.campaign.campaign import Campaign
from flareset.campaign.settings import DownloadSettings
from flareset.download import store_of
from flareset.job import Job
from flareset.standin.server import StandIn, running
from flareset.store.store import Store
from flareset.tables.manifest import read_manifest

ROOT = Path(__file__).parents[1]
FLARE = "event_starttime,event_endtime\n2014-01-07 18:05:34,2014-01-07 18:09:58\n"
KILL, TERM, POWER_LOSS = "SIGKILL", "SIGTERM", "power loss"
KINDS = (KILL, TERM, POWER_LOSS, "mixed")
METHODS = ("url", "url-tar")
# What may lie in a store for good beside the files and their notes: what JSOC was asked, and said.
LASTING = re.compile(r"\.locks|local(/(answers|requests)(/.*)?)?")
_LONGEST = 120.0
# How long a machine takes to start anew after a power loss (s).
_RESTART = 90.0
# With one crash in an event of 100 files, bytes fetched over bytes needed are at most 1.02.
_MOST_AGAIN = 0.02
# A real tar is some 5000 times as large as the one here; so is what is synced of it at a time.
_TAR_SYNCED_EVERY = 1 << 14
_SYNCED_EVERY = "FLARESET_TEST_SYNCED_EVERY"
# Loaded once and forked, so that a round need not wait for the imports.
_LOADED = ("crash", "flareset.download", "flareset.ledger", "flareset.system.progress")


class SlowStandIn(StandIn):
    """A stand-in that sends images and tars in small pieces, with a `pause` (seconds) after each.

    `sent` counts their bytes.
    """

    def __init__(self, pause: float, **options: Any) -> None:
        super().__init__(**options)
        self.pause = pause
        self.sent = 0

        class Handler(self.RequestHandlerClass):  # type: ignore[name-defined, misc]
            def setup(self) -> None:
                super().setup()
                self.wfile = _Slow(self)

        self.RequestHandlerClass = Handler


class _Slow:
    """The output of a handler, which writes slowly."""

    def __init__(self, handler: Any) -> None:
        self._handler, self._server, self._out = handler, handler.server, handler.wfile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, data: bytes) -> None:
        path = urlsplit(self._handler.path).path
        if not path.endswith((".fits", ".tar")) or data.startswith(b"HTTP/"):
            self._out.write(data)
            return
        for begin in range(0, len(data), 4096):
            piece = data[begin : begin + 4096]
            self._out.write(piece)
            with self._server.lock:
                self._server.sent += len(piece)
            time.sleep(self._server.pause)


@dataclass(frozen=True)
class Plan:
    """A crash of a process: before its n-th change of the store, or after some seconds."""

    crash: str
    operation: int = 0
    seconds: float = _LONGEST

    @property
    def signal(self) -> signal.Signals:
        """The signal that the process gets."""
        return signal.SIGTERM if self.crash == TERM else signal.SIGKILL


@dataclass(frozen=True)
class Run:
    """A process that has ended: exit code, output, whether it changed the store, and seconds.

    The seconds are those in all, and those from the signal to the end.
    """

    code: int
    text: str
    changed: bool
    seconds: float
    ending: float


@dataclass(frozen=True)
class Listed:
    """A job after `list` and `draw`: its folder, its settings and its store's name."""

    folder: Path
    settings: str
    environment: dict[str, str]
    store: Store

    def args(self, home: Path) -> list[str]:
        """Return the arguments of the job's download into a folder."""
        return [
            *("--job", str(self.folder), "--store", str(home / "store")),
            *("--settings", self.settings),
            *("--manifest", str(home / "manifest.csv"), "--ledger", str(home / "ledger.csv")),
        ]


@dataclass(frozen=True)
class Known:
    """A job whose export is known: the record and bytes of each file, by its path in the store.

    `needed` are the bytes to be fetched for them. A whole download makes so many `operations` on
    the store, and takes so many `seconds`.
    """

    job: Listed
    files: dict[str, tuple[str, bytes]]
    needed: int
    operations: int
    seconds: float

    def check_store(self, root: Path) -> None:
        """Raise Violation if a file with its final name differs from the archive's."""
        store = Store(root, self.job.store.archive, self.job.store.folder.name)
        for path in root.rglob("*.fits"):
            name = path.relative_to(root).as_posix()
            if name not in self.files:
                raise Violation(f"a file that nobody asked for: {name}")
            record, content = self.files[name]
            if path.read_bytes() != content:
                taken = "is taken for good" if store.facts(name, record) else "is not used"
                raise Violation(f"bad bytes in {name}, which {taken}")

    def check_complete(self, home: Path) -> None:
        """Raise Violation if a finished download lacks a file or has left one behind."""
        manifest = read_manifest(home / "manifest.csv")
        statuses = Counter(row["status"] for row in manifest)
        if {row["path"] for row in manifest} != set(self.files) or set(statuses) != {"verified"}:
            raise Violation(f"the manifest is not complete: {dict(statuses)}")
        root = home / "store"
        self.check_store(root)
        there = {path.relative_to(root).as_posix(): path.is_dir() for path in root.rglob("*")}
        wanted = {*self.files, *(f"{name}.json" for name in self.files)}
        above = {str(folder) for name in self.files for folder in Path(name).parents}
        if missing := wanted - set(there):
            raise Violation(f"done, but these are missing: {sorted(missing)}")
        lasting = {name for name in there if LASTING.fullmatch(name)}
        if left := set(there) - wanted - above - lasting:
            raise Violation(f"left over: {sorted(left)}")


@dataclass
class Tally:
    """The costs of a kind of crash, over the events that were completed."""

    events: int = 0
    crashes: int = 0
    fetched: int = 0
    needed: int = 0
    longest: float = 0.0

    @property
    def ratio(self) -> float:
        """Bytes fetched over bytes needed."""
        return self.fetched / max(self.needed, 1)

    @property
    def per_crash(self) -> float:
        """The share of an event's bytes that a crash made it fetch again, on average."""
        return (self.ratio - 1) * self.events / max(self.crashes, 1)


@dataclass
class Result:
    """The violations, and the costs by kind of crash and method of export."""

    rounds: int = 0
    violations: list[str] = field(default_factory=list)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))

    @property
    def total(self) -> Tally:
        """The costs of all crashes together."""
        total = Tally()
        for tally in self.tallies.values():
            for name in ("events", "crashes", "fetched", "needed"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.longest = max(total.longest, tally.longest)
        return total

    def __str__(self) -> str:
        lines = [
            "crash      method   events  crashes  fetched/needed  again per crash  longest end"
        ]
        for (kind, method), tally in [*sorted(self.tallies.items()), (("all", ""), self.total)]:
            lines.append(
                f"{kind:<11}{method:<8}{tally.events:>7}{tally.crashes:>9}{tally.ratio:>16.4f}"
                f"{tally.per_crash:>17.2%}{tally.longest:>11.2f} s"
            )
        lines.append(f"{len(self.violations)} violations in {self.rounds} rounds")
        return "\n".join([*self.violations, *lines])


class Violation(Exception):
    """A state that must not occur."""


class Rounds:
    """Rounds of crashes against one stand-in, in a folder of their own.

    The event's window has `minutes` before and after its flare.
    """

    def __init__(self, server: SlowStandIn, folder: Path, seed: int, minutes: int) -> None:
        self.server = server
        self.folder = folder
        self.seed = seed
        self.minutes = minutes
        self.result = Result()
        self._processes = _forkserver()
        self.jobs = {method: self._measure(self._list(method)) for method in METHODS}

    def play(self, rounds: int) -> Result:
        """Download events, each with a kind of crash, until a number of crashes have struck."""
        number = 0
        while self.result.rounds < rounds:
            kind = KINDS[number % len(KINDS)]
            # Of three events of a kind, one is a tar.
            method = METHODS[number // len(KINDS) % 3 == 1]
            home = self.folder / f"event-{number}"
            tally = self.result.tallies[kind, method]
            before = replace(tally)
            try:
                rng = random.Random(f"{self.seed}/{number}")
                self._event(kind, self.jobs[method], home, rng, tally)
            except Violation as error:
                self.result.tallies[kind, method] = before
                text = f"seed {self.seed}, event {number} ({kind}, {method}): {error} ({home})"
                self.result.violations.append(text)
            else:
                shutil.rmtree(home)
            number += 1
        return self.result

    def _event(self, kind: str, known: Known, home: Path, rng: random.Random, tally: Tally) -> None:
        """Download an event into a store of its own, with one or more crashes."""
        store, journal = home / "store", home / "journal"
        store.mkdir(parents=True)
        powerloss.begin(journal, store)
        job = known.job
        sent, boots, plan = self.server.sent, 0, self._plan(kind, known, rng)
        try:
            while True:
                run = self._run("download", job.args(home), job.environment, home, boots, plan)
                if run.code == 0:
                    known.check_complete(home)
                    # The power may also go when the work is done.
                    if not plan or plan.crash != POWER_LOSS or rng.random() < 0.5:
                        break
                elif not plan or (plan.crash != TERM and run.code != -signal.SIGKILL):
                    raise Violation(f"it failed by itself ({run.code}): {run.text[-1000:]}")
                self.result.rounds += 1
                tally.crashes += 1
                if plan.crash == POWER_LOSS:
                    powerloss.lose(journal, store, rng)
                    _age(home, job.folder)
                    boots += 1
                else:
                    powerloss.catch_up(journal, store)
                    tally.longest = max(tally.longest, run.ending)
                if plan.crash == TERM:
                    _check_ending(run)
                known.check_store(store)
                again = 0.6 if kind == "mixed" else 0.2
                plan = self._plan(kind, known, rng) if rng.random() < again else None
        except (Violation, AssertionError) as error:
            raise Violation(f"{error}; {plan}") from error
        tally.events += 1
        tally.needed += known.needed
        tally.fetched += self.server.sent - sent

    def _plan(self, kind: str, known: Known, rng: random.Random) -> Plan:
        """Return a crash at a random moment: all moments of a download are equally likely."""
        crash = rng.choice((KILL, TERM, POWER_LOSS)) if kind == "mixed" else kind
        if rng.random() < 0.5:
            return Plan(crash, operation=rng.randint(1, known.operations))
        return Plan(crash, seconds=rng.uniform(0, known.seconds))

    def _list(self, method: str) -> Listed:
        """List the event and draw from it, for an export of a method."""
        home = self.folder / f"listed-{method}"
        (home / "store").mkdir(parents=True)
        (home / "events.csv").write_text(FLARE)
        powerloss.begin(home / "journal", home / "store")
        urls = {"data_url": self.server.url, "cgi_url": self.server.cgi_url}
        campaign = Campaign(
            {
                "events": str(home / "events.csv"),
                "archive": {"kind": "jsoc", **urls, "email": "crash@example.org", "patience": "3s"},
                "window": {"pre": f"{self.minutes}m", "post": f"{self.minutes}m"},
                "source": "export",
                "export": {"method": method},
                "fetch": "all",
            }
        )
        ((event, wavelength),) = campaign.jobs
        folder = home / event / str(wavelength)
        folder.mkdir(parents=True)
        (folder.parent / "event.json").write_text(campaign.events[event].to_json())
        environment = campaign.environment()
        environment["JSOC_EMAIL"] = "crash@example.org"
        if method == "url-tar":
            environment[_SYNCED_EVERY] = str(_TAR_SYNCED_EVERY)
        (home / "list.json").write_text(campaign.settings("list"))
        paths = {"listing": "listing.csv", "records": "records.csv", "facts": "export.json"}
        of_event = ["--event", folder.parent / "event.json"]
        stages = {
            "list": [
                *(*of_event, "--wavelength", wavelength, "--source", "export"),
                *("--store", home / "store", "--settings", home / "list.json"),
                *(text for key, name in paths.items() for text in (f"--{key}", folder / name)),
            ],
            "draw": [
                *(*of_event, "--records", folder / "records.csv", "--seed=1"),
                *("--quality", campaign.config.quality.model_dump_json()),
                *("--other-flares", "exclude", "--candidates", folder.parent / "candidates.csv"),
            ],
        }
        for stage, args in stages.items():
            run = self._run(stage, args, environment, home)
            assert run.code == 0, run.text
        settings = DownloadSettings.of(campaign.config)
        job = Job.read(folder, settings.image_series, settings.segment)
        store = store_of(job, home / "store", settings.archive_of(job.event))
        path = home / "download.json"
        path.write_text(settings.to_json())
        return Listed(folder, str(path), environment, store)

    def _measure(self, job: Listed) -> Known:
        """Download the job once, and get the right files from the server itself."""
        home = job.folder / "measured"
        (home / "store").mkdir(parents=True)
        powerloss.begin(home / "journal", home / "store")
        run = self._run("download", job.args(home), job.environment, home)
        assert run.code == 0, run.text
        manifest = read_manifest(home / "manifest.csv")
        contents, needed = _served(self.server)
        files = {
            row["path"]: (row["record"], contents[row["filename"]])
            for row in manifest
            if row["status"] == "verified"
        }
        operations = powerloss.operations(home / "journal")
        known = Known(job, files, needed, operations, run.seconds)
        known.check_complete(home)
        return known

    def _run(
        self,
        script: str,
        args: list[Any],
        environment: dict[str, str],
        home: Path,
        boot: int = 0,
        plan: Plan | None = None,
    ) -> Run:
        """Run a script in a new process until it ends, by itself or by a planned crash."""
        journal = home / "journal"
        before = journal.stat().st_size
        environment = {**environment, "XDG_STATE_HOME": str(home), powerloss.BOOT: f"boot {boot}"}
        if plan and plan.operation:
            environment[powerloss.CRASH] = f"{plan.signal.name}:{plan.operation}"
        path = str(ROOT / "scripts" / f"{script}.py")
        said = home / "said.txt"
        rest = (journal, path, [str(arg) for arg in args], environment)
        process = self._processes.Process(target=_speak, args=(said, *rest))
        begun = time.monotonic()
        process.start()
        process.join(plan.seconds if plan else _LONGEST)
        signalled = time.monotonic()
        if process.exitcode is None and plan:
            os.kill(process.pid, plan.signal)
            process.join(_LONGEST)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise Violation(f"it did not end in {_LONGEST} s: {said.read_text()[-1000:]}")
        ended = time.monotonic()
        text = said.read_text(errors="replace") if said.exists() else ""
        begins = journal.stat().st_size > before
        return Run(process.exitcode, text, begins, ended - begun, ended - signalled)


def _speak(said: Path, journal: Path, script: str, args: list[str], environment: dict) -> None:
    """Run a script with its output in a file. Called in the process of a round."""
    assert transfer._SYNCED_EVERY > 1 << 20, "what is synced at a time has another name now"
    transfer._SYNCED_EVERY = int(environment.get(_SYNCED_EVERY, transfer._SYNCED_EVERY))
    with open(said, "wb") as out:
        for descriptor in (1, 2):
            os.dup2(out.fileno(), descriptor)
    powerloss.run(journal, script, args, environment)


def _forkserver() -> Any:
    """Return a fork server whose processes have loaded the package."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LOADED))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])
    try:
        # The first process starts the server.
        first = context.Process(target=os.getpid)
        first.start()
        first.join()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


def _served(server: SlowStandIn) -> tuple[dict[str, bytes], int]:
    """Return the bytes of each file of the newest export, and the bytes on the network."""
    question = f"jsoc_fetch?op=exp_status&requestid={server.created[-1]}&format=json"
    with urllib.request.urlopen(server.cgi_url + question) as answer:
        found = json.load(answer)

    def fetched(path: str) -> bytes:
        with urllib.request.urlopen(server.url + path) as answer:
            return answer.read()

    names = [row["filename"] for row in found["data"]]
    if link := found.get("tarfile"):
        content = fetched(link)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = {member.name.removeprefix("./"): member for member in tar}
            return {n: tar.extractfile(members[n]).read() for n in names}, len(content)  # type: ignore[union-attr]
    files = {name: fetched(f"{found['dir']}/{name}") for name in names}
    return files, sum(map(len, files.values()))


def _age(*folders: Path) -> None:
    """Make files as old as they are after a reboot of the machine."""
    for path in (path for folder in folders for path in folder.rglob("*")):
        found = path.stat()
        os.utime(path, (found.st_atime - _RESTART, found.st_mtime - _RESTART))


def _check_ending(run: Run) -> None:
    """Raise Violation if a terminated process did not end in good order."""
    if run.code < 0 and run.changed:
        raise Violation(f"it died of signal {-run.code} without a word")
    if "Traceback" in run.text or "Exception ignored" in run.text:
        raise Violation(f"a traceback: {run.text[-1000:]}")
    if run.changed and not re.search("interrupted|terminated", run.text):
        raise Violation(f"it did not say why it ended: {run.text[-1000:]}")


@contextmanager
def rounds(folder: Path, seed: int, minutes: int = 9) -> Iterator[Rounds]:
    """Yield rounds against a stand-in that runs during the block. 9 minutes have 109 images."""
    with running(SlowStandIn(0.001, frame_size=128)) as server:
        yield Rounds(server, folder, seed, minutes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="how many crashes")
    parser.add_argument("--seed", type=int, default=1, help="of when they strike, and what is lost")
    parser.add_argument("--folder", type=Path, help="where to work, and leave what went wrong")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="flareset-crash-"))
    with rounds(folder, args.seed) as those:
        result = those.play(args.rounds)
    print(result)
    if args.folder is None and not result.violations:
        shutil.rmtree(folder)
    return int(bool(result.violations) or result.total.per_crash > _MOST_AGAIN)


if __name__ == "__main__":
    sys.exit(main())
