"""Downloads that are killed, terminated or lose power at random points, and the test's own disk.

`python tests/crash.py --rounds 200` does the same for longer.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import powerloss
import pytest
from crash import KINDS, rounds

HOOK = Path(powerloss.__file__)
OLD, NEW = b"old " * 2000, b"new " * 3000
WRITER = """
import os, sys
args = sys.argv[1:]
file = os.path.join(args[args.index("--store") + 1], "file")
print(open("/proc/sys/kernel/random/boot_id").read())
with open(f"{file}.new", "wb") as out:
    out.write(b"new " * 3000)
    out.flush()
    if "file" in args:
        os.fsync(out.fileno())
os.replace(f"{file}.new", file)
if "folder" in args:
    folder = os.open(os.path.dirname(file), os.O_RDONLY)
    os.fsync(folder)
"""

# Two connections have a file each, and two more are being proven.
FILES, FILES_UNDER_WAY = 50, 4


class Disk:
    """A store with one file, and a script that writes the file again."""

    def __init__(self, folder: Path) -> None:
        self.store, self.journal = folder / "store", folder / "journal"
        self.script = folder / "writer.py"
        self.store.mkdir()
        self.script.write_text(WRITER)
        (self.store / "file").write_bytes(OLD)
        powerloss.begin(self.journal, self.store)

    def write(self, *synced: str, crash: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script, which syncs what is named."""
        return subprocess.run(
            [sys.executable, HOOK, self.journal, self.script, "--store", self.store, *synced],
            env={**os.environ, powerloss.BOOT: "the second", powerloss.CRASH: crash},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def after_loss(self, seed: int) -> dict[str, bytes]:
        """Return what a power loss leaves of the store."""
        powerloss.lose(self.journal, self.store, random.Random(seed))
        return {path.name: path.read_bytes() for path in self.store.iterdir()}


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disk]:
    """One new disk after the other."""

    def make() -> Iterator[Disk]:
        for number in count():
            (folder := tmp_path / str(number)).mkdir()
            yield Disk(folder)

    return make()


def test_what_is_not_synced_may_be_lost(disks: Iterator[Disk]) -> None:
    left = []
    for seed in range(24):
        disk = next(disks)
        assert disk.write().returncode == 0
        left.append(disk.after_loss(seed))
    assert {"file": NEW} in left
    assert {"file": OLD} in left
    bad = [found for found in left if found["file"] not in (OLD, NEW)]
    assert any(len(found["file"]) < len(NEW) for found in bad)
    assert any(len(found["file"]) == len(NEW) for found in bad)


def test_a_name_may_be_lost_though_its_bytes_are_synced(disks: Iterator[Disk]) -> None:
    left = []
    for seed in range(8):
        disk = next(disks)
        disk.write("file")
        left.append(disk.after_loss(seed))
    assert {found["file"] for found in left} == {OLD, NEW}
    assert {"file": OLD, "file.new": NEW} in left


def test_what_is_synced_stays(disks: Iterator[Disk]) -> None:
    for seed in range(8):
        disk = next(disks)
        assert disk.write("file", "folder").stdout.strip() == "the second"
        assert disk.after_loss(seed) == {"file": NEW}


FOLDERS = """
import os, sys
folder = os.path.join(sys.argv[sys.argv.index("--store") + 1], "folder")
os.mkdir(f"{folder}.new")
with open(f"{folder}.new/name", "wb") as out:
    out.write(b"new")
os.rename(f"{folder}.new", folder)
"""


def test_what_lies_in_a_folder_moves_with_it(disks: Iterator[Disk]) -> None:
    left = []
    for seed in range(40):
        disk = next(disks)
        disk.script.write_text(FOLDERS)
        assert disk.write().returncode == 0
        powerloss.lose(disk.journal, disk.store, random.Random(seed))
        left.append({path.relative_to(disk.store).as_posix() for path in disk.store.rglob("*")})
    assert {frozenset(names - {"file"}) for names in left} == {
        frozenset(names)
        for names in (
            (), ("folder",), ("folder", "folder/name"), ("folder.new",),
            ("folder.new", "folder.new/name"),
        )
    }  # fmt: skip


def test_a_kill_while_a_folder_is_moved_is_seen(disks: Iterator[Disk]) -> None:
    found = []
    for number in range(1, 6):
        disk = next(disks)
        disk.script.write_text(FOLDERS)
        disk.write(crash=f"SIGKILL:{number}")
        powerloss.catch_up(disk.journal, disk.store)
        found.append(sorted(path.name for path in disk.store.rglob("*")))
    new, moved = ["file", "folder.new", "name"], ["file", "folder", "name"]
    assert found == [["file"], ["file", "folder.new"], new, new, moved]


def test_a_kill_comes_just_before_a_change(disks: Iterator[Disk]) -> None:
    whole = next(disks)
    whole.write("file", "folder")
    changes = powerloss.operations(whole.journal)
    found = []
    for number in range(1, changes + 2):
        disk = next(disks)
        code = disk.write("file", "folder", crash=f"SIGKILL:{number}").returncode
        assert code == (-signal.SIGKILL if number <= changes else 0)
        found.append({path.name: path.read_bytes() for path in disk.store.iterdir()})
    begun, written = {"file": OLD, "file.new": b""}, {"file": OLD, "file.new": NEW}
    assert found == [{"file": OLD}, begun, written, written, {"file": NEW}, {"file": NEW}]


def test_rounds_of_crashes(tmp_path: Path) -> None:
    with rounds(tmp_path, seed=1, minutes=3) as those:
        result = those.play(16)
        assert {len(job.files) for job in those.jobs.values()} == {FILES}
    assert not result.violations, str(result)
    assert {kind for kind, _ in result.tallies} == set(KINDS)
    assert {method for _, method in result.tallies} == {"url", "url-tar"}
    for tally in result.tallies.values():
        assert tally.per_crash <= FILES_UNDER_WAY / FILES, str(result)
