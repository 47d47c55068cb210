"""Exports of wanted records: what is ordered, and what is made of JSOC's answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from support.factories import EUV, SHORT, a_query
from support.rows import column

from flareset.archive.exports import Order
from flareset.archive.responses import Answer
from flareset.errors import ExportError
from flareset.sdo.recordset import Recordset
from flareset.sdo.times import iso
from flareset.sources.delivered import Delivery
from flareset.sources.export import Export
from flareset.sources.records import expected_records
from flareset.tables.rows import Row
from flareset.tables.status import Kind, Status

FIRST = datetime.fromisoformat("2014-01-07T18:05:01Z")


def some_records(count: int, size: int = 8_000_000) -> list[Row]:
    """Return JSOC's records of so many slots. Their numbers count down in time."""
    rows = []
    for n in range(count):
        t_rec = FIRST + timedelta(seconds=12 * n)
        rows.append(
            {
                "T_REC": iso(t_rec),
                "T_OBS": iso(t_rec + timedelta(seconds=9)),
                "WAVELNTH": "131",
                "QUALITY": "0x00000000",
                "*recnum*": str(900 - n),
                "*size*": str(size),
            }
        )
    return expected_records(rows, "x[y]", EUV, 131)


class Desk:
    """JSOC's export desk: it has a file of each record, but for those that it lacks or stages."""

    def __init__(self, records: list[Row]) -> None:
        self.records = records
        self.lacks: set[str] = set()
        self.bare: set[str] = set()
        self.offline: set[str] = set()
        self.asked: list[Order] = []
        self.anew: list[Order] = []
        self.forgotten: list[Order] = []
        self.known: set[str] = set()
        # Some records come with the second order of them only.
        self.late: set[str] = set()

    def is_asked(self, order: Order) -> bool:
        return order.recordset in self.known

    def forget(self, order: Order) -> None:
        self.forgotten.append(order)

    def bring(self, order: Order, *, anew: bool = False) -> list[Answer]:
        (self.anew if anew else self.asked).append(order)
        self.known.add(order.recordset)
        requestid = f"JSOC_20260101_{len(self.asked) + len(self.anew):03}"
        of_order = self._of(order)
        if self.offline & set(column(of_order, "record")):
            return [Answer(25, requestid, "offline")]
        there = [row for row in of_order if row["record"] not in self.lacks | self.late]
        self.late -= set(column(of_order, "record"))
        answer = Answer(
            0,
            requestid,
            protocol=order.protocol,
            count=len(there),
            folder="/SUM1/D1/S00000",
            data=[self._file(row) for row in there],
        )
        return [answer]

    def _of(self, order: Order) -> list[Row]:
        asked = Recordset.parse(order.recordset)
        if asked.recnums:
            return [row for row in self.records if int(row["recnum"]) in asked.recnums]
        assert asked.times is not None
        # JSOC takes the slots that are nearest to the times.
        times, half = asked.times[1], timedelta(seconds=EUV.cadence / 2)
        begin, end = times.begin - half, times.end + half
        return [row for row in self.records if begin <= row["t_rec"] <= end]

    def _file(self, row: Row) -> tuple[str, str]:
        if row["record"] in self.bare:
            return f"{row['record']}{{image}}", "NoDataFile"
        time = f"{row['time']:%Y-%m-%dT%H%M%SZ}"
        return f"{row['record']}{{image}}", f"aia.lev1_euv_12s.{time}.131.image_lev1.fits"


@pytest.fixture
def desk() -> Callable[..., tuple[Export, Desk]]:
    """Return an export of so many records, and the desk where it asks."""

    def make(count: int = 8, *, whole: bool = False, size: int = 8_000_000, **query: object):
        records = some_records(count, size)
        made = Desk(records)
        delivery = Delivery(a_query(SHORT, **query), records, "", shared=False)
        return (Export(delivery, made, whole=True) if whole else Export(delivery, made)), made

    return make


def numbers(order: Order) -> list[int]:
    return Recordset.parse(order.recordset).recnums


