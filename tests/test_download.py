"""Downloads against a real server that fails in many ways."""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import pytest
from support.bench import Bench, listed
from support.project import ONE_FLARE, Project
from support.rows import frame
from support.stages import in_process

from flareset.download import check_complete, check_usable, manifest_of
from flareset.errors import IncompleteError, StoreError
from flareset.proof.check import Proof
from flareset.proof.fits import ImageCheck
from flareset.sample import count_lacking, final_draw
from flareset.sdo.checksum import BLOCK
from flareset.standin.server import Fault, StandIn
from flareset.store.store import Store
from flareset.system.files import boot_id
from flareset.tables.rows import Row


@pytest.fixture
def bench(serve: Callable[..., StandIn], tmp_path: Path) -> Callable[..., Bench]:
    def make(*faults: Fault, **limits: object) -> Bench:
        return Bench(serve(faults=list(faults)), tmp_path / "store", **limits)

    return make


def test_files_arrive_verified_and_are_not_fetched_again(bench: Callable[..., Bench]) -> None:
    b = bench()
    first = b.fetch()
    assert first["status"].tolist() == ["verified"] * 4
    for row in first.itertuples():
        content = (b.store.root / row.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row.sha256
        assert len(content) == row.bytes
        assert b.requests(row.filename) == 1
    assert b.leftovers() == []
    again = b.fetch()
    assert again.equals(first)
    assert sum(b.server.log.values()) == 4


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("status", code=404), "HTTP 404"),
        (Fault("status", code=403), "HTTP 403"),
        (Fault("status", code=503), "HTTP 503"),
        (Fault("status", code=429), "HTTP 429"),
        (Fault("cut"), "IncompleteRead"),
        (Fault("reset"), "the connection failed"),
        (Fault("empty"), "the file is empty"),
        (Fault("html"), "an HTML page"),
        (Fault("flip"), "DATASUM of HDU 1"),
        (Fault("other"), "it is another record"),
    ],
)
def test_a_file_that_stays_bad(bench: Callable[..., Bench], fault: Fault, reason: str) -> None:
    b = bench(fault)
    bad = b.images[1]["filename"]
    fault.pattern = bad
    manifest = b.fetch().set_index("filename")
    assert manifest["status"].drop(bad).tolist() == ["verified"] * 3
    assert manifest.loc[bad, "status"] == "failed"
    assert reason in manifest.loc[bad, "reason"]
    assert b.server.url in manifest.loc[bad, "reason"]
    assert manifest.loc[bad, "tries"] == b.requests(bad) > 0
    assert bad not in {path.name for path in b.stored()}
    assert len(b.stored()) == 3
    with pytest.raises(IncompleteError, match=f"(?s)1 of 4 images.*{bad}.*{reason}.*run again"):
        check_complete(manifest.reset_index().to_dict("records"), 0, "here")
    check_complete(manifest.reset_index().to_dict("records"), 1, "here")


@pytest.mark.parametrize("kind", ["status", "cut", "reset", "empty", "html", "flip", "other"])
def test_a_file_that_is_bad_at_first(bench: Callable[..., Bench], kind: str) -> None:
    b = bench(Fault(kind, times=2))
    manifest = b.fetch()
    assert manifest["status"].tolist() == ["verified"] * 4
    # One of the four tells a file in trouble from an archive in trouble: that may spend its faults.
    one, *others = sorted(manifest["tries"])
    assert 1 <= one <= min(others)
    assert {*others} <= {2, 3}
    assert b.waited, "it backed off between tries"
    assert b.leftovers() == []


def append(part: Path) -> None:
    """Append to a part, as a job does that hung and goes on."""
    with open(part, "ab") as out:
        out.write(b"late")


