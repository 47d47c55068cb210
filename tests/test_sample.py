"""The final result of the draw: the sample, its sampling log, and the bins with too few images."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import an_event, some_candidates
from support.rows import column
from support.strategies import SECONDS, events

from flareset.campaign.events import Event
from flareset.draw import choose
from flareset.phases import bins_of
from flareset.sample import (
    COLUMNS,
    LOG_COLUMNS,
    find_shortages,
    sample_rows,
    sampling_log,
    verified_files,
    write_sample,
)
from flareset.tables.csv import read_rows
from flareset.tables.manifest import COLUMNS as MANIFEST
from flareset.tables.rows import Row


def named(candidates: list[Row]) -> dict[str, Row]:
    """Return the file of each record: `aia[590][131]` has 590.fits."""
    return {
        record: {"filename": f"{record.split('[')[1][:-1]}.fits"}
        for record in column(candidates, "record")
    }


@given(events(), SECONDS, st.integers(0, 3), st.integers(0, 20))
@settings(max_examples=60)
def test_fewer_than_wanted_is_said_bin_by_bin(
    event: Event, seconds: list[int], each: int, around: int
) -> None:
    most = {"pre": around, "flare": each, "post": around + 1}
    chosen = choose(some_candidates(event, seconds), set(), most)
    short = find_shortages(chosen, event, most)
    # Nothing is wanted of a last minute that holds only its second 00, and no image.
    last = event.flare_end
    begins = {minute.begin for minute in bins_of(event) if minute.name}
    empty = last in begins and f"{last:%Y-%m-%dT%H:%M}" not in column(chosen, "bin")
    wanted = 2 * around + 1 + each * (len(bins_of(event)) - 2 - empty)
    assert len(chosen) + sum(bin_["wanted"] - bin_["drawn"] for bin_ in short) == wanted
    assert all(bin_["drawn"] < bin_["wanted"] for bin_ in short)
    # Every bin is told of once, by the first second that it has.
    assert len({(bin_["phase"], bin_["bin"]) for bin_ in short}) == len(short)
    named_begins = {(phase.name, name): begin for phase, name, begin in bins_of(event)}
    assert all(named_begins[bin_["phase"], bin_["bin"]] == bin_["begin"] for bin_ in short)


def test_a_last_minute_of_one_second_is_no_shortage() -> None:
    event = an_event((600, 720), (0, 1800))
    most = {"pre": 0, "flare": 1, "post": 0}

    def short_of(seconds: list[int]) -> int:
        chosen = choose(some_candidates(event, seconds), set(), most)
        return len(find_shortages(chosen, event, most))

    assert short_of([612, 672]) == 0
    assert short_of([612, 672, 720]) == 0
    assert short_of([612]) == 1


def test_sampling_log_counts_listed_images() -> None:
    event = an_event((570, 720), (0, 1800))  # 23:59:30 to 00:02:00
    seconds = [0, 575, 590, 601, 613, 625, 700, 720, 900]
    # A dark image is listed, though it is not drawn; one whose file is lost is as well.
    candidates = some_candidates(event, seconds, seed=3, dark=[700])
    chosen = choose(candidates, {"aia[720][131]"}, {"pre": 0, "flare": 1, "post": 0})
    log = sampling_log(candidates, chosen, named(candidates))
    assert [list(row) for row in log] == [LOG_COLUMNS] * 4
    assert column(log, "hhmm") == ["2359", "0000", "0001", "0002"]
    assert column(log, "count") == [2, 3, 1, 1]
    assert column(log, "place") == ["[0, 1]", "[2, 3, 4]", "[5]", "[6]"]
    assert column(log, "chosen_index")[2:] == ["", ""]
    assert column(log, "chosen_file")[2:] == ["", ""]
    by_place = dict(enumerate(["575", "590", "601", "613", "625"]))
    for n in (0, 1):
        assert log[n]["chosen_file"] == f"{by_place[log[n]['chosen_index']]}.fits"


def test_what_has_no_image_or_lies_outside_is_not_listed() -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, [600, 612, 624, 636])
    candidates[1]["verdict"] = "no_image"
    log = sampling_log(candidates, [candidates[2]], named(candidates))
    assert column(log, "count") == [3]
    assert column(log, "place") == ["[0, 1, 2]"]
    assert column(log, "chosen_index") == [1]


def test_several_images_a_minute() -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, range(600, 720, 12), seed=3)
    chosen = choose(candidates, set(), {"pre": 0, "flare": 2, "post": 0})
    log = sampling_log(candidates, chosen, named(candidates))
    assert column(log, "hhmm") == ["0000", "0000", "0001", "0001"]
    assert column(log, "chosen_index") == sorted(column(log, "chosen_index"))


def test_a_row_of_the_sample_says_what_the_manifest_knows(tmp_path: Path) -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, [300, 600, 900], late=3)
    names = column(candidates, "record")
    told = zip(
        [*names, names[0]],
        ["300.fits", "600.fits", "900.fits", ""],
        ["verified", "verified", "verified", "failed"],
        ["0", "256", "0", ""],
        strict=True,
    )
    manifest = [
        {
            **dict.fromkeys(MANIFEST, ""),
            **dict(zip(("record", "filename", "status", "QUALITY"), row, strict=True)),
        }
        for row in told
    ]
    write_sample(
        sample_rows(candidates[:2], verified_files(manifest), "e", 131), tmp_path / "sample.csv"
    )
    table = read_rows(tmp_path / "sample.csv")
    assert [(row["event_id"], row["wavelength"]) for row in table] == [("e", "131")] * 2
    assert list(table[0]) == COLUMNS
    assert COLUMNS[:3] == ["event_id", "wavelength", "phase"]
    assert column(table, "filename") == ["300.fits", "600.fits"]
    assert column(table, "QUALITY") == ["0", "256"]
    assert column(table, "slot") == ["2014-01-07T23:55:00Z", "2014-01-08T00:00:00Z"]
    assert column(table, "time") == ["2014-01-07T23:55:03Z", "2014-01-08T00:00:03Z"]
    assert not {"status", "reason", "tries"} & set(COLUMNS)
