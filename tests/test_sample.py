"""The final result of the draw: the sample, its sampling log, and the bins with too few images."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import an_event, some_candidates
from support.strategies import SECONDS, events

from flareset.campaign.events import Event
from flareset.draw import choose
from flareset.phases import bins_of
from flareset.sample import find_shortages, sample_table, sampling_log
from flareset.tables.manifest import COLUMNS


def named(candidates: pd.DataFrame) -> dict[str, str]:
    """Return the file of each record: `aia[590][131]` has 590.fits."""
    return {record: f"{record.split('[')[1][:-1]}.fits" for record in candidates["record"]}


@given(events(), SECONDS, st.integers(0, 3), st.integers(0, 20))
@settings(max_examples=60)
def test_fewer_than_wanted_is_said_bin_by_bin(
    event: Event, seconds: list[int], each: int, around: int
) -> None:
    most = {"pre": around, "flare": each, "post": around + 1}
    chosen = choose(some_candidates(event, seconds), set(), most)
    short = find_shortages(chosen, event, most)
    # Nothing is wanted of a last minute that holds only its second 00, and no image.
    last = pd.Timestamp(event.flare_end)
    begins = {minute.begin for minute in bins_of(event) if minute.name}
    empty = last in begins and not (chosen["bin"] == f"{last:%Y-%m-%dT%H:%M}").any()
    wanted = 2 * around + 1 + each * (len(bins_of(event)) - 2 - empty)
    assert len(chosen) + (short["wanted"] - short["drawn"]).sum() == wanted
    assert (short["drawn"] < short["wanted"]).all()
    # Every bin is told of once, by the first second that it has.
    assert not short.duplicated(["phase", "bin"]).any()
    assert short.index.tolist() == list(range(len(short)))
    named_begins = {(phase.name, name): begin for phase, name, begin in bins_of(event)}
    assert all(named_begins[row.phase, row.bin] == row.begin for row in short.itertuples())


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
    assert log["hhmm"].tolist() == ["2359", "0000", "0001", "0002"]
    assert log["count"].tolist() == [2, 3, 1, 1]
    assert log["place"].tolist() == ["[0, 1]", "[2, 3, 4]", "[5]", "[6]"]
    assert log["chosen_index"].tolist()[2:] == ["", ""]
    assert log["chosen_file"].tolist()[2:] == ["", ""]
    by_place = dict(enumerate(["575", "590", "601", "613", "625"]))
    for n in (0, 1):
        assert log["chosen_file"][n] == f"{by_place[log['chosen_index'][n]]}.fits"


def test_what_has_no_image_or_lies_outside_is_not_listed() -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, [600, 612, 624, 636])
    candidates.loc[1, "verdict"] = "no_image"
    log = sampling_log(candidates, candidates.iloc[[2]], named(candidates))
    assert log["count"].tolist() == [3]
    assert log["place"].tolist() == ["[0, 1, 2]"]
    assert log["chosen_index"].tolist() == [1]


def test_several_images_a_minute() -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, range(600, 720, 12), seed=3)
    chosen = choose(candidates, set(), {"pre": 0, "flare": 2, "post": 0})
    log = sampling_log(candidates, chosen, named(candidates))
    assert log["hhmm"].tolist() == ["0000", "0000", "0001", "0001"]
    assert log["chosen_index"].is_monotonic_increasing


def test_a_row_of_the_sample_says_what_the_manifest_knows() -> None:
    event = an_event((600, 719), (0, 1800))
    candidates = some_candidates(event, [300, 600, 900], late=3)
    chosen = candidates.iloc[[0, 1]]
    manifest = pd.DataFrame("", index=range(4), columns=COLUMNS).assign(
        record=[*candidates["record"], candidates["record"][0]],
        filename=["300.fits", "600.fits", "900.fits", ""],
        status=["verified", "verified", "verified", "failed"],
        QUALITY=["0", "256", "0", ""],
    )
    table = sample_table(chosen, manifest, "e", 131)
    assert table[["event_id", "wavelength"]].drop_duplicates().to_numpy().tolist() == [["e", 131]]
    assert table.columns.tolist()[:3] == ["event_id", "wavelength", "phase"]
    assert table["filename"].tolist() == ["300.fits", "600.fits"]
    assert table["QUALITY"].tolist() == ["0", "256"]
    assert table["slot"].tolist() == ["2014-01-07T23:55:00Z", "2014-01-08T00:00:00Z"]
    assert table["time"].tolist() == ["2014-01-07T23:55:03Z", "2014-01-08T00:00:03Z"]
    assert not {"status", "reason", "tries"} & set(table.columns)
