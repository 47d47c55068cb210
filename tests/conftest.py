"""The fixtures of the tests: a project in a temporary folder, a stand-in archive, the real data."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support import loaded, needs
from support.project import Project

from flareset.standin.server import StandIn, running
from flareset.system.locks import held

# A shell that starts the tests in the background lets them, and so their jobs, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No deadline: the time of an example says little on a busy machine.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests on Slurm first: they wait for minutes, in which the others run."""
    items.sort(key=lambda item: item.path.name != "test_slurm.py")


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test connect to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own folder in which processes share connections."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    """End the loaded Pythons after all tests."""
    yield
    loaded.end()


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of real artefacts. Without it the test is skipped, but in CI it fails."""
    if not needs.REAL.is_dir():
        needs.skip(f"{needs.REAL} is missing")
    return needs.REAL


@pytest.fixture
def serve() -> Iterator[Callable[..., StandIn]]:
    """Start a stand-in with the given arguments, and stop it after the test."""
    with ExitStack() as stack:
        yield lambda **kwargs: stack.enter_context(
            running(StandIn(**{"frame_size": 128, **kwargs}))
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a small campaign of two flares against the stand-in."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small campaign after a rehearsal. A test that changes it must take a copy."""
    return made_once("finished", tmp_path_factory, Project.run)


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small campaign after a run with saved pages and a server, which has ended."""

    def make(project: Project) -> None:
        with running(StandIn(frame_size=128)) as server:
            project.use(server)
            project.run()

    return made_once("fetched", tmp_path_factory, make)


def made_once(
    name: str, factory: pytest.TempPathFactory, make: Callable[[Project], object]
) -> Project:
    """Return the small campaign in a folder that all workers share. The first worker makes it."""
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
    # As deep as a test's own folder: Snakemake knows the scripts by their relative paths.
    return Project.at(top / name / "campaign")
