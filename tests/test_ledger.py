import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.factories import DARK, EUV, SHORT, a_job, an_event, at, records_at
from support.project import ROOT

from flareset.account import make_account
from flareset.campaign.events import Event
from flareset.candidates import candidates_of
from flareset.draw import choose, rank
from flareset.job import Job
from flareset.ledger import empty_slots, make_ledger, short_outside
from flareset.sample import find_shortages
from flareset.sdo.flares import Flare
from flareset.sdo.recordset import window_recordset
from flareset.standin import catalogue
from flareset.summary import provenance
from flareset.tables.listing import ExportFacts, no_listing
from flareset.tables.manifest import COLUMNS
from flareset.tables.status import Status


def test_every_slot_and_file_has_its_status() -> None:
    # A page that begins a minute early, with a slot and an image missing.
    begin = SHORT.window_start - timedelta(minutes=1)
    made = catalogue.export(str(window_recordset(EUV, begin, SHORT.window_end, [131])), 128)
    files = [
        file
        for file in made.files
        if "18:03:01Z" not in file.record
        and not ("18:04:01Z" in file.record and "image" in file.name)
    ]
    made = catalogue.Export(made.requestid, made.folder, tuple(files), 1, made.exptime)
    job = a_job(catalogue.listing_page(made), SHORT)
    most = {"pre": 500, "flare": 1, "post": 3}
    inside = job.candidates[job.candidates["verdict"] == "accepted"]
    names = job.listing.drop_duplicates("record").set_index("record")["filename"]
    statuses = ["verified"] * len(inside)
    statuses[2], statuses[-2] = "failed", "rejected"
    manifest = pd.DataFrame("", index=range(len(inside)), columns=COLUMNS).assign(
        record=inside["record"].to_numpy(),
        filename=inside["record"].map(names).to_numpy(),
        status=statuses,
        tries=1,
        bytes=pd.array([9] * len(inside), dtype="Int64"),
    )
    manifest.loc[2, "reason"] = "HTTP 404"
    manifest.loc[len(inside) - 2, "reason"] = "QUALITY 0x00010000: dark"
    manifest = manifest.drop(index=5)
    good = manifest["record"][manifest["status"] == "verified"]
    chosen = choose(job.candidates, set(inside["record"]) - set(good), most)
    table = make_ledger(job, manifest, find_shortages(chosen, SHORT, most))
    counts = table["status"].value_counts().to_dict()
    # Six slots of that minute, and the one that JSOC's range has at its end.
    assert counts["outside"] == 7
    assert counts["failed"] == counts["rejected"] == counts["not_needed"] == 1
    assert counts["verified"] == len(inside) - 3
    by_record = table.set_index("record")
    gone = by_record.loc["aia.lev1_euv_12s[2014-01-07T18:03:01Z][131]"]
    assert (gone["status"], gone["phase"]) == ("no_record", "pre")
    bare = by_record.loc["aia.lev1_euv_12s[2014-01-07T18:04:01Z][131]"]
    assert (bare["status"], bare["reason"]) == ("no_image", "the record lists only spikes")
    assert table.loc[table["status"] == "failed", "reason"].tolist() == ["HTTP 404"]
    short = table[table["status"] == "short"]
    drawn = (chosen["phase"] == "pre").sum()
    assert short["reason"].tolist() == [
        f"the draw: {drawn} of 500 wanted could be drawn from this bin"
    ]
    assert table["time"].is_monotonic_increasing

    # Every word of the ledger is counted, the bins that came short as well.
    assert set(counts) == {*Status}
    entry = make_account(job, chosen, table["status"], manifest)
    assert entry["statuses"] == counts
    made = datetime(2026, 1, 1, tzinfo=UTC)
    history = provenance([entry, entry], {"sample": {"seed": 1}}, [], Path(), made)
    assert history["counts"] == {status: 2 * number for status, number in counts.items()}