@pytest.mark.parametrize("change", [append, lambda part: os.truncate(part, 0)])
def test_a_part_that_another_process_changes_is_not_named(
    bench: Callable[..., Bench], change: Callable[[Path], None]
) -> None:
    class Changed(ImageCheck):
        """A check, just after which the part is changed."""

        def finish(self, path: Path) -> Proof:
            proof = super().finish(path)
            change(path)
            return proof

    b = bench()
    b.downloader.check = Changed
    with pytest.raises(StoreError, match=r"has \d+ bytes, and \d+ came; run again"):
        b.fetch(1)
    assert b.stored() == []


def test_the_archive_may_be_down_only_so_long(bench: Callable[..., Bench]) -> None:
    b = bench(Fault("status", code=503), patience=0.0)
    manifest = b.fetch()
    assert manifest["status"].tolist() == ["failed"] * 4
    assert manifest["reason"].str.contains("HTTP 503.*archive.patience.*Run again").all()
    assert sum(b.server.log.values()) == sum(manifest["tries"]) <= 2


def test_a_file_over_the_cap(bench: Callable[..., Bench]) -> None:
    manifest = bench(max_file_size=10_000).fetch()
    assert manifest["reason"].str.contains("over archive.max_file_size 10000").all()
    assert (manifest["tries"] == 1).all()


def test_going_on_with_a_part(bench: Callable[..., Bench]) -> None:
    b = bench(Fault("cut", times=1))
    row = b.images[0]
    path = b.store.path_of(131, row["filename"], row["t_rec"])
    manifest = b.fetch(1)
    assert manifest["tries"].tolist() == [2]
    whole = (b.store.root / path).read_bytes()
    # A killed job leaves a part and its note; the next goes on from there.
    b.store.remove(path)
    b.arrived.clear()
    part = b.store.root / f"{path}.part"
    part.write_bytes(whole[: BLOCK * 3])
    note = {
        "url": b.archive.url_of(row["url"]),
        "validator": f'"{row["url"].split("/")[4]}.{row["filename"]}"',
        "boot": boot_id(),
        "synced": 0,
    }
    part.with_name(part.name + ".json").write_text(json.dumps(note))
    assert b.fetch(1)["sha256"].tolist() == manifest["sha256"].tolist()
    assert b.ranges()[1:] == [f"bytes={BLOCK * 3}-"]
    assert sum(b.arrived) == len(whole) - BLOCK * 3
    # A job killed between the last byte and the check leaves a whole part.
    b.store.remove(path)
    part.write_bytes(whole)
    part.with_name(part.name + ".json").write_text(json.dumps(note))
    again = b.fetch(1)
    assert again["sha256"].tolist() == manifest["sha256"].tolist()
    assert again["tries"].tolist() == [1]
    assert sum(b.arrived) == len(whole) - BLOCK * 3, "no byte is fetched again"
    # After a power loss only what was synced is gone on with.
    for synced in (0, BLOCK):
        b.store.remove(path)
        b.arrived.clear()
        part.write_bytes(whole[:synced] + b"lost" * 1000)
        part.with_name(part.name + ".json").write_text(
            json.dumps({**note, "boot": "another", "synced": synced})
        )
        assert b.fetch(1)["sha256"].tolist() == manifest["sha256"].tolist()
        assert sum(b.arrived) == len(whole) - synced
    # A part of a file that has changed since is not gone on with.
    b.store.remove(path)
    part.write_bytes(b"old" * 1000)
    note["validator"] = '"an older version"'
    part.with_name(part.name + ".json").write_text(json.dumps(note))
    assert b.fetch(1)["sha256"].tolist() == manifest["sha256"].tolist()
    assert b.leftovers() == []


def test_a_damaged_file_in_the_store_is_fetched_again(bench: Callable[..., Bench]) -> None:
    b = bench()
    manifest = b.fetch()
    path = b.store.root / manifest["path"].iloc[0]
    path.chmod(0o644)
    os.truncate(path, 5000)
    assert b.fetch().equals(manifest)
    assert b.requests(path.name) == 2


