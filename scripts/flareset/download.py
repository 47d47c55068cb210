"""Bring an event's images into the store: all of them, or those that the draw needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

import pandas as pd

from flareset.archive.endpoints import reached
from flareset.archive.tars import Tarball, Tars
from flareset.archive.transfer import Fetched, Transfer
from flareset.campaign import environment
from flareset.campaign.access import Access
from flareset.campaign.settings import VerifySettings
from flareset.errors import IncompleteError, TransferError
from flareset.job import Job
from flareset.partition import OUTSIDE
from flareset.proof.check import AtEnd, Begin, Check, Proof
from flareset.proof.fits import Asked, ImageCheck
from flareset.proof.pictures import check_picture
from flareset.sample import Quota, choose, draw
from flareset.sdo.processing import fingerprint, parse_process
from flareset.sdo.quality import quality_of, rejected_by
from flareset.sdo.series import Series
from flareset.sdo.times import iso
from flareset.sources.planning import Renew, Wish, renewer
from flareset.store.store import Store, sha256_of
from flareset.system.progress import Progress
from flareset.tables.listing import MOVIE, PICTURE, key_of
from flareset.tables.manifest import COLUMNS, KEYWORDS
from flareset.tables.status import Status

Source = Callable[[Any, Path, Begin[Proof]], Fetched[Proof]]
# While some files are proven and synced, others have the connections.
_WORKERS_MORE = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one image: `verified`, `rejected` or `failed`, and what is known of it."""

    row: Any
    path: str
    status: Status
    reason: str
    tries: int
    facts: dict[str, Any] = field(default_factory=dict)
    fetched: bool = False
    problem: TransferError | None = None


@dataclass(frozen=True)
class Delivered:
    """How an export delivered its images: what was done to them, as on the wire, how many `files`
    it has, and whether other jobs want some of them (`shared`).

    With `as_stored`, the headers say little, and `keywords` of each record are those that JSOC has.
    """

    series: Series
    segment: str
    process: str = ""
    as_stored: bool = False
    requestid: str = ""
    files: int = 0
    shared: bool = False
    keywords: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job) -> Delivered:
        """How the export of a listed job did."""
        facts, records = job.facts, job.records
        keywords = {}
        if facts.as_stored:
            times = [iso(t) if t is not pd.NaT else "" for t in records["t_obs"]]
            known = records.assign(T_OBS=times).set_index("record")
            keywords = known[list(KEYWORDS)].to_dict("index")
        return cls(
            job.series,
            job.segment,
            facts.process,
            facts.as_stored,
            facts.requestid,
            facts.count,
            # What we ask for ourselves is of one channel.
            not facts.recordset and facts.count > len(job.listing),
            keywords,
        )


