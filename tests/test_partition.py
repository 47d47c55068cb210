"""The phase of an image, and the folders of links."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from support.factories import BASE, an_event, at
from support.strategies import SECONDS, events

from flareset.campaign.events import Event
from flareset.candidates import find_place
from flareset.errors import StoreError
from flareset.partition import links_of, select_verified
from flareset.phases import bins_of
from flareset.store.hardlinks import is_copy, sync_folder


def edges(event: Event) -> list[int]:
    times = (event.window_start, event.flare_start, event.flare_end, event.window_end)
    return [round((t - BASE).total_seconds()) + d for t in times for d in (-1, 0, 1)]


@given(events(), SECONDS)
def test_every_image_is_in_one_phase_with_the_right_edges(event: Event, seconds: list[int]) -> None:
    seconds = list(dict.fromkeys(seconds + edges(event)))
    for second in seconds:
        t = at(second)
        phase = find_place(t, event).phase
        truth = {
            "pre": event.window_start <= t < event.flare_start,
            "flare": event.flare_start <= t <= event.flare_end,
            "post": event.flare_end < t <= event.window_end,
        }
        truth["outside"] = not any(truth.values())
        assert [name for name, holds in truth.items() if holds] == [phase]


def test_a_flare_image_has_its_minute_and_the_date() -> None:
    event = an_event((570, 720), (0, 1800))
    places = [find_place(at(second), event) for second in (0, 570, 599, 600, 720, 721)]
    assert [each.phase for each in places] == ["pre", "flare", "flare", "flare", "flare", "post"]
    assert [each.bin for each in places] == [
        "", "2014-01-07T23:59", "2014-01-07T23:59", "2014-01-08T00:00", "2014-01-08T00:02", ""
    ]  # fmt: skip
    assert [name for _, name, _ in bins_of(event)] == [
        "", "2014-01-07T23:59", "2014-01-08T00:00", "2014-01-08T00:01", "2014-01-08T00:02", ""
    ]  # fmt: skip
    begins = [round((begin - BASE).total_seconds()) for _, _, begin in bins_of(event)]
    assert begins == [0, 570, 600, 660, 720, 721], "a bin begins within its phase"


def test_half_seconds_at_the_edges() -> None:
    event = an_event((600.5, 720.5), (0, 1800))
    found = [find_place(at(second), event).phase for second in (600, 601, 720, 721)]
    assert found == ["pre", "flare", "flare", "post"]
    assert event.flare_start == BASE + timedelta(seconds=600.5)


def test_verified_files_lie_in_the_folder_of_their_phase() -> None:
    phases = {"a": "pre", "b": "flare", "c": "outside", "d": "post"}
    candidates = [{"record": record, "phase": phase} for record, phase in phases.items()]
    manifest = [
        {"record": record, "kind": kind, "status": status, "filename": name, "path": f"day/{name}"}
        for record, kind, status, name in (
            ("a", "image", "verified", "1.fits"),
            ("b", "image", "verified", "2.fits"),
            ("b", "image", "failed", "2b.fits"),
            ("c", "image", "verified", "3.fits"),
            ("d", "image", "rejected", "4.fits"),
            ("c", "picture", "verified", "5.jpg"),
            ("window", "movie", "verified", "6.mpg"),
        )
    ]
    rows = select_verified(candidates, manifest)
    assert [(row["folder"], row["filename"], row["path"]) for row in rows] == [
        ("pre", "1.fits", "day/1.fits"),
        ("flare", "2.fits", "day/2.fits"),
        ("pictures", "5.jpg", "day/5.jpg"),
        ("movies", "6.mpg", "day/6.mpg"),
    ]
    assert links_of(rows, Path("store")) == {
        "pre": {"1.fits": Path("store/day/1.fits")},
        "flare": {"2.fits": Path("store/day/2.fits")},
        "post": {},
        "pictures": {"5.jpg": Path("store/day/5.jpg")},
        "movies": {"6.mpg": Path("store/day/6.mpg")},
    }


def test_a_folder_holds_exactly_what_is_wanted(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "results/pre"
    store.mkdir()
    for name in "abc":
        (store / name).write_text(name)
    sync_folder(folder, {"a": store / "a", "b": store / "b"})
    kept = (folder / "a").stat()
    (folder / "stranger").write_text("x")
    sync_folder(folder, {"a": store / "a", "c": store / "c"})
    assert sorted(os.listdir(folder)) == ["a", "c"]
    assert os.path.samestat((folder / "a").stat(), kept)
    assert os.path.samestat((folder / "c").stat(), (store / "c").stat())
    # A result that was written over is linked anew; the store's file is not touched.
    (folder / "a").unlink()
    (folder / "a").write_text("other")
    assert not is_copy(folder / "a", store / "a")
    sync_folder(folder, {"a": store / "a"})
    assert (folder / "a").read_text() == "a"


def test_a_file_that_another_machine_has_just_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "store/day/a"

    def arrive() -> None:
        source.parent.mkdir(parents=True)
        source.write_text("a")

    timer = threading.Timer(0.5, arrive)
    timer.start()
    sync_folder(tmp_path / "pre", {"a": source})
    timer.join()
    assert (tmp_path / "pre/a").read_text() == "a"
    monkeypatch.setattr("flareset.store.hardlinks._LATENCY", 0.5)
    with pytest.raises(StoreError, match="No such file"):
        sync_folder(tmp_path / "pre", {"z": tmp_path / "store/z"})


def test_a_copy_on_a_filesystem_with_whole_seconds(tmp_path: Path) -> None:
    source, copy = tmp_path / "a", tmp_path / "b"
    for path in (source, copy):
        path.write_text("a")
    seconds, rest = divmod(source.stat().st_mtime_ns, 10**9)
    os.utime(source, ns=(0, seconds * 10**9 + max(rest, 1)))
    os.utime(copy, ns=(0, seconds * 10**9))
    assert is_copy(copy, source)
    os.utime(copy, ns=(0, (seconds - 1) * 10**9))
    assert not is_copy(copy, source)


def test_copies_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("a")
    sync_folder(tmp_path / "out", {"a": tmp_path / "a"})
    copy = tmp_path / "out/a"
    assert copy.read_text() == "a"
    assert not os.path.samestat(copy.stat(), (tmp_path / "a").stat())
    assert is_copy(copy, tmp_path / "a")