def test_sampled_fetches_what_the_draw_needs_and_the_next_where_one_fails(
    bench: Callable[..., Bench],
) -> None:
    most = {"pre": 3, "flare": 1, "post": 3}
    b = bench()
    job = listed(b.server.frame_size)
    first = frame(manifest_of(b.draw(job, most).outcomes))
    assert len(first) == 5 + 3 + 3
    lost = first["filename"].iloc[5]
    b.server.faults.append(Fault("status", lost, code=404))
    b.store.remove(first["path"].iloc[5])
    acquisition = b.draw(job, most)
    second = frame(manifest_of(acquisition.outcomes))
    assert acquisition.problem is None
    assert len(second) == len(first) + 1
    assert set(first["filename"]) < set(second["filename"])
    assert second["status"].value_counts().to_dict() == {"verified": 11, "failed": 1}
    (gone,) = second[second["status"] == "failed"].to_dict("records")
    assert gone["tries"] == 1
    assert "HTTP 404" in gone["reason"]
    assert "the archive has it no more: export again" in gone["reason"]


def test_progress_counts_each_file_when_it_is_there(bench: Callable[..., Bench]) -> None:
    class Terminal(io.StringIO):
        """A terminal that notes how many files the server was asked for by each line."""

        def write(self, text: str) -> int:
            done, total = map(int, re.search(r"(\d+)/(\d+) images", text).groups())
            seen.append((done, total, sum(b.server.log.values())))
            return len(text)

    seen: list[tuple[int, int, int]] = []
    b = bench()
    job = listed(b.server.frame_size)
    first = next(row["record"] for row in job.candidates if row["rank"] == 0)
    (lost,) = [row["filename"] for row in b.images if row["record"] == first]
    b.server.faults.append(Fault("status", lost, code=404))
    # Slow enough for a busy machine to write its lines meanwhile.
    b.server.faults.append(Fault("stall", r"\.fits", seconds=0.3, times=100))
    b.draw(job, {"pre": 3, "flare": 1, "post": 3}, Terminal())
    # The lost image is counted when it is given up; then the next of its bin is wanted, too.
    assert [(done, total) for done, total, _ in seen] == [
        *((n, 11) for n in range(1, 12)),
        (12, 12),
    ]
    # Two files are on their way, and two more may have come since.
    assert all(asked <= done + 4 for done, _, asked in seen[:-1])


def test_what_the_window_lacks_is_known_before() -> None:
    def lacking(most: dict[str, int]) -> int:
        _, short = final_draw(job.candidates, job.event, set(), most)
        return count_lacking(short)

    job = listed(128)
    assert lacking({"pre": 3, "flare": 1, "post": 3}) == 0
    pre = sum(row["phase"] == "pre" and row["verdict"] == "accepted" for row in job.candidates)
    assert pre > 3
    assert lacking({"pre": pre + 7, "flare": 1, "post": 3}) == 7
    assert lacking({"pre": pre - 1, "flare": 1, "post": 3}) == 0


def test_a_window_of_rejected_images_is_no_empty_data_set() -> None:
    job = listed(128)
    inside = [row["record"] for row in job.candidates if row["verdict"] == "accepted"]
    dark = "QUALITY 0x00010000: dark"

    def became(*statuses: str) -> list[Row]:
        """Return a manifest with these statuses; the last is that of all further records."""
        more = chain(statuses, repeat(statuses[-1]))
        return [
            {"record": record, "status": status, "reason": dark}
            for record, status in zip(inside, more, strict=False)
        ]

    manifest = became("rejected")
    count = len(manifest)
    assert count == 60
    sentence = (
        r"^here: none of its 60 images can be drawn \(completeness.allow_missing is 59\):\n"
        r"  60 of them: QUALITY 0x00010000: dark\nCheck quality.reject"
    )
    with pytest.raises(IncompleteError, match=sentence):
        check_usable(job, manifest, None, count - 1, "here")
    check_usable(job, manifest, None, count, "here")
    # One that failed is no better; one that is verified, or was not tried, is.
    one_lost = became("failed", "rejected")
    one_lost[0]["reason"] = "HTTP 404"
    with pytest.raises(IncompleteError, match="59 of them: QUALITY"):
        check_usable(job, one_lost, None, 1, "here")
    check_usable(job, became("verified", "rejected"), None, 1, "here")
    check_usable(job, manifest[1:], None, 1, "here")
    # What failed alone is said elsewhere; what has no image is a fact.
    check_usable(job, became("failed"), None, 1, "here")
    check_usable(job, became("no_image"), None, 1, "here")


