"""The intake: lists in; events.csv, flares.csv, changes.csv and intake.md out."""

from __future__ import annotations

import csv
import io
import random
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import needs
from support.project import Project

from flareset.errors import IntakeError
from flareset.intake.flares import ListedFlare, events_text, flares_text
from flareset.intake.merging import Preferences
from flareset.intake.outcome import (
    Cleaning,
    Outcome,
    find_list,
    rows_by_rule,
    take_in,
)
from flareset.intake.reading import read_list
from flareset.intake.rules import RULES
from flareset.intake.selection import Verdict, Wanted, select
from flareset.intake.written import write

SWPC = "hayesla_lists/swpc_flarelist_20100101-20210810.first3000.csv"
SSW = "hayesla_lists/final_latestevents_scraping.first3000.csv"
SC24 = "hayesla_lists/final_flare_list_sc24.first3000.csv"
HEK = "../original/flare_summary_final/flare_hek_peaks_data.csv"
ARCCNET = (
    "arccnet/hek_swpc_20120101-20120103.ecsv",
    "arccnet/hek_ssw_latest_20120101-20120103.ecsv",
    "arccnet/hec_goes_20120101-20120103.ecsv",
    "arccnet/hec_gevloc_20120101-20120103.ecsv",
)


ANY = Wanted()


def taken(real: Path, *names: str, wanted: Wanted = ANY, **how: Any) -> Outcome:
    """Return the outcome of lists of the real folder. The first has the highest rank."""
    return taken_once(tuple(real / "flares" / name for name in names), Cleaning(**how), wanted)


@cache
def taken_once(paths: tuple[Path, ...], how: Cleaning, wanted: Wanted) -> Outcome:
    return take_in([[read_list(path)] for path in paths], how, wanted)


def from_text(*texts: str, **preferences: Any) -> Outcome:
    """Return the outcome of tables. The first has the highest rank."""
    lists = [[read_list(text.encode(), f"{n}.csv")] for n, text in enumerate(texts)]
    return take_in(lists, Cleaning(preferences=Preferences(**preferences)), Wanted())


def at(outcome: Outcome, start: str) -> ListedFlare:
    (found,) = [f for f in outcome.flares if f"{f.start:%Y-%m-%dT%H:%M}" == start]
    return found


def counts(outcome: Outcome) -> dict[str, int]:
    return {rule: len(rows) for rule, rows in rows_by_rule(outcome.changes).items()}


def records(path: Path) -> list[list[str]]:
    with path.open(newline="") as lines:
        return list(csv.reader(lines))[1:]


def clock(text: str) -> str:
    return text.replace(":", "")[-6:].zfill(4)[:4]


# Counts, against counting by hand


def test_counts_of_the_merged_list(real: Path) -> None:
    rows = records(real / "flares" / SC24)
    early = [r for r in rows if (r[1] > r[3] or r[1] > r[2])]
    found = counts(taken(real, SC24))
    latitudes = [abs(float(r[10])) for r in rows if r[10]]
    assert found["table.unnamed_index"] == len(rows) == 3000
    assert found["time.next_day"] == len(early)
    assert found["ar.blank"] == sum(not r[8].strip() for r in rows)
    assert found["position.none"] == sum(not r[9] for r in rows)
    assert found["position.polar"] == sum(latitude > 45 for latitude in latitudes)
    assert found["before_sdo"] == sum(r[1] < "2010-05-13" for r in rows)
    assert not {name for name in found if name.startswith(("class.", "end.", "peak."))}


