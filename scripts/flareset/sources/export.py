"""Get the files of wanted records by an export of only these records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flareset.archive.exports import Exporter, Order, parts_needed
from flareset.archive.responses import Answer, State
from flareset.errors import ExportError
from flareset.sdo.processing import parse_process, size_ratio
from flareset.sdo.recordset import Recordset, recnum_recordsets, split
from flareset.sources.delivered import Delivery, read_answers
from flareset.sources.links import Links, mark_failed
from flareset.tables.rows import Row, but_records, records_in
from flareset.tables.status import Kind, Status

log = logging.getLogger(__name__)
_OFFLINE = "JSOC has it offline"
_RECNUM = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class Export:
    """The exports of one event and channel.

    `whole` asks for the whole window instead of the wanted records: a movie shows all records.
    """

    delivery: Delivery
    exporter: Exporter
    whole: bool = False

    def find(self, wanted: Sequence[Row], needed: Sequence[Row], /) -> Links:
        """Return the links of wanted records. Records that an export lacks are asked for again."""
        return self._gather(wanted, self._orders_of(wanted, needed), self._bring)

    def renew(self, wanted: Sequence[Row]) -> Links:
        """Return new links of records whose export has expired."""
        orders = self._orders(wanted) if self.whole else self._by_number(wanted)
        return self._gather(wanted, orders, self._bring_anew)

    def requests(self, wanted: Sequence[Row], needed: Sequence[Row]) -> list[str]:
        """Return the new requests that JSOC would get, a line for each."""
        orders = self._orders_of(wanted, needed) if wanted else []
        return [
            f"{order.recordset}  {order.process}  ({order.method}, {order.protocol})"
            for order in orders
            if not self.exporter.is_asked(order)
        ]

    def _gather(
        self,
        wanted: Sequence[Row],
        orders: list[Order],
        bring: Callable[[Order], list[Answer]],
    ) -> Links:
        offline: set[str] = set()
        answers = self._answers(orders, wanted, bring, offline)
        links = read_answers(answers, self.delivery)
        lacking = self._lacking(wanted, links, offline)
        if lacking:
            log.info("%d records are not in the export; asking for them once more", len(lacking))
            again = self._by_number(lacking)
            answers += self._answers(again, lacking, bring, offline)
            links = read_answers(answers, self.delivery)
            lacking = self._lacking(wanted, links, offline)
            if lacking:
                # The next run asks for these records again.
                self._forget(again)
        ids = " ".join(answer.requestid for answer in answers if answer.requestid)
        why = f"asked for, but not in {ids or 'the export'}"
        missing = {**links.missing, **mark_failed(records_in(lacking), why)}
        missing |= mark_failed(sorted(offline), f"{_OFFLINE} (status 25)")
        return _only(wanted, Links(links.rows, missing))

    def _forget(self, orders: list[Order]) -> None:
        for order in orders:
            self.exporter.forget(order)

    def _lacking(self, wanted: Sequence[Row], links: Links, offline: set[str]) -> list[Row]:
        """Return the wanted records that no answer explains: no file, no reason for none."""
        if links.rows and all(row["kind"] == Kind.MOVIE for row in links.rows):
            return []
        known = {*records_in(links.rows), *offline}
        known |= {r for r, m in links.missing.items() if m.status != Status.FAILED}
        return but_records(wanted, known)

    def _answers(
        self,
        orders: list[Order],
        wanted: Sequence[Row],
        bring: Callable[[Order], list[Answer]],
        offline: set[str],
    ) -> list[Answer]:
        """Return the answers that list files. Add records that are offline to `offline`.

        JSOC refuses a whole request because of one offline record (status 25). So the order is
        halved until each offline record is alone.
        """
        found: list[Answer] = []
        for order in orders:
            answers = bring(order)
            found += [answer for answer in answers if answer.state is State.DONE]
            if any(answer.state is State.OFFLINE for answer in answers):
                records = self._ordered(order, wanted)
                if len(records) <= 1:
                    offline.update(records_in(records))
                    continue
                middle = len(records) // 2
                log.info("some of %d records are offline; asking for halves", len(records))
                for half in (records[:middle], records[middle:]):
                    found += self._answers(self._by_number(half), half, bring, offline)
        return found

    def _ordered(self, order: Order, wanted: Sequence[Row]) -> list[Row]:
        """Return the wanted records that an order asks for."""
        if recnums := Recordset.parse(order.recordset).recnums:
            numbers = {str(number) for number in recnums}
            return [row for row in wanted if row["recnum"] in numbers]
        times = Recordset.parse(order.recordset).times
        assert times is not None
        return [row for row in wanted if times[1].hold(row["t_rec"])]

    def _bring(self, order: Order) -> list[Answer]:
        return self.exporter.bring(order)

    def _bring_anew(self, order: Order) -> list[Answer]:
        return self.exporter.bring(order, anew=True)

    def _orders_of(self, wanted: Sequence[Row], needed: Sequence[Row]) -> list[Order]:
        """Return the orders for wanted records.

        If orders for all `needed` records were made before, return those: so a run that was
        interrupted goes on with its own exports.
        """
        orders = self._orders(needed)
        return orders if all(map(self.exporter.is_asked, orders)) else self._orders(wanted)

    def _orders(self, wanted: Sequence[Row]) -> list[Order]:
        """Return the orders for wanted records, each within JSOC's limits."""
        if not self.whole:
            return self._by_number(wanted)
        query = self.delivery.query
        ratio = size_ratio(parse_process(self.delivery.process)[1], query.series)
        megabytes = sum(row["bytes"] for row in self.delivery.records) / 1e6 * ratio
        parts = parts_needed(len(self.delivery.records), megabytes, query.protocol)
        return [self._order(text) for text in split(query.recordset, parts, query.series)]

    def _by_number(self, wanted: Sequence[Row]) -> list[Order]:
        """Return orders that name the records by number, sorted."""
        query = self.delivery.query
        for row in wanted:
            if not _RECNUM.fullmatch(row["recnum"]):
                raise ExportError(f"JSOC gives no record number of {row['record']}")
        numbers = [int(row["recnum"]) for row in wanted]
        return [
            self._order(text)
            for text in recnum_recordsets(query.series.name, numbers, query.segment)
        ]

    def _order(self, recordset: str) -> Order:
        query = self.delivery.query
        ratio = size_ratio(parse_process(self.delivery.process)[1], query.series)
        return Order(
            recordset,
            query.method,
            query.wire_protocol,
            query.name_format,
            self.delivery.process,
            ratio,
        )


def _only(wanted: Sequence[Row], links: Links) -> Links:
    """Return the links of wanted records alone, and those of movies, which show all records."""
    names = set(records_in(wanted))
    rows = [row for row in links.rows if row["record"] in names or row["kind"] == Kind.MOVIE]
    return Links(rows, {record: m for record, m in links.missing.items() if record in names})
