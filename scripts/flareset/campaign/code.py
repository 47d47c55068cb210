"""The code that shapes a stage's outputs: a change there makes the stage stale."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).parents[2]
# A module behind this wall shapes no output: an edit there re-runs nothing.
_WALL = (
    "system/",
    "archive/connections.py",
    "archive/endpoints.py",
    "archive/outage.py",
    "archive/transfer.py",
    "campaign/access.py",
    "campaign/code.py",
    # Stages get what these read as settings, and a change of settings makes them stale anyway.
    "campaign/config.py",
    "campaign/environment.py",
    "campaign/run.py",
    "campaign/values.py",
)


def modules(script: str, *, rehearsal: bool) -> list[Path]:
    """Return the modules that shape a script's outputs."""
    return sorted(p for p in imported(script, rehearsal=rehearsal) if not _behind_wall(p))


def imported(script: str, *, rehearsal: bool) -> set[Path]:
    """Return the modules that a script imports, directly or not.

    The stand-in counts only in a rehearsal.
    """
    found: set[Path] = set()
    waiting = list(_imports(SCRIPTS / f"{script}.py"))
    while waiting:
        path = waiting.pop()
        if path not in found and (rehearsal or path.parent.name != "standin"):
            found.add(path)
            waiting.extend(_imports(path))
    return found


@cache
def _behind_wall(path: Path) -> bool:
    """Return whether a module shapes no output."""
    name = path.relative_to(SCRIPTS / "flareset").as_posix()
    return name.endswith("__init__.py") or name.startswith(_WALL)


def sum_of(modules: list[Path]) -> str:
    """Return the sha256 (hex) over the names and contents of modules."""
    return hashlib.sha256("".join(map(_line, modules)).encode()).hexdigest()


@cache
def _line(path: Path) -> str:
    """Return a module's name and the sha256 (hex) of its content."""
    return f"{path.relative_to(SCRIPTS)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"


# A regular expression, since parsing takes a tenth of the time of a run with nothing to do.
_IMPORT = re.compile(r"^ *from (?P<module>flareset[\w.]*) import (?P<names>\([^)]*\)|.*)", re.M)


@cache
def _imports(path: Path) -> list[Path]:
    """Return the package's modules that a file imports, as paths."""
    names: set[str] = set()
    for match in _IMPORT.finditer(path.read_text(encoding="utf-8")):
        names.add(match["module"])
        names.update(f"{match['module']}.{name}" for name in re.findall(r"\w+", match["names"]))
    modules = _modules()
    return [modules[name] for name in names if name in modules]


@cache
def _modules() -> dict[str, Path]:
    """Return the path of each module of the package, by module name."""
    files = (SCRIPTS / "flareset").rglob("*.py")
    parts = ((file.relative_to(SCRIPTS).with_suffix("").parts, file) for file in files)
    return {".".join(part for part in names if part != "__init__"): file for names, file in parts}
