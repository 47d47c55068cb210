"""What flareset and other tools do with each fault of a server, as a page of Markdown.

Every tool runs in a process and a folder of its own against a stand-in that has one fault; the
verdict comes from the bytes under the final names and from what the tool reported.

Run: .venv/bin/python benchmarks/faults.py --out docs/faults.md
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from shutil import copytree, rmtree
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from stages import draw_command

from flareset import __version__
from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS
from flareset.standin.server import Fault, StandIn, running

RECORDSET = "aia.lev1_euv_12s[2014-01-07T18:00:00Z/48s][131]{image}"
EVENTS = """event_id,event_starttime,event_endtime,jsoc_start_time,jsoc_end_time
e,2014-01-07 18:00:10,2014-01-07 18:00:40,2014-01-07 18:00:00,2014-01-07 18:00:48
"""
FRAME = 1024  # pixels a side
LIMIT = 180  # seconds; a run that takes longer is stopped
DISK, MEMORY = 300 * 10**6, 10**9  # bytes; a run that takes more is stopped
RESERVED = 3 * 10**9  # bytes; no file can be made larger
AT_ONCE = 16
ALWAYS = 10**9
FOREVER = 1e5  # seconds
PATIENCE = "60s"

DRMS = f"""
import sys, drms
server = drms.ServerConfig(
    name="stand-in", cgi_baseurl=sys.argv[1] + "/cgi-bin/ajax/", cgi_show_series="show_series",
    cgi_jsoc_info="jsoc_info", cgi_jsoc_fetch="jsoc_fetch", cgi_check_address="checkAddress.sh",
    http_download_baseurl=sys.argv[1] + "/")
request = drms.Client(server=server).export(
    "{RECORDSET}", email="someone@example.edu", method="url", protocol="fits",
    filenamefmt="{{seriesname}}.{{T_REC:A}}.{{WAVELNTH}}.{{segment}}")
request.wait(sleep=1)
files = request.download(".")
sys.exit(int(files["download"].isna().any()))
"""
PARFIVE = """
import sys
from parfive import Downloader
downloader = Downloader(max_conn=1, max_splits=1, progress=False)
for url in open("urls.txt").read().split():
    downloader.enqueue_file(url, path=".", max_splits=1)
sys.exit(len(downloader.download().errors))
"""
REQUESTS = """
import requests
for url in open("urls.txt").read().split():
    open(url.split("/")[-1], "wb").write(requests.get(url).content)
