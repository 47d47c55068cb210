"""The Slurm profile on a real Slurm of two nodes, and what may befall a campaign on a cluster."""

from __future__ import annotations

import json
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
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support import loaded, needs
from support.project import ONE_FLARE, ROOT, Project
from support.stages import in_process

from flareset.standin.server import Fault, StandIn, running

pytestmark = pytest.mark.slurm
SCRIPT = ROOT / "tests/slurm.sh"
PROFILE = ROOT / "profiles/slurm"
PLUGIN = "snakemake_executor_plugin_slurm"
EVENT = "2014-01-07T180534"
WAVELENGTHS = [131, 171, 193]
CAP = 2


@pytest.fixture(scope="session")
def plugins() -> str:
    """Return where Snakemake finds its Slurm plugin; the test is skipped without, but never in CI.

    The plugin makes each start of Snakemake slower, so it has a folder of its own.
    """
    place = Path(sys.prefix) / "cluster"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    daemons = ("slurmctld", "slurmd", "munged")
    lacking = [name for name in daemons if not shutil.which(name, path=path)]
    if not (place / PLUGIN).is_dir() and not find_spec(PLUGIN):
        lacking.append(PLUGIN)
    if lacking:
        needs.skip(f"{', '.join(lacking)} missing: see `make cluster` and tests/slurm.sh install")
    return str(place)