def test_positions_far_from_those_of_their_region(real: Path) -> None:
    """Against plain differences of longitude and latitude, where those leave no doubt."""
    rows = [r for r in records(real / "flares" / SC24) if r[8].strip() and r[10]]
    rows = [r for r in rows if abs(float(r[10])) <= 45]
    outcome = taken(real, SC24)
    flagged = {f.flare_id for f in outcome.flares if "position.off_ar" in f.flags}
    assert len(flagged) == counts(outcome)["position.off_ar"] > 50
    for r in rows:
        others = [o for o in rows if o[8] == r[8] and o[1][:10] == r[1][:10] and o is not r]
        differ = [
            max(abs(float(o[column]) - float(r[column])) for column in (10, 11)) for o in others
        ]
        name = f"{datetime.fromisoformat(r[1]):%Y-%m-%dT%H%M%S}"
        # The Sun turns 13 degrees at most meanwhile; a degree of longitude is less near the poles.
        if differ and min(differ) > 40:
            assert name in flagged
        if not differ or min(differ) < 5:
            assert name not in flagged


def test_counts_of_swpc(real: Path) -> None:
    rows = records(real / "flares" / SWPC)
    found = counts(taken(real, SWPC))
    assert found["time.next_day"] == sum(r[5] < r[3] or r[4] < r[3] for r in rows)
    assert found["peak.missing"] == sum(r[4] == "////" for r in rows)
    assert found["ar.blank"] == sum(not r[11].strip() for r in rows)
    assert found["table.unnamed_index"] == len(rows)


def test_counts_of_ssw(real: Path) -> None:
    rows = records(real / "flares" / SSW)
    found = counts(taken(real, SSW))
    places = ["".join(r[7:]) for r in rows]
    regions = [re.search(r"\( *(\d+) *\)", place) for place in places]
    starts = [r[3].split()[1] for r in rows]
    assert found["time.clock_only"] == sum(
        re.fullmatch(r"\d\d:\d\d:\d\d", r[4]) is not None for r in rows
    )
    assert found["end.is_peak"] == sum(r[4] == r[5] for r in rows)
    assert found["time.next_day"] == sum(
        min(r[4], r[5]) < s for r, s in zip(rows, starts, strict=True)
    )
    assert found["ar.leading_digit"] == sum(region is not None for region in regions)
    assert found["ar.blank"] == sum(region is None for region in regions)
    assert found["position.none"] == sum("*" in place for place in places)
    polar = [p for p in places if (m := re.match(r"[NS](\d\d)[EW]", p)) and int(m[1]) > 45]
    assert found["position.polar"] == len(polar)


def test_counts_of_hek(real: Path) -> None:
    """Times have no fractions and no zones there, so texts compare as times do."""
    with (real / "flares" / HEK).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = counts(taken(real, HEK))
    assert found["class.from_label"] == sum("GOES Class" in r["hv_labels_formatted"] for r in rows)
    copies = Counter(tuple(r.values()) for r in rows)
    assert found["duplicate.exact"] == sum(n - 1 for n in copies.values()) == 21
    equal = [r["event_endtime"] == r["event_peaktime"] for r in rows]
    assert found["end.is_peak"] == sum(equal)
    late = 0
    for r, is_equal in zip(rows, equal, strict=True):
        start, end = (datetime.fromisoformat(r[f"event_{n}time"]) for n in ("start", "end"))
        stamp = r["frm_name"].startswith("SSW") and end.second
        late += not is_equal and (end - start > timedelta(hours=12) or bool(stamp))
    assert found["end.too_late"] == late
    spans = [
        [float(r[f"boundbox_{n}ur"]) - float(r[f"boundbox_{n}ll"]) for n in ("c1", "c2")]
        for r in rows
    ]
    degrees = [abs(float(r["boundbox_c1ll"])) <= 90 >= abs(float(r["boundbox_c1ur"])) for r in rows]
    whole = [
        min(span) > (179 if in_degrees else 1900)
        for span, in_degrees in zip(spans, degrees, strict=True)
    ]
    assert found["position.none"] == sum(whole) > 39


# Edge cases


def test_the_four_catalogues_of_three_days(real: Path) -> None:
    """12 flares with four sources each; a row of SSW's is the second of its flare."""
    outcome = taken(real, *ARCCNET)
    assert len(outcome.flares) == 12
    assert {f.sources for f in outcome.flares} == {("swpc", "ssw", "hec_goes", "hec_gevloc")}
    assert sorted(len(f.reports) for f in outcome.flares) == [4] * 11 + [5]