"""
WGET = "wget -q --tries=3 --timeout=30 -i urls.txt"
ARIA2C = "aria2c -q --max-tries=3 --timeout=30 -j 2 -i urls.txt"


class Ours:
    """The stage `download` of a campaign that lists a saved export page and draws from it."""

    def __init__(self, folder: Path) -> None:
        self.job = folder / "e" / "131"
        self.job.mkdir(parents=True)
        (folder / "events.csv").write_text(EVENTS)
        archive = {"kind": "jsoc", "data_url": "http://127.0.0.1", "patience": PATIENCE}
        campaign = Campaign(
            {"events": str(folder / "events.csv"), "archive": archive, "fetch": "all"}
        )
        self.environment = campaign.environment()
        self.settings = folder / "download.json"
        self.settings.write_text(campaign.settings("download"))
        (folder / "list.json").write_text(campaign.settings("list"))
        (self.job.parent / "event.json").write_text(campaign.events["e"].to_json())
        (folder / "page.html").write_text(StandIn(frame_size=FRAME).page(RECORDSET))
        into = [("listing", "listing.csv"), ("records", "records.csv"), ("facts", "export.json")]
        listing = [
            *(sys.executable, str(SCRIPTS / "list.py"), "--wavelength", "131"),
            *("--event", str(self.job.parent / "event.json"), "--store", str(folder / "store")),
            *("--page", str(folder / "page.html"), "--settings", str(folder / "list.json")),
            *("--data-url", "http://127.0.0.1"),
            *(word for name, file in into for word in (f"--{name}", str(self.job / file))),
        ]
        for command in (listing, draw_command(campaign, self.job)):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(self.job / "listing.csv", encoding="utf-8") as file:
            self.paths = [urlsplit(row["url"]).path for row in csv.DictReader(file)]

    def command(self, server: str) -> list[str]:
        """The command line, as the rule `download` has it, from the folder of a run."""
        return [
            *(sys.executable, str(SCRIPTS / "download.py"), "--job", "e/131", "--store", "store"),
            *("--settings", str(self.settings), "--data-url", server),
            *("--cgi-url", f"{server}/cgi-bin/ajax/"),
            *("--manifest", "manifest.csv", "--ledger", "ledger.csv"),
        ]


@dataclass(frozen=True)
class Tool:
    """A tool: its command line for a server, `again` where that differs after a kill, and how many
    requests it sends for one file."""

    name: str
    version: str
    command: Callable[[str], list[str]]
    shown: str
    again: Callable[[str], list[str]] | None = None
    requests: int = 1


def tools(ours: Ours) -> list[Tool]:
    """Ours and its peers; a column each."""

    def python(program: str, server: str) -> list[str]:
        return [sys.executable, "-c", program, server]

    def words(line: str, _: str) -> list[str]:
        return shlex.split(line)

    def of_program(name: str) -> str:
        done = subprocess.run([name, "--version"], check=True, capture_output=True, text=True)
        found = re.search(r"\d[\d.]+", done.stdout)
        assert found
        return found[0]

    shown = (
        "scripts/download.py --job e/131 --store store --settings … --data-url …"
        f" --manifest manifest.csv --ledger ledger.csv\n"
        f"# as the rule download runs it: fetch: all, archive.patience: {PATIENCE}, else defaults"
    )
    return [
        Tool("flareset", __version__, ours.command, shown),
        Tool("drms", version("drms"), partial(python, DRMS), DRMS),
        # HEAD, GET where that is refused, and GET of the bytes.
        Tool("parfive", version("parfive"), partial(python, PARFIVE), PARFIVE, requests=3),
        Tool("requests loop", version("requests"), partial(python, REQUESTS), REQUESTS),
        Tool("wget", of_program("wget"), partial(words, WGET), WGET, partial(words, f"{WGET} -c")),
        Tool(
            "aria2c",
            of_program("aria2c"),
            partial(words, ARIA2C),
            ARIA2C,
            partial(words, f"{ARIA2C} -c"),
        ),
    ]


@dataclass(frozen=True)
class Row:
    """A fault: the stand-in's kind and its settings; `after_cut` where it needs a resume to show,
    `slow` where tools wait for their time-outs."""

    name: str
    kind: str
    more: dict[str, Any] = field(default_factory=dict)
    after_cut: bool = False
    slow: bool = False

    def faults(self, name: str, requests: int, times: int) -> list[Fault]:
        """The faults of one file for a tool that sends so many requests for it."""
        pattern, skip = re.escape(name) + "$", requests if self.after_cut else 0
        cut = [Fault("cut", pattern, times=skip)] if skip else []
        return [*cut, Fault(self.kind, pattern, times=times, skip=skip, **self.more)]


ROWS = [
    Row("HTTP 503", "status", {"code": 503}),
    Row("HTTP 429, `Retry-After: 3`", "status", {"code": 429, "retry_after": 3}),
    Row("HTTP 404", "status", {"code": 404}),
    Row("an HTML page, HTTP 200", "html"),
    Row("an HTML page, padded with NUL to the right size", "padded"),
    Row("a redirect to an HTML page", "redirect", {"text": "/"}),
    Row("a redirect to itself", "redirect"),
    Row("no bytes, HTTP 200", "empty"),
    Row("cut at half of `Content-Length`", "cut"),
    Row("cut at half, no `Content-Length`", "cut_unannounced"),
    Row("cut at half, chunked", "cut_chunked"),
    Row("reset at half", "reset"),
    Row("no answer", "stall", {"seconds": FOREVER}, slow=True),
    Row("stands still at half", "stall_body", {"seconds": FOREVER}, slow=True),
    Row("8 bytes a second", "trickle", slow=True),
    Row("one bit of the data flipped", "flip"),
    Row("one character of the header changed", "card"),
    Row("another record's image", "other"),
    Row("the record's spikes", "spikes"),
    Row("junk behind it, in `Content-Length`", "trailing"),
    Row("junk behind it, not in `Content-Length`", "longer"),
    Row("gzip that nobody asked for", "gzip"),
    Row("1 TiB, announced", "big"),
    Row("1 TiB, no `Content-Length`", "big_unannounced"),
    Row("cut; then `Range` is ignored", "no_range", after_cut=True),
    Row("cut; then another range than asked", "wrong_range", after_cut=True),
    Row("cut; then the file is another, with a new `ETag`", "changed", after_cut=True),
    Row("cut; then it is another, with the old `ETag`", "changed_silent", after_cut=True),
]
KILLED = Row("killed at half, then run again", "stall_body", {"seconds": FOREVER}, slow=True)


@dataclass(frozen=True)
class Run:
    """A folder with what a tool needs, and the server that it is run against."""

    server: StandIn
    folder: Path
    environment: dict[str, str]
    limit: int

    def start(self, command: list[str]) -> psutil.Popen:
        """Run a tool in the folder."""
        with open(self.folder / "said.txt", "ab") as said:
            return psutil.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def finish(self, process: psutil.Popen) -> int | str:
        """The exit status, or what the tool was stopped for."""
        deadline = time.monotonic() + self.limit
        while process.poll() is None:
            if stop := self._stop(process, deadline):
                process.kill()
                process.wait()
                return stop
            time.sleep(0.1)
        reserved = process.returncode == -signal.SIGXFSZ
        return "fills the disk" if reserved else process.returncode

    def _stop(self, process: psutil.Popen, deadline: float) -> str:
        with suppress(psutil.NoSuchProcess):
            if process.memory_info().rss > MEMORY:
                return "fills the memory"
        with suppress(FileNotFoundError):
            if sum(p.stat().st_blocks * 512 for p in self.folder.rglob("*")) > DISK:
                return "fills the disk"
        return f"over {self.limit} s" if time.monotonic() > deadline else ""

    def requests(self, name: str) -> int:
        """How many requests for a file of this name have come."""
        return sum(n for path, n in self.server.log.items() if path.endswith(f"/{name}"))


class Bench:
    """All that the runs share: our job, the servers, the four files and their right bytes."""

    def __init__(self, folder: Path, stack: ExitStack, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.ours = Ours(folder / "ours")
        self.paths = self.ours.paths
        assert len(self.paths) == 4, self.paths
        self.bad = Path(self.paths[1]).name
        self.environment = {**os.environ, **self.ours.environment, "no_proxy": "127.0.0.1"}
        # A server draws its images once, so it serves one run after the other.
        self.servers: SimpleQueue[StandIn] = SimpleQueue()
        for _ in range(AT_ONCE):
            self.servers.put(stack.enter_context(running(StandIn(frame_size=FRAME))))
        self.right: dict[str, set[bytes]] = {Path(path).name: set() for path in self.paths}
        # A file that has changed is right as well, if it is whole.
        for faults in ([], [Fault("changed", self.bad)]):
            with self.run(faults) as run:
                for path in self.paths:
                    content = requests.get(run.server.url + path, timeout=60).content
                    self.right[Path(path).name].add(content)

    @contextmanager
    def run(self, faults: list[Fault]) -> Iterator[Run]:
        """A fresh folder, and a server with these faults."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        server = self.servers.get()
        server.faults[:] = faults
        server.log.clear()
        (folder / "urls.txt").write_text("".join(f"{server.url}{p}\n" for p in self.paths))
        copytree(self.ours.job.parent, folder / "e")
        try:
            yield Run(server, folder, self.environment, self.limit)
        finally:
            self.servers.put(server)
            rmtree(folder)

    def faulty(self, row: Row, tool: Tool, times: int) -> str:
        """What a tool makes of a fault that holds for so many of its tries."""
        with self.run(row.faults(self.bad, tool.requests, times * tool.requests)) as run:
            begun = time.monotonic()
            end = run.finish(run.start(tool.command(run.server.url)))
            verdict = self.verdict(run, end)
            if row.slow and isinstance(end, int):
                verdict += f", {time.monotonic() - begun:.0f} s"
            return told(row, tool, run, verdict)

    def killed(self, row: Row, tool: Tool) -> str:
        """What a tool makes of its own leavings after a SIGKILL."""
        with self.run(row.faults(self.bad, tool.requests, ALWAYS)) as run:
            process = run.start(tool.command(run.server.url))
            while not run.requests(self.bad) and process.poll() is None:
                time.sleep(0.1)
            time.sleep(5)  # for what was sent to reach the disk
            assert process.poll() is None, f"{tool.name} ended before it was killed"
            process.kill()
            process.wait()
            run.server.faults.clear()
            again = tool.again or tool.command
            end = run.finish(run.start(again(run.server.url)))
            return told(row, tool, run, self.verdict(run, end))

    def verdict(self, run: Run, end: int | str) -> str:
        """What lies under the final names, and what the tool said of it."""
        states = {name: self.state(run.folder, name) for name in self.right}
        bad = states.pop(self.bad)
        if isinstance(end, str):
            word = f"**{end}**"
        elif bad == "right":
            word = "right" if end == 0 else "right, says error"
        elif end == 0:
            word = f"**{bad}, says fine**"
        else:
            word = "refused" if bad == "missing" else "wrong, says error"
        # Of a tool that was stopped, nothing can be said of the others.
        lost = 0 if isinstance(end, str) else sum(s != "right" for s in states.values())
        copies = any(re.search(r"\.fits\.\d+$", path.name) for path in run.folder.rglob("*"))
        return word + (f"; {lost} others lost" if lost else "") + ("; copies" if copies else "")

    def state(self, folder: Path, name: str) -> str:
        """`right`, `wrong` or `missing`, by what lies under a file's name."""
        found = [path.read_bytes() for path in folder.rglob(name)]
        if not found:
            return "missing"
        return "right" if len(found) == 1 and found[0] in self.right[name] else "wrong"


