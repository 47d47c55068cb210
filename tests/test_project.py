"""The project's own files: they agree with each other and name no registry host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from flareset.campaign.code import SCRIPTS, imported

STEPS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.mark.parametrize("step", STEPS)
def test_every_script_runs_by_hand(step: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{step}.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


@pytest.mark.parametrize("step", STEPS)
def test_the_sources_of_a_script_are_all_it_imports(step: str) -> None:
    """Run the imports in a fresh Python and look at what was loaded."""
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='imported');"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('flareset')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SCRIPTS / f"{step}.py")],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(SCRIPTS), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    loaded = {Path(name).resolve() for name in done.stdout.split()}
    tracked = {path.resolve() for path in imported(step, rehearsal=True)}
    # A package's __init__ is loaded with any module of it; ours hold a sentence and the version.
    assert {path for path in loaded if path.name != "__init__.py"} <= tracked


def pins(text: str) -> set[str]:
    return set(re.findall(r"^(?: *- \")?([\w.-]+==[\w.]+)", text, re.MULTILINE))


def test_conda_installs_the_same_pins() -> None:
    locked = pins((ROOT / "envs/requirements.txt").read_text())
    assert len(locked) > 40
    assert pins((ROOT / "envs/flareset.yaml").read_text()) == locked
    assert locked <= pins((ROOT / "envs/requirements-dev.txt").read_text())


def test_the_lock_has_all_that_the_project_asks_for() -> None:
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = {pin.partition("==")[0] for pin in pins((ROOT / "envs/requirements.txt").read_text())}
    assert {re.split(r"[ <>=]", name)[0] for name in wanted} <= locked


def test_no_registry_host_is_named() -> None:
    for path in (ROOT / "envs").iterdir():
        assert "://" not in path.read_text(), path