def test_a_position_that_only_another_source_has(real: Path) -> None:
    flare = at(taken(real, *ARCCNET), "2012-01-01T04:45")
    assert (flare.position, flare.noaa_ar) == ((-35, -25), 11389)
    assert flare.position_from.startswith("ssw:")
    assert flare.times_from.startswith("swpc:")


def test_one_flare_twice_in_a_source_with_two_places(real: Path) -> None:
    """The row of SSW counts whose peak is that of SWPC."""
    flare = at(taken(real, *ARCCNET), "2012-01-01T23:28")
    assert (flare.peak, flare.position) == (datetime(2012, 1, 1, 23, 36, tzinfo=UTC), (-27, -27))
    alone = at(taken(real, *ARCCNET[:2]), "2012-01-01T23:28")
    assert (alone.noaa_ar, alone.position) == (None, (-27, -27))
    assert flare.noaa_ar == 11389
    assert flare.ar_from.startswith("hec_gevloc:")


@pytest.mark.parametrize(("choice", "region"), [("first", 11389), ("blank", None)])
def test_conflicts_are_named(real: Path, choice: Any, region: int | None) -> None:
    outcome = taken(real, *ARCCNET, preferences=Preferences(ar=choice))
    flare = at(outcome, "2012-01-02T05:23")
    assert (flare.noaa_ar, flare.position) == (region, (-20, -22))
    lines = [c for c in outcome.changes if c.flare_id == flare.flare_id]
    conflicts = {
        (c.row.source, c.note.before, c.note.after) for c in lines if c.note.rule == "conflict.ar"
    }
    assert conflicts == {("ssw", "11391", "11389"), ("hec_gevloc", "11391", "11389")}
    assert {"conflict.ar", "conflict.position"} <= flare.flags


def test_duplicates_by_two_satellites(real: Path) -> None:
    outcome = taken(real, SWPC)
    pairs = rows_by_rule(outcome.changes)["duplicate.satellites"]
    starts = {f"{f.start:%Y-%m-%dT%H:%M}": f for f in outcome.flares if len(f.reports) == 2}
    assert len(pairs) == len(starts)
    assert starts["2012-09-29T07:50"].goes_class == "C1.2"
    assert starts["2011-03-05T09:01"].noaa_ar == 11165
    assert [i.start.hour for i in starts["2011-03-05T09:01"].intervals] == [5, 9]
    near = [at(outcome, f"2011-02-14T{time}") for time in ("03:24", "04:29")]
    assert [f.goes_class for f in near] == ["C7.1", "C8.3"]
    assert all("near_duplicate" in f.flags for f in near)


def test_two_satellites_two_hours_apart() -> None:
    names = "date,start_time,max_time,end_time,goes_sat,goes_channel,goes_class\n"
    rows = "20150316,0833,0953,1009,G15,1-8A,C1.8\n20150316,0938,0953,1010,G13,1-8A,C1.9\n"
    assert len(from_text(names + rows).flares) == 1


def test_a_missing_peak_is_filled_by_another_source(real: Path) -> None:
    flare = at(taken(real, SWPC), "2011-04-11T23:40")
    assert flare.peak is None
    filled = at(taken(real, SWPC, SSW), "2011-04-11T23:40")
    assert filled.peak_from.startswith("ssw:")
    assert filled.start < filled.peak < filled.end
    assert filled.end_from.startswith("swpc:")


def test_a_flare_summary_and_the_report_of_its_year(real: Path) -> None:
    needs.module("h5py")
    summary = "flsum/sci_xrsf-l2-flsum_g15_d20101016_v1-0-0.nc"
    year = "ngdc_csv/goes_catalog_with_noaa_ar2.extract.csv"
    for scale, expected in (("operational", "M2.9"), ("science", "M4.5")):
        outcome = taken(real, year, summary, preferences=Preferences(scale=scale))
        flare = at(outcome, "2010-10-16T19:07")
        assert (flare.goes_class, flare.scale, flare.noaa_ar) == (expected, scale, 11112)
        (conflict,) = [c for c in outcome.changes if c.note.rule == "conflict.class"]
        assert {conflict.note.before, conflict.note.after} == {"M2.9 operational", "M4.5 science"}


