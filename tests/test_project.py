"""The project's own files: they agree with each other and name no registry host."""

import os
import re
import sys
from pathlib import Path

import pytest
from support import loaded
from support.project import ROOT

from flareset.campaign.code import SCRIPTS, imported

STEPS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


# Runs a script with its arguments, and tells in another file which of our modules it loaded.
TELLING = """
import atexit, pathlib, runpy, sys
def tell():
    ours = [m.__file__ for n, m in sys.modules.items() if n.startswith("flareset")]
    pathlib.Path("loaded").write_text("\\n".join(ours))
atexit.register(tell)
sys.argv.pop(0)
sys.path[0] = str(pathlib.Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("step", STEPS)
def test_every_script_has_help_and_its_sources_are_all_it_imports(
    step: str, tmp_path: Path
) -> None:
    telling = tmp_path / "telling.py"
    telling.write_text(TELLING)
    command = [sys.executable, str(telling), str(SCRIPTS / f"{step}.py"), "--help"]
    done = loaded.run(command, tmp_path, os.environ)
    assert done.returncode == 0, done.stdout
    assert f"usage: {step}.py" in done.stdout
    imports = {Path(name).resolve() for name in (tmp_path / "loaded").read_text().splitlines()}
    assert imports
    # A package's __init__ is loaded with any module of it; ours hold a sentence and the version.
    tracked = {path.resolve() for path in imported(step, rehearsal=True)}
    assert {path for path in imports if path.name != "__init__.py"} <= tracked


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


def test_a_test_that_hangs_fails(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) <= 600
    hanging = "import threading\n\ndef test_that_hangs(): threading.Event().wait(60)\n"
    (tmp_path / "test_hanging.py").write_text(hanging)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout=0.5"]
    done = loaded.run(command, tmp_path, os.environ)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "Timeout" in done.stdout