def test_what_the_draw_says_of_a_record_that_nobody_asked_for() -> None:
    other = Flare("other", SHORT.window_start, SHORT.window_start + timedelta(minutes=1))
    event = replace(SHORT, other_flares=(other,))
    made = catalogue.export(
        str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131])), 128
    )
    job = a_job(catalogue.listing_page(made), event)
    table = make_ledger(job, pd.DataFrame(columns=COLUMNS)).set_index("record")
    verdicts = job.candidates.set_index("record")
    assert set(table.loc[verdicts.index, "status"]) == {"not_needed", "rejected", "outside"}
    masked = verdicts.index[verdicts["verdict"] == "rejected"]
    assert len(masked) == 5
    assert set(table.loc[masked, "reason"]) == {"in the flare of event other"}
    free = verdicts.index[verdicts["verdict"] == "accepted"]
    assert set(table.loc[free, "reason"]) == {"not drawn"}
    # The page tells the name of each file, be it fetched or not.
    assert (table.loc[verdicts.index, "filename"] != "").all()


def test_the_manual_explains_every_word() -> None:
    manual = (ROOT / "config/README.md").read_text()
    section = manual.partition("## The ledger's words\n")[2].partition("\n## ")[0]
    assert {f"`{status}`" for status in Status} <= {*re.findall(r"`\w+`", section)}


def job_of(
    seconds: Iterable[float],
    event: Event,
    *,
    listing: pd.DataFrame | None = None,
    records: pd.DataFrame | None = None,
    **facts: Any,
) -> Job:
    """Return a job of records at these seconds from BASE, drawn from, with the export's facts."""
    table = records_at(seconds) if records is None else records
    usual = {"requestid": "", "count": 0, "rows": 0, "exptime": "", "method": "url"}
    told = ExportFacts(**{**usual, "protocol": "FITS", "source": "export", **facts})
    ranked = rank(candidates_of(table, event, DARK), event.event_id, 1)
    known = no_listing() if listing is None else listing
    return Job(event, 131, EUV, "image", table, known, told, ranked)


def manifest_of(**columns: list[Any]) -> pd.DataFrame:
    """Return a manifest with these columns; the others are empty."""
    rows = max(map(len, columns.values()), default=0)
    table = pd.DataFrame("", index=range(rows), columns=COLUMNS)
    return table.assign(tries=1, bytes=pd.array([pd.NA] * rows, dtype="Int64"), **columns)


def rows_of(table: pd.DataFrame, *columns: str) -> list[list[str]]:
    return table[list(columns)].astype("str").to_numpy().tolist()


MINUTES = an_event((60, 119), (0, 180))


def test_a_slot_without_a_record() -> None:
    job = job_of([n for n in range(0, 180, 12) if n not in (36, 72)], MINUTES)
    ledger = make_ledger(job, manifest_of())
    assert ledger.index.tolist() == list(range(15))
    lacking = ledger[ledger["status"] == "no_record"]
    assert rows_of(lacking, "time", "record", "phase", "reason") == [
        [time, f"aia.lev1_euv_12s[{time}][131]", phase, "JSOC has no record here"]
        for time, phase in (("2014-01-07T23:50:36Z", "pre"), ("2014-01-07T23:51:12Z", "flare"))
    ]


@pytest.mark.parametrize(
    ("edges", "beyond"),
    [("", "no record here"), ("it ends early", "it ends early: no record, or not exported")],
)
def test_a_slot_that_a_page_does_not_list(edges: str, beyond: str) -> None:
    job = job_of([24, 36, 60, 72], MINUTES, source="page", edges=edges)
    ledger = make_ledger(job, manifest_of())
    lacking = ledger[ledger["status"] == "no_record"]
    assert lacking["reason"].tolist() == [
        beyond, beyond, "the page lists no record here", *[beyond] * 8
    ]  # fmt: skip