def test_a_flare_parted_over_two_daily_files() -> None:
    whole = read_list(b"start,peak,end\n2014-01-07 23:50,2014-01-08 00:10,2014-01-08 00:30\n", "a")
    (row,) = whole.rows
    first, second = (
        replace(row, source="flsum", key="g15-7", file=file, cells={n: row.cells[n] for n in names})
        for file, names in (("a.nc", ["start"]), ("b.nc", ["peak", "end"]))
    )
    lists = [[replace(whole, file=r.file, rows=(r,)) for r in (second, first)]]
    outcome = take_in(lists, Cleaning(), Wanted())
    (flare,) = outcome.flares
    assert (flare.peak.minute, flare.end.minute) == (10, 30)
    assert counts(outcome) == {"parts.joined": 1}
    alone = take_in([[replace(whole, rows=(first,))]], Cleaning(), Wanted())
    assert alone.flares == []
    assert counts(alone) == {"end.missing": 1, "dropped.no_end": 1}


def test_an_end_that_cannot_be_is_another_sources_or_the_row_is_dropped() -> None:
    names = "event_starttime,event_peaktime,event_endtime,frm_name,fl_goescls\n"
    ssw = "2025-05-27 10:02,2025-05-27 10:10,2025-06-13 10:40:28,SSW Latest Events,M1.0\n"
    swpc = "2025-05-27 10:02,2025-05-27 10:10,2025-05-27 10:20,SWPC,M1.0\n"
    alone = from_text(names + ssw)
    assert alone.flares == []
    assert [c.note.rule for c in alone.changes] == ["dropped.no_end", "end.too_late"]
    (flare,) = from_text(names + ssw, names + swpc).flares
    assert flare.end_from.startswith("swpc:")


def test_times_of_aia_and_the_intervals_of_all(real: Path) -> None:
    """GOES has the X1.2 of 2014-01-07 from 18:04, AIA's detector from 18:05:34."""
    plain = at(taken(real, HEK), "2014-01-07T18:04")
    assert (plain.goes_class, plain.precision) == ("X1.2", "min")
    outcome = taken(real, HEK, preferences=Preferences(times="aia_131"))
    (flare,) = [f for f in outcome.flares if f.start == datetime(2014, 1, 7, 18, 5, 34, tzinfo=UTC)]
    assert (flare.goes_class, flare.end) == ("X1.2", datetime(2014, 1, 7, 19, 48, 58, tzinfo=UTC))
    assert (flare.fl_peakflux, flare.hpc_x) == (3004.52, 268.8)
    first = min(flare.intervals, key=lambda interval: interval.start)
    assert {"swpc", "aia_131"} <= {interval.source for interval in flare.intervals}
    assert first.start <= datetime(2014, 1, 7, 18, 4, tzinfo=UTC)


def test_590_rows_of_17_methods_are_as_many_flares_as_swpc_has_starts(real: Path) -> None:
    with (real / "flares" / HEK).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    starts = {r["event_starttime"] for r in rows if r["frm_name"] == "SWPC"}
    outcome = taken(real, HEK)
    found = {f"{f.start:%Y-%m-%dT%H:%M:%S}" for f in outcome.flares}
    assert found < starts
    # Two rows of SWPC's are one flare: they peak together.
    assert starts - found == {"2024-10-26T05:57:00"}
    assert {flare.sources[0] for flare in outcome.flares} == {"swpc"}