def told(row: Row, tool: Tool, run: Run, verdict: str) -> str:
    """A verdict, after it was shown with the end of what the tool said."""
    said = " ".join((run.folder / "said.txt").read_text(errors="replace").split())
    sys.stderr.write(f"{row.name}: {tool.name}: {verdict}: ...{said[-200:]}\n")
    return verdict


LEGEND = """\
One of the four files has the fault; the words tell what became of it.

- **right**: the right bytes lie under the file's name, and the tool reports success.
- **refused**: nothing lies under the file's name, and the tool reports an error.
- **wrong, says fine**: other bytes lie under the file's name, and the tool reports success.
- **wrong, says error**: other bytes lie under the file's name, and the tool reports an error.
- **missing, says fine**: nothing lies under the file's name, and the tool reports success.
- **over {limit} s**: the tool was still running then, and was killed.
- **fills the disk**: the tool was killed when its files had {disk} MB, or when it
  reserved {reserved} MB at once.
- **fills the memory**: the tool was killed when it had {memory} MB of memory.
- **others lost**: files without a fault that are not there, since the tool ended early.
- **copies**: files that were there already were fetched again under another name.

A number of seconds is how long the tool took in all, where it had to wait: flareset and drms give a
connection 60 s by default, parfive 90 s, wget and aria2c the 30 s of their command lines, requests
has no limit. A fault of one try holds for the first request for a file; parfive sends up to
three (HEAD, GET where that is refused, GET of the bytes), and all are struck. The faults that begin
with a cut are for tools that go on where they were cut off; others see the cut alone. Where a file
changes, either version is right if it is whole.
"""


