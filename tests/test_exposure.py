"""Short and normal exposures: what they are, that they are drawn as asked, and what they tell."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factories import BASE, an_event, records_at, rejecting, some_candidates
from support.project import ONE_FLARE, Project
from support.rows import cells, column, frame
from support.stages import in_process

from flareset.campaign.events import Event
from flareset.candidates import Rules, candidates_of
from flareset.draw import choose, rank
from flareset.leaks import find_leaks
from flareset.sdo.exposure import LIMITS, kind_of, seconds_of
from flareset.sdo.series import SERIES
from flareset.sdo.times import name_time
from flareset.standin.server import StandIn, running
from flareset.tables.rows import Row

ANY, NORMAL, SHORT = (rejecting(exposure=kind) for kind in ("any", "normal", "short"))


@pytest.mark.parametrize(
    ("wavelength", "commanded", "measured", "kind", "seconds"),
    [
        # Real headers: aia_171_cutout of 2013-03-10, AECTYPE 2, and sunpy's sample of 2011-06-07.
        (171, "2000", "1.999601", "normal", "1.999601"),
        (171, "237", "0.234256", "short", "0.234256"),
        (131, "2800", "2.8", "normal", "2.8"),
        (131, "2799", "2.8", "short", "2.8"),
        (131, "1000", "1.0", "short", "1.0"),
        (1700, "966", "0.966", "normal", "0.966"),
        (4500, "500", "0.5", "normal", "0.5"),
        # EXPTIME is wrong: 10 % off counts, 9 % does not.
        (131, "2900", "0.1", "normal", "2.9"),
        (131, "2900", "3.19", "normal", "2.9"),
        (131, "2900", "3.16", "normal", "3.16"),
        (131, "2900", "nan", "normal", "2.9"),
        (131, "2900", "", "normal", "2.9"),
        (131, "", "0.25", "short", "0.25"),
        (131, "", "", "", ""),
        (131, "-2147483648", "MISSING", "", ""),
        (6173, "", "0.1", "", "0.1"),
    ],
)
def test_kinds_and_seconds(
    wavelength: int, commanded: str, measured: str, kind: str, seconds: str
) -> None:
    assert kind_of(wavelength, commanded, measured) == kind
    assert seconds_of(commanded, measured) == seconds


def test_every_channel_of_aia_has_a_limit() -> None:
    of_aia = [series for series in SERIES.values() if series.instrument == "aia"]
    assert set(LIMITS) == {wave for series in of_aia for wave in series.wavelengths}


@given(st.sets(st.integers(0, 149)), st.integers(0, 9), st.integers(0, 3))
@settings(max_examples=25)
def test_each_kind_is_drawn_alone_and_in_the_same_order(
    short: set[int], seed: int, per_minute: int
) -> None:
    event = an_event((600, 1200), (0, 1800))
    records = records_at(range(0, 1800, 12), short={12 * n for n in short})
    found = {
        rules.exposure: rank(candidates_of(records, event, rules), "e", seed)
        for rules in (ANY, NORMAL, SHORT)
    }
    order = frame(found["any"]).set_index("record")["rank"]
    assert (order >= 0).all()
    for kind in ("normal", "short"):
        table = frame(found[kind]).set_index("record")
        accepted = table["verdict"] == "accepted"
        assert (accepted == (table["exposure"] == kind)).all()
        for _, of_bin in table[accepted].groupby(["phase", "bin"]):
            assert order[of_bin.sort_values("rank").index].is_monotonic_increasing
    most = {"pre": 5, "flare": per_minute, "post": 5}
    drawn = {kind: choose(rows, set(), most) for kind, rows in found.items()}
    normal = {row["record"] for row in drawn["any"] if row["exposure"] == "normal"}
    assert normal <= set(column(drawn["normal"], "record"))


def test_why_an_exposure_is_not_drawn() -> None:
    event = an_event((600, 1200), (0, 1800))
    found = candidates_of(records_at([0, 12], short={12}), event, NORMAL)
    assert cells(found, "exposure", "verdict", "reason") == [
        ["normal", "accepted", ""],
        ["short", "rejected", "short exposure, 0.25 s"],
    ]


def test_a_guard_keeps_images_away_from_the_flare() -> None:
    event = an_event((600, 700), (0, 1300))
    seconds = [479, 480, 481, 599, 600, 700, 701, 819, 820, 821]
    found = candidates_of(records_at(seconds), event, rejecting(guard=timedelta(minutes=2)))
    near = [481, 599, 701, 819]
    expected = ["rejected" if second in near else "accepted" for second in seconds]
    assert column(found, "verdict") == expected
    assert {row["reason"] for row in found if row["verdict"] == "rejected"} == {
        "within 2m of the flare"
    }
    assert set(column(some_candidates(event, seconds, rules=ANY), "verdict")) == {"accepted"}


DAY = an_event(
    ("2014-01-07 18:05:34", "2014-01-07 19:48:58"),
    ("2014-01-07 15:07:00", "2014-01-07 22:46:00"),
    event_id="2014-01-07T180534",
)
QUOTAS = {"pre": 178, "flare": 1, "post": 178}


@pytest.fixture(scope="module")
def of_the_day(real: Path) -> list[Row]:
    """Return the images of the real page of 2014-01-07, short where T_OBS is late in its slot."""
    page = (real / "original/html_dump/2014-01-07.html").read_text()
    rows = re.findall(r">(aia[^<]*image_lev1[^<]*fits)<", page)
    names = sorted(set(rows))
    times = [name_time(name) for name in names]
    seconds = [(time - BASE).total_seconds() for time in times]
    # Normal exposures at 131 fall on second 10 of twelve; 11, 0 and 1 are those of short ones.
    late = [second for second, t in zip(seconds, times, strict=True) if t.second % 12 in (11, 0, 1)]
    rows = zip(records_at(seconds, short=late), names, strict=True)
    return [{**row, "record": name} for row, name in rows]


def drawn_of(records: list[Row], event: Event, rules: Rules) -> pd.DataFrame:
    found = rank(candidates_of(records, event, rules), event.event_id, 20140107)
    return frame(choose(found, set(), QUOTAS))


def test_the_normal_images_of_a_real_flare_fill_every_minute(of_the_day: list[Row]) -> None:
    """AIA shortened 127 of the 518 images of the flare, and 7 of a flare that the row has not."""
    found = frame(candidates_of(of_the_day, DAY, NORMAL))
    assert found["phase"].value_counts().to_dict() == {"pre": 892, "flare": 518, "post": 885}
    short = found[found["exposure"] == "short"]
    assert short["phase"].value_counts().to_dict() == {"flare": 127, "post": 7}
    assert [short["time"].iloc[-7].strftime("%H:%M"), short["time"].iloc[-1].strftime("%H:%M")] == [
        "22:33", "22:35"
    ]  # fmt: skip
    drawn = drawn_of(of_the_day, DAY, NORMAL)
    assert drawn["phase"].value_counts().to_dict() == {"pre": 178, "flare": 104, "post": 178}
    assert set(drawn["exposure"]) == {"normal"}


def test_the_exposure_of_a_real_flare_tells_the_label_of_any(of_the_day: list[Row]) -> None:
    auc = {}
    for rules in (ANY, NORMAL):
        drawn = drawn_of(of_the_day, DAY, rules)
        images = drawn.assign(label=(drawn["phase"] == "flare").astype(int), event_id="e")
        auc[rules.exposure] = find_leaks(images, ["exposure"], 1)["auc"][0]
        part = (drawn["exposure"] == "short").groupby(drawn["phase"]).mean()
        # Two values: the AUC is one half and half of what their parts differ by.
        others = (part["pre"] + part["post"]) / 2
        assert auc[rules.exposure] == pytest.approx(0.5 + (part["flare"] - others) / 2, abs=1e-4)
    assert auc["any"] > 0.59
    assert auc["normal"] == 0.5


A = "2014-01-07T180534"
SHORT_REASONS = {"short exposure, 0.25 s", "short exposure, 1 s"}


def test_a_campaign_of_normal_exposures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before a download where JSOC is asked; where a page lists files, from their headers."""
    drawn, fetched = {}, {}
    for source in ("page", "direct"):
        project = Project(tmp_path / source, {"source": source, "sample": {"exposure": "normal"}})
        project.events(ONE_FLARE)
        in_process(project, monkeypatch)
        images = project.table("results/data_selection/images.csv")
        assert {row["exposure"] for row in images} == {"normal"}
        assert [row["phase"] for row in images].count("flare") == 5, "every minute is filled"
        leaks = project.table("results/data_selection/leaks.csv")
        auc = {row["keyword"]: row["auc"] for row in leaks}
        assert auc["exposure"] == auc["AIMGSHCE"] == "0.5"
        drawn[source] = [row["record"] for row in images]
        manifest = project.table(f"results/events/{A}/131/manifest.csv")
        fetched[source] = {row["record"]: row["reason"] for row in manifest}
        ledger = project.table(f"results/ledger/{A}.131.csv")
        rejected = [row for row in ledger if row["status"] == "rejected"]
        assert {row["reason"] for row in rejected} <= SHORT_REASONS
        assert {row["phase"] for row in rejected} == {"flare"}
        assert project.table("results/summary.csv")[0]["short_outside"] == "0"
    assert drawn["page"] == drawn["direct"]
    assert sorted(fetched["direct"]) == sorted(drawn["direct"]), "nothing is fetched in vain"
    more = set(fetched["page"]) - set(drawn["page"])
    assert more
    assert {fetched["page"][record] for record in more} <= SHORT_REASONS


def test_a_flare_that_the_list_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that ends its flare early: AIA goes on to shorten exposures."""
    whole = Project(tmp_path / "whole").read_events()[0]
    project = Project(tmp_path / "early", {"sample": {"exposure": "normal"}, "fetch": "all"})
    project.events(ONE_FLARE.replace("18:09:58", "18:07:10"))
    with running(StandIn(frame_size=128, flares=[whole.flare])) as server:
        project.use(server)
        in_process(project, monkeypatch)
    ledger = project.table(f"results/ledger/{A}.131.csv")
    named = [row for row in ledger if "events.csv lacks" in row["reason"]]
    assert {row["phase"] for row in named} == {"post"}
    assert {row["reason"] for row in named} == {
        f"{reason}; short outside the listed flares: of a flare that events.csv lacks?"
        for reason in SHORT_REASONS
    }
    assert all("18:07:10" < row["time"][11:19] < "18:08:30" for row in named)
    summary = project.table("results/summary.csv")
    assert [row["short_outside"] for row in summary] == [str(len(named))] * 2
    assert len(named) >= 3
