"""The files that the store lists, and those that nobody uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flareset.store.store import LOCKS, Store
from flareset.store.unused import remove, unused_files, unused_results

IMAGE = "jsoc/aia.lev1_euv_12s/131/2014/01/07/a.fits"
TAR = "jsoc/aia.lev1_euv_12s/tars/JSOC_20140107_001.tar"
# What the store, its parts and its tars leave of a file, finished or under way.
FINISHED = ("", ".json", ".json.new")
UNDER_WAY = (".part", ".part.json", ".part.json.new", ".part.new", ".part.whole", ".part.whole.new")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with every kind of file that a store may have."""
    kept = (f"{LOCKS}/a.lock", "jsoc/requests/jsoc.example/a.json", "rehearsal-requests.json")
    files = [f"{IMAGE}{end}" for end in FINISHED + UNDER_WAY]
    for name in [*files, *(f"{TAR}{end}" for end in UNDER_WAY), *kept]:
        path = tmp_path / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Store(tmp_path / "store", "", "")


def names(paths: list[Path], store: Store) -> list[str]:
    return [path.relative_to(store.root).as_posix() for path in paths]


def test_the_store_lists_its_files(store: Store) -> None:
    found = {
        name: (names(finished, store), names(under_way, store))
        for name, finished, under_way in store.files()
    }
    assert found == {
        IMAGE: ([f"{IMAGE}{e}" for e in FINISHED], sorted(f"{IMAGE}{e}" for e in UNDER_WAY)),
        TAR: ([], sorted(f"{TAR}{e}" for e in UNDER_WAY)),
    }


def test_what_is_under_way_is_used_by_no_finished_event(store: Store) -> None:
    unused, shared = unused_files(store, {IMAGE}, [])
    expected = [f"{IMAGE}{e}" for e in UNDER_WAY] + [f"{TAR}{e}" for e in UNDER_WAY]
    assert names(unused, store) == sorted(expected)
    assert shared == []


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_link_of_another_campaign_keeps_a_file(store: Store, tmp_path: Path, whose: str) -> None:
    link = tmp_path / whose / "pre/a.fits"
    link.parent.mkdir(parents=True)
    os.link(store.root / IMAGE, link)
    unused, shared = unused_files(store, set(), [tmp_path / "ours"])
    finished = [f"{IMAGE}{e}" for e in FINISHED]
    assert names(shared, store) == (finished if whose == "theirs" else [])
    assert (set(finished) <= set(names(unused, store))) == (whose == "ours")


def test_removing_all_leaves_no_empty_folder(store: Store) -> None:
    for path in unused_files(store, set(), [])[0]:
        remove(path)
    left = sorted(path.name for path in store.root.rglob("*") if path.is_dir())
    assert left == sorted([LOCKS, "jsoc", "jsoc.example", "requests"])


def test_results_of_no_job(tmp_path: Path) -> None:
    for folder in ("events/A/131", "events/A/171", "events/B/131", "final_fits/B/131/pre"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ledger").mkdir()
    for name in ("A.131.csv", "A.171.csv", "B.131.csv"):
        (tmp_path / "ledger" / name).touch()
    (tmp_path / "events/A/event.json").touch()
    found = unused_results(tmp_path, ["A/131"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "events/A/171",
        "events/B",
        "final_fits/B",
        "ledger/A.171.csv",
        "ledger/B.131.csv",
    ]
