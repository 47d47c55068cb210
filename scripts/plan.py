"""Say what a campaign will ask for and download, before anything is."""

import argparse
import logging
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pandas as pd
from tabulate import tabulate

from flareset.campaign.access import Access, add_flags
from flareset.campaign.config import Archive
from flareset.campaign.events import read_event
from flareset.campaign.settings import PlanSettings
from flareset.download import open_requests, store_of
from flareset.errors import ExportError, FlaresetError
from flareset.job import Job
from flareset.listing import Where
from flareset.phases import quota_by_phase
from flareset.plan import look_up, needed_records, pages_wanted, plan_row, plan_table
from flareset.sample import count_lacking, final_draw
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log
from flareset.system.progress import Line, time_left
from flareset.tables.csv import write_table
from flareset.tables.rows import but_records

log = logging.getLogger("flareset.plan")
# Of a longer plan, the largest rows are shown.
MOST_SHOWN = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--look-up", nargs="*", default=[], help="<source>/<event_id>/<wavelength> of each job"
    )
    parser.add_argument(
        "--missing", nargs="*", default=[], help="<event_id>/<wavelength> without a page"
    )
    parser.add_argument(
        "--accept", nargs="*", default=[], help="the event_id of those whose pages are incomplete"
    )
    parser.add_argument("--events", type=Path, required=True, help="the folder of event.json files")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/plan.*.json")
    parser.add_argument("--table", type=Path, help="output: the whole table, CSV")
    add_terminal(parser)
    add_flags(parser)
    args = parser.parse_args()
    settings = PlanSettings.read(args.settings)
    access = Access.of(args, settings.origin)

    with job_log("plan", args.terminal) as streams:
        if args.missing:
            wanted = pages_wanted(args.missing, args.events, settings, args.pages)
            log.info(
                "no page is saved for these; export them at JSOC (method url, protocol FITS):\n%s",
                tabulate(wanted, headers="keys", showindex=False),
            )
        plan = Plan(args, settings, access, streams)
        try:
            plan.look_up()
        finally:
            # A plan that is stopped shows what it has. JSOC's answers are kept for the next.
            show(plan_table(plan.rows, access.archive.rate), args.table)
            show_orders(plan.orders, args.table)
            log.info("%s", meaning(access.archive))
            if plan.done < plan.total:
                log.info("stopped after %d of %d flares; run again to go on", plan.done, plan.total)
        if plan.refused:
            raise ExportError(f"the plan is without these: {', '.join(plan.refused)}")


class _Found(NamedTuple):
    """The rows of an event, the exports that it needs, and what could not be planned of it."""

    rows: list[dict[str, Any]]
    orders: list[str]
    refused: list[str]


class Plan:
    """The rows of a plan, looked up event by event; `refused` names what could not be."""

    def __init__(
        self,
        args: argparse.Namespace,
        settings: PlanSettings,
        access: Access,
        streams: list[TextIO],
    ) -> None:
        names = (name.split("/") for name in args.look_up)
        self._events = [
            (source, event_id, [int(name[2]) for name in jobs])
            for (source, event_id), jobs in groupby(names, key=lambda name: name[:2])
        ]
        self._args, self._settings, self._access = args, settings, access
        self._line = Line(streams)
        # What was found of each event, by its place.
        self._found: dict[int, _Found] = {}
        self.total = len(self._events)

    @property
    def done(self) -> int:
        """The number of events that were looked up."""
        return len(self._found)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of these events, in the campaign's order."""
        return [row for event in self._in_order() for row in event.rows]

    @property
    def orders(self) -> list[str]:
        """A line for each export that these events need."""
        return [order for event in self._in_order() for order in event.orders]

    @property
    def refused(self) -> list[str]:
        """The events, or events and channels, without a row."""
        return [name for event in self._in_order() for name in event.refused]

    def _in_order(self) -> list[_Found]:
        return [found for _, found in sorted(self._found.items())]

    def look_up(self) -> None:
        """Look up all events; log those that cannot be planned, and what there is to say."""
        # JSOC takes seconds for an answer, and may be asked over several connections.
        pool = ThreadPoolExecutor(self._access.archive.connections)
        places = {pool.submit(self._look_up, *each): n for n, each in enumerate(self._events)}
        try:
            for future in as_completed(places):
                self._found[places[future]] = future.result()
                self._line.tell(self.__str__)
        finally:
            # A plan that is stopped waits for no answer.
            pool.shutdown(wait=False, cancel_futures=True)
            self._line.close()

    def _look_up(self, source: str, event_id: str, wavelengths: list[int]) -> _Found:
        args, settings = self._args, self._settings
        found = _Found([], [], [])
        try:
            event = read_event(args.events / event_id / "event.json")
            where = Where(self._access, settings.archive_of(event), args.store, args.pages)
            accept = event_id in args.accept
            jobs = look_up(event, wavelengths, source, settings, where, accept=accept)
        except FlaresetError as error:
            log.info("%s cannot be listed: %s", event_id, error)
            return _Found([], [], [event_id])
        for remark, of_remark in remarks_of(jobs).items():
            log.info("%s %s: note: %s", event_id, ", ".join(map(str, of_remark)), remark)
        for job in jobs:
            try:
                row, orders = planned(job, settings, where)
                found.rows.append(row)
                found.orders.extend(orders)
            except FlaresetError as error:
                log.info("%s %d cannot be asked for: %s", event_id, job.wavelength, error)
                found.refused.append(f"{event_id} {job.wavelength}")
        return found

    def __str__(self) -> str:
        left = time_left(self._line.seconds, self.done, self.total)
        return f"plan: {self.done} of {self.total} flares looked up{left}"