@pytest.fixture
def cluster(plugins: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a Slurm of this test's own."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), plugins)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Cluster:
    """Two nodes, c1 and c2, of two processors each."""

    def __init__(self, folder: Path, plugins: str) -> None:
        self.folder = folder
        self._port = _free_ports(3)
        self._runs: list[Run] = []
        show = f'eval "$({SCRIPT} env {folder})" && exec env -0'
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
        """SIGKILL to slurmctld, slurmd.c1 or slurmd.c2."""
        os.kill(int((self.folder / f"{daemon}.pid").read_text()), signal.SIGKILL)

    def call(self, *command: str) -> str:
        """Return what one of Slurm's commands prints."""
        return subprocess.check_output(command, env=self.env, text=True, timeout=60)

    def queue(self, state: str) -> dict[str, int]:
        """Return the downloads that are in this state: numbers of their jobs, and wavelengths."""
        lines = self.call("squeue", "-h", "-t", state, "-o", "%i_%k").splitlines()
        jobs = [line.split("_") for line in lines if "_rule_download_" in line]
        return {job: int(wavelength) for job, *_, wavelength in jobs}

    def node(self, job: str) -> str:
        """Return where a job runs."""
        return self.call("squeue", "-h", "-o", "%N", "-j", job).strip()

    def ended(self) -> list[dict[str, str]]:
        """Return JobState, NodeList and so on of the jobs that have ended."""
        log = self.folder / "jobs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]

    def states(self) -> Counter[str]:
        """Return the number of ended jobs by their state."""
        return Counter(job["JobState"] for job in self.ended())

    def run(self, project: Project, *args: str, python: str | Path = sys.executable) -> Run:
        """Begin a run of snakemake with the Slurm profile; its jobs run with the same Python."""
        self._runs.append(Run(self, project, args, python))
        return self._runs[-1]


class Run:
    """A run of snakemake that submits to Slurm.

    The status of jobs is asked for sooner than a cluster would like.
    """

    def __init__(
        self, cluster: Cluster, project: Project, args: tuple[str, ...], python: str | Path
    ) -> None:
        self._log = cluster.folder / f"run{time.monotonic_ns()}.log"
        snakemake = [str(python), "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
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
        """Return whether the run has ended. It must have ended without an error."""
        if self._process.poll() is None:
            return False
        assert self._process.returncode == 0, self.text
        return True

    def submitted(self) -> Counter[str]:
        """Return how often each rule or group was submitted."""
        return Counter(re.findall(r"/logs/slurm/(?:rule|group)_(\w+?)(?:/|_)", self.text))


class Watch:
    """Looks on while a campaign downloads: what is verified must not be fetched again."""

    def __init__(self, project: Project, server: StandIn) -> None:
        self._project, self._server = project, server
        self._asked: dict[str, int] = {}

    def until(self, happened: Callable[[], object], run: Run | None = None) -> None:
        """Wait until something has happened, which `run` must live to see."""
        deadline = time.monotonic() + 400
        while not happened():
            assert time.monotonic() < deadline, run and run.text
            assert run is None or not run.ended(), run.text
            new = self._project.stored() - self._asked.keys()
            counts = self._counts()
            self._asked.update({name: counts[name] for name in new})
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
    """Return the first of some ports in a row that nobody uses."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
        with suppress(OSError, OverflowError):
            for number in range(port, port + count):
                with socket.socket() as other:
                    other.bind(("127.0.0.1", number))
            return port


def test_the_status_of_a_job_that_was_cancelled(tmp_path: Path) -> None:
    # As Slurm's own puts it where there is a slurmdbd; its plugin knows CANCELLED alone.
    slurms = tmp_path / "sacct"
    slurms.write_text("#!/bin/sh\nprintf '7|CANCELLED by 1000\\n8|PREEMPTED\\n9|RUNNING\\n'\n")
    slurms.chmod(0o755)
    path = os.pathsep.join([str(PROFILE / "bin"), str(tmp_path), os.environ["PATH"]])
    asked = ["sacct", "-X", "--parsable2", "--format=JobIdRaw,State", "--name", "a-run"]
    said = subprocess.check_output(asked, env={**os.environ, "PATH": path}, text=True)
    assert said.splitlines() == ["7|CANCELLED", "8|CANCELLED", "9|RUNNING"]


def test_the_default_campaign_on_two_nodes(
    cluster: Cluster, plugins: str, serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    project = Project(tmp_path / "campaign")
    project.config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    project.configure(
        source="page",
        archive={"frame_size": 128}, wavelengths=[131, 171],
        window={"pre": "2m", "post": "2m"}, sample={"pre": 4, "post": 4},
    )  # fmt: skip
    project.events(ONE_FLARE)
    server = serve(
        flares=[event.flare for event in project.read_events()],
        faults=[Fault("stall", seconds=0.1)],
    )
    project.use(server)
    locally = project.copy(tmp_path / "locally")
    locally.run()
    fetched = dict(server.log)
    server.log.clear()
    server.most_connected = 0

    run = cluster.run(project, python=loaded.python(plugins))
    Watch(project, server).until(run.ended, run)
    assert project.data_set() == locally.data_set()
    assert dict(server.log) == fetched
    assert set(fetched.values()) == {1}
    assert server.most_connected == CAP
    assert run.submitted() == {"list": 2, "download": 2, "event": 2, "data": 1}
    assert cluster.states() == {"COMPLETED": 7}
    assert {job["NodeList"] for job in cluster.ended()} == {"c1", "c2"}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a campaign of one flare and three wavelengths that has been listed."""
    project = Project(tmp_path_factory.mktemp("listed") / "campaign", {"wavelengths": WAVELENGTHS})
    project.events(ONE_FLARE)
    # The exposure, which the flare shortens, moves the second in a file's name.
    flares = [event.flare for event in project.read_events()]
    with running(StandIn(frame_size=128, flares=flares)) as server:
        project.use(server)
        project.run("--until", "list")
    return project


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the results of that campaign after a rehearsal without any trouble."""
    folder = tmp_path_factory.mktemp("expected") / "campaign"
    project = Project(folder, {"wavelengths": WAVELENGTHS})
    project.events(ONE_FLARE)
    with pytest.MonkeyPatch.context() as patch:
        in_process(project, patch)
    return project.data_set()


@pytest.fixture
def slow(listed: Project, serve: Callable[..., StandIn]) -> StandIn:
    """Return a stand-in that is slow until its faults are cleared."""
    flares = [event.flare for event in listed.read_events()]
    return serve(flares=flares, faults=[Fault("stall", seconds=3)])


@pytest.fixture
def project(listed: Project, slow: StandIn, tmp_path: Path) -> Project:
    """Return a campaign of three downloads at the slow stand-in."""
    project = listed.copy(tmp_path / "campaign")
    project.configure(archive={"data_url": slow.url})
    return project


def test_jobs_that_are_killed(
    cluster: Cluster, project: Project, slow: StandIn, expected: dict[str, bytes]
) -> None:
    greedy, cancelled, stranded = WAVELENGTHS
    # Snakemake alone takes some 130 MB of the 200.
    run = cluster.run(
        project, "--until", "download", "--resources", "jsoc_download=3", "--set-resources",
        f"download:mem_mb=200 if (attempt, wildcards.wavelength) == (1, '{greedy}') else 2000",
    )  # fmt: skip
    watch = Watch(project, slow)
    watch.until(lambda: cluster.states()["FAILED"] + cluster.states()["OUT_OF_MEMORY"], run)
    watch.until(lambda: watch.verified > 4, run)
    jobs = {wavelength: job for job, wavelength in cluster.queue("RUNNING").items()}
    cluster.call("scancel", jobs[cancelled])
    watch.until(lambda: cluster.states()["CANCELLED"], run)
    node = cluster.node(jobs[stranded])
    cluster.call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    watch.until(lambda: cluster.states()["NODE_FAIL"], run)
    slow.faults.clear()
    watch.until(run.ended, run)
    watch.check()
    project.run("leaks", "audit")
    assert project.data_set() == expected


def test_jobs_that_a_killed_run_left_behind(
    cluster: Cluster, project: Project, slow: StandIn, expected: dict[str, bytes]
) -> None:
    cluster.call("scontrol", "update", "NodeName=c2", "State=DRAIN", "Reason=test")
    first = cluster.run(project, "--until", "download", "--resources", "jsoc_download=3")
    watch = Watch(project, slow)
    watch.until(lambda: len(cluster.queue("RUNNING")) == 2, first)
    watch.until(lambda: watch.verified > 2, first)
    first.kill()
    ((late, wavelength),) = cluster.queue("PENDING").items()
    cluster.call("scontrol", "hold", late)

    project.run("--unlock")
    second = cluster.run(project, "--until", "download", "--resources", "jsoc_download=3")
    watch.until(lambda: second.submitted()["download"] == 3, second)
    cluster.call("scontrol", "update", "NodeName=c2", "State=RESUME")
    watch.until(lambda: len(cluster.queue("RUNNING")) == 4, second)
    slow.faults.clear()
    # The one that has not begun does so when its successor is at work.
    watch.until(lambda: wavelength in cluster.queue("RUNNING").values(), second)
    cluster.call("scontrol", "release", late)
    watch.until(second.ended)
    watch.until(lambda: cluster.states() == {"COMPLETED": 6})
    watch.check()
    project.run()
    assert project.planned() == {}
    assert project.data_set() == expected


def test_slurm_away_a_node_lost_and_a_job_out_of_time(
    cluster: Cluster, project: Project, slow: StandIn, expected: dict[str, bytes]
) -> None:
    out_of_time, stranded, quick = WAVELENGTHS
    slow.faults[:] = [Fault("stall", f"[.]({out_of_time}|{stranded})[.]", seconds=8)]
    run = cluster.run(
        project, "--until", "download", "--resources", "jsoc_download=3", "--set-resources",
        f"download:runtime=1 if (attempt, wildcards.wavelength) == (1, '{out_of_time}') else 9",
        # The node that is lost has one of them alone.
        f"download:slurm_extra='--nodelist=c1' if (attempt, wildcards.wavelength) =="
        f" (1, '{stranded}') else '--nodelist=c2'",
    )  # fmt: skip
    watch = Watch(project, slow)
    watch.until(lambda: watch.verified and len(cluster.queue("RUNNING")) == 3, run)
    cluster.kill("slurmctld")
    back = time.monotonic() + 62
    # Jobs go on without slurmctld.
    manifest = project.path(f"results/events/{EVENT}/{quick}/manifest.csv")
    watch.until(lambda: time.monotonic() > back and manifest.exists(), run)
    own_log = max(project.path(".snakemake/log").iterdir())
    assert "(Rule: download)" not in own_log.read_text()
    cluster.start()
    # What runs on a node that is lost goes on, unknown to Slurm, beside what replaces it.
    assert stranded in cluster.queue("RUNNING").values()
    cluster.kill("slurmd.c1")
    watch.until(lambda: cluster.states()["TIMEOUT"] and cluster.states()["NODE_FAIL"], run)
    slow.faults.clear()
    watch.until(run.ended)
    watch.check()
    project.run("leaks", "audit")
    assert project.data_set() == expected


def test_nodes_without_a_way_out(
    cluster: Cluster, plugins: str, project: Project, slow: StandIn, expected: dict[str, bytes]
) -> None:
    slow.faults.clear()
    project.run("--until", "download")
    fetched = dict(slow.log)
    run = cluster.run(project, python=loaded.python(plugins))
    Watch(project, slow).until(run.ended, run)
    assert run.submitted() == {"event": 3, "data": 1}
    assert slow.log == fetched
    assert project.data_set() == expected


def test_what_may_not_be_in_a_job_script(
    plugins: str, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", plugins)
    monkeypatch.delenv("JSOC_EMAIL", raising=False)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    address = "jane.doe@example.org"
    project.configure(results="it's in $HOME", export_pages="it's here and $there")
    command = project.forked(
        "--executor", "cluster-generic", "--cluster-generic-submit-cmd", f"cp -t {scripts}",
        "--jobs", "1", "--config", f"archive={{email: {address}}}",
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "set JSOC_EMAIL in the environment" in said
    assert "results: it's in $HOME: on a cluster the shell of a job would change this path" in said
    assert "export_pages: it's here" in said
    assert not list(scripts.iterdir())
    assert address not in said


def test_words_of_a_shell_in_rows_and_paths_do_nothing_in_a_job(
    plugins: str, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A batch system that runs each job script at once, and keeps it."""
    monkeypatch.setenv("PYTHONPATH", plugins)
    address = "jane.doe@example.org"
    monkeypatch.setenv("JSOC_EMAIL", address)
    done = tmp_path / "done"
    words = f"$(touch {done}) `touch {done}`; touch {done} # ' \" \\ %s {{event}}"
    folder = f'$(touch {done.name}) `touch {done.name}`; touch {done.name} %s & "x"'
    header, row = ONE_FLARE.strip().splitlines()
    quoted = words.replace('"', '""')
    project.events(f'{header},note\n{row},"{quoted}"\n')
    project.configure(results=f"results {folder}", store=f"store {folder}")
    results = Path(f"results {folder}/events/{EVENT}")
    listed = results / "131/records.csv"
    submit = tmp_path / "submit"
    submit.write_text('#!/bin/sh\ncp "$1" "$0.scripts" && sh "$1" >> "$0.log" 2>&1\necho 1\n')
    submit.chmod(0o755)
    (tmp_path / "submit.scripts").mkdir()
    run = subprocess.run(
        project.forked(
            "--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit),
            "--jobs", "1", str(listed),
        ),
        capture_output=True,
        text=True,
        timeout=170,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert project.path(listed).stat().st_size > 1000
    event = json.loads(project.path(results / "event.json").read_text())
    assert event["columns"]["note"] == words
    (script,) = (tmp_path / "submit.scripts").iterdir()
    assert "list" in script.read_text()
    assert address not in script.read_text()
    assert not list(project.folder.rglob(done.name))
    assert not done.exists()
