"""A fork of a loaded Python, beside a Python that starts anew."""

import subprocess
import sys
from pathlib import Path

import loaded
import pytest

TOLD = """
import os, sys
print(__name__, sys.argv, sys.path[0], os.getcwd(), sorted(os.environ.items()))
print(os.readlink("/proc/self/fd/0"), sorted(os.listdir("/proc/self/fd")), file=sys.stderr)
sys.stdout.flush()
os.kill(os.getpid(), 9) if "die" in sys.argv else sys.exit(3)
"""


@pytest.mark.parametrize("word", ["two words", "die"])
@pytest.mark.parametrize("way", ["script", "module"])
def test_a_fork_does_what_a_new_python_does(tmp_path: Path, way: str, word: str) -> None:
    script = tmp_path / "told.py"
    script.write_text(TOLD)
    command = [sys.executable, *([str(script)] if way == "script" else ["-m", "told"]), word]
    environment = {"PATH": "", "LC_ALL": "C.UTF-8", "WHO": "the test"}
    new = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    forked = loaded.run(command, tmp_path, environment)
    assert sorted(forked.stdout.splitlines()) == sorted(new.stdout.splitlines())
    assert forked.returncode == new.returncode == (-9 if word == "die" else 3)


def test_a_command_that_does_not_end(tmp_path: Path) -> None:
    def told(code: str) -> str:
        (tmp_path / "script.py").write_text(code)
        command = ["env", sys.executable, str(tmp_path / "script.py")]
        return loaded.run(command, tmp_path, {"PATH": ""}).stdout

    with pytest.MonkeyPatch.context() as hasty:
        hasty.setattr(loaded, "_LONGEST", 0.1)
        with pytest.raises(AssertionError, match=r"not done in 0\.1 s"):
            told("import time; time.sleep(3600)")
    assert told("print('the next')") == "the next\n"
