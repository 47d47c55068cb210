"""The floors of the package: which module may import which, and what an edit makes stale."""

from __future__ import annotations

import ast
import importlib
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path

import pytest

from flareset.campaign.code import SCRIPTS, modules

PACKAGE = SCRIPTS / "flareset"
# From the ground up; modules of one floor may import each other.
FLOORS = [
    {"errors"},
    {"system"},
    {"sdo"},
    {"campaign"},
    {"tables", "store", "proof"},
    {"phases"},
    {"partition", "split", "label", "leaks", "audit", "summary", "arrays", "release", "report"},
    {"refusals"},
    {"candidates"},
    {"draw", "sample"},
    {"archive"},
    {"sources"},
    {"intake"},
    {"job"},
    {"listing", "ledger", "account", "download"},
    {"plan", "verify", "check_archive", "fetch_tables"},
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# What a room may import, where that is less than all floors below it.
ONLY = {
    "system": {"errors"},
    "sdo": {"errors"},
    "store": {"errors", "system"},
    "proof": {"errors", "sdo", "system"},
    "tables": {"errors", "system", "sdo"},
    # It shares no code with what it audits.
    "audit": {"errors"},
    # Tables in, a page out: it shares no code with the stages that it shows.
    "report": {"errors", "system", "sdo", "campaign", "tables", "proof", "phases"},
    "standin": {"errors", "system", "sdo"},
}
# Classes that gather what they find.
GATHERING = {"Cells", "_Found", "Direct", "ArchiveCheck", "Slot", "_Hdu"}
STAGES = [
    "list", "draw", "download", "partition", "sample", "split", "label", "leaks", "audit",
    "summary", "calibrate", "release", "report_page",
]  # fmt: skip
# Folders and modules that shape no output.
BEHIND = {
    "archive/connections",
    "archive/endpoints",
    "archive/outage",
    "archive/transfer",
    "campaign/access",
    "campaign/campaign",
    "campaign/checks",
    "campaign/code",
    "campaign/config",
    "campaign/environment",
    "campaign/processing",
    "campaign/reference",
    "campaign/rows",
    "campaign/run",
    "campaign/values",
    "check_archive",
    "fetch_tables",
    "intake/outcome",
    "intake/rules",
    "plan",
    "refusals",
    "store/unused",
    "verify",
}
# These look at the rows, or at the finished set, alone.
ABOUT = {"split", "leaks", "audit"}
# Made of the finished set; nothing waits for them.
AFTER = {"calibrate", "release", "report_page"}
# What every other stage stands on.
ALL = {
    "campaign/events",
    "errors",
    "sdo/flares",
    "sdo/times",
    "tables/csv",
}
# The stages that an edit of a module makes stale, for a campaign of the real archive.
STALE = {
    "account": "sample",
    "archive/answers": "list download",
    "archive/exported": "download",
    "archive/exports": "list download",
    "archive/jsoc": "list download",
    "archive/responses": "list download",
    "archive/tars": "download",
    "campaign/settings": "list download calibrate release",
    "candidates": "draw download sample",
    "download": "download",
    "draw": "draw download sample",
    "arrays/calibrate": "calibrate",
    "arrays/degradation": "calibrate",
    "arrays/pointing": "calibrate",
    "arrays/registration": "calibrate",
    "audit": "audit",
    "label": "label",
    "leaks": "leaks",
    "ledger": "download sample",
    "listing": "list",
    "partition": "partition",
    "phases": "draw download partition sample label summary report_page",
    "proof/fits": "download",
    "proof/pictures": "download",
    "proof/processed": "download",
    "proof/statistics": "download",
    "release/layouts": "release",
    "release/loader": "release",
    "sample": "sample",
    "sdo/geometry": "list download calibrate report_page",
    "sdo/header": "download",
    "sdo/matching": "report_page",
    "sources/direct": "download",
    "sources/export": "download",
    "sources/page": "list",
    "sources/query": "list download",
    "store/hardlinks": "partition label release",
    "store/store": "list download",
    "split": "split label",
    "summary": "summary",
    "tables/status": "list draw download partition sample report_page",
    "tables/images": "label leaks calibrate release",
}


def room_of(name: str) -> str:
    """Return the folder or top-level module of a module's dotted name."""
    return name.split(".")[1]


def imports_of(path: Path) -> set[str]:
    """Return the dotted names of the package's modules that a file imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flareset"):
            within = PACKAGE.joinpath(*node.module.split(".")[1:])
            for alias in node.names:
                inner = (within / f"{alias.name}.py").exists() or (within / alias.name).is_dir()
                found.add(f"{node.module}.{alias.name}" if inner else node.module)
        elif isinstance(node, ast.Import):
            found.update(a.name for a in node.names if a.name.startswith("flareset"))
    return found - {"flareset"}


@cache
def module_graph() -> dict[str, set[str]]:
    """Return what each module of the package imports of it."""
    return {
        ".".join(path.relative_to(SCRIPTS).with_suffix("").parts): imports_of(path)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(name) for name in module_graph()}
    assert rooms == {*FLOOR, "standin"}


def test_modules_import_from_floors_below_their_own() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in module_graph().items()
        for target in targets
        if (mine := room_of(name)) != (theirs := room_of(target))
        and mine != "standin"
        and theirs != "standin"
        and FLOOR[theirs] > FLOOR[mine]
    ]
    assert not wrong


def test_no_circle() -> None:
    graph, done, path = module_graph(), set(), []

    def visit(name: str) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name in done or name not in graph:
            return
        path.append(name)
        for target in graph[name]:
            visit(target)
        done.add(path.pop())

    for name in graph:
        visit(name)


@pytest.mark.parametrize("room", ONLY)
def test_rooms_that_may_import_little(room: str) -> None:
    found = {
        target
        for name, targets in module_graph().items()
        if room_of(name) == room
        for target in targets
        if room_of(target) not in {room, *ONLY[room]}
    }
    assert not found


def test_the_stand_in_is_imported_where_an_archive_is_reached() -> None:
    users = {
        name
        for name, targets in module_graph().items()
        if room_of(name) != "standin" and any(room_of(target) == "standin" for target in targets)
    }
    assert users == {"flareset.archive.endpoints"}


def test_each_folder_says_what_lives_there() -> None:
    for folder in (path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()):
        assert len(ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "") > 40


def stale_after_edit(*, rehearsal: bool) -> dict[str, str]:
    """Return for each module the stages that an edit of it makes stale."""
    watched = {stage: set(modules(stage, rehearsal=rehearsal)) for stage in STAGES}
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix(): " ".join(
            stage for stage in STAGES if path in watched[stage]
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def test_what_an_edit_makes_stale() -> None:
    found = stale_after_edit(rehearsal=False)
    every = set(STAGES) - ABOUT - AFTER
    assert {name for name, stages in found.items() if every <= {*stages.split()}} == ALL
    for name, stages in STALE.items():
        assert found[name] == stages, name
    assert len([stages for stages in found.values() if "label" in stages]) <= 15
    for stage in ABOUT:
        assert len([stages for stages in found.values() if stage in stages]) <= 9, stage


def test_a_wall_around_what_shapes_nothing() -> None:
    for rehearsal in (True, False):
        found = stale_after_edit(rehearsal=rehearsal)
        for name, stages in found.items():
            if name.startswith("system/") or name.endswith("__init__") or name in BEHIND:
                assert not stages, name


@pytest.mark.parametrize("room", ["sdo", "tables", "sources", "campaign", ""])
def test_plain_data_cannot_be_changed(room: str) -> None:
    """Rows, times and settings pass through many hands: none may change what another has."""
    for path in sorted((PACKAGE / room).glob("*.py")):
        name = ".".join(["flareset", *filter(None, [room]), path.stem])
        for each in vars(importlib.import_module(name)).values():
            if isinstance(each, type) and is_dataclass(each) and each.__module__ == name:
                assert each.__dataclass_params__.frozen != (each.__name__ in GATHERING), each
