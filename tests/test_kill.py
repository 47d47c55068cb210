"""A job killed while it downloads."""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest
from support.project import ONE_FLARE, Project

from flareset.standin.server import Fault, StandIn


@pytest.mark.parametrize("whole_run", [False, True], ids=["the job", "the whole run"])
def test_sigkill(project: Project, serve: Callable[..., StandIn], whole_run: bool) -> None:
    server = serve(faults=[Fault("stall", seconds=0.15)])
    project.events(ONE_FLARE)
    project.use(server)
    project.configure(fetch="all")
    project.run("--until", "draw")
    run = subprocess.Popen(
        project.command(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(project.stored()) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if whole_run:
        os.killpg(run.pid, signal.SIGKILL)
    else:
        jobs = psutil.Process(run.pid).children(recursive=True)
        for job in jobs:
            if (
                any(word.endswith("download.py") for word in job.cmdline())
                and "python" in job.name()
            ):
                job.kill()
    run.wait(timeout=60)

    for path in project.path("store").rglob("*.fits"):
        facts = json.loads(path.with_name(path.name + ".json").read_text())
        assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
    stored, fetched = project.stored(), dict(server.log)
    assert 6 <= len(stored) < 60

    server.faults.clear()
    if whole_run:
        project.run("--unlock")
    project.run()
    for path, count in server.log.items():
        if path.rpartition("/")[2] in stored:
            assert count == fetched[path], "a verified file was fetched again"
    assert [p for p in project.path("store").rglob("*.part*") if p.is_file()] == []
    project.run("verify")
