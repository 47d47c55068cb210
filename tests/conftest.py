"""The fixtures of the tests: a project in a temporary folder, a stand-in archive, the real data."""

from __future__ import annotations

import os
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

# How long an example takes says little on a machine that does other work as well.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


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
    if not needs.REAL.is_dir():
        needs.skip(f"{needs.REAL} is missing")
    return needs.REAL


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