def test_a_list_of_ones_own_has_the_flares_though_it_has_no_class() -> None:
    mine = "event_starttime,event_endtime\n2014-01-07 18:05:34,2014-01-07 19:48:58\n"
    swpc = "date,start_time,max_time,end_time,goes_sat,goes_channel,goes_class\n"
    swpc += "20140107,1804,1832,1858,G15,1-8A,X1.2\n20140107,2216,2233,2239,G15,1-8A,C7.4\n"
    first, other = from_text(mine, swpc).flares
    assert (first.start.second, first.goes_class) == (34, "X1.2")
    assert first.sources == ("0", "swpc")
    assert other.goes_class == "C7.4"


def test_a_class_threshold_compares_one_scale() -> None:
    """M1.0 of GOES-16 is M1.4 divided by what GOES-15's factor was."""
    rows = (
        "2014-01-07 18:00,2014-01-07 18:30,M1.0,G15\n2021-01-07 18:00,2021-01-07 18:30,M1.0,G16\n"
    )
    outcome = from_text("start,end,goes_class,goes_sat\n" + rows)
    assert [f.scale for f in outcome.flares] == ["operational", "science"]
    wanted = Wanted(least_flux=1e-5)
    below = "class below select.class on the operational scale, not as listed: see intake.scale"
    assert [v.reason for v in select(outcome.flares, wanted)] == ["", below]
    science = replace(wanted, scale="science")
    assert [v.reason for v in select(outcome.flares, science)] == ["", ""]


def test_a_list_of_which_much_is_unreadable_is_refused() -> None:
    rows = "".join(f"2014-01-{day:02} 18:00,2014-01-{day:02} 18:30,C1.0\n" for day in range(1, 20))
    text = f"start,end,goes_class\n{rows}soon,later,C1.0\nsoon,later,C1.0\n"
    with pytest.raises(IntakeError, match=r"0.csv: 2 of 21 rows cannot be read.*line 21"):
        from_text(text)


def test_no_list_and_no_row(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="there is no such file"):
        find_list(str(tmp_path / "*.csv"))
    text = "start,end\n2014-01-07 18:00,2014-01-07 18:30\n"
    with pytest.raises(IntakeError, match=r"no row of any .*; the sources .* are a;"):
        take_in([[read_list(text.encode(), "a.csv")]], Cleaning(sources=("swpc",)), Wanted())


def test_files_of_a_pattern_are_of_one_rank(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in find_list(str(tmp_path / "*.csv"))] == ["a.csv", "b.csv"]
    assert [path.name for path in find_list(str(tmp_path / "c.txt"))] == ["c.txt"]


# Selection


def test_the_published_selection(real: Path) -> None:
    """The strongest flare of each date of 2014 that AIA saw in 131: eight are five."""
    year = {"begin": datetime(2014, 1, 1, tzinfo=UTC), "end": datetime(2015, 1, 1, tzinfo=UTC)}
    wanted = Wanted(**year, strongest=1, per="date", by="fl_peakflux")
    outcome = taken(real, HEK, sources=("aia_131",), wanted=wanted)
    assert len([v for v in outcome.verdicts if not v.reason or v.missed]) == 8
    published = "flare_selection/strongest_flares_2014_SDO_AIA_131.csv"
    with (real / "original/flare_summary_final" / published).open() as lines:
        expected = [
            tuple(
                row[name].replace(" ", "T")
                for name in ("event_starttime", "event_peaktime", "event_endtime", "fl_peakflux")
            )
            for row in csv.DictReader(lines)
        ]
    found = [
        (*(f"{time:%Y-%m-%dT%H:%M:%S}" for time in (f.start, f.peak, f.end)), f"{f.fl_peakflux}")
        for f in outcome.selected
    ]
    assert found == expected


def listed(start: str, goes_class: str = "C1.0", **more: Any) -> ListedFlare:
    when = datetime.fromisoformat(start).replace(tzinfo=UTC)
    peak, end = when + timedelta(minutes=10), when + timedelta(minutes=30)
    name = when.strftime("%Y-%m-%dT%H%M%S")
    return ListedFlare(name, when, peak, end, goes_class=goes_class, scale="operational", **more)


