import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.factories import DARK, EUV, SHORT, a_job, an_event, at, records_at
from support.project import ROOT
from support.rows import cells, column, frame

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
from flareset.tables.listing import ExportFacts
from flareset.tables.manifest import COLUMNS
from flareset.tables.rows import Row
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
    inside = [row["record"] for row in job.candidates if row["verdict"] == "accepted"]
    names = {row["record"]: row["filename"] for row in reversed(job.listing)}
    manifest = manifest_of(
        record=inside, filename=[names[record] for record in inside], status="verified", bytes=9
    )
    manifest[2] |= {"status": "failed", "reason": "HTTP 404"}
    manifest[-2] |= {"status": "rejected", "reason": "QUALITY 0x00010000: dark"}
    del manifest[5]
    good = {row["record"] for row in manifest if row["status"] == "verified"}
    chosen = choose(job.candidates, set(inside) - good, most)
    ledger = make_ledger(job, manifest, find_shortages(chosen, SHORT, most))
    table = frame(ledger)
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
    drawn = column(chosen, "phase").count("pre")
    assert short["reason"].tolist() == [
        f"the draw: {drawn} of 500 wanted could be drawn from this bin"
    ]
    assert table["time"].is_monotonic_increasing

    # Every word of the ledger is counted, the bins that came short as well.
    assert set(counts) == {*Status}
    entry = make_account(job, chosen, column(ledger, "status"), manifest)
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
    table = frame(make_ledger(job, [])).set_index("record")
    verdicts = frame(job.candidates).set_index("record")
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
    listing: Sequence[Row] = (),
    records: list[Row] | None = None,
    **facts: Any,
) -> Job:
    """Return a job of records at these seconds from BASE, drawn from, with the export's facts."""
    table = records_at(seconds) if records is None else records
    usual = {"requestid": "", "count": 0, "rows": 0, "exptime": "", "method": "url"}
    told = ExportFacts(**{**usual, "protocol": "FITS", "source": "export", **facts})
    ranked = rank(candidates_of(table, event, DARK), event.event_id, 1)
    return Job(event, 131, EUV, "image", table, listing, told, ranked)


def manifest_of(*, record: Sequence[str] = (), **columns: Any) -> list[Row]:
    """Return a manifest of records; a column has a list of values, or one for all."""
    usual = {**dict.fromkeys(COLUMNS, ""), "tries": 1, "bytes": None, **columns}
    lists = {key: values for key, values in columns.items() if isinstance(values, list)}
    return [
        {**usual, "record": name, **{key: values[n] for key, values in lists.items()}}
        for n, name in enumerate(record)
    ]


def of_status(ledger: list[Row], *statuses: str) -> list[Row]:
    return [row for row in ledger if row["status"] in statuses]


MINUTES = an_event((60, 119), (0, 180))