def table(rows: list[list[str]]) -> str:
    """Rows as a table of Markdown, the first one its head."""
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(
    tables: dict[str, list[list[str]]], columns: list[Tool], limit: int, seconds: float
) -> str:
    """The page: how it was made, the tables, the words, the command lines."""
    versions = ", ".join(f"{tool.name.split()[0]} {tool.version}" for tool in columns)
    made = (
        f"Made on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} minutes by"
        " `python benchmarks/faults.py --out docs/faults.md`, which runs every tool in a process"
        " and an empty folder of its own against the stand-in archive (`scripts/standin.py`). Each"
        " fetches the same four images; the second has the fault. The words come from the bytes"
        " that lie under the files' names afterwards, compared with the right ones, and from the"
        f" exit status. Versions: {versions}, Python {sys.version.split()[0]}."
    )
    parts = ["# What tools do with a server's faults", made]
    head = ["fault", *(tool.name for tool in columns)]
    for title, rows in tables.items():
        parts += [f"## {title}", table([head, *rows])] if rows else []
    most = {"disk": DISK // 10**6, "reserved": RESERVED // 10**6, "memory": MEMORY // 10**6}
    parts += ["## The words", LEGEND.format(limit=limit, **most).strip(), "## The command lines"]
    parts.append("`urls.txt` has the four links; Python runs by `python -c … <server's URL>`.")
    for tool in columns:
        again = "\n# after a kill: the same with -c" if tool.again else ""
        parts += [f"{tool.name}:", f"```\n{tool.shown.strip()}{again}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the page; without it, it is printed")
    parser.add_argument("--only", nargs="+", default=[""], help="kinds of faults to try")
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="seconds for a run (default: %(default)s)"
    )
    args = parser.parse_args()
    # A tool that reserves a TiB beforehand must not get it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVED, resource.RLIM_INFINITY))
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        ExitStack() as servers,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        bench = Bench(Path(folder), servers, args.limit)
        columns = tools(bench.ours)
        situations = {
            "The fault holds for one try": (ROWS, partial(bench.faulty, times=1)),
            "The fault stays": (ROWS, partial(bench.faulty, times=ALWAYS)),
            "The tool is killed": ([KILLED], bench.killed),
        }
        cases = [
            (title, row, judge)
            for title, (rows, judge) in situations.items()
            for row in rows
            if any(word in row.kind for word in args.only)
        ]
        # Those that wait go first, beside those that work.
        jobs = {
            (title, row.name): [pool.submit(judge, row, tool) for tool in columns]
            for title, row, judge in sorted(cases, key=lambda case: not case[1].slow)
        }
        tables = {title: [] for title in situations}
        for title, row, _ in cases:
            tables[title].append([row.name, *(job.result() for job in jobs[title, row.name])])
    text = page(tables, columns, args.limit, time.monotonic() - begun)
    if args.out:
        args.out.parent.mkdir(exist_ok=True)
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
