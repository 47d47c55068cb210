"""Make small faults in the pure modules, and see whether the unit tests notice.

    python tests/mutate.py --seed 1 2 3 --count 60
    python tests/mutate.py --only sdo/series --tests series times --count 0

Each fault is one comparison, operator, condition, number or truth value that is another. It is made
in memory: no file changes. The tests that reach its statement run in a fork, quickest first, until
one fails. What survives is printed with file, line and change; the exit status is 1 if more than
`--most` do. A survivor is a test to write, dead code, or a fault that changes nothing: EQUIVALENTS.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib.util
import os
import pickle
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FunctionType
from typing import Any, NoReturn

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "scripts/flareset"
# Pure modules: tables and texts in, tables and texts out.
MODULES = [
    *(
        "account",
        "candidates",
        "draw",
        "label",
        "ledger",
        "listing",
        "partition",
        "phases",
        "sample",
    ),
    *("summary", "campaign/events", "campaign/processing", "campaign/values"),
    *("sdo/checksum", "sdo/flares", "sdo/geometry", "sdo/keywords", "sdo/processing"),
    *("sdo/protocols", "sdo/quality", "sdo/recordset", "sdo/series", "sdo/times"),
    *("sources/export", "sources/export_rows", "sources/page", "sources/processing"),
    *("sources/query", "sources/records", "sources/rows"),
    *("tables/csv", "tables/listing", "tables/manifest", "tables/records", "tables/status"),
]
# Unit tests: none of them starts Snakemake.
UNITS = [
    *("answers", "attempts", "config", "direct", "draw", "events", "exposure", "fitscheck"),
    *("flare_lists", "geometry", "header", "keywords", "known", "label", "ledger", "listing"),
    *("matching", "partition", "phases", "processed", "processing", "quality", "records"),
    *("recordset", "sample", "series", "settings", "split", "summary", "times", "windows"),
    *("export_rows", "flares", "orders", "query", "values"),
]
# Tests that take more CPU time (s) are left out.
SLOW = 3.0
# What tests load besides our modules: loaded once, before the forks.
LOADED = ["astropy.io.fits", "bs4", "erfa", "hypothesis.strategies", "pandas", "requests"]
# A test of all modules at once.
EVERYWHERE = "tests/test_floors.py::test_plain_data_cannot_be_changed"
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
Change = Callable[[], None]


@dataclass
class Site:
    """A node of a module that can be made wrong in one way."""

    path: Path
    number: int  # among the sites of its module, equivalents included
    statement: int  # among the statements of its module
    line: int
    source: str  # of the lines on which the node stands
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(TESTS.parent)}:{self.line}: {self.was}  ->  {self.becomes}"


@dataclass(frozen=True)
class Equivalent:
    """A change that alters nothing which can be observed, and why.

    It stands in `module` (empty: any) on lines with `source`, and ends as `change` does.
    """

    module: str
    source: str
    change: str
    why: str

    def fits(self, site: Site) -> bool:
        """Return whether a site of the module is this equivalent."""
        return self.source in site.source and f" {site.was} -> {site.becomes}".endswith(self.change)


_MEEUS = "below the 0.01 degrees to which Meeus' formulas are good"
_FLOAT = "no float lies on the edge itself"
_SLOTS = "a whole number of slots away"
EQUIVALENTS = [
    Equivalent("", "zip(", "True -> False", "columns of one table have one length"),
    Equivalent("campaign/processing", "_MIDDLE) > pixels", ">= pixels", _FLOAT),
    Equivalent("campaign/values", "get_close_matches", "1 -> 2", "the first is taken"),
    Equivalent("campaign/values", "include_url", "False -> True", "the URL is not read"),
    Equivalent("label", "found = of_event", "True -> False", "the column is not taken"),
    Equivalent("phases", "_EPOCH = ", "1970 -> 1971", "a whole number of bins away"),
    Equivalent("phases", "_EPOCH = ", " 1 -> 2", "a whole number of bins away"),
    Equivalent("sample", "name[11:16]", "16 -> 17", "the name ends there, or has a colon"),
    Equivalent("summary", "round(", "2 -> 3", "a sum of hundredths"),
    Equivalent("summary", "timeout=10", "10 -> 11", "a time-out"),
    Equivalent("ledger", "if known[0] <=", "known[0] < time <= known[-1]", "an empty slot"),
    Equivalent(
        "sources/processing", "if beyond and", ">= geometry.solar_radius_arcsec(place.when)", _FLOAT
    ),
    Equivalent(
        "sources/processing", "longitude = round(", "turned - 180", "half a turn either way"
    ),
    Equivalent("sources/records", "quality_of(", "0 -> 1", "that is another bit"),
    Equivalent("sources/records", "real(row[", " 0 -> 1", "no channel is below 1"),
    Equivalent("sources/records", "real(row[", "1000000.0 -> 1000001.0", "no channel is so large"),
    Equivalent("sources/records", "if found[n] < 0", "found[n] <= 0", "is our own"),
    Equivalent("sources/records", "if found[n] < 0", " 0 -> 1", "is our own"),
    Equivalent("sdo/geometry", "_EPOCH = datetime(2010, 5, 1", "1 -> 2", "below the 0.3 % named"),
    Equivalent("sdo/geometry", "_PERIHELION = ", "247.0 -> 248.0", "below the 0.3 % named"),
    Equivalent("sdo/geometry", "_ARCSEC = ", "3600 -> 3601", "cancels out but for 0.001 arcsec"),
    Equivalent("sdo/geometry", "+ math.pi", "- math.pi", "whole turns are taken off"),
    Equivalent("sdo/geometry", "round(mean - (1", "360 -> 361", "is rounded"),
    Equivalent("sdo/geometry", "2398140.2270", "2398140.227 -> 2398141.227", "is rounded"),
    Equivalent("sdo/geometry", "if inside < 0", "inside <= 0", _FLOAT),
    Equivalent("sdo/geometry", "if near * distance < 1", "near * distance <= 1", _FLOAT),
    Equivalent("sdo/geometry", "35999.05029", "35999.05029 -> 36000.05029", _MEEUS),
    Equivalent("sdo/geometry", "0.004817 * century", "1.914602 + 0.004817 * century", _MEEUS),
    Equivalent("sdo/geometry", "0.000289", "- 0.000289 * math.sin(3 * anomaly)", _MEEUS),
    Equivalent("sdo/geometry", "0.000289", "3 * anomaly -> 3 / anomaly", _MEEUS),
    Equivalent("sdo/geometry", "0.000289", " 3 -> 4", _MEEUS),
    Equivalent("sdo/geometry", "node = 73.6667", "36525 -> 36526", _MEEUS),
    Equivalent("sdo/geometry", "node = 73.6667", "2396758.0 -> 2396759.0", _MEEUS),
    Equivalent("sdo/recordset", "if end < 0", "end < 0 -> end <= 0", "no bracket closes at 0"),
    Equivalent("sdo/recordset", "if end < 0", "0 -> 1", "no bracket closes at 0"),
    Equivalent("sdo/series", "_EPOCH = datetime(1977, 1, 1", "1977 -> 1978", _SLOTS),
    Equivalent("sdo/series", "_EPOCH = datetime(1977, 1, 1", "1 -> 2", _SLOTS),
    Equivalent("sdo/series", "_CENTRE = datetime(1993, 1, 1", "1993 -> 1994", _SLOTS),
    Equivalent("sdo/series", "_CENTRE = datetime(1993, 1, 1", "1 -> 2", _SLOTS),
    Equivalent("sdo/times", "erfa.dat(", "0.0 -> 1.0", "the fraction counts before 1972 only"),
]


@dataclass
class Module:
    """A module's syntax, its sites, and which statements run inside functions.

    Equivalents are no sites.
    """

    path: Path
    tree: ast.Module
    sites: list[Site] = field(default_factory=list)
    equivalents: list[Equivalent] = field(default_factory=list)
    within: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The module's name in MODULES."""
        return self.path.relative_to(PACKAGE).with_suffix("").as_posix()

    @cached_property
    def imports(self) -> set[str]:
        """The names of the package's modules from which the module imports."""
        found = (n for n in ast.walk(self.tree) if isinstance(n, ast.ImportFrom) and n.module)
        return {n.module.removeprefix("flareset.").replace(".", "/") for n in found}

    @classmethod
    def read(cls, path: Path) -> Module:
        """Read a module and find its sites."""
        text = path.read_text(encoding="utf-8")
        module, lines = cls(path, ast.parse(text)), text.splitlines()
        known = [each for each in EQUIVALENTS if each.module in (module.name, "")]
        number = 0
        for place, (statement, inner) in enumerate(statements(module.tree)):
            if inner:
                module.within.add(place)
            for node, change in changes(statement):
                was, source = ast.unparse(node), " ".join(lines[node.lineno - 1 : node.end_lineno])
                kind, before = node.__class__, dict(vars(node))
                change()
                site = Site(path, number, place, node.lineno, source, was, ast.unparse(node))
                node.__class__ = kind
                vars(node).clear()
                vars(node).update(before)
                equal = [each for each in known if each.fits(site)]
                module.equivalents += equal
                if not equal:
                    module.sites.append(site)
                number += 1
        return module

    def changed(self, site: Site) -> ast.Module:
        """Return the module's syntax with one site made wrong."""
        tree = deepcopy(self.tree)
        found = (c for statement, _ in statements(tree) for c in changes(statement))
        for number, (_, change) in enumerate(found):
            if number == site.number:
                change()
                return ast.fix_missing_locations(tree)
        raise AssertionError(site)

    def watched(self) -> ast.Module:
        """Return the module's syntax with a call of `_reached` before each statement."""
        tree = deepcopy(self.tree)
        numbers = {id(statement): n for n, (statement, _) in enumerate(statements(tree))}
        for node in ast.walk(tree):
            for name in ("body", "orelse", "finalbody"):
                if isinstance(block := getattr(node, name, None), list):
                    setattr(node, name, list(self._with_calls(block, numbers)))
        return ast.fix_missing_locations(tree)

    def _with_calls(self, block: list[ast.stmt], numbers: dict[int, int]) -> Iterator[ast.stmt]:
        for statement in block:
            number = numbers.get(id(statement))
            if number in self.within:
                call = f"__builtins__['_reached']({str(self.path)!r}, {number})"
                yield ast.copy_location(ast.parse(call).body[0], statement)
            yield statement


