"""The Slurm profile on a real Slurm of two nodes, and what may befall a campaign on a cluster."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from conftest import EUV, ROOT, TWO_FLARES, Project

from flareset.recordset import window_recordset
from flareset.standin.server import Fault, StandIn, running

pytestmark = pytest.mark.slurm
SCRIPT = ROOT / "tests/slurm.sh"
PROFILE = ROOT / "profiles/slurm"
PLUGIN = "snakemake_executor_plugin_slurm"
ONE_FLARE = "".join(TWO_FLARES.splitlines(keepends=True)[:2])
EVENT = "2014-01-07T180534"
CAP = 2


@pytest.fixture(scope="session")
def plugins() -> str:
    """Where Snakemake finds its Slurm plugin; the test is skipped without, but never in CI.

    The plugin makes each start of Snakemake slower, so it has a folder of its own.
    """
    place = Path(sys.prefix) / "cluster"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    daemons = ("slurmctld", "slurmd", "munged")
    lacking = [name for name in daemons if not shutil.which(name, path=path)]
    if not (place / PLUGIN).is_dir() and not find_spec(PLUGIN):
        lacking.append(PLUGIN)
    if lacking and os.environ.get("CI"):
        pytest.fail(f"{', '.join(lacking)} missing, and this is CI")
    if lacking:
        pytest.skip(f"{', '.join(lacking)} missing: see `make cluster` and tests/slurm.sh install")
    return str(place)


@pytest.fixture
def cluster(plugins: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Slurm of this test's own."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), plugins)
    try:
        yield cluster
    finally:
        cluster.stop()


class Cluster:
    """Two nodes, c1 and c2, of two processors each."""

    def __init__(self, folder: Path, plugins: str) -> None:
        self.folder = folder
        self._port = _free_ports(3)
        self._runs: list[Run] = []
        self.start()
        show = f'eval "$({SCRIPT} env {folder})" && export PATH={PROFILE}/bin:$PATH && exec env -0'
        env = subprocess.check_output(["bash", "-c", show], text=True)
        self.env = dict(line.split("=", 1) for line in env.split("\0") if line)
        self.env["PYTHONPATH"] = plugins

    def start(self) -> None:
        """Start its daemons, or those that are not there any more."""
        subprocess.run([SCRIPT, "start", self.folder, str(self._port)], check=True, timeout=60)

    def stop(self) -> None:
        """End all that runs here."""
        for run in self._runs:
            run.kill()
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=60)

    def kill(self, daemon: str) -> None:
        """Kill slurmctld, slurmd.c1 or slurmd.c2."""
        os.kill(int((self.folder / f"{daemon}.pid").read_text()), signal.SIGKILL)

    def call(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        return subprocess.check_output(command, env=self.env, text=True, timeout=60)

    def queue(self, wavelength: int, state: str = "RUNNING") -> list[str]:
        """The numbers of the downloads of a wavelength that are in this state."""
        comment = f"rule_download_wildcards_{EVENT}_{wavelength}"
        lines = self.call("squeue", "-h", "-o", "%i %T %k").splitlines()
        return [line.split()[0] for line in lines if line.split()[1:] == [state, comment]]

    def ended(self) -> list[dict[str, str]]:
        """What is known of the jobs that have ended: JobState, NodeList and so on."""
        log = self.folder / "jobs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [dict(part.split("=", 1) for part in line.split()) for line in lines]

    def states(self) -> Counter[str]:
        """How many jobs have ended how."""
        return Counter(job["JobState"] for job in self.ended())

    def run(self, project: Project, *args: str) -> Run:
        """Begin a run of snakemake with the Slurm profile."""
        self._runs.append(Run(self, project, args))
        return self._runs[-1]


class Run:
    """A run of snakemake that submits to Slurm.

    The status of jobs is asked for sooner than a cluster would like.
    """

    def __init__(self, cluster: Cluster, project: Project, args: tuple[str, ...]) -> None:
        self._log = cluster.folder / f"run{time.monotonic_ns()}.log"
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        settings = ["--workflow-profile", str(PROFILE), "--directory", str(project.folder)]
        soon = ["--slurm-init-seconds-before-status-checks", "4"]
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [*snakemake, *args, *settings, *soon],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=cluster.env,
                cwd=project.folder,
            )

    @property
    def text(self) -> str:
        """What it has said."""
        return self._log.read_text()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def ended(self) -> bool:
        """Whether it has ended, which is to be without an error."""
        if self._process.poll() is None:
            return False
        assert self._process.returncode == 0, self.text
        return True

    def submitted(self) -> Counter[str]:
        """How often each rule or group was submitted."""
        return Counter(re.findall(r"/logs/slurm/(?:rule|group)_(\w+?)(?:/|_)", self.text))


class Watch:
    """Looks on while a campaign downloads: what is verified must not be fetched again."""

    def __init__(self, project: Project, server: StandIn) -> None:
        self._project, self._server = project, server
        self._asked: dict[str, int] = {}

    def until(self, happened: Callable[[], object], run: Run, seconds: float = 150) -> None:
        """Wait until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, run.text
            counts = self._counts()
            for name in self._project.stored() - self._asked.keys():
                self._asked[name] = counts[name]
            time.sleep(0.2)

    @property
    def verified(self) -> int:
        """How many images are known to be verified."""
        return len(self._asked)

    def check(self) -> None:
        """No image that was verified was fetched again, and the cap was held, and reached."""
        counts = self._counts()
        assert self._asked
        assert {name: counts[name] for name in self._asked} == self._asked
        assert self._server.most_connected == CAP

    def _counts(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for path, count in list(self._server.log.items()):
            counts[path.rpartition("/")[2]] += count
        return counts


def _free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
        with suppress(OSError, OverflowError):
            for number in range(port, port + count):
                with socket.socket() as other:
                    other.bind(("127.0.0.1", number))
            return port


def twin(project: Project, folder: Path) -> Project:
    """A copy of a campaign."""
    shutil.copytree(project.folder, folder, copy_function=shutil.copy2, symlinks=True)
    copy = object.__new__(Project)
    copy.folder, copy.config = folder, deepcopy(project.config)
    return copy


def use(project: Project, server: StandIn) -> None:
    """Turn a campaign into one of saved pages, of all its wavelengths, and this server."""
    pages = project.folder / "export_pages"
    pages.mkdir()
    for event in project.read_events():
        window = event.window_start, event.window_end, project.config["wavelengths"]
        page = server.page(str(window_recordset(EUV, *window)))
        (pages / f"{event.event_id}.html").write_text(page)
    project.configure(archive={"kind": "jsoc", "data_url": server.url, "connections": CAP})


def test_the_default_campaign_on_two_nodes(
    cluster: Cluster, serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    project = Project(tmp_path / "campaign")
    project.config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    project.configure(
        archive={"frame_size": 128}, wavelengths=[131, 171],
        window={"pre": "2m", "post": "2m"}, sample={"pre": 4, "post": 4},
    )  # fmt: skip
    project.events(ONE_FLARE)
    server = serve(
        flares=[event.flare for event in project.read_events()],
        faults=[Fault("stall", seconds=0.1)],
    )
    use(project, server)
    locally = twin(project, tmp_path / "locally")
    locally.run()
    fetched = dict(server.log)
    server.log.clear()
    server.most_connected = 0

    run = cluster.run(project)
    Watch(project, server).until(run.ended, run)
    assert project.data_set() == locally.data_set()
    assert dict(server.log) == fetched
    assert set(fetched.values()) == {1}
    assert server.most_connected == CAP
    assert run.submitted() == {"list": 2, "download": 2, "event": 2, "data": 1}
    assert cluster.states() == {"COMPLETED": 7}
    assert {job["NodeList"] for job in cluster.ended()} == {"c1", "c2"}