def reasons_of(flares: list[ListedFlare], **wanted: Any) -> list[str]:
    return [verdict.reason for verdict in select(flares, Wanted(**wanted))]


def test_every_reason() -> None:
    flare = listed("2014-01-07 18:04", "M1.0", noaa_ar=11944, hgs_lon=11.0, hgs_lat=-9.0,
                   hpc_x=180.0, hpc_y=-100.0)  # fmt: skip
    bare = listed("2014-01-07 18:04", "C")
    day = datetime(2014, 1, 7, tzinfo=UTC)
    everything = {
        "begin": day, "end": day + timedelta(days=1), "least_flux": 1e-5, "longitude": 65,
        "latitude": 45, "radius": 0.9, "regions": (11944,), "region_required": True,
        "position_required": True,
    }  # fmt: skip
    assert reasons_of([flare], **everything) == [""]
    for wanted, given_flare, reason in (
        ({}, listed("2003-11-04 19:29", "X17.0"), "before SDO"),
        ({"begin": day + timedelta(days=1)}, flare, "before select.from"),
        ({"end": day}, flare, "not before select.to"),
        ({"least_flux": 1.1e-5}, flare, "class below select.class"),
        ({"most_flux": 9e-6}, flare, "class above select.class"),
        ({"least_flux": 1e-6}, bare, "no class"),
        ({"regions": (11946,)}, flare, "another region"),
        ({"region_required": True}, bare, "no region"),
        ({"position_required": True}, bare, "no position"),
        ({"longitude": 10}, flare, "off the disk that select.disk allows"),
        ({"latitude": 5}, flare, "off the disk that select.disk allows"),
        ({"radius": 0.1}, flare, "off the disk that select.disk allows"),
        ({"radius": 0.9}, replace(flare, hgs_lon=120.0, hpc_x=None, hpc_y=None), "behind the limb"),
        ({"strongest": 1}, bare, "no class to be ranked by"),
    ):
        assert reasons_of([given_flare], **wanted) == [reason]


def test_classes_at_a_threshold_and_beyond_ten() -> None:
    flares = [listed(f"2014-01-0{n} 18:00", c) for n, c in enumerate(("X9.3", "X10.0", "M1.0"), 1)]
    found = select(flares, Wanted(least_flux=1e-5, strongest=1))
    assert [v.flare.goes_class for v in found if not v.reason] == ["X10.0"]
    assert [v.missed for v in found] == [1, 0, 2]


def test_ties_are_named() -> None:
    flares = [listed(f"2014-10-2{n} 10:00", "X2.0") for n in (7, 6)]
    found = select(flares, Wanted(strongest=1))
    assert [(v.flare.start.day, v.reason == "", v.tied) for v in found] == [
        (26, True, True), (27, False, True),
    ]  # fmt: skip


def test_isolation() -> None:
    flares = [
        listed(f"2014-01-07 {h}:00", c) for h, c in ((10, "M1.0"), (12, "B9.0"), (15, "C1.0"))
    ]
    apart = timedelta(hours=4)
    near = "near another flare"
    assert reasons_of(flares, apart=apart + timedelta(minutes=31)) == [near, near, near]
    assert reasons_of(flares, apart=apart) == ["", near, ""]


@given(st.permutations([(h, n) for h, n in enumerate("BCMXCMBCMX", 10)]), st.integers(1, 5))
def test_a_sample_is_the_seeds(order: list[tuple[int, str]], number: int) -> None:
    flares = [listed(f"2014-01-07 {hour}:00", f"{letter}1.0") for hour, letter in order]
    wanted = Wanted(sample=number, seed=7)
    kept = [v.flare.flare_id for v in select(flares, wanted) if not v.reason]
    ordered = [
        v.flare.flare_id
        for v in select(sorted(flares, key=lambda f: f.start), wanted)
        if not v.reason
    ]
    assert kept == ordered
    assert len(kept) == number
    more = [
        v.flare.flare_id for v in select(flares, replace(wanted, sample=number + 1)) if not v.reason
    ]
    assert set(kept) < set(more)


