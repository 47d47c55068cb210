"""What the tests share: a project in a temporary folder, a stand-in archive, the real data."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import loaded, needs

from flareset.archive.connections import Connections
from flareset.campaign.campaign import Campaign
from flareset.campaign.events import Event, read_events
from flareset.proof.fits import Asked, ImageCheck
from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import SERIES
from flareset.standin.server import StandIn, running
from flareset.system.locks import held

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"
EUV = SERIES["aia.lev1_euv_12s"]
TWO_FLARES = """event_starttime,event_endtime,event_peaktime,goes_class,hpc_x,hpc_y
2014-01-07 18:05:34,2014-01-07 18:09:58,2014-01-07T18:07:00,X1.2,268.8,-115.2
2014-02-24T23:57:10Z,2014-02-25T00:02:30.5Z,,M3.0,,
"""
ONE_FLARE = "".join(TWO_FLARES.splitlines(keepends=True)[:2])
SMALL: dict[str, Any] = {
    "archive": {"frame_size": 128, "patience": "3s"},
    "window": {"pre": "4m", "post": "4m"},
    "source": "page",
    "fetch": "sampled",
    "sample": {"seed": 7, "per_minute": 1, "pre": 5, "post": 5},
}


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections leave this machine in no test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets another where processes share their connections."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    """No process outlives the tests."""
    yield
    loaded.end()


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real artefacts; the test is skipped where it is missing, but never in CI."""
    if not REAL.is_dir():
        needs.skip(f"{REAL} is missing")
    return REAL


@pytest.fixture
def serve() -> Iterator[Callable[..., StandIn]]:
    """Start a stand-in with the arguments given; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda **kwargs: stack.enter_context(
            running(StandIn(**{"frame_size": 128, **kwargs}))
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small campaign of two flares against the stand-in."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small campaign when it has run as a rehearsal; who changes it takes a copy."""
    return made_once("finished", tmp_path_factory, Project.run)


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small campaign when it has run with saved pages and a server, which is gone."""

    def make(project: Project) -> None:
        with running(StandIn(frame_size=128)) as server:
            project.use(server)
            project.run()

    return made_once("fetched", tmp_path_factory, make)


def made_once(
    name: str, factory: pytest.TempPathFactory, make: Callable[[Project], object]
) -> Project:
    """The small campaign in a folder that all workers share, as the first who asks for it makes
    it."""
    top = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent / "shared"
        top.mkdir(exist_ok=True)
    with held(top / f"{name}.lock"):
        if not (top / name).exists():
            new = top / f"{name}.new"
            with pytest.MonkeyPatch.context() as alone:
                alone.setenv("XDG_STATE_HOME", str(factory.mktemp("state")))
                make(Project(new / "campaign"))
            new.rename(top / name)
    # As deep as a test's own: Snakemake knows the scripts by the way to them.
    return Project.at(top / name / "campaign")


def check_image(path: Path, asked: Asked) -> dict[str, Any]:
    """The keywords of an image file that is there; VerificationError as ImageCheck raises it."""
    return ImageCheck(asked, path).finish(path).keywords


def connected(url: str, folder: Path, **options: Any) -> Connections:
    """Two connections to a server; those who share `folder` share them."""
    usual = {"most": 2, "patience": 1.0, "folder": folder}
    return Connections(url, **{**usual, **options})


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top, nested."""
    result = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