def test_only_the_images_that_the_draw_wants_count() -> None:
    job = listed(128)
    masked = {"verdict": "rejected", "reason": "in the flare of event other"}
    candidates = [
        {**row, **masked} if row["phase"] in ("pre", "post") else row for row in job.candidates
    ]
    job = replace(job, candidates=candidates)
    nothing = manifest_of([])
    check_usable(job, nothing, {"pre": 5, "flare": 1, "post": 5}, 0, "here")
    with pytest.raises(IncompleteError, match="37 of them: in the flare of event other"):
        check_usable(job, nothing, {"pre": 5, "flare": 0, "post": 5}, 0, "here")


def test_an_event_within_another_flare_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(sample={"per_minute": 0})
    longer = "2014-01-07 17:50:00,2014-01-07 18:30:00,,,,\n"
    project.events(ONE_FLARE + longer)
    sentence = "2014-01-07T180534 131: none of its 38 images can be drawn"
    with pytest.raises(IncompleteError, match=sentence):
        in_process(project, monkeypatch)
    ledger = project.table("results/ledger/2014-01-07T180534.131.csv")
    assert {row["reason"] for row in ledger if row["status"] == "rejected"} == {
        "in the flare of event 2014-01-07T175000"
    }


def test_two_runs_on_one_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", "a", "b")
    refusal = pytest.raises(StoreError, match=r"another run uses this store \(from /one\)")
    with store.in_use("/one"), store.in_use("/one"), refusal:
        store.in_use("/two").__enter__()
    with store.in_use("/two"):
        pass


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file: cannot write: File exists"):
        Store(tmp_path / "file", "a", "b").in_use("x").__enter__()


def test_a_record_never_stands_for_another(bench: Callable[..., Bench]) -> None:
    b = bench()
    row = b.images[0]
    b.fetch(1)
    path = b.store.path_of(131, row["filename"], row["t_rec"])
    with pytest.raises(StoreError, match="the store has"):
        b.store.facts(path, "aia.lev1_euv_12s[2014-01-07T18:01:13Z][131]")


def test_a_page_does_not_cost_what_is_there(bench: Callable[..., Bench]) -> None:
    b = bench(Fault("cut", times=1), Fault("html", skip=1, times=2))
    manifest = b.fetch(1)
    assert manifest["tries"].tolist() == [4]
    pages = 2 * 200
    assert sum(b.arrived) < manifest["bytes"].sum() + pages


def test_a_lone_file_survives_an_outage(bench: Callable[..., Bench]) -> None:
    b = bench(Fault("status"), patience=36000.0, outage=7200.0)
    assert b.fetch(1)["status"].tolist() == ["verified"]
    assert b.requests(b.images[0]["filename"]) > 16


def test_a_file_in_trouble_is_told_from_an_archive_in_trouble(bench: Callable[..., Bench]) -> None:
    b = bench(patience=36000.0)
    bad = b.images[3]["filename"]
    b.server.faults.append(Fault("status", bad))
    manifest = b.fetch().set_index("filename")
    assert manifest.loc[bad, "status"] == "failed"
    assert 8 <= manifest.loc[bad, "tries"] <= 10
    assert sum(b.waited) < 600, "it is not waited for as for an archive that is down"
