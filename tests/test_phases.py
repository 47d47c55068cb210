"""The table of phases: a change there changes all stages."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import an_event, at
from support.project import ONE_FLARE, Project
from support.stages import in_process

from flareset.campaign.config import Quotas
from flareset.phases import PHASES, bins_of


def test_each_phase_has_its_quota_in_the_config() -> None:
    assert {phase.quota for phase in PHASES} == set(Quotas.model_fields)


def test_a_phase_that_is_open_at_its_end_has_no_bin_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pre, _, post = PHASES
    by_half_minutes = replace(pre, bin=timedelta(seconds=30))
    monkeypatch.setattr("flareset.phases.PHASES", (by_half_minutes, post))
    event = an_event((60, 90), (10, 120))
    *bins, last = bins_of(event)
    assert [(each.name[14:], each.begin) for each in bins] == [
        ("50:00", at(10)), ("50:30", at(30))
    ]  # fmt: skip
    assert (last.name, last.begin) == ("", at(91))


def test_the_length_of_bins_stands_in_one_place(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    five = [phase.bin and timedelta(minutes=5) for phase in PHASES]
    table = [replace(phase, bin=bin_) for phase, bin_ in zip(PHASES, five, strict=True)]
    monkeypatch.setattr("flareset.phases.PHASES", tuple(table))
    project.events(ONE_FLARE.replace("18:09:58", "18:19:58"))
    project.configure(sample={"per_minute": 24})
    in_process(project, monkeypatch)

    candidates = project.table("results/events/2014-01-07T180534/candidates.csv")
    listed = Counter(
        row["bin"] for row in candidates if row["phase"] == "flare" and row["verdict"] == "accepted"
    )
    assert listed == {"2014-01-07T18:05": 22, "2014-01-07T18:10": 25, "2014-01-07T18:15": 25}
    images = project.table("results/data_selection/images.csv")
    assert sum(row["phase"] == "flare" for row in images) == 22 + 24 + 24
    log = project.table("results/data_selection/sampling_logs/2014-01-07T180534.131.csv")
    assert Counter((row["hhmm"], row["count"]) for row in log) == {
        ("1805", "22"): 22, ("1810", "25"): 24, ("1815", "25"): 24
    }  # fmt: skip
    ledger = project.table("results/ledger/2014-01-07T180534.131.csv")
    assert [(row["time"], row["phase"]) for row in ledger if not row["record"]] == [
        ("2014-01-07T18:05:34Z", "flare")
    ]
    summary = project.table("results/summary.csv")
    assert [row["minute_bins"] for row in summary] == ["3", "3"]