def test_wanted_records_are_ordered_by_number_and_all_come(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    wanted = made.records[2:5]
    links = export.find(wanted, wanted)
    assert [numbers(order) for order in made.asked] == [[896, 897, 898]]
    assert made.asked[0].recordset.endswith("]{image}")
    assert column(links.rows, "record") == column(wanted, "record")
    assert set(column(links.rows, "requestid")) == {"JSOC_20260101_001"}
    assert not links.missing
    assert made.forgotten == made.anew == []


def test_what_was_asked_for_before_is_not_asked_for_in_other_words(
    desk: Callable[..., tuple],
) -> None:
    export, made = desk()
    needed = made.records[:5]
    export.find(needed, needed)
    assert export.requests(needed, needed) == []
    # The store has two of the five by now: the order of all five still serves.
    wanted = needed[2:]
    assert export.requests(wanted, needed) == []
    links = export.find(wanted, needed)
    assert [numbers(order) for order in made.asked] == [[896, 897, 898, 899, 900]] * 2
    assert column(links.rows, "record") == column(wanted, "record")
    # An order of others is new, and told before it is made.
    others = made.records[4:7]
    assert export.requests(others, others) == [
        "aia.lev1_euv_12s[:#894,#895,#896]{image}    (url, FITS)"
    ]
    assert export.requests([], others) == []


def test_what_an_export_lacks_is_asked_for_once_more(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    made.late = {made.records[n]["record"] for n in (1, 3)}
    links = export.find(made.records, made.records)
    assert [numbers(order) for order in made.asked][1:] == [[897, 899]]
    assert column(links.rows, "record") == column(made.records, "record")
    assert not links.missing
    assert not made.forgotten


def test_what_no_export_has_fails_and_the_next_run_asks_again(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    lost, bare = (made.records[n]["record"] for n in (3, 5))
    made.lacks, made.bare = {lost}, {bare}
    wanted = made.records[1:]
    links = export.find(wanted, wanted)
    # JSOC says that the other one has no image: that is an answer.
    assert [numbers(order) for order in made.asked][1:] == [[897]]
    assert [numbers(order) for order in made.forgotten] == [[897]]
    assert {record: missing.status for record, missing in links.missing.items()} == {
        lost: Status.FAILED,
        bare: Status.NO_IMAGE,
    }
    assert links.missing[lost].reason == (
        "asked for, but not in JSOC_20260101_001 JSOC_20260101_002"
    )
    assert links.missing[bare].reason == "NoDataFile (JSOC_20260101_001)"
    assert set(column(links.rows, "record")) == set(column(wanted, "record")) - {lost, bare}


def test_only_what_is_wanted_is_told_of(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    made.bare = {made.records[0]["record"]}
    export.find(made.records, made.records)
    wanted = made.records[4:]
    links = export.find(wanted, made.records)
    assert column(links.rows, "record") == column(wanted, "record")
    assert not links.missing


def test_offline_records_are_found_by_halves(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    gone = made.records[5]["record"]
    made.offline = {gone}
    links = export.find(made.records, made.records)
    assert {record: missing.reason for record, missing in links.missing.items()} == {
        gone: "JSOC has it offline (status 25)"
    }
    assert set(column(links.rows, "record")) == set(column(made.records, "record")) - {gone}
    # Eight, four and four, two and two, one and one: halves, and none of them twice.
    assert sorted(len(numbers(order)) for order in made.asked) == [1, 1, 2, 2, 4, 4, 8]


def test_two_offline_records_and_nothing_else(desk: Callable[..., tuple]) -> None:
    export, made = desk(2)
    made.offline = set(column(made.records, "record"))
    links = export.find(made.records, made.records)
    assert set(links.missing) == made.offline
    assert links.rows == []
    assert sorted(len(numbers(order)) for order in made.asked) == [1, 1, 2]


def test_an_export_that_has_expired_is_ordered_anew(desk: Callable[..., tuple]) -> None:
    export, made = desk()
    wanted = made.records[:2]
    assert column(export.renew(wanted).rows, "record") == column(wanted, "record")
    assert [numbers(order) for order in made.anew] == [[899, 900]]
    assert not made.asked


def test_a_record_without_a_number_cannot_be_ordered(desk: Callable[..., tuple]) -> None:
    export, made = desk(3)
    made.records[1]["recnum"], made.records[2]["recnum"] = "", "9" * 19
    with pytest.raises(ExportError, match=r"no record number of .*18:05:13Z"):
        export.find(made.records, made.records)
    assert not made.asked


def test_the_whole_window_is_ordered_in_parts_that_jsoc_takes(desk: Callable[..., tuple]) -> None:
    # 40 files of 2.3 GB are more than the 90 GB that one request may have.
    export, made = desk(40, whole=True, size=2_300_000_000)
    assert len(export.requests(made.records, made.records)) == 2
    export.find(made.records[:3], made.records[:3])
    assert [bool(numbers(order)) for order in made.asked] == [False, False]
    spans = [Recordset.parse(order.recordset).times for order in made.asked]
    assert spans[0][1].end < spans[1][1].begin
    export.renew(made.records)
    assert [order.recordset for order in made.anew] == [order.recordset for order in made.asked]

    for size, parts in ((2_250_000_000, 1), (2_250_001_250, 2)):
        export, made = desk(40, whole=True, size=size)
        assert len(export.requests(made.records, made.records)) == parts


def test_a_small_part_of_each_frame_is_a_small_export(desk: Callable[..., tuple]) -> None:
    export, made = desk(40, whole=True, size=2_300_000_000)
    cut = "n=0|rebin,method=boxcar,scale=0.5"
    export = Export(Delivery(export.delivery.query, made.records, cut, shared=False), made, True)
    assert len(export.requests(made.records, made.records)) == 1
    export.renew([])
    assert made.anew[0].size_ratio == 0.25


def test_offline_records_of_a_window_are_found_by_time(desk: Callable[..., tuple]) -> None:
    export, made = desk(4, whole=True)
    made.offline = {made.records[0]["record"]}
    links = export.find(made.records, made.records)
    assert set(links.missing) == made.offline
    assert len(links.rows) == 3


def test_a_movie_shows_all_records(desk: Callable[..., tuple]) -> None:
    export, made = desk(4, whole=True, protocol="MPG,CT=grey.sao,scaling=log,size=1")
    made._file = lambda row: (row["record"], "movie.mpg")
    made.lacks = set(column(made.records[1:], "record"))
    links = export.find(made.records, made.records)
    assert column(links.rows, "kind") == [Kind.MOVIE]
    assert not links.missing
    assert len(made.asked) == 1