def test_slots_that_the_row_s_own_recordset_leaves_out() -> None:
    def said(recordset: str, seconds: list[float]) -> list[list[str]]:
        event = replace(MINUTES, columns={"recordset": f"aia.lev1_euv_12s[2014-01-07T{recordset}"})
        ledger = make_ledger(job_of(seconds, event), manifest_of())
        lacking = ledger[ledger["status"].isin(["no_record", "not_needed"])]
        lacking = lacking[lacking["reason"] != "not drawn"]
        return [
            [time[14:19], status, reason.rpartition(": ")[2]]
            for time, status, reason in rows_of(lacking, "time", "status", "reason")
        ]

    beyond = ["not_needed", "beyond the row's recordset"]
    between = ["not_needed", "between the steps of the row's recordset"]
    lost = ["no_record", "JSOC has no record here"]
    late = [f"{51 + n // 60}:{n % 60:02}" for n in range(36, 120, 12)]
    # Every second slot from 24 s to 1:36; the one at 0:48 is not there.
    assert said("23:50:24Z/72s@24s][131]", [24, 72]) == [
        ["50:00", *beyond], ["50:12", *beyond], ["50:36", *between], ["50:48", *lost],
        ["51:00", *between], ["51:24", *between], *([time, *beyond] for time in late),
    ]  # fmt: skip
    # Without steps there is nothing between them, though a record lies off the grid.
    found = said("23:50:00Z/3m][131]", [n for n in range(0, 180, 12) if n not in (36, 48)] + [43])
    assert found == [["50:36", *lost]]


def test_records_on_no_common_grid_leave_no_slot_empty() -> None:
    begin, end = MINUTES.window_start, MINUTES.window_end
    times = records_at([0, 13, 26, 39])["t_rec"]
    assert len(empty_slots(times, begin, end, 12)) == 0
    none = empty_slots(times[:0], begin, end, 12)
    assert (len(none), str(none.tz)) == (0, "UTC")
    # Half of the records on one grid are enough.
    times = records_at([0, 12, 29, 43])["t_rec"]
    assert [round((t - begin).total_seconds()) for t in empty_slots(times, begin, end, 12)] == [
        36, *range(60, 180, 12)
    ]  # fmt: skip


@pytest.mark.parametrize(("second", "empty"), [(41, True), (42, True), (43, False), (54, True)])
def test_a_record_fills_a_slot_that_is_less_than_half_a_cadence_away(
    second: int, empty: bool
) -> None:
    grid = [n for n in range(0, 96, 12) if n != 48]
    times = records_at([*grid, second])["t_rec"]
    found = empty_slots(times, at(5), at(95), 12)
    assert [round((t - at(0)).total_seconds()) for t in found] == ([48] if empty else [])
    # The first record as well.
    times = records_at([second, 60, 72, 84])["t_rec"]
    assert (at(48) in empty_slots(times, at(45), at(95), 12)) == empty


def test_pictures_have_rows_of_their_own_and_what_has_none_is_said() -> None:
    records = records_at([0, 12, 60, 72, 132], dark=[12])
    names = records["record"]
    job = job_of([], MINUTES, records=records, protocol="jpg,CT=aia_131.lut")
    manifest = manifest_of(
        record=[names[0], names[1], names[2]],
        filename=["a.jpg", "b.jpg", ""],
        kind=["picture", "picture", "image"],
        status=["verified", "failed", "failed"],
        reason=["", "HTTP 404", "asked for, but not in the export"],
    )
    ledger = make_ledger(job, manifest)
    ledger = ledger[ledger["status"] != "no_record"]
    assert rows_of(ledger, "time", "record", "filename", "phase", "status", "reason") == [
        ["2014-01-07T23:50:00Z", names[0], "a.jpg", "", "verified", ""],
        ["2014-01-07T23:50:12Z", names[1], "b.jpg", "", "failed", "HTTP 404"],
        [
            "2014-01-07T23:51:00Z", names[2], "", "flare", "failed",
            "asked for, but not in the export",
        ],
    ]  # fmt: skip
    # A record that is no picture's is told of if the draw would reject it.
    ledger = make_ledger(job, manifest_of())
    ledger = ledger[ledger["status"] != "no_record"]
    assert rows_of(ledger, "record", "status", "reason") == [
        [names[1], "rejected", "QUALITY 0x00010000: dark"]
    ]


