"""A function that is called in another process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.project import ROOT

from flareset.errors import VerificationError
from flareset.system.aside import Aside

PARENT = """
import sys
sys.path[:0] = [{scripts!r}, {here!r}]
import calls
from flareset.system.aside import Aside
print(Aside(calls.pid, 1)(), flush=True)
import time
time.sleep(60)
"""
CALLS = """
import os
from flareset.errors import VerificationError
def pid(): return os.getpid()
def refuse(text): raise VerificationError(text)
def die(parent): os.getpid() == parent or os._exit(1); return "here"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a module that other processes find, too."""
    (tmp_path / "calls.py").write_text(CALLS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "calls", raising=False)
    import calls

    return calls


def test_a_process_answers_again_and_again(calls: object) -> None:
    aside = Aside(calls.pid, 1)
    assert aside() == aside() != os.getpid()


def test_an_error_is_raised_here(calls: object) -> None:
    with pytest.raises(VerificationError, match="no image"):
        Aside(calls.refuse, 1)("no image")


def test_a_process_that_dies_is_replaced(calls: object, caplog: pytest.LogCaptureFixture) -> None:
    aside = Aside(calls.die, 1)
    assert [aside(os.getpid()), aside(os.getpid())] == ["here", "here"]
    assert "a process that helps this one ended" in caplog.text


@pytest.mark.usefixtures("calls")
def test_it_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    code = PARENT.format(scripts=str(ROOT / "scripts"), here=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        helper = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while running(helper) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(helper)


def running(process: int) -> bool:
    """Return whether a process runs. A zombie, which nobody waits for, does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
