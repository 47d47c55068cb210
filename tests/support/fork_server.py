"""A Python that has loaded slow modules and forks for each command (see fork.py).

Run as `python fork_server.py SHIM`. The listening socket is standard input. SHIM is the program
that a fork takes for its Python, so that the Pythons that it starts are forks as well.
"""

from __future__ import annotations

import atexit
import gc
import io
import marshal
import os
import re
import runpy
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from fork import ANEW, PASSED_ON, read_at_start
from snakemake.sourcecache import LocalSourceFile

# Snakemake imports some of these only while it runs.
_LOADED = (
    *("snakemake.cli", "snakemake.benchmark", "snakemake.profiles"),
    *("snakemake.report.html_reporter", "graphlib", "platformdirs.unix"),
    *("jinja2", "jsonschema", "smart_open", "yte"),
    *("astropy.io.fits", "bs4", "erfa", "http.server"),
    *("pandas.io.formats.csvs", "PIL.Image", "pydantic", "requests"),
)
_ROOT = Path(__file__).parents[2]
_SCRIPTS = _ROOT / "scripts"
_KILL = bytes([signal.SIGKILL])


class Command(NamedTuple):
    """A command that a client sends."""

    words: list[str]
    folder: str
    environment: dict[str, str]
    descriptors: dict[int, int]  # numbers in the fork, and numbers here
    ignored: list[int]  # signals

    def close(self) -> None:
        """Close the descriptors that the client lent."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)


def serve(door: socket.socket) -> Command:
    """Fork for each command that a client sends. Return that command in the fork."""
    channels: dict[int, socket.socket] = {}  # by process
    ends: dict[int, int] = {}  # descriptors of processes, and the processes
    while True:
        ready, _, _ = select.select([door, *channels.values(), *ends], [], [])
        for process in [process for process, channel in channels.items() if channel in ready]:
            _pass_on(channels[process], process)
        for end in [end for end in ends if end in ready]:
            process = ends.pop(end)
            os.close(end)
            _, status = os.waitpid(process, 0)
            with channels.pop(process) as channel, suppress(OSError):
                channel.send(str(os.waitstatus_to_exitcode(status)).encode())
        if door not in ready:
            continue
        channel, _ = door.accept()
        if (command := _receive(channel)) is None:
            channel.close()
        elif process := os.fork():
            command.close()
            channels[process] = channel
            ends[os.pidfd_open(process)] = process
        else:
            for each in (door, channel, *channels.values()):
                each.close()
            for end in ends:
                os.close(end)
            return command


def _pass_on(channel: socket.socket, process: int) -> None:
    """Send a fork the signals that its client got, or SIGKILL if the client is gone."""
    try:
        numbers = channel.recv(64) or _KILL
    except ConnectionResetError:
        numbers = _KILL
    for number in numbers:
        os.kill(process, number)


def _receive(channel: socket.socket) -> Command | None:
    """Return a client's command; None if a fork would not do the same as a new Python."""
    head, received, *_ = socket.recv_fds(channel, 8, 8)
    length, asked = int.from_bytes(head, "big"), b""
    while len(asked) < length and (more := channel.recv(1 << 20)):
        asked += more
    if not length or len(asked) < length:
        for descriptor in received:
            os.close(descriptor)
        return None
    words, folder, environment, numbers, ignored = marshal.loads(asked)
    descriptors = dict(zip(numbers, received, strict=True))
    command = Command(words, folder, environment, descriptors, ignored)
    if read_at_start(environment) == read_at_start(os.environ):
        return command
    command.close()
    channel.send(ANEW)
    return None


def become(command: Command) -> None:
    """Bring this process into the state of a new Python that is to run a command."""
    for number, descriptor in command.descriptors.items():
        os.dup2(descriptor, number)
    for descriptor in set(command.descriptors.values()) - command.descriptors.keys():
        os.close(descriptor)
    for number in PASSED_ON:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in command.ignored else usual)
    os.environ.clear()
    os.environ.update(command.environment)
    time.tzset()
    os.chdir(command.folder)