def test_a_slot_without_a_record() -> None:
    job = job_of([n for n in range(0, 180, 12) if n not in (36, 72)], MINUTES)
    ledger = make_ledger(job, manifest_of())
    assert len(ledger) == 15
    lacking = of_status(ledger, "no_record")
    assert cells(lacking, "time", "record", "phase", "reason") == [
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
    assert column(of_status(ledger, "no_record"), "reason") == [
        beyond, beyond, "the page lists no record here", *[beyond] * 8
    ]  # fmt: skip


def test_slots_that_the_row_s_own_recordset_leaves_out() -> None:
    def said(recordset: str, seconds: list[float]) -> list[list[str]]:
        event = replace(MINUTES, columns={"recordset": f"aia.lev1_euv_12s[2014-01-07T{recordset}"})
        ledger = make_ledger(job_of(seconds, event), manifest_of())
        lacking = of_status(ledger, "no_record", "not_needed")
        return [
            [time[14:19], status, reason.rpartition(": ")[2]]
            for time, status, reason in cells(lacking, "time", "status", "reason")
            if reason != "not drawn"
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
    times = [at(second) for second in (0, 13, 26, 39)]
    assert empty_slots(times, begin, end, 12) == []
    assert empty_slots([], begin, end, 12) == []
    # Half of the records on one grid are enough.
    times = [at(second) for second in (0, 12, 29, 43)]
    assert [round((t - begin).total_seconds()) for t in empty_slots(times, begin, end, 12)] == [
        36, *range(60, 180, 12)
    ]  # fmt: skip


@pytest.mark.parametrize(("second", "empty"), [(41, True), (42, True), (43, False), (54, True)])
def test_a_record_fills_a_slot_that_is_less_than_half_a_cadence_away(
    second: int, empty: bool
) -> None:
    grid = [n for n in range(0, 96, 12) if n != 48]
    times = [at(each) for each in (*grid, second)]
    found = empty_slots(times, at(5), at(95), 12)
    assert [round((t - at(0)).total_seconds()) for t in found] == ([48] if empty else [])
    # The first record as well.
    times = [at(each) for each in (second, 60, 72, 84)]
    assert (at(48) in empty_slots(times, at(45), at(95), 12)) == empty


def test_pictures_have_rows_of_their_own_and_what_has_none_is_said() -> None:
    records = records_at([0, 12, 60, 72, 132], dark=[12])
    names = column(records, "record")
    job = job_of([], MINUTES, records=records, protocol="jpg,CT=aia_131.lut")
    manifest = manifest_of(
        record=[names[0], names[1], names[2]],
        filename=["a.jpg", "b.jpg", ""],
        kind=["picture", "picture", "image"],
        status=["verified", "failed", "failed"],
        reason=["", "HTTP 404", "asked for, but not in the export"],
    )
    ledger = [row for row in make_ledger(job, manifest) if row["status"] != "no_record"]
    assert cells(ledger, "time", "record", "filename", "phase", "status", "reason") == [
        ["2014-01-07T23:50:00Z", names[0], "a.jpg", "", "verified", ""],
        ["2014-01-07T23:50:12Z", names[1], "b.jpg", "", "failed", "HTTP 404"],
        [
            "2014-01-07T23:51:00Z", names[2], "", "flare", "failed",
            "asked for, but not in the export",
        ],
    ]  # fmt: skip
    # A record that is no picture's is told of if the draw would reject it.
    ledger = [row for row in make_ledger(job, manifest_of()) if row["status"] != "no_record"]
    assert cells(ledger, "record", "status", "reason") == [
        [names[1], "rejected", "QUALITY 0x00010000: dark"]
    ]


def test_a_movie_begins_with_the_window() -> None:
    job = job_of([12, 24], MINUTES, protocol="mpg")
    manifest = manifest_of(
        record=["movie"], filename=["a.mpg"], kind=["movie"], status=["verified"]
    )
    named = [row for row in make_ledger(job, manifest) if row["filename"]]
    assert cells(named, "time", "filename", "status") == [
        ["2014-01-07T23:50:00Z", "a.mpg", "verified"]
    ]


def test_short_exposures_are_a_sign_of_a_flare_only_where_none_is_listed() -> None:
    other = Flare("other", at(130), at(150))
    event = replace(MINUTES, other_flares=(other,))
    seconds = [12, 24, 60, 132, 144, 168]
    job = job_of([], event, records=records_at(seconds, short=[12, 60, 132, 168]))
    names = column(job.candidates, "record")
    assert short_outside(job, manifest_of()) == [names[0], names[5]]
    noted = {row["record"]: row["reason"] for row in make_ledger(job, manifest_of())}
    assert noted[names[0]] == (
        "not drawn; short outside the listed flares: of a flare that events.csv lacks?"
    )
    assert noted[names[2]] == "not drawn"
    # A saved page tells no exposure: the file does.
    bare = records_at(seconds, AIMGSHCE="", EXPTIME="")
    job = job_of([], event, records=bare)
    assert short_outside(job, manifest_of()) == []
    told = manifest_of(record=[names[1], names[5]], AIMGSHCE=["2900", "300"], EXPTIME=["2.9", ""])
    assert short_outside(job, told) == [names[5]]


def test_the_name_of_a_file_is_the_fetched_one_or_the_listed_one() -> None:
    records = records_at([0, 12, 24])
    records[2] |= {"status": "no_image", "reason": "bare"}
    names = column(records, "record")
    # Of two files of one record, the first is its image.
    listing = [
        {"record": record, "filename": filename}
        for record, filename in zip([*names, names[1]], "abcd", strict=True)
    ]
    job = job_of([], MINUTES, records=records, listing=listing)
    manifest = manifest_of(record=names[:1], filename="own", status="verified")
    found = {row["record"]: row["filename"] for row in make_ledger(job, manifest)}
    assert [found[name] for name in names] == ["own", "b", ""]


def test_an_account_counts_each_phase() -> None:
    event = an_event((60, 125.5), (0, 240))
    job = job_of([0, 60, 72, 84], event, recordset="asked")
    chosen = job.candidates[1:3]
    statuses = ["verified", "verified", "no_record"]
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