class Run:
    """A finished run of snakemake."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.text = done.stdout
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", self.text, re.DOTALL)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        self.jobs = {name: int(n) for name, n in rows if name not in ("total", "all")}


class Project:
    """A campaign in a folder of its own, run as a user runs it."""

    # What goes before the command: another program, and its options.
    prefix: Sequence[str] = ()
    # Whether each Python of a run starts anew, with hashes of its own, rather than as a fork.
    anew = False

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.folder = folder
        (folder / "config").mkdir(parents=True)
        self.config: dict[str, Any] = {}
        self.configure(**merged(SMALL, config or {}))
        self.events(TWO_FLARES)

    @classmethod
    def at(cls, folder: Path) -> Project:
        """The campaign that is in a folder."""
        found = object.__new__(cls)
        found.folder = folder
        found.config = yaml.safe_load((folder / "config/config.yaml").read_text())
        return found

    def copy(self, folder: Path) -> Project:
        """This campaign, with all that its runs left, in another folder."""
        subprocess.run(["cp", "--archive", self.folder, folder], check=True)
        return Project.at(folder)

    def configure(self, **over: Any) -> None:
        """Change settings; a dict is merged."""
        self.config = merged(self.config, over)
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(self.config))

    def events(self, text: str) -> None:
        """Write events.csv."""
        (self.folder / "config/events.csv").write_text(text)

    def read_events(self) -> list[Event]:
        """The events as the workflow reads them."""
        window = self.config["window"]
        pre, post = (timedelta(minutes=int(window[key].rstrip("m"))) for key in ("pre", "post"))
        path = self.folder / "config/events.csv"
        wavelengths = self.config.get("wavelengths", [131])
        return read_events(path, series=EUV, wavelengths=wavelengths, pre=pre, post=post)

    def use(self, server: StandIn) -> None:
        """Turn the campaign into one of saved pages and a server that runs already."""
        pages = self.folder / "export_pages"
        pages.mkdir(exist_ok=True)
        for event in self.read_events():
            span = event.window_start, event.window_end
            wanted = str(window_recordset(EUV, *span, list(event.wavelengths)))
            (pages / f"{event.event_id}.html").write_text(server.page(wanted))
        self.configure(archive={"kind": "jsoc", "data_url": server.url})

    def command(self, *args: str, cores: int = 2) -> list[str]:
        """The command line of a run."""
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        own = ["--cores", str(cores), "--directory", str(self.folder)]
        return [*self.prefix, *snakemake, *own, *args]

    def run(self, *args: str, cores: int = 2, fails: bool = False) -> Run:
        """Run snakemake; it must succeed, or fail where `fails`."""
        run = loaded.start_anew if self.anew else loaded.run
        done = run(self.command(*args, cores=cores), self.folder, os.environ)
        assert (done.returncode != 0) == fails, done.stdout
        return Run(done)

    def planned(self, *args: str) -> dict[str, int]:
        """The jobs that a run would do now."""
        return self.run("--dry-run", *args).jobs

    def path(self, name: str) -> Path:
        """A file of the project."""
        return self.folder / name

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV of the project."""
        return list(csv.DictReader(io.StringIO(self.path(name).read_text())))

    def log(self, rule: str, event: str, wavelength: int = 131) -> str:
        """The log of a job."""
        return self.path(f"logs/{rule}/{event}.{wavelength}.log").read_text()

    def data_set(self) -> dict[str, bytes]:
        """Every file of data_selection and its bytes."""
        top = self.path("results/data_selection")
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    def stored(self) -> set[str]:
        """The names of the images in the store."""
        return {path.name for path in self.path("store").rglob("*.fits")}