class Downloader:
    """Fetches images into a store over a few connections; a failed one never stops the others.

    `renew` is given the listed images that the archive has no more (an export expires) and returns
    the link and RequestID of each, by `key_of` its row; where it gives none, they fail.
    """

    def __init__(
        self,
        archive: Transfer,
        store: Store,
        *,
        delivered: Delivered,
        reject: list[str],
        progress: Progress,
        renew: Renew | None = None,
    ) -> None:
        self.archive = archive
        self.store = store
        self.delivered = delivered
        self.steps = tuple(parse_process(delivered.process)[1])
        self.renew = renew
        self._tars = Tars(archive, store, keep=delivered.shared)
        self.reject = reject
        self.progress = progress
        self._said = ""

    def fetch(self, images: pd.DataFrame) -> Iterator[Outcome]:
        """Yield the outcome of each image (a row of a listing) as it comes."""
        self.progress.total += len(images)
        gone: list[int] = []
        for outcome in self._fetch(images):
            gone_now = outcome.problem is not None and outcome.problem.gone
            if gone_now and self.renew is not None:
                gone.append(outcome.row.Index)
            else:
                yield self._told(outcome)
        if not gone:
            return
        assert self.renew is not None
        again = images.loc[gone]
        log.info("%d images are no longer there; asking for them again", len(gone))
        found = self.renew(again)
        places = [found.get(key_of(row), (row.url, "")) for row in again.itertuples()]
        urls, ids = zip(*places, strict=True)
        for outcome in self._fetch(again.assign(url=urls, requestid=ids)):
            yield self._told(outcome)

    def _told(self, outcome: Outcome) -> Outcome:
        self.progress.add(fetched=outcome.fetched, failed=outcome.status == Status.FAILED)
        if outcome.status == Status.FAILED and outcome.reason != self._said:
            self._said = outcome.reason
            log.warning("%s: %s", outcome.row.filename, outcome.reason)
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._tars.__exit__(*error)

    def _fetch(self, images: pd.DataFrame) -> Iterator[Outcome]:
        if images.empty:
            return
        # Of the images that are there already rather than of those that are asked for first.
        missing, witness = [], images["url"].iloc[-1]
        for row in images.itertuples():
            path = self._path(row)
            if (facts := self.store.facts(path, row.record)) is None:
                missing.append(row.Index)
            else:
                self.store.tidy(path)
                witness = row.url
                yield self._outcome(row, path, facts)
        self.archive.witness = self.archive.witness or self.archive.url_of(witness)
        links = images["url"].str.partition("#")
        wanted = images.index.isin(missing)
        yield from self._pool(images[wanted & (links[1] == "")], self._from_archive)
        for link, rows in images[links[1] != ""].groupby(links[0], sort=False):
            if not (of_tar := rows[rows.index.isin(missing)]).empty:
                yield from self._in_tar(str(link), of_tar)
            else:
                self._tars.leave(str(link))

    def _pool(self, images: pd.DataFrame, source: Source) -> Iterator[Outcome]:
        if images.empty:
            return
        pool = ThreadPoolExecutor(self.archive.connections.most + _WORKERS_MORE)
        try:
            jobs = [pool.submit(self._one, row, source) for row in images.itertuples()]
            for job in as_completed(jobs):
                yield job.result()
        except BaseException as error:
            self.archive.connections.stopping.set()
            # Who interrupts does not wait for a connection that stalls.
            pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
            raise
        pool.shutdown()

    def _in_tar(self, link: str, missing: pd.DataFrame) -> Iterator[Outcome]:
        """The outcomes of a tar's members; a tar with a bad member is fetched once more."""
        for last in (False, True):
            if missing.empty:
                return
            try:
                tarball = self._tars.open(link, self.delivered.files)
            except TransferError as error:
                for row in missing.itertuples():
                    reason = f"its tar: {error}"
                    path = self._path(row)
                    yield Outcome(row, path, Status.FAILED, reason, error.tries, problem=error)
                return

            def source(
                row: Any, into: Path, check: Begin[Proof], tar: Tarball = tarball
            ) -> Fetched[Proof]:
                return tar.take(urlsplit(row.url).fragment, into, check)

            bad = []
            for outcome in self._pool(missing, source):
                if outcome.problem is not None and not outcome.problem.permanent and not last:
                    bad.append(outcome.row.Index)
                else:
                    yield outcome
            missing = missing.loc[bad]
            if bad:
                log.warning("%s: %d members are bad; fetching it once more", link, len(bad))
                self._tars.spoil(link)

    def _from_archive(self, row: Any, part: Path, check: Begin[Proof]) -> Fetched[Proof]:
        return self.archive.fetch(row.url, part, check)

    def _path(self, row: Any) -> str:
        return self.store.path_of(row.wavelength, row.filename, row.t_rec)

    def _one(self, row: Any, source: Source) -> Outcome:
        path = self._path(row)
        with self.store.claim(path) as part:
            # Another job may have brought it while this one waited.
            facts = self.store.facts(path, row.record)
            if fetched := facts is None:
                try:
                    facts = self._bring(row, path, part, source)
                except TransferError as error:
                    return Outcome(row, path, Status.FAILED, str(error), error.tries, problem=error)
        return self._outcome(row, path, facts, fetched=fetched)

    def _outcome(
        self, row: Any, path: str, facts: dict[str, Any], *, fetched: bool = False
    ) -> Outcome:
        """What became of an image that is in the store."""
        status, reason = Status.VERIFIED, ""
        if row.segment not in (PICTURE, MOVIE):
            status, reason = self._judge(facts)
        return Outcome(row, path, status, reason, facts["tries"], facts, fetched)

    def _bring(self, row: Any, path: str, part: Path, source: Source) -> dict[str, Any]:
        check = self._check_of(row)

        def begin(there: Path) -> Check[Proof]:
            # At each try: another job may have taken this one's place while it stood still.
            self.store.check_claim(path)
            return check(there)

        got = source(row, part, begin)
        facts = {
            "record": row.record,
            "sha256": got.found.sha256,
            "bytes": got.bytes,
            "tries": got.tries,
            "keywords": {**got.found.keywords, **self._known(row.record)},
        }
        if requestid := getattr(row, "requestid", "") or self.delivered.requestid:
            facts["requestid"] = requestid
        if self.delivered.process:
            facts["process"] = self.delivered.process
        self.store.commit(path, part, facts)
        return facts

    def _check_of(self, row: Any) -> Begin[Proof]:
        """What proves that a row's file is what was asked for."""
        if row.segment in (PICTURE, MOVIE):
            suffix = PurePosixPath(row.filename).suffix

            def look(file: Path) -> Proof:
                check_picture(file, suffix)
                return Proof(sha256_of(file))

            return lambda _: AtEnd(look)
        as_made = self.delivered
        asked = Asked(
            row.record,
            row.t_rec,
            row.wavelength,
            as_made.segment,
            row.time,
            as_made.series.cadence,
            as_made.series.keys,
            self.steps,
            as_made.as_stored,
        )
        return lambda there: ImageCheck(asked, there)

    def _known(self, record: str) -> dict[str, Any]:
        """What JSOC says of a record whose file does not say it."""
        if not self.delivered.as_stored:
            return {}
        found = self.delivered.keywords.get(record, {})
        known = {key: value for key, value in found.items() if value}
        if (quality := quality_of(known.get("QUALITY", ""))) is not None:
            known["QUALITY"] = quality
        return known

    def _judge(self, facts: dict[str, Any]) -> tuple[Status, str]:
        """Whether a verified image passes the quality rule."""
        quality = facts["keywords"].get("QUALITY")
        if not isinstance(quality, int):
            return Status.VERIFIED, f"the header has no QUALITY ({quality})"
        if bits := rejected_by(quality, self.reject):
            return Status.REJECTED, f"QUALITY {quality & 0xFFFFFFFF:#010x}: {', '.join(bits)}"
        if self.delivered.as_stored and not facts["keywords"].get("T_REC"):
            return Status.VERIFIED, "as stored: that it is this record, its link alone says"
        return Status.VERIFIED, ""


