"""Make small faults in the pure modules, and see whether the unit tests notice.

    python tests/mutate.py --seed 1 --count 60

Each fault is one comparison, operator, condition, number or truth value that is another. It is made
in memory: no file changes. The tests that reach its statement run in a fork, quickest first, until
one fails. What survives is printed with file, line and change; the exit status is 1 if more than
`--most` do. A survivor is a test to write, or a fault that changes nothing (an equivalent).
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import pickle
import random
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
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
    *("recordset", "sample", "settings", "split", "summary", "times", "windows", "export"),
]
# What tests load besides our modules: loaded once, before the forks.
LOADED = ["astropy.io.fits", "bs4", "erfa", "hypothesis.strategies", "pandas", "requests"]
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
    number: int  # among the sites of its module
    statement: int  # among the statements of its module
    line: int
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(TESTS.parent)}:{self.line}: {self.was}  ->  {self.becomes}"


@dataclass
class Module:
    """A module's syntax, its sites, and which statements run inside functions."""

    path: Path
    tree: ast.Module
    sites: list[Site] = field(default_factory=list)
    within: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path) -> Module:
        """Read a module and find its sites."""
        module = cls(path, ast.parse(path.read_text(encoding="utf-8")))
        for number, (statement, inner) in enumerate(statements(module.tree)):
            if inner:
                module.within.add(number)
            for node, change in changes(statement):
                was = ast.unparse(node)
                kind, before = node.__class__, dict(vars(node))
                change()
                site = Site(path, len(module.sites), number, node.lineno, was, ast.unparse(node))
                node.__class__ = kind
                vars(node).clear()
                vars(node).update(before)
                module.sites.append(site)
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
    """Notes, as a plugin of pytest, which statements each test reaches, and how long it takes."""

    def __init__(self) -> None:
        self.now = ""
        self.by_statement: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def note(self, path: str, number: int) -> None:
        """Note that a statement is reached."""
        self.by_statement[path, number].add(self.now)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.now, begin = item.nodeid, time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[self.now] = time.monotonic() - begin
            self.now = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


class Fork:
    """A fork that runs tests with some modules changed; its result comes by a pipe."""

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
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
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


def run_tests(trees: dict[Path, ast.Module], names: list[str], plugin: object = None) -> int:
    """Run tests with some modules changed; return the exit status of pytest."""
    import hypothesis

    hypothesis.settings.register_profile("mutated", deadline=None, database=None)
    sys.meta_path.insert(0, Finder(trees))
    with TemporaryDirectory() as folder:
        usual = ["-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", "--timeout=60"]
        seeded = ["--hypothesis-profile=mutated", "--hypothesis-seed=1", f"--basetemp={folder}/t"]
        os.chdir(TESTS.parent)
        return pytest.main([*usual, *seeded, *names], [plugin] if plugin else [])


def reached_by(modules: list[Module]) -> Reached:
    """Run the unit tests once; return which tests reach what."""

    def work() -> tuple[dict, dict, list]:
        import builtins

        reached = Reached()
        builtins._reached = reached.note
        files = [str(TESTS / f"test_{name}.py") for name in UNITS]
        run_tests({module.path: module.watched() for module in modules}, files, reached)
        return dict(reached.by_statement), reached.seconds, reached.failed

    fork = Fork(work, 3600)
    while not fork.read():
        pass
    found = fork.end()
    assert found, "the unit tests did not run"
    reached = Reached()
    reached.by_statement.update(found[0])
    reached.seconds, reached.failed = found[1], found[2]
    return reached


def tests_of(site: Site, module: Module, reached: Reached) -> list[str]:
    """Return the tests that reach a site, quickest first."""
    if site.statement in module.within:
        names = reached.by_statement[str(site.path), site.statement]
    else:
        path = str(site.path)
        names = {
            name for (p, _), each in reached.by_statement.items() if p == path for name in each
        }
    usable = names & (reached.seconds.keys() - set(reached.failed))
    return sorted(usable, key=lambda name: (reached.seconds[name], name))


def survivors(
    sites: list[Site], modules: dict[Path, Module], reached: Reached, jobs: int
) -> Iterator[tuple[Site, str]]:
    """Run the tests of each site; yield what survives, and why."""
    waiting, running = list(sites), {}
    while waiting or running:
        while waiting and len(running) < jobs:
            site = waiting.pop(0)
            module = modules[site.path]
            if not (names := tests_of(site, module, reached)):
                yield site, "no unit test reaches it"
                continue
            trees = {site.path: module.changed(site)}
            # A quick test often notices; where none does, all have to be quick enough.
            usual = sum(reached.seconds[name] for name in names)
            fork = Fork(lambda t=trees, n=names: run_tests(t, ["-x", *n]), 30 + 5 * usual)
            running[fork.reader] = fork, site, len(names)
        ready, _, _ = select.select(list(running), [], [], 1)
        late = [key for key, (fork, *_) in running.items() if time.monotonic() > fork.until]
        for key in {*ready, *late}:
            fork, site, number = running[key]
            if key in late or fork.read():
                del running[key]
                # None where a fork hangs or dies: that is noticed.
                if fork.end() == pytest.ExitCode.OK:
                    yield site, f"{number} tests passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="which faults are made")
    parser.add_argument("--count", type=int, default=60, help="how many")
    parser.add_argument("--most", type=int, default=3, help="how many may survive")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--only", default="", help="modules whose path has this text")
    args = parser.parse_args()
    for name in LOADED:
        importlib.import_module(name)
    sys.path[:0] = [str(PACKAGE.parent), str(TESTS)]

    paths = [PACKAGE / f"{name}.py" for name in MODULES]
    modules = {path: Module.read(path) for path in paths}
    begin = time.monotonic()
    reached = reached_by(list(modules.values()))
    took = time.monotonic() - begin
    print(f"{len(reached.seconds)} tests in {took:.0f} s", flush=True)
    if reached.failed:
        first, number = reached.failed[0], len(reached.failed)
        print(f"{number} left out, since they fail as it is: {first} and so on", flush=True)
    every = [s for p, m in modules.items() if args.only in str(p) for s in m.sites]
    sites = random.Random(args.seed).sample(every, min(args.count, len(every)))
    left = 0
    for site, why in survivors(sites, modules, reached, args.jobs):
        left += 1
        print(f"{site}  ({why})", flush=True)
    took = time.monotonic() - begin
    print(f"{left} of {len(sites)} faults survive, of {len(every)} possible ones; {took:.0f} s")
    return int(left > args.most)


if __name__ == "__main__":
    sys.exit(main())
