"""A function that is called in another process."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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
import os, time
from flareset.errors import VerificationError
def pid(): return os.getpid()
def refuse(text): raise VerificationError(text)
def slowly(answer, seconds): time.sleep(seconds); return answer
def tell(text): print(text, flush=True); return text
def make(): return lambda: "made"
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


def test_a_call_that_was_broken_off_answers_no_other_call(calls: object) -> None:
    aside = Aside(calls.slowly, 1)
    aside("loaded", 0)
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        aside("first", 1)
    assert aside("second", 0) == "second"


def interrupt(*_: object) -> None:
    """Act as Ctrl-C does."""
    raise KeyboardInterrupt


def test_what_a_function_prints_is_no_answer(calls: object) -> None:
    assert Aside(calls.tell, 1)("told") == "told"


def test_an_answer_that_cannot_be_sent_is_computed_here(
    calls: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert Aside(calls.make, 1)()() == "made"
    assert "a process that helps this one ended" in caplog.text


def test_calls_from_many_threads_get_their_own_answers(calls: object) -> None:
    aside = Aside(calls.slowly, 2)
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda n: aside(n, 0.01), range(40))) == list(range(40))