def download_all(downloader: Downloader, images: pd.DataFrame) -> pd.DataFrame:
    """The manifest after fetching every image of the window (partitioned images)."""
    return _manifest(downloader.fetch(images[images["phase"] != OUTSIDE]))


def download_sampled(
    downloader: Downloader, images: pd.DataFrame, event_id: str, wavelength: int, quota: Quota
) -> pd.DataFrame:
    """The manifest after fetching what the draw needs, and the next where one cannot be had."""
    candidates = draw(images, event_id, wavelength, quota)
    usable = pd.Series(True, index=candidates.index)
    tried = pd.Series(False, index=candidates.index)
    outcomes: list[Outcome] = []
    last: list[Outcome] = []
    while True:
        chosen = choose(candidates, usable, quota)
        needed = chosen[~tried[chosen.index]]
        # Where all that came was made otherwise than asked, so is the rest; an archive that is
        # down is asked for no more.
        problems = [outcome.problem for outcome in last if outcome.problem is not None]
        strange = bool(last) and len([p for p in problems if p.mismatch]) == len(last)
        if needed.empty or strange or any(problem.down for problem in problems):
            return _manifest(outcomes)
        last = list(downloader.fetch(needed))
        outcomes += last
        for outcome in last:
            tried[outcome.row.Index] = True
            usable[outcome.row.Index] = outcome.status == Status.VERIFIED