def in_process(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every stage of a campaign in this process, as its rules do but without Snakemake.

    Raises the error with which a script fails.
    """
    monkeypatch.chdir(project.folder)
    campaign = Campaign(yaml.safe_load((project.folder / "config/config.yaml").read_text()))
    for name, value in campaign.environment().items():
        monkeypatch.setenv(name, value)
    for event in campaign.events.values():
        list_and_draw(campaign, event)
        for wavelength in event.wavelengths:
            bring_and_sample(campaign, Path("results/events") / event.event_id / str(wavelength))
    label_and_summarise(campaign)


def list_and_draw(campaign: Campaign, event: Event) -> None:
    """Run the stages `list` and `draw` of an event, in the campaign's folder."""
    top = Path("results/events") / event.event_id
    top.mkdir(parents=True, exist_ok=True)
    (top / "event.json").write_text(campaign.events[event.event_id].to_json())
    of_event = ["--event", str(top / "event.json")]
    settings = ["--settings", settings_file(campaign, "list"), "--store", campaign.config.store]
    for wavelength in event.wavelengths:
        folder = top / str(wavelength)
        folder.mkdir(exist_ok=True)
        page = campaign.page(event.event_id, wavelength)
        origin = ["--source", event.source, *(["--page", str(page)] if page else [])]
        if event.event_id in campaign.config.accept_pages:
            origin.append("--accept")
        of_channel = [*of_event, "--wavelength", str(wavelength), *origin, *settings]
        facts = ["--facts", str(folder / "export.json")]
        script("list", *of_channel, *options(folder, "records", "listing"), *facts)
    sample = campaign.config.sample
    records = [str(top / str(wavelength) / "records.csv") for wavelength in event.wavelengths]
    drawn = [f"--seed={sample.seed}", "--channels", sample.channels]
    rules = ["--reject", *campaign.config.quality.reject]
    rules += ["--other-flares", campaign.config.other_flares]
    script("draw", *of_event, "--records", *records, *drawn, *rules, *options(top, "candidates"))


def bring_and_sample(campaign: Campaign, job: Path) -> None:
    """Run the stages `download`, `partition` and `sample` of `<event_id>/<wavelength>`."""
    event_id, wavelength = job.parts[-2:]
    store = ["--store", campaign.config.store]
    of_job, manifest = ["--job", str(job)], options(job, "manifest")
    ledger = ["--ledger", f"results/ledger/{event_id}.{wavelength}.csv"]
    settings = ["--settings", settings_file(campaign, "download")]
    script("download", *of_job, *store, *settings, *manifest, *ledger)
    candidates = [*options(job.parent, "candidates"), "--wavelength", wavelength]
    folder = ["--folder", f"results/final_fits/{event_id}/{wavelength}"]
    script("partition", *candidates, *manifest, *store, *folder, *options(job, "partition"))
    Path("results/ledger").mkdir(exist_ok=True)
    series = ["--series", campaign.config.series, "--segment", campaign.config.segment]
    quotas = {
        key: getattr(campaign.config.sample, key.replace("-", "_"))
        for key in ("per-minute", "pre", "post")
    }
    outputs = [*options(job, "sample"), "--log", str(job / "sampling_log.csv")]
    outputs += ["--account", str(job / "account.json"), *ledger]
    flags = [f"--{key}={value}" for key, value in quotas.items()]
    script("sample", *of_job, *manifest, *series, *flags, *outputs)


def label_and_summarise(campaign: Campaign) -> None:
    """Run the stages of all events together."""
    jobs = [f"results/events/{event}/{wavelength}" for event, wavelength in campaign.jobs]
    data = Path("results/data_selection")
    data.mkdir(exist_ok=True)
    samples = [f"{job}/sample.csv" for job in jobs]
    script("label", "--samples", *samples, "--store", campaign.config.store, "--folder", str(data))
    accounts = [f"{job}/account.json" for job in jobs]
    tables = [str(data / name) for name in ("images.csv", "image_labels.csv", "image_labels.txt")]
    made = ["--csv", "results/summary.csv", "--markdown", "results/summary.md"]
    told = ["--config", settings_file(campaign, "config"), "--results", "results"]
    history = ["--provenance", "results/provenance.json"]
    script("summary", "--accounts", *accounts, *told, "--outputs", *tables, *made, *history)


def options(folder: Path, *names: str) -> list[str]:
    """Return the flags of CSV files that are called like their flags."""
    return [text for name in names for text in (f"--{name}", str(folder / f"{name}.csv"))]


def settings_file(campaign: Campaign, stage: str, folder: Path = Path("results/settings")) -> str:
    """The file with the settings of a stage, written as its rule writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stage}.json"
    path.write_text(campaign.settings(stage))
    return str(path)


def script(name: str, *args: str) -> None:
    """Run a script of the workflow in this process."""
    path = ROOT / "scripts" / f"{name}.py"
    module = importlib.util.module_from_spec(
        spec := importlib.util.spec_from_file_location(f"script_{name}", path)
    )
    spec.loader.exec_module(module)
    before, sys.argv = sys.argv, [str(path), *args]
    try:
        module.main()
    finally:
        sys.argv = before
