"""A fork of a loaded Python, compared with a new Python."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import loaded

TOLD = """
import atexit, os, sys, threading, time
print(__name__, sys.argv, sys.path[0], os.getcwd(), sorted(os.environ.items()))
print(os.readlink("/proc/self/fd/0"), sorted(os.listdir("/proc/self/fd")), file=sys.stderr)
atexit.register(print, "at the end")
unflushed = open("unflushed", "w")
unflushed.write("left open")
threading.Thread(target=lambda: (time.sleep(0.1), print("from a thread"))).start()
def fall():
    match sys.argv[1]:
        case "die": sys.stdout.flush() or os.kill(os.getpid(), 9)
        case "fail": raise ValueError("as a test")
        case "interrupt": raise KeyboardInterrupt
        case "text": sys.exit("in so many words")
        case "number": sys.exit(-1)
        case "nothing": sys.exit()
fall()
sys.exit(3)
"""
CHILD = """
import os, sys
os.write(3, f"{os.getcwd()} {sys.argv[1:]} {os.environ['WHO']} {'pandas' in sys.modules}".encode())
"""
PARENT = """
import os, pathlib, subprocess, sys
os.environ["PATH"] = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
os.environ["WHO"] = "the parent"
words = "cd / && python {} 'two words' 3>&1 >/dev/null; echo = $?"
subprocess.run(["sh", "-c", words.format(sys.argv[1])])
"""
WAITING = """
import os, signal, sys, time
def told(*_):
    print("told", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, told)
print(os.getpid(), flush=True)
# Not in one: a signal that comes right before a sleep is told only after it.
for _ in range(600):
    time.sleep(0.1)
"""
PATH = {"PATH": os.environ["PATH"]}
# What a Python reads when it starts is as it is for the tests.
AS_HERE = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}


@pytest.mark.parametrize(
    "word", ["two words", "die", "fail", "interrupt", "text", "number", "nothing"]
)
@pytest.mark.parametrize("way", ["script", "module"])
def test_a_fork_does_what_a_new_python_does(tmp_path: Path, way: str, word: str) -> None:
    script = tmp_path / "told.py"
    script.write_text(TOLD)
    command = [sys.executable, *([str(script)] if way == "script" else ["-m", "told"]), word]
    environment = {"PATH": "", "LC_ALL": "C.UTF-8", "WHO": "the test", **AS_HERE}
    new = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    left = script.with_name("unflushed").read_text()
    assert left == ("" if word == "die" else "left open")
    forked = loaded.run(command, tmp_path, environment)
    assert sorted(forked.stdout.splitlines()) == sorted(new.stdout.splitlines())
    assert forked.returncode == new.returncode
    assert script.with_name("unflushed").read_text() == left


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write scripts by their names; return the path of the last."""

    def written(**scripts: str) -> str:
        for name, code in scripts.items():
            path = tmp_path / f"{name}.py"
            path.write_text(code)
        return str(path)

    return written


def test_what_a_fork_starts_is_a_fork(tmp_path: Path, write: Callable[..., str]) -> None:
    command = [sys.executable, write(child=CHILD, parent=PARENT), str(tmp_path / "child.py")]
    done = loaded.run(command, tmp_path, PATH | AS_HERE)
    assert done.stdout == "/ ['two words'] the parent True= 0\n"
    # What a Python reads when it starts: no fork could do as it says.
    (tmp_path / "parent.py").write_text(PARENT.replace("&& python", "&& PYTHONHASHSEED=1 python"))
    done = loaded.run(command, tmp_path, PATH | AS_HERE)
    assert done.stdout == "/ ['two words'] the parent False= 0\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_a_fork(write: Callable[..., str], number: signal.Signals) -> None:
    environment = {**os.environ, "PATH": f"{loaded.python('').parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        ["python", write(waiting=WAITING)], stdout=subprocess.PIPE, env=environment, text=True
    ) as client:
        fork = int(client.stdout.readline())
        assert fork != client.pid
        client.send_signal(number)
        said, _ = client.communicate(timeout=30)
    assert said == ("told\n" if number == signal.SIGTERM else "")
    assert client.returncode == (7 if number == signal.SIGTERM else -signal.SIGKILL)
    until = time.monotonic() + 30
    while os.path.exists(f"/proc/{fork}"):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_command_that_does_not_end(tmp_path: Path, write: Callable[..., str]) -> None:
    def told(code: str, longest: float) -> str:
        command = ["env", sys.executable, write(script=code)]
        return loaded.run(command, tmp_path, PATH | AS_HERE, longest).stdout

    with pytest.raises(AssertionError, match=r"not done in 0\.1 s"):
        told("import time; time.sleep(3600)", 0.1)
    assert told("print('the next')", 60) == "the next\n"