def show(table: pd.DataFrame, path: Path | None) -> None:
    """Log a plan, of a long one the largest rows alone; write the whole of it to a CSV."""
    if path:
        write_table(table, path)
    body, total = table.iloc[:-1], table.iloc[-1:]
    shown = body
    if len(body) > MOST_SHOWN:
        largest = body.sort_values(["GB", "needed"], ascending=False, kind="stable")
        shown = largest.head(MOST_SHOWN)
        log.info("the %d largest of %d are shown; all are in %s", MOST_SHOWN, len(body), path)
    text = tabulate(pd.concat([shown, total]), headers="keys", showindex=False, floatfmt=".3f")
    log.info("by event and channel:\n%s", text)


def meaning(archive: Archive) -> str:
    """Return what the numbers of a plan mean."""
    sizes = "GB are estimated from the sizes that the archive gives."
    if archive.rehearses:
        sizes += " A rehearsal's images may be smaller (archive.frame_size)."
    return (
        f"{sizes} `lacking` are images that the draw wants and the window lacks. `time` (min:s or"
        " h:min:s) is that of the download at archive.rate,"
        f" {archive.rate / 1e6:g} MB/s; JSOC's work on an export comes on top. Nothing was asked"
        " for."
    )


def show_orders(orders: list[str], table: Path | None) -> None:
    """Write the exports that would be asked for beside the table; without a table, log them."""
    if not table:
        for order in orders:
            log.info("%s", order)
        return
    path = table.with_suffix(".exports.txt")
    write_text("".join(f"{order}\n" for order in orders), path)
    if orders:
        log.info("exports that JSOC would be asked for: %d, each in %s", len(orders), path)


def remarks_of(jobs: list[Job]) -> dict[str, list[int]]:
    """Return the channels of each remark; most remarks are of all channels of an event."""
    found: dict[str, list[int]] = {}
    for job in jobs:
        for remark in job.facts.remarks:
            found.setdefault(remark, []).append(job.wavelength)
    return found


def planned(job: Job, settings: PlanSettings, where: Where) -> tuple[dict[str, Any], list[str]]:
    """Return a row of the plan, and a line for each export that will be asked for."""
    name = f"{job.event.event_id} {job.wavelength}"
    store = store_of(job, where.store, where.name)
    chosen, short = [], []
    if not job.facts.pictured:
        # Before the download, every file is taken for a good one.
        most = quota_by_phase(settings.sample.quotas)
        chosen, short = final_draw(job.candidates, job.event, set(), most)
    needed = needed_records(job, chosen if settings.quotas else None)
    kept = store.kept(needed)
    with open_requests(job, settings, where.access, store) as requests:
        orders = requests(but_records(needed, kept), needed)
    row = plan_row(job, len(needed), count_lacking(short), len(kept), len(orders))
    return row, [f"{name}: {order}" for order in orders]


if __name__ == "__main__":
    sys.exit(exit_status(main))