# What does not matter


def shuffled_list(chance: random.Random, texts: list[str], names: list[str]) -> list[Any]:
    """Return lists of CSV texts with their rows in another order, in another order themselves."""
    lists = []
    for text, name in zip(texts, names, strict=True):
        header, *rows = text.splitlines(keepends=True)
        lists.append(read_list((header + "".join(chance.sample(rows, len(rows)))).encode(), name))
    return chance.sample(lists, len(lists))


def test_the_order_of_rows_and_lists_does_not_matter() -> None:
    texts = [
        HEADER + "".join(made(random.Random(seed), method))
        for seed, method in ((1, "SWPC"), (2, "SSW Latest Events"), (3, "SWPC"))
    ]

    def taken_in(chance: random.Random) -> Outcome:
        lists = shuffled_list(chance, texts, ["a.csv", "b.csv", "c.csv"])
        how = Cleaning(preferences=Preferences())
        return take_in([lists], how, Wanted(strongest=7))

    first = taken_in(random.Random(0))
    assert counts(first)["duplicate.satellites"]
    assert counts(first)["duplicate.exact"]

    @settings(max_examples=25)
    @given(st.randoms(use_true_random=False))
    def in_another_order(chance: random.Random) -> None:
        again = taken_in(chance)
        assert flares_text(again.flares) == flares_text(first.flares)
        assert events_text(again.selected) == events_text(first.selected)
        assert counts(again) == counts(first)

    in_another_order()


HEADER = "event_starttime,event_peaktime,event_endtime,fl_goescls,ar_noaanum,hgs_x,hgs_y,frm_name\n"


def made(chance: random.Random, method: str) -> list[str]:
    """Return rows of a made-up list: flares close to each other, doubled, with holes."""
    rows = []
    for _ in range(40):
        start = datetime(2014, 1, 7) + timedelta(minutes=chance.randrange(600))
        peak = start + timedelta(minutes=chance.randrange(1, 30))
        end = peak + timedelta(minutes=chance.randrange(0, 30))
        region = chance.choice(["0", "1944", "11946", ""])
        place = chance.choice(["10,-20", ",", "-60,82", "0,0"])
        goes_class = f"C{chance.randrange(1, 4)}.{chance.randrange(3)}"
        row = f"{start},{peak},{end},{goes_class},{region},{place},{method}\n"
        rows += [row] * chance.choice([1, 1, 1, 2])
        if chance.random() < 0.2:
            rows.append(row.replace(f"{start}", f"{start - timedelta(minutes=3)}"))
    return rows


def test_its_own_tables_read_again_change_nothing(real: Path, tmp_path: Path) -> None:
    for names in ((SWPC, SSW), (HEK,), ARCCNET):
        outcome = taken(real, *names)
        for name, text in (
            ("flares.csv", flares_text(outcome.flares)),
            ("events.csv", events_text(outcome.selected)),
        ):
            (tmp_path / name).write_text(text)
        again = take_in([[read_list(tmp_path / "flares.csv")]], Cleaning(), Wanted())
        assert again.changes == []
        assert flares_text(again.flares) == flares_text(outcome.flares)
        assert events_text(again.selected) == events_text(outcome.selected)
        events = take_in([[read_list(tmp_path / "events.csv")]], Cleaning(), Wanted())
        assert events.changes == []
        assert events_text(events.selected) == events_text(outcome.selected)


def test_the_rules_that_fire_are_in_the_table(real: Path) -> None:
    for names in ((SWPC, SSW), (HEK,)):
        assert {c.note.rule for c in taken(real, *names).changes} <= set(RULES)


# As a rule


