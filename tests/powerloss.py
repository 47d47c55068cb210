"""A disk that loses data: simulate a power loss by the rules of POSIX.

`python tests/powerloss.py JOURNAL scripts/download.py --store STORE ...` runs a script. JOURNAL
gets all changes of names under STORE, and the bytes that the script has synced. `lose` then takes
away some of the data that were not synced.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import random
import runpy
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

BOOT_ID = "/proc/sys/kernel/random/boot_id"
# The boot id that the script sees, and `<signal>:<n>`: the script gets that signal just before its
# n-th change of the store.
BOOT, CRASH = "FLARESET_TEST_BOOT", "FLARESET_TEST_CRASH"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = (
    "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate", "os.mkdir", "os.rmdir",
)  # fmt: skip
_FOLDER = 0

Names = dict[str, int]


def begin(journal: Path, store: Path) -> None:
    """Begin the journal of a boot: all that is in the store now counts as on the disk."""
    for file in _kept(journal).glob("*"):
        file.unlink()
    _kept(journal).mkdir(parents=True, exist_ok=True)
    names = _names(store)
    sizes = [(inode, (store / name).stat().st_size) for name, inode in names.items()]
    journal.write_text(f"{json.dumps({'names': names, 'sizes': sizes})}\n")


def lose(journal: Path, store: Path, rng: random.Random) -> None:
    """Take from a store what a power loss may take, and begin the journal of the next boot.

    A creation, rename or removal may be undone if its folder was not synced since. Bytes after a
    file's last sync may be cut, or become zeros or noise.
    """
    catch_up(journal, store)
    disk = _Disk(journal)
    left = disk.names_after(rng)
    sources = {inode: store / name for name, inode in _names(store).items() if inode != _FOLDER}
    sources |= {int(file.name): file for file in _kept(journal).iterdir() if file.name.isdecimal()}
    for inode in sorted(set(left.values()) - {_FOLDER}):
        _spoil(sources[inode], disk.synced.get(inode, 0), disk.before.get(inode), rng)
    _lay_out(store, left, sources, _kept(journal))
    begin(journal, store)


def catch_up(journal: Path, store: Path) -> None:
    """Add to a journal the change that a killed process made last and had no time to write down."""
    known, now = _Disk(journal).now, _names(store)
    last = {n: now.get(n) for n in known.keys() | now.keys() if known.get(n) != now.get(n)}
    # What lies in a folder moves with it.
    moved = {name for name in last if os.path.dirname(name) not in last}
    assert len(moved) <= 2, f"changes that are not in the journal: {last}"
    with open(journal, "a") as out:
        out.write(f"{json.dumps({'change': last})}\n")


def operations(journal: Path) -> int:
    """Return how many changes of the store the last process that ended by itself made."""
    return max((int(line.get("operations", 0)) for line in _lines(journal)), default=0)


class _Disk:
    """The names that are on the disk, the changes of them that may not be, and the synced bytes."""

    def __init__(self, journal: Path) -> None:
        first, *lines = _lines(journal)
        self.names: Names = dict(first["names"])
        self.now: Names = dict(self.names)
        self.changes: list[dict[str, int | None]] = []
        self.synced: dict[int, int] = dict(first["sizes"])
        # What a file held, and was synced, before it was cut.
        self.before: dict[int, bytes] = {}
        for line in lines:
            self._replay(line, journal)

    def _replay(self, line: dict[str, Any], journal: Path) -> None:
        inode = line.get("inode", _FOLDER)
        if "unseen" in line:
            raise AssertionError(f"a change of the store that the hook did not see: {line}")
        if "change" in line:
            self._change(line["change"])
        elif "synced" in line:
            self.synced[inode] = line["synced"]
            self.before.pop(inode, None)
        elif "cut" in line:
            if self.synced.get(inode, 0) > line["cut"]:
                if line["copy"]:
                    was = (_kept(journal) / line["copy"]).read_bytes()
                    self.before.setdefault(inode, was[: self.synced[inode]])
                self.synced[inode] = line["cut"]
        elif "folder" in line:
            self._sync_folder(line["folder"])

    def _change(self, change: dict[str, int | None]) -> None:
        self.changes.append(dict(change))
        _apply(self.now, change)

    def _sync_folder(self, folder: str) -> None:
        for change in self.changes:
            there = [name for name in change if os.path.dirname(name) == folder]
            _apply(self.names, {name: change.pop(name) for name in there})
        self.changes = [change for change in self.changes if change]

    def names_after(self, rng: random.Random) -> Names:
        """Return the names after a power loss."""
        left = dict(self.names)
        kept = rng.choice((0.0, 0.5, 0.5, 1.0))
        for change in self.changes:
            if rng.random() < kept:
                _apply(left, change)
        # What lay in a folder that is lost is lost.
        for name in sorted(left):
            if (above := os.path.dirname(name)) and above not in left:
                del left[name]
        return left


def _apply(names: Names, change: dict[str, int | None]) -> None:
    """Change names; what lies in a folder that is renamed moves with it."""
    for old in [
        name for name, inode in change.items() if inode is None and names.get(name) == _FOLDER
    ]:
        for new in (name for name, inode in change.items() if inode == _FOLDER):
            for name in [name for name in names if name.startswith(f"{old}/")]:
                names[new + name.removeprefix(old)] = names.pop(name)
    for name, inode in change.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _spoil(file: Path, synced: int, before: bytes | None, rng: random.Random) -> None:
    """Take from a file what was not synced; `before` is what it held before it was cut."""
    size = file.stat().st_size
    assert size >= synced, f"{file}: {synced} bytes were synced, {size} are there"
    mode = stat.S_IMODE(file.stat().st_mode)
    file.chmod(0o644)
    if before is not None and rng.random() < 0.5:
        file.write_bytes(before)
    elif size > synced:
        how, place = rng.choice(("kept", "cut", "zeros", "noise")), rng.randint(synced, size)
        with open(file, "rb+") as out:
            if how == "cut":
                out.truncate(place)
            elif how != "kept":
                out.seek(place)
                count = size - place
                out.write(bytes(count) if how == "zeros" else rng.randbytes(count))
    file.chmod(mode)


def _lay_out(store: Path, left: Names, sources: dict[int, Path], beside: Path) -> None:
    """Make the names of a store what is `left`."""
    now = _names(store)
    wrong = {name: inode for name, inode in left.items() if now.get(name) != inode}
    files = {inode for inode in wrong.values() if inode != _FOLDER}
    for inode in files:
        os.link(sources[inode], beside / f"{inode}.back")
    for name in sorted(now, reverse=True):
        if left.get(name) != now[name]:
            (store / name).rmdir() if now[name] == _FOLDER else (store / name).unlink()
    for name, inode in sorted(wrong.items()):
        if inode == _FOLDER:
            (store / name).mkdir()
        else:
            os.link(beside / f"{inode}.back", store / name)


def _names(store: Path) -> Names:
    """Return every name under a store and its inode."""
    return {path.relative_to(store).as_posix(): _inode(path) for path in store.rglob("*")}


def _inode(path: Path) -> int:
    return _FOLDER if path.is_dir() else path.stat().st_ino


def _kept(journal: Path) -> Path:
    """Return where files are kept that have no name in the store any more."""
    return journal.with_name(f"{journal.name}.kept")


def _lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


class _Hook:
    """Sees every change that this process makes under a store; `crash` is as in CRASH."""

    def __init__(self, journal: Path, store: Path, crash: str) -> None:
        self.store = os.path.realpath(store)
        self.kept = _kept(journal)
        self.journal = os.open(journal, os.O_WRONLY | os.O_APPEND)
        name, _, place = crash.partition(":")
        self.signal, self.place = getattr(signal, name, None), int(place or 0)
        self.operations = 0
        self._lock = threading.RLock()
        self._within = threading.local()

    def write(self, **line: Any) -> None:
        """Add a line to the journal: the kernel has it at once, and it survives this process."""
        os.write(self.journal, f"{json.dumps(line)}\n".encode())

    def name(self, path: Any) -> str | None:
        """Return the name in the store of a path or descriptor; None if it is elsewhere."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        folder, last = os.path.split(os.path.abspath(os.fsdecode(path)))
        full = os.path.join(os.path.realpath(folder), last)
        if full == self.store:
            return ""
        return full[len(self.store) + 1 :] if full.startswith(f"{self.store}/") else None

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One change, alone; the crash comes before it."""
        with self._lock:
            self.operations += 1
            if self.operations == self.place and self.signal:
                os.kill(os.getpid(), self.signal)
            self._within.one = True
            try:
                yield
            finally:
                self._within.one = False

    def keep(self, path: Any) -> None:
        """Keep a file that is about to lose its name."""
        with suppress(FileNotFoundError, FileExistsError):
            if not os.path.isdir(path):
                os.link(path, self.kept / str(os.stat(path).st_ino))

    def cut(self, path: Any, to: int) -> None:
        """Keep the bytes of a file that is about to be cut, and say so."""
        content = Path(path).read_bytes()
        if len(content) > to:
            inode = os.stat(path).st_ino
            copy = f"{inode}-{os.getpid()}-{self.operations}"
            (self.kept / copy).write_bytes(content)
            self.write(inode=inode, cut=to, copy=copy)

    def watch(self, event: str, args: tuple[Any, ...]) -> None:
        """Report changes of the store that do not use the functions below. An audit hook."""
        writes = event == "open" and isinstance(args[2], int) and args[2] & _WRITING
        if (writes or event in _CHANGES) and not getattr(self._within, "one", False):
            path = args[0]
            if isinstance(path, (str, bytes, os.PathLike)) and self.name(path) is not None:
                self.write(unseen=event, path=os.fsdecode(path))

    @contextmanager
    def opening(self, path: Any, *, creates: bool, cuts: bool) -> Iterator[None]:
        """Journal what opening a file for writing does."""
        with self.operation():
            there = os.path.exists(path)
            if there and cuts:
                self.cut(path, 0)
            yield
            if creates and not there:
                self.write(change={self.name(path): os.stat(path).st_ino})

    def install(self, boot: str) -> None:
        """Put functions that journal in the place of those that change files."""
        hook = self
        real_open = io.open

        class File(io.FileIO):
            """A file whose writes are seen one by one."""

            def write(self, data: Any) -> int:
                with hook.operation():
                    size = os.fstat(self.fileno()).st_size
                    begin = size if "a" in self.mode else self.tell()
                    if begin < size:
                        hook.write(inode=os.fstat(self.fileno()).st_ino, cut=begin, copy="")
                    return super().write(data)

            def truncate(self, size: int | None = None) -> int:
                with hook.operation():
                    size = self.tell() if size is None else size
                    hook.cut(f"/proc/self/fd/{self.fileno()}", size)
                    return super().truncate(size)

        def open_file(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            if boot and not isinstance(file, int) and os.fspath(file) == BOOT_ID:
                return io.BytesIO(boot.encode()) if "b" in mode else io.StringIO(boot)
            rest = (buffering, encoding, errors, newline, closefd, opener)
            if not set("wax+") & set(mode) or hook.name(file) is None:
                return real_open(file, mode, *rest)
            assert not isinstance(file, int), "a file of the store opened by descriptor"
            with hook.opening(file, creates="r" not in mode, cuts="w" in mode):
                raw = File(file, mode.replace("b", "").replace("t", ""), opener=opener)
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffered
            return io.TextIOWrapper(
                buffered, encoding, errors, newline, line_buffering=buffering == 1
            )

        def open_descriptor(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if not flags & _WRITING or hook.name(path) is None:
                return real["open"](path, flags, *args, **kwargs)
            cuts, creates = bool(flags & os.O_TRUNC), bool(flags & os.O_CREAT)
            with hook.opening(path, creates=creates, cuts=cuts):
                return real["open"](path, flags, *args, **kwargs)

        def rename(old: Any, new: Any) -> None:
            names = hook.name(old), hook.name(new)
            if names == (None, None):
                return real["replace"](old, new)
            with hook.operation():
                inode = _inode(Path(old))
                hook.keep(new)
                real["replace"](old, new)
                change = dict(zip(names, (None, inode), strict=True))
                hook.write(change={name: to for name, to in change.items() if name})
            return None

        def link(old: Any, new: Any, **kwargs: Any) -> None:
            if (name := hook.name(new)) is None:
                return real["link"](old, new, **kwargs)
            with hook.operation():
                real["link"](old, new, **kwargs)
                hook.write(change={name: os.stat(new).st_ino})
            return None

        def gone(call: str) -> Callable[..., None]:
            def remove(path: Any, **kwargs: Any) -> None:
                if kwargs or (name := hook.name(path)) is None:
                    return real[call](path, **kwargs)
                with hook.operation():
                    if call != "rmdir":
                        hook.keep(path)
                    real[call](path)
                    hook.write(change={name: None})
                return None

            return remove

        def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
            if (name := hook.name(path)) is None:
                return real["mkdir"](path, *args, **kwargs)
            with hook.operation():
                real["mkdir"](path, *args, **kwargs)
                if name:
                    hook.write(change={name: _FOLDER})
            return None

        def truncate(path: Any, length: int) -> None:
            if hook.name(path) is None:
                return real["truncate"](path, length)
            with hook.operation():
                hook.cut(f"/proc/self/fd/{path}" if isinstance(path, int) else path, length)
                return real["truncate"](path, length)

        def sync(file: Any) -> None:
            """Not done in earnest: what the kernel holds outlives a killed process."""
            descriptor = file if isinstance(file, int) else file.fileno()
            if (name := hook.name(descriptor)) is None:
                return
            found = os.fstat(descriptor)
            with hook.operation():
                if stat.S_ISDIR(found.st_mode):
                    hook.write(folder=name)
                else:
                    hook.write(inode=found.st_ino, synced=found.st_size)

        patched = {
            "open": open_descriptor, "rename": rename, "replace": rename, "link": link,
            "unlink": gone("unlink"), "remove": gone("remove"), "rmdir": gone("rmdir"),
            "mkdir": mkdir, "truncate": truncate, "ftruncate": truncate, "fsync": sync,
            "fdatasync": sync,
        }  # fmt: skip
        real = {name: getattr(os, name) for name in patched}
        for name, function in patched.items():
            setattr(os, name, function)
        io.open = builtins.open = open_file
        sys.addaudithook(hook.watch)


def run(journal: Path, script: str, args: list[str], environment: dict[str, str]) -> None:
    """Run a script as its own process would, every change of its `--store` seen.

    A script without one has the store beside the journal, where it changes nothing.
    """
    os.environ.update(environment)
    store = Path(args[args.index("--store") + 1] if "--store" in args else journal.parent / "store")
    hook = _Hook(journal, store, environment.get(CRASH, ""))
    hook.install(environment.get(BOOT, ""))
    sys.argv = [script, *args]
    sys.path.insert(0, str(Path(script).parent))
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        hook.write(operations=hook.operations)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:], dict(os.environ))