def statements(tree: ast.AST, inner: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield every statement, and whether it runs in a function rather than on import."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt):
            yield child, inner
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from statements(child, inner or function)


def changes(statement: ast.stmt) -> Iterator[tuple[ast.AST, Change]]:
    """Yield the nodes that belong to a statement itself and a change of each, made in place."""
    waiting = [child for child in ast.iter_child_nodes(statement) if not _apart(child)]
    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
        return
    if isinstance(statement, ast.If | ast.While):
        test = statement.test
        yield test, _becomes(test, lambda: ast.UnaryOp(ast.Not(), deepcopy(test)))
    annotation = getattr(statement, "annotation", None), getattr(statement, "returns", None)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring
    while waiting:
        node = waiting.pop(0)
        if node in annotation:
            continue
        yield from _changes_of(node)
        skipped = getattr(node, "annotation", None)
        inside = ast.iter_child_nodes(node)
        waiting[:0] = [child for child in inside if child is not skipped and not _apart(child)]


def _apart(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)


def _changes_of(node: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARED:
            yield node, lambda: setattr(node, "ops", [COMPARED[type(operator)]()])
        case ast.Compare(ops=[first, *others]) if type(first) in COMPARED:
            yield node, lambda: setattr(node, "ops", [COMPARED[type(first)](), *others])
        case ast.BinOp(op=operator) if type(operator) in OPERATED and not _text(node):
            yield node, lambda: setattr(node, "op", OPERATED[type(operator)]())
        case ast.BoolOp(op=operator):
            other = ast.Or if isinstance(operator, ast.And) else ast.And
            yield node, lambda: setattr(node, "op", other())
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield node, _becomes(node, lambda: deepcopy(operand))
        case ast.IfExp(body=body, orelse=orelse):
            yield node, lambda: (setattr(node, "body", orelse), setattr(node, "orelse", body))
        case ast.Constant(value=bool(value)):
            yield node, lambda: setattr(node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield node, lambda: setattr(node, "value", value + 1)


def _text(node: ast.BinOp) -> bool:
    """Return whether an operator joins texts, where another one is an error at once."""
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _becomes(node: ast.AST, made: Callable[[], ast.expr]) -> Change:
    """Return a change that makes a node another kind of node, in place."""

    def change() -> None:
        new = ast.copy_location(made(), node)
        node.__class__ = type(new)
        vars(node).clear()
        vars(node).update(vars(new))

    return change


class Loader(SourceFileLoader):
    """Loads a module from syntax that is given."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        super().__init__(name, str(path))
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._tree, self.get_filename(fullname), "exec")


class Finder(MetaPathFinder):
    """Finds some modules as syntax that is given, by their files."""

    def __init__(self, trees: dict[Path, ast.Module]) -> None:
        self._trees = {_name(path): (path, tree) for path, tree in trees.items()}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        del path, target
        if fullname not in self._trees:
            return None
        loader = Loader(fullname, *self._trees[fullname])
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


class Reached:
    """Notes, as a plugin of pytest, which statements each test reaches, and how long it takes.

    What is reached before the first test has the name "".
    """

    def __init__(self) -> None:
        self.now = ""
        self.by_statement: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.left_out: dict[str, str] = {}

    def note(self, path: str, number: int) -> None:
        """Note that a statement is reached."""
        self.by_statement[path, number].add(self.now)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.now, begin = item.nodeid, time.process_time()
        try:
            return (yield)
        finally:
            took = self.seconds[self.now] = time.process_time() - begin
            if took > SLOW:
                self.left_out.setdefault(self.now, "slow")
            self.now = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.left_out[report.nodeid] = report.outcome

    def add(self, other: Reached) -> None:
        """Add what other tests reach."""
        for place, names in other.by_statement.items():
            self.by_statement[place] |= names
        self.seconds |= other.seconds
        self.left_out |= other.left_out

    def on_import(self, site: Site, module: Module) -> bool:
        """Return whether a site's statement runs before the first test."""
        names = self.by_statement.get((str(site.path), site.statement), ())
        return site.statement not in module.within or "" in names

    def tests_of(self, site: Site, modules: dict[Path, Module]) -> list[str]:
        """Return the tests that reach a site: those of its module, then others, quickest first.

        What runs on import may show in the modules that import the site's, too.
        """
        module, own = modules[site.path], f"tests/test_{site.path.stem}.py"
        if not self.on_import(site, module):
            names = self.by_statement.get((str(site.path), site.statement), set())
        else:
            users = {str(m.path) for m in modules.values() if module.name in m.imports}
            paths = {str(site.path), *users}
            found = (each for (path, _), each in self.by_statement.items() if path in paths)
            names = set().union(*found)
            names |= {name for name in self.seconds if name.startswith((EVERYWHERE, own))}
        usable = names & (self.seconds.keys() - self.left_out.keys())
        return sorted(usable, key=lambda name: (not name.startswith(own), self.seconds[name], name))


class Fork:
    """A fork that does some work; its result comes by a pipe."""

    def __init__(self, work: Callable[[], Any], seconds: float) -> None:
        self.reader, writer = os.pipe()
        self.until = time.monotonic() + seconds
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            self._work(work, writer)
        os.close(writer)
        self._got = b""

    def _work(self, work: Callable[[], Any], writer: int) -> NoReturn:
        silence()
        try:
            result = work()
            with open(writer, "wb") as out:
                pickle.dump(result, out)
        finally:
            os._exit(0)

    def read(self) -> bool:
        """Read what there is; return whether that is all."""
        more = os.read(self.reader, 1 << 20)
        self._got += more
        return not more

    def end(self) -> Any:
        """End the fork and what it started; return its result, or None where there is none."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.reader)
        return pickle.loads(self._got) if self._got else None


def silence() -> None:
    """Let this process read nothing, and print to nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def start_no_python() -> None:
    """Let a test that starts a Python be skipped: a fault of this process is not in that one."""
    start = subprocess.Popen.__init__

    def guarded(popen: subprocess.Popen, args: Any, *others: Any, **named: Any) -> None:
        if sys.executable in ([args] if isinstance(args, str) else map(str, args)):
            pytest.skip("starts a Python")
        start(popen, args, *others, **named)

    subprocess.Popen.__init__ = guarded


def run_tests(names: list[str], *plugins: object) -> int:
    """Run tests; return the exit status of pytest."""
    import hypothesis

    start_no_python()
    hypothesis.settings.register_profile("mutated", deadline=None, database=None)
    with TemporaryDirectory() as folder:
        usual = ["-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", "--timeout=60"]
        seeded = ["--hypothesis-profile=mutated", "--hypothesis-seed=1", f"--basetemp={folder}/t"]
        os.chdir(TESTS.parent)
        return pytest.main([*usual, *seeded, *names], [*plugins])


def reached_by(modules: list[Module], files: list[str]) -> Reached:
    """Run tests once, in two forks; return which of them reach what."""

    def work(names: list[str]) -> Reached:
        import builtins

        reached = Reached()
        builtins._reached = reached.note
        sys.meta_path.insert(0, Finder({module.path: module.watched() for module in modules}))
        run_tests(names, reached)
        return reached

    found = Reached()
    forks = [
        Fork(lambda part=part: work(files[part::2]), 3600) for part in (0, 1) if files[part::2]
    ]
    for fork in forks:
        while not fork.read():
            pass
        part = fork.end()
        assert part, "the tests did not run"
        found.add(part)
    return found


def survivors(
    sites: list[Site],
    modules: dict[Path, Module],
    reached: Reached,
    try_it: Callable[[Site, list[str]], bool],
    jobs: int,
) -> Iterator[tuple[Site, str]]:
    """Try each site in a fork, some at once; yield what survives, and why.

    `try_it` returns whether all tests pass.
    """
    waiting, running = list(sites), {}
    while waiting or running:
        while waiting and len(running) < jobs:
            site = waiting.pop(0)
            if not (names := reached.tests_of(site, modules)):
                yield site, "no unit test reaches it"
                continue
            # A quick test often notices; where none does, all have to be quick enough.
            seconds = 60 + 10 * sum(reached.seconds[name] for name in names)
            fork = Fork(lambda s=site, n=names: try_it(s, n), seconds)
            running[fork.reader] = fork, site, len(names)
        ready, _, _ = select.select(list(running), [], [], 1)
        late = [key for key, (fork, *_) in running.items() if time.monotonic() > fork.until]
        for key in {*ready, *late}:
            fork, site, number = running[key]
            if key in late or fork.read():
                del running[key]
                # None where a fork hangs or dies: that is noticed.
                if fork.end():
                    yield site, f"{number} tests passed"


class Faults:
    """Makes faults, as a plugin of pytest, after it has found the tests, and runs them in forks.

    So our modules and the tests are loaded once. A fault is made in the code of living functions.
    """

    def __init__(
        self, modules: dict[Path, Module], each: Callable[[Callable[..., bool]], None]
    ) -> None:
        self._modules = modules
        self._each = each
        self._failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        ours = [found for found in gc.get_objects() if _is_ours(found)]
        self._functions = [found for found in ours if isinstance(found, FunctionType)]
        self._caches = [found for found in ours if hasattr(found, "cache_clear")]
        gc.freeze()
        self._each(self._try)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def _try(self, site: Site, names: list[str]) -> bool:
        module = self._modules[site.path]
        self._exchange(site.path, module.tree, module.changed(site))
        items = [self._items[name] for name in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                return False
        return True

    def _exchange(self, path: Path, old: ast.Module, new: ast.Module) -> None:
        codes = [list(_codes(compile(tree, str(path), "exec"))) for tree in (old, new)]
        other = {before: after for before, after in zip(*codes, strict=True) if before != after}
        for function in self._functions:
            function.__code__ = other.get(function.__code__, function.__code__)
        for cache in self._caches:
            cache.cache_clear()


def _is_ours(found: object) -> bool:
    """Return whether an object is a function of the package, or a cache of one."""
    known = isinstance(found, FunctionType | type(functools.cache(len)))
    return known and (found.__module__ or "").startswith("flareset.")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


class Trial:
    """The faults that are tried, and those that survive. What survives is printed at once."""

    def __init__(self, modules: dict[Path, Module], files: list[str], jobs: int) -> None:
        self._modules = modules
        self._files = files
        self._jobs = jobs
        self._reached = reached_by(list(modules.values()), files)
        self.left: list[Site] = []
        # Pytest gets nothing to print on.
        self.out = open(os.dup(1), "w", buffering=1)  # noqa: SIM115
        why = Counter(self._reached.left_out.values())
        without = ", ".join(f"{number} are left out ({each})" for each, number in why.items())
        print(
            f"{len(self._reached.seconds)} tests, of which {without or 'all count'}", file=self.out
        )

    def run(self, sites: list[Site]) -> None:
        """Make each fault, first those for which our modules have to be loaded anew."""
        anew = [s for s in sites if self._reached.on_import(s, self._modules[s.path])]
        self._try(anew, self._anew)
        others = [site for site in sites if site not in anew]
        silence()
        run_tests(self._files, Faults(self._modules, lambda loaded: self._try(others, loaded)))

    def _try(self, sites: list[Site], passes: Callable[[Site, list[str]], bool]) -> None:
        for site, why in survivors(sites, self._modules, self._reached, passes, self._jobs):
            self.left.append(site)
            print(f"{site}  ({why})", file=self.out)

    def _anew(self, site: Site, names: list[str]) -> bool:
        sys.meta_path.insert(0, Finder({site.path: self._modules[site.path].changed(site)}))
        return run_tests(["-x", *names]) == pytest.ExitCode.OK


def read_modules() -> dict[Path, Module]:
    """Read MODULES. Raise ValueError if one of EQUIVALENTS is none of their faults."""
    modules = {path: Module.read(path) for path in (PACKAGE / f"{n}.py" for n in MODULES)}
    used = {each for module in modules.values() for each in module.equivalents}
    if stale := [each for each in EQUIVALENTS if each not in used]:
        raise ValueError(f"no fault is {stale}")
    return modules


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="which faults are made")
    parser.add_argument("--count", type=int, default=60, help="how many by seed; 0 for all")
    parser.add_argument("--most", type=int, default=3, help="how many may survive by seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--only", nargs="*", default=[""], help="modules with such a text in names")
    parser.add_argument("--tests", nargs="*", default=UNITS, help="names of test files")
    args = parser.parse_args()
    for name in LOADED:
        importlib.import_module(name)
    sys.path[:0] = [str(PACKAGE.parent), str(TESTS)]

    begin = time.monotonic()
    modules = read_modules()
    tried = [m for m in modules.values() if any(text in m.name for text in args.only)]
    every = [site for module in tried for site in module.sites]
    count = min(args.count or len(every), len(every))
    samples = {seed: random.Random(seed).sample(range(len(every)), count) for seed in args.seed}
    sites = [every[place] for place in sorted(set().union(*samples.values()))]
    files = [*(f"tests/test_{name}.py" for name in args.tests), EVERYWHERE]
    trial = Trial(modules, files, args.jobs)
    print(f"{len(sites)} faults of {len(every)} possible ones", file=trial.out)
    trial.run(sites)
    numbers = [sum(every[place] in trial.left for place in places) for places in samples.values()]
    for seed, number in zip(samples, numbers, strict=True):
        print(f"seed {seed}: {number} of {count} faults survive", file=trial.out)
    print(f"{time.monotonic() - begin:.0f} s", file=trial.out)
    return int(max(numbers) > args.most)


if __name__ == "__main__":
    sys.exit(main())
