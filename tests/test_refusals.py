"""Refused before the first job: a data set that cannot be judged or split as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.flare_lists import spread
from support.project import Project

from flareset.campaign.checks import check_config
from flareset.campaign.events import Event
from flareset.errors import ConfigError
from flareset.refusals import refuse

FORTY = spread(40, noaa_ar="0", goes_class="M1")


def refused(config: dict[str, Any], events: list[Event] = FORTY) -> str:
    with pytest.raises(ConfigError) as failed:
        refuse(check_config(config), events)
    return str(failed.value)


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({"fractions": {"train": 0.8}}, "train 0.8, validation 0.15, test 0.15 add up to 1.1"),
        ({"fractions": {"train": 2}}, "splits.fractions.train: 2 is not a number from 0 to 1"),
        ({"method": "time"}, "3 splits (train, validation, test) need 2 times between them, not 0"),
        (
            {"method": "time", "boundaries": ["2014-06-01 00:00", "2014-01-01 00:00"]},
            "splits.boundaries: are not in the order of time",
        ),
        ({"boundaries": ["2014-06-01 00:00"]}, "are of method: time, not of method: groups"),
        ({"method": "time", "boundaries": ["June"]}, "'June' is not a time"),
        ({"method": "none", "folds": 3}, "splits.folds: is of method: groups"),
        ({"method": "none", "freeze": "v1.csv"}, "splits.freeze: is of method: groups"),
        ({"folds": 1}, "1 leaves nothing to train on; write 2 or more, or 0 for none"),
        ({"method": "random"}, "'random' is not one of groups, time, none"),
    ],
)
def test_settings_that_cannot_be(splits: dict[str, Any], sentence: str) -> None:
    assert sentence in refused({"splits": splits})


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"splits": {"group_by": ["cme"]}}, "config/events.csv has no column cme; it has goes_c"),
        ({"splits": {"stratify": "side"}}, "splits.stratify: config/events.csv has no column side"),
        ({"report_page": {"goes": ["g.csv"]}}, "report_page.goes: g.csv: no such file; name a CSV"),
        ({"splits": {"freeze": "v1/splits.csv"}}, "splits.freeze: v1/splits.csv: cannot be read"),
        ({"splits": {"folds": 50}}, "40 groups of events cannot be 50 folds: set splits.folds to"),
        (
            {"splits": {"method": "time", "boundaries": ["2013-01-01 00:00", "2013-06-01 00:00"]}},
            "train and validation would be empty with 40 groups of events for 3 splits: set other",
        ),
        ({"leaks": {"keywords": ["EXPTIM"]}}, "EXPTIM is no column of images.csv; did you mean"),
    ],
)  # fmt: skip
def test_settings_that_the_rows_do_not_allow(config: dict[str, Any], sentence: str) -> None:
    refuse(check_config({}), FORTY)
    assert sentence in refused(config)


def test_what_rows_carry_may_be_judged() -> None:
    refuse(check_config({"leaks": {"keywords": ["goes_class", "hour", "split"]}}), FORTY)
    refuse(check_config({"splits": {"group_by": ["noaa_ar"], "stratify": "goes_class"}}), FORTY)
    named_by_hek = spread(40, ar_noaanum="0", fl_goescls="M1")
    refuse(check_config({"splits": {"group_by": ["noaa_ar"]}}), named_by_hek)


def test_few_flares_are_refused_where_a_split_was_asked_for() -> None:
    three = spread(3)
    refuse(check_config({}), three)
    sentence = refused({"splits": {"buffer": "1d"}}, three)
    assert "empty with 3 groups of events for 3 splits: use splits.folds: 3" in sentence
    refuse(check_config({"splits": {"folds": 3}}), three)
    half = {"train": 0.5, "validation": 0, "test": 0.5}
    refuse(check_config({"splits": {"fractions": half}}), three)


def test_before_any_job(tmp_path: Path) -> None:
    project = Project(tmp_path / "campaign", {"splits": {"buffer": "3d"}})
    text = project.run(fails=True).text
    assert "test would be empty with 2 groups of events for 3 splits" in text
    assert not project.path("results").exists()