def with_products(
    downloader: Downloader, manifest: pd.DataFrame, products: pd.DataFrame
) -> pd.DataFrame:
    """The manifest with the pictures and movies of a job, after fetching them."""
    if products.empty:
        return manifest
    table = pd.concat([manifest, _manifest(downloader.fetch(products))])
    return table.sort_values("filename", ignore_index=True)


def _manifest(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """A row per image that was asked for, in the order of file names."""
    rows = [
        {
            "record": outcome.row.record,
            "filename": outcome.row.filename,
            "path": outcome.path,
            "status": outcome.status,
            "reason": outcome.reason,
            "tries": outcome.tries,
            "bytes": outcome.facts.get("bytes"),
            "sha256": outcome.facts.get("sha256", ""),
            "requestid": outcome.facts.get("requestid", ""),
            **{key: _text(outcome.facts.get("keywords", {}).get(key)) for key in KEYWORDS},
        }
        for outcome in outcomes
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["bytes"] = table["bytes"].astype("Int64")
    return table.sort_values("filename", ignore_index=True)


def _text(value: object) -> str:
    """A keyword's value as the CSV shows it: one row never decides how another's is written."""
    return "" if value is None else str(value)


def check_complete(
    manifest: pd.DataFrame, allow_missing: int, where: str, lacking: dict[str, str] | None = None
) -> None:
    """Raise IncompleteError, with every reason, where too many images failed.

    `lacking` has the records of the window that were asked for and not exported, with the reason.
    """
    failed = manifest[manifest["status"] == Status.FAILED]
    lacking = lacking or {}
    missing = len(failed) + len(lacking)
    if missing <= allow_missing:
        return
    reasons: dict[str, list[str]] = {}
    for name, reason in [*zip(failed["filename"], failed["reason"], strict=True), *lacking.items()]:
        reasons.setdefault(reason, []).append(name)
    lines = [
        f"  {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {reason}"
        for reason, names in reasons.items()
    ]
    raise IncompleteError(
        f"{where}: {missing} of {len(manifest) + len(lacking)} images could not be had"
        f" (completeness.allow_missing is {allow_missing}):\n"
        + "\n".join(lines)
        + "\nWhat arrived is in the store; run again to fetch only what is missing."
    )


def store_of(job: Job, root: Path, archive_name: str) -> Store:
    """Return the store of a job's files: a folder for each archive, series and processing.

    So a cut-out never stands for a full frame, nor a file as stored for one with a header.
    """
    done = fingerprint(job.facts.process) or ("as-is" if job.facts.as_stored else "")
    series = job.series.name
    return Store(root, archive_name, f"{series}+{done}" if done else series)


@contextmanager
def open_downloader(
    job: Job,
    settings: VerifySettings,
    access: Access,
    store: Store,
    progress: Progress,
) -> Iterator[Downloader]:
    """What fetches a job's files; the store is held meanwhile.

    An export of ours that has expired is asked for again.
    """
    with (
        store.in_use(environment.campaign()),
        reached(access, [job.event.flare, *job.event.other_flares], store.root) as site,
    ):
        renew = None
        if job.facts.recordset:
            wish = Wish.of(job.event, job.wavelength, settings)
            exporter = site.exporter(site.jsoc(), store.archive, job.series)
            renew = renewer(wish, job.records, job.facts, exporter)
        with Downloader(
            site.archive(progress.receive),
            store,
            delivered=Delivered.of(job),
            reject=list(settings.quality.reject),
            progress=progress,
            renew=renew,
        ) as downloader:
            yield downloader