INTAKE = {"lists": ["lists/*.csv"], "select": {"class": ["M1.0"], "keep": {"strongest": 2}}}
LIST = """start,peak,end,goes_class
2014-01-07 18:04,2014-01-07 18:32,2014-01-07 18:58,X1.2
2014-01-08 03:39,2014-01-08 03:47,2014-01-08 03:54,M3.6
2014-01-01 06:45,2014-01-01 06:49,2014-01-01 06:52,C2.1
2014-01-01 23:50,2014-01-01 00:05,2014-01-01 00:20,M9.9
"""


@pytest.fixture
def campaign(tmp_path: Path) -> Project:
    """Return a campaign with a flare list and without an events.csv."""
    project = Project(tmp_path / "campaign", {"intake": INTAKE})
    (project.folder / "config/events.csv").unlink()
    (project.folder / "lists").mkdir()
    (project.folder / "lists/mine.csv").write_text(LIST)
    return project


def test_from_a_list_to_the_events(campaign: Project) -> None:
    early = campaign.run("-n", fails=True)
    assert "config/events.csv: not there yet: run `snakemake intake` first" in early.text
    run = campaign.run("intake")
    assert "4 flares, 2 selected" in run.text
    folder = campaign.folder / "config"
    events = [e.event_id for e in campaign.read_events()]
    assert events == ["2014-01-01T235000", "2014-01-07T180400"]
    report = (folder / "intake.md").read_text()
    assert "| time.next_day | 1 |" in report
    assert "lists/mine.csv:5 `2014-01-01 00:20` → `2014-01-02T00:20:00Z`" in report
    assert "number 3 of 3" in report
    changes = list(csv.DictReader((folder / "changes.csv").read_text().splitlines()))
    assert {c["flare_id"] for c in changes} == {"2014-01-01T235000"}
    assert [c["line"] for c in changes] == ["5", "5"]
    # Lists are read by intake alone.
    (campaign.folder / "lists/mine.csv").write_text("no list any more")
    plan = campaign.run("-n")
    assert plan.jobs["event"] == 2


def test_an_edited_file_stays(campaign: Project) -> None:
    campaign.run("intake")
    folder = campaign.folder / "config"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    campaign.run("intake")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    events = folder / "events.csv"
    edited = events.read_text().replace("2014-01-07T18:04:00Z", "2014-01-07T18:05:00Z")
    events.write_text(edited)
    run = campaign.run("intake", fails=True)
    assert "events.csv: was not written by the intake, or was edited since: it stays" in run.text
    changed = "2014-01-07T180400: event_starttime, times_from, class_from"
    assert f"1 changed ({changed})" in run.text
    assert events.read_text() == edited
    # It is still known as edited, and what nobody edited is written anew.
    (campaign.folder / "lists/mine.csv").write_text(LIST.replace("C2.1", "C2.2"))
    campaign.run("intake", fails=True)
    assert "C2.2" in (folder / "flares.csv").read_text()
    # As it was written, it may be written anew.
    events.write_bytes(before["events.csv"])
    (campaign.folder / "lists/mine.csv").write_text(LIST.replace("M3.6", "M9.7"))
    campaign.configure(intake={"select": {"keep": {"strongest": 3}}})
    campaign.run("intake")
    assert "M9.7" in events.read_text()


def test_nothing_selected_writes_no_events(campaign: Project) -> None:
    campaign.configure(intake={"select": {"class": ["X9.0"]}})
    run = campaign.run("intake", fails=True)
    assert "no flare is selected" in run.text
    assert not (campaign.folder / "config/events.csv").exists()
    assert "| class below select.class | 4 |" in (campaign.folder / "config/intake.md").read_text()


def test_a_difference_names_rows(tmp_path: Path) -> None:
    text = "event_id,event_starttime\na,1\nb,2\n"
    path = tmp_path / "events.csv"
    path.write_text("event_id,event_starttime\na,1\nc,3\n")
    outcome = Outcome([], [], [], [Verdict(listed("2014-01-07 18:04"))])
    (sentence,) = write({path: text}, tmp_path / "intake.md", outcome)
    assert "1 added (b); 1 gone (c)" in sentence
    assert io.StringIO(path.read_text()).readlines()[2] == "c,3\n"