def test_a_movie_begins_with_the_window() -> None:
    job = job_of([12, 24], MINUTES, protocol="mpg")
    manifest = manifest_of(
        record=["movie"], filename=["a.mpg"], kind=["movie"], status=["verified"]
    )
    ledger = make_ledger(job, manifest)
    assert rows_of(ledger[ledger["filename"] != ""], "time", "filename", "status") == [
        ["2014-01-07T23:50:00Z", "a.mpg", "verified"]
    ]


def test_short_exposures_are_a_sign_of_a_flare_only_where_none_is_listed() -> None:
    other = Flare("other", at(130), at(150))
    event = replace(MINUTES, other_flares=(other,))
    seconds = [12, 24, 60, 132, 144, 168]
    job = job_of([], event, records=records_at(seconds, short=[12, 60, 132, 168]))
    names = job.candidates["record"]
    assert short_outside(job, manifest_of()) == [names[0], names[5]]
    noted = make_ledger(job, manifest_of()).set_index("record")["reason"]
    assert noted[names[0]] == (
        "not drawn; short outside the listed flares: of a flare that events.csv lacks?"
    )
    assert noted[names[2]] == "not drawn"
    # A saved page tells no exposure: the file does.
    bare = records_at(seconds).assign(AIMGSHCE="", EXPTIME="")
    job = job_of([], event, records=bare)
    assert short_outside(job, manifest_of()) == []
    told = manifest_of(record=[names[1], names[5]], AIMGSHCE=["2900", "300"], EXPTIME=["2.9", ""])
    assert short_outside(job, told) == [names[5]]


def test_the_name_of_a_file_is_the_fetched_one_or_the_listed_one() -> None:
    records = records_at([0, 12, 24])
    records.loc[2, ["status", "reason"]] = ["no_image", "bare"]
    listing = pd.DataFrame({"record": records["record"], "filename": ["a", "b", "c"]})
    job = job_of([], MINUTES, records=records, listing=listing)
    manifest = manifest_of(record=[records["record"][0]], filename=["own"], status=["verified"])
    ledger = make_ledger(job, manifest).set_index("record")
    assert ledger.loc[records["record"], "filename"].tolist() == ["own", "b", ""]


def test_an_account_counts_each_phase() -> None:
    event = an_event((60, 125.5), (0, 240))
    job = job_of([0, 60, 72, 84], event, recordset="asked")
    chosen = job.candidates.iloc[[1, 2]]
    statuses = pd.Series(["verified", "verified", "no_record"])
    manifest = manifest_of(record=["a", "b"], requestid=["Y X", "X"])
    entry = make_account(job, chosen, statuses, manifest)
    assert entry["drawn"] == {"pre": 0, "flare": 2, "post": 0}
    assert entry["listed"] == {"pre": 1, "flare": 3, "post": 0}
    assert entry["statuses"] == {"no_record": 1, "verified": 2}
    assert (entry["duration_minutes"], entry["minute_bins"]) == (1.09, 2)
    assert (entry["short_outside"], entry["recordset"]) == (0, "asked")
    assert entry["request_ids"] == ["X", "Y"]
    # A saved page does not say what was asked for: it was the window.
    job = job_of([0], event, requestid="JSOC_1")
    entry = make_account(job, chosen, statuses, manifest, short_outside=3)
    assert entry["recordset"] == str(window_recordset(EUV, at(0), at(240), [131]))
    assert (entry["short_outside"], entry["request_ids"]) == (3, ["JSOC_1", "X", "Y"])