def run(words: list[str]) -> int:
    """Run a script, or `-m` and a module; return the exit status, below 0 for a signal."""
    main = sys.modules["__main__"] = ModuleType("__main__")
    try:
        if words[0] == "-m":
            sys.path[0], sys.argv = os.getcwd(), words[1:]
            # As Python itself does.
            runpy._run_module_as_main(words[1])
        else:
            sys.path[0], sys.argv = os.path.dirname(os.path.abspath(words[0])), words
            main.__file__ = words[0]
            exec(compile(Path(words[0]).read_bytes(), words[0], "exec"), vars(main))
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return (ending.code or 0) & 0xFF
        print(ending.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001 - as Python does at its end
        below = error.with_traceback(error.__traceback__.tb_next)
        sys.excepthook(type(error), below, below.__traceback__)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def load_plugins() -> None:
    """Let Snakemake look for its plugins: it lists all folders of the search path for each kind."""
    for kind in ("executor", "logger", "report", "scheduler", "storage"):
        module = import_module(f"snakemake_interface_{kind}_plugins.registry")
        getattr(module, f"{kind.capitalize()}PluginRegistry")()


def load_rules() -> None:
    """Translate the Snakefile and its rules to Python. Snakemake does so anew if they differ."""
    workflow = import_module("snakemake.workflow")
    translate, translated = workflow.parse, {}

    def remembered(path: LocalSourceFile, flow: Any, linemap: dict, **given: Any) -> Any:
        with flow.sourcecache.open(path) as file:
            asked = path.get_path_or_uri(secret_free=True), file.read(), *given.items()
        if asked not in translated:
            lines: dict[int, int] = {}
            translated[asked] = translate(path, flow, linemap=lines, **given), lines
        answer, lines = translated[asked]
        linemap.update(lines)
        return answer

    def opened(path: LocalSourceFile) -> io.StringIO:
        return io.StringIO(Path(path.get_path_or_uri(secret_free=True)).read_text())

    flow = SimpleNamespace(sourcecache=SimpleNamespace(open=opened))
    included = re.findall(r'^include: "(.*)"', (_ROOT / "Snakefile").read_text(), re.MULTILINE)
    rules = 0
    for name in ("Snakefile", *included):
        _, rules = remembered(LocalSourceFile(str(_ROOT / name)), flow, {}, rulecount=rules)
    workflow.parse = remembered


def load_ours() -> None:
    """Load the modules of this project, and the sums of their code, which they keep."""
    sys.path.insert(0, str(_SCRIPTS))
    for path in sorted((_SCRIPTS / "flareset").rglob("[a-z]*.py")):
        import_module(".".join(path.relative_to(_SCRIPTS).with_suffix("").parts))
    code, run = (sys.modules[f"flareset.campaign.{name}"] for name in ("code", "run"))
    run.code_sum()
    for script in _SCRIPTS.glob("*.py"):
        code.modules(script.stem, rehearsal=True)
    sys.path.pop(0)


def draw_frames() -> None:
    """Draw all frames of the tests' small campaign. The stand-ins of a process share them."""
    sys.path[:0] = str(_SCRIPTS), str(_ROOT / "tests")
    from flareset.sdo.recordset import window_recordset
    from flareset.standin.catalogue import export
    from flareset.standin.frames import Frame, Frames
    from support.factories import EUV
    from support.project import Project

    with TemporaryDirectory() as folder:
        events = Project(Path(folder)).read_events()
    flares = [event.flare for event in events]
    frames = Frames(128, flares)
    for event in events:
        window = window_recordset(EUV, event.window_start, event.window_end, [131])
        for file in export(str(window), frames.size, flares).files:
            frames.statistics(Frame.of(file.name))
    del sys.path[:2]


def forget_ours(words: list[str]) -> None:
    """Forget this project's modules if a command is one of another copy of the code."""
    given = dict(pairwise(words)).get("--snakefile", "Snakefile")
    program = Path(os.path.abspath(given if words[0] == "-m" else words[0]))
    if not program.is_relative_to(_ROOT):
        for name in [name for name in sys.modules if name.partition(".")[0] == "flareset"]:
            del sys.modules[name]


def end(status: int, loaded: set[str]) -> NoReturn:
    """End this process as Python does, but without clearing modules loaded before the fork.

    Clearing them takes five times as long as the fork.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    for name in ("__main__", *(sys.modules.keys() - loaded)):
        vars(sys.modules.pop(name)).clear()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            print(f"Exception ignored in: {stream}\n{error!r}", file=sys.__stderr__)
            status = 120
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main() -> NoReturn:
    sys.executable = sys.argv[1]
    for name in _LOADED:
        import_module(name)
    load_plugins()
    load_rules()
    load_ours()
    draw_frames()
    # Loaded objects are never garbage, so that no fork looks at them.
    gc.freeze()
    loaded = set(sys.modules)
    command = serve(socket.socket(fileno=0))
    become(command)
    forget_ours(command.words)
    end(run(command.words), loaded)


if __name__ == "__main__":
    main()
