"""Bring an event's images into the store: all images, or those that the draw needs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

from flareset.archive.endpoints import Site, reached
from flareset.archive.tars import Tarball, Tars
from flareset.archive.transfer import Fetched, Transfer
from flareset.campaign import environment
from flareset.campaign.access import Access
from flareset.campaign.settings import VerifySettings
from flareset.candidates import BLANK, REJECTED, SHOWS_NOTHING, Rules, judge
from flareset.draw import choose
from flareset.errors import IncompleteError, TransferError
from flareset.job import Job
from flareset.proof.check import AtEnd, Begin, Check, Proof
from flareset.proof.fits import Asked, ImageCheck, keywords_in, packed_header
from flareset.proof.pictures import check_picture
from flareset.sdo.keywords import KEYWORD_NAMES, KEYWORDS
from flareset.sdo.processing import fingerprint, parse_process
from flareset.sdo.quality import quality_of
from flareset.sdo.series import Series
from flareset.sources.delivered import Delivery
from flareset.sources.direct import Direct
from flareset.sources.export import Export
from flareset.sources.links import Links, Listed, Source
from flareset.sources.query import Query
from flareset.store.store import Store, sha256_of
from flareset.system.progress import Progress
from flareset.tables.records import PROOF
from flareset.tables.rows import Row, but_records, in_order, of_records, records_in
from flareset.tables.status import Kind, Status

log = logging.getLogger(__name__)
Fetch = Callable[[Row, Path, Begin[Proof]], Fetched[Proof]]
# Threads beyond the number of connections: they prove and sync files while others fetch.
_WORKERS_MORE = 2
# The most reasons that a message names.
_MOST_REASONS = 5


@dataclass(frozen=True)
class Outcome:
    """What became of one file or record: its ledger status, and what is known of the file.

    A wanted record without a file has an empty `filename` and no `kind`.
    """

    record: str
    filename: str
    kind: Kind | None
    path: str
    status: Status
    reason: str
    tries: int
    facts: dict[str, Any] = field(default_factory=dict)
    fetched: bool = False
    problem: TransferError | None = None


@dataclass(frozen=True)
class Delivered:
    """The form in which an export delivers its images.

    `process` is JSOC's text for the processing. `files` is the export's number of files. `shared`:
    other jobs want some of them. `as_stored`: the headers have few keywords, so `keywords` has
    JSOC's keywords by record, and `stated` the statistics in each record. `named` is the format of
    the file names if the campaign sets one. `wavelength` is the channel (angstrom), 0 if unknown.
    """

    series: Series
    segment: str
    process: str = ""
    as_stored: bool = False
    requestid: str = ""
    files: int = 0
    shared: bool = False
    keywords: dict[str, dict[str, str]] = field(default_factory=dict)
    named: str = ""
    stated: dict[str, dict[str, str]] = field(default_factory=dict)
    wavelength: int = 0

    @classmethod
    def of(cls, job: Job, named: str = "") -> Delivered:
        """Return the form in which a job's images are delivered."""
        facts, records = job.facts, job.records
        keywords, stated = {}, {}
        if facts.as_stored:
            keywords, stated = (
                {row["record"]: {name: row[name] for name in names} for row in records}
                for names in (KEYWORD_NAMES, PROOF)
            )
        return cls(
            job.series,
            job.segment,
            facts.process,
            facts.as_stored,
            facts.requestid,
            facts.count,
            # Only an export that the user made may have more than this channel.
            facts.source in ("page", "request_id") and facts.count > len(job.listing),
            keywords,
            named,
            stated,
            job.wavelength,
        )


class Downloader:
    """A client that fetches files into a store over a few connections.

    A file that fails never stops the others.
    """

    def __init__(
        self,
        archive: Transfer,
        store: Store,
        *,
        delivered: Delivered,
        rules: Rules,
        check: Callable[[Asked, Path], Check[Proof]] = ImageCheck,
    ) -> None:
        self.archive = archive
        self.store = store
        self.delivered = delivered
        self.rules = rules
        self.check = check
        self.direct = check is not ImageCheck
        self.steps = tuple(parse_process(delivered.process)[1])
        self._tars = Tars(archive, store, keep=delivered.shared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._tars.__exit__(*error)

    def kept(self, wanted: Sequence[Row]) -> list[Outcome]:
        """Return the outcomes of wanted records whose files the store has, by the same names."""
        found = []
        for record, path in self.store.kept(wanted).items():
            facts = self._facts(path, record)
            if facts is not None and facts.get("named", "") == self.delivered.named:
                self.store.tidy(path)
                status, reason = self._judge(facts)
                name = PurePosixPath(path).name
                tries = facts["tries"]
                found.append(Outcome(record, name, Kind.IMAGE, path, status, reason, tries, facts))
        return found

    def dismiss_tars(self, outcomes: list[Outcome]) -> None:
        """Mark the tars of these outcomes' exports for removal: the store has all their members."""
        for requestid in {outcome.facts.get("requestid", "") for outcome in outcomes} - {""}:
            self._tars.dismiss(f"/{requestid}.tar")

    def fetch(self, images: Sequence[Row]) -> Iterator[Outcome]:
        """Yield the outcome of each file (a row of links) as soon as it is known."""
        if not images:
            return
        # Prefer an image that is in the store already as the witness: its URL is known to work.
        missing, witness = [], images[-1]["url"]
        # The missing members of each tar.
        tars: dict[str, list[Row]] = {}
        for row in images:
            path = self._path(row)
            link, of_tar, _ = row["url"].partition("#")
            wanted = tars.setdefault(link, []) if of_tar else missing
            if (facts := self._facts(path, row["record"])) is None:
                wanted.append(row)
            else:
                self.store.tidy(path)
                witness = row["url"]
                yield self._outcome(row, path, facts)
        self.archive.witness = self.archive.witness or self.archive.url_of(witness)
        yield from self._pool(missing, self._from_archive)
        for link, members in tars.items():
            if members:
                yield from self._in_tar(link, members)
            else:
                self._tars.dismiss(link)

    def _pool(self, images: Sequence[Row], source: Fetch) -> Iterator[Outcome]:
        if not images:
            return
        pool = ThreadPoolExecutor(self.archive.connections.most + _WORKERS_MORE)
        try:
            jobs = [pool.submit(self._one, row, source) for row in images]
            for job in as_completed(jobs):
                yield job.result()
        except BaseException as error:
            self.archive.connections.stopping.set()
            # On an interrupt, do not wait for a connection that stalls.
            pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
            raise
        pool.shutdown()

    def _in_tar(self, link: str, missing: Sequence[Row]) -> Iterator[Outcome]:
        """Yield the outcomes of a tar's members. A tar with a bad member is fetched once more."""
        for last in (False, True):
            if not missing:
                return
            try:
                tarball = self._tars.open(link, self.delivered.files)
            except TransferError as error:
                for row in missing:
                    reason = f"its tar: {error}"
                    path = self._path(row)
                    yield _failed(row, path, reason, error)
                return

            def source(
                row: Row, into: Path, check: Begin[Proof], tar: Tarball = tarball
            ) -> Fetched[Proof]:
                return tar.take(urlsplit(row["url"]).fragment, into, check)

            bad = set()
            for outcome in self._pool(missing, source):
                if outcome.problem is not None and not outcome.problem.permanent and not last:
                    bad.add(outcome.record)
                else:
                    yield outcome
            missing = of_records(missing, bad)
            if bad:
                log.info("%s: %d members are bad; fetching it once more", link, len(bad))
                self._tars.discard(link)

    def _from_archive(self, row: Row, part: Path, check: Begin[Proof]) -> Fetched[Proof]:
        return self.archive.fetch(row["url"], part, check)

    def _path(self, row: Row) -> str:
        return self.store.path_of(row["wavelength"], row["filename"], row["t_rec"])

    def _one(self, row: Row, source: Fetch) -> Outcome:
        path = self._path(row)
        with self.store.claim(path) as part:
            # Another job may have brought the file while this one waited.
            facts = self._facts(path, row["record"])
            if fetched := facts is None:
                try:
                    facts = self._bring(row, path, part, source)
                except TransferError as error:
                    return _failed(row, path, str(error), error)
        return self._outcome(row, path, facts, fetched=fetched)

    def _facts(self, path: str, record: str) -> dict[str, Any] | None:
        """Return what is known of a file, with every keyword; None if it is not in the store.

        A keyword that was not kept when the file came is read from its header.
        """
        facts = self.store.facts(path, record)
        if facts is None or not path.endswith(".fits"):
            return facts
        known = facts["keywords"]
        if lacking := [name for name in KEYWORD_NAMES if name not in known]:
            # Version 0.1.0 wrote no header.
            header = facts.get("header") or packed_header(self.store.root / path)
            known |= keywords_in(header, lacking)
        return {**facts, "keywords": {**known, **self._known(record)}}

    def _outcome(
        self, row: Row, path: str, facts: dict[str, Any], *, fetched: bool = False
    ) -> Outcome:
        """Return the outcome of an image that is in the store."""
        status, reason = Status.VERIFIED, ""
        if row["kind"] == Kind.IMAGE:
            status, reason = self._judge(facts)
        tries = facts["tries"]
        return Outcome(
            row["record"], row["filename"], row["kind"], path, status, reason, tries, facts, fetched
        )

    def _bring(self, row: Row, path: str, part: Path, source: Fetch) -> dict[str, Any]:
        check = self._check_of(row)

        def begin(there: Path) -> Check[Proof]:
            # Checked at each try: this job may have hung, and another taken over its claim.
            self.store.check_claim(path)
            return check(there)

        got = source(row, part, begin)
        facts = {
            "record": row["record"],
            "sha256": got.found.sha256,
            "bytes": got.found.bytes,
            "tries": got.tries,
            "proof": got.found.grade,
            "blank": got.found.blank,
            "keywords": got.found.keywords,
            "header": got.found.header,
        }
        if requestid := row["requestid"] or self.delivered.requestid:
            facts["requestid"] = requestid
        if self.delivered.process:
            facts["process"] = self.delivered.process
        if self.delivered.named:
            facts["named"] = self.delivered.named
        self.store.commit(path, part, facts)
        return {**facts, "keywords": {**facts["keywords"], **self._known(row["record"])}}

    def _check_of(self, row: Row) -> Begin[Proof]:
        """Return a function that begins the check of a row's file."""
        if row["kind"] != Kind.IMAGE:
            suffix = PurePosixPath(row["filename"]).suffix

            def look(file: Path) -> Proof:
                check_picture(file, suffix)
                return Proof(file.stat().st_size, sha256_of(file))

            return lambda _: AtEnd(look)
        as_made = self.delivered
        asked = Asked(
            row["record"],
            row["t_rec"],
            row["wavelength"],
            as_made.series.names_of(as_made.segment),
            row["time"],
            as_made.series.cadence,
            as_made.series.keys,
            self.steps,
            as_made.as_stored,
            as_made.stated.get(row["record"], {}),
        )
        return lambda there: self.check(asked, there)

    def _known(self, record: str) -> dict[str, Any]:
        """Return JSOC's keywords of a record, if its file was delivered as stored."""
        if not self.delivered.as_stored:
            return {}
        found = self.delivered.keywords.get(record, {})
        return {
            each.name: each.value_of(text) for each in KEYWORDS if (text := found.get(each.name))
        }

    def _judge(self, facts: dict[str, Any]) -> tuple[Status, str]:
        """Return the status of a proven image by its keywords, and the reason."""
        keywords = facts["keywords"]
        known = {**keywords, BLANK: facts.get("blank")}
        if why := judge(known, self.delivered.wavelength, self.rules):
            return Status.REJECTED, why
        alone = facts.get("proof") == "header" and (self.delivered.as_stored or self.direct)
        if alone and self.rules.quality.unproven == "reject":
            why = "JSOC states no statistics of its pixels, and nothing else proves it"
            return Status.REJECTED, why
        notes = [SHOWS_NOTHING] if facts.get("blank") else []
        if quality_of(str(keywords.get("QUALITY"))) is None:
            notes.append(f"the header has no QUALITY ({keywords.get('QUALITY')})")
        return Status.VERIFIED, "; ".join(notes)


def _failed(row: Row, path: str, reason: str, problem: TransferError) -> Outcome:
    """Return the outcome of a file that could not be had."""
    failed, tries = Status.FAILED, problem.tries
    return Outcome(
        row["record"], row["filename"], row["kind"], path, failed, reason, tries, problem=problem
    )


def _still_lost(gone: list[Outcome], found: list[Outcome]) -> list[Outcome]:
    """Return the lost files that a renewal did not bring, with the renewal's reason added.

    A file that stays lost keeps its name and its number of tries.
    """
    files = {outcome.filename for outcome in found if outcome.filename}
    why = {o.record: o.reason for o in found if o.status == Status.FAILED and not o.filename}
    brought = {outcome.record for outcome in found} - set(why)
    left = [o for o in gone if o.record not in brought and o.filename not in files]
    return [
        replace(o, reason=f"{o.reason}; {why[o.record]}") if o.record in why else o for o in left
    ]


class Acquisition:
    """A client that brings wanted records into the store: it gets links from a source and fetches.

    With `ask_least`, the source is not asked for records that the store has. `problem` is set if
    the archive is down, or if all its files were processed otherwise than asked. Then no further
    record is tried, and the job has to fail.
    """

    def __init__(
        self, downloader: Downloader, source: Source, progress: Progress, *, ask_least: bool
    ) -> None:
        self.downloader = downloader
        self._ask_least = ask_least
        self.outcomes: list[Outcome] = []
        self.problem: TransferError | None = None
        self._source = source
        self._progress = progress
        self._said = ""
        self._told: set[tuple[str, str]] = set()

    def bring(self, wanted: Sequence[Row]) -> list[Outcome]:
        """Bring wanted records (rows of records.csv) and return their outcomes."""
        if not wanted:
            return []
        self._progress.total += len(wanted)
        found = self._find(wanted)
        if gone := [o for o in found if o.problem is not None and o.problem.gone]:
            left = [o for o in found if o not in gone]
            found = left + self._renewed(wanted, gone)
        found += self._unanswered(wanted, found)
        for outcome in found:
            self._tell(outcome)
        self.outcomes += found
        self._look_for_a_stop(found)
        return found

    def _find(self, wanted: Sequence[Row]) -> list[Outcome]:
        """Bring wanted records with the links that the source has now; return their outcomes."""
        found = self.downloader.kept(wanted) if self._ask_least else []
        missing = but_records(wanted, {outcome.record for outcome in found})
        if missing:
            return found + self._of(self._source.find(missing, wanted))
        self.downloader.dismiss_tars(found)
        return found

    def draw(self, job: Job, most: Mapping[str, int]) -> None:
        """Bring the images that the draw takes. If one cannot be had, bring the next of its bin."""
        unusable: set[str] = set()
        tried: set[str] = set()
        while self.problem is None:
            chosen = choose(job.candidates, unusable, most)
            names = set(records_in(chosen)) - tried
            wanted = of_records(job.records, names)
            if not wanted:
                return
            outcomes = self.bring(wanted)
            tried |= names
            unusable |= names - {o.record for o in outcomes if o.status == Status.VERIFIED}

    def _unanswered(self, wanted: Sequence[Row], found: list[Outcome]) -> list[Outcome]:
        """Return a failure for each wanted record that the source gave no answer for.

        There is none if a movie came, which shows all records.
        """
        if any(PurePosixPath(o.filename).suffix in (".mpg", ".mp4") for o in found):
            return []
        answered = {outcome.record for outcome in found}
        why = "the source gave neither a link nor a reason"
        return [
            Outcome(row["record"], "", None, "", Status.FAILED, why, 0)
            for row in but_records(wanted, answered)
        ]

    def _renewed(self, wanted: Sequence[Row], gone: list[Outcome]) -> list[Outcome]:
        """Ask again for files that the archive no longer has, and return their outcomes."""
        log.info("%d files are no longer there; asking for them again", len(gone))
        again = of_records(wanted, {o.record for o in gone})
        # A movie belongs to no single record: all are asked for again.
        found = self._of(self._source.renew(again or wanted))
        left = _still_lost(gone, found)
        kept = {o.record for o in left}
        return [o for o in found if o.filename or o.record not in kept] + left

    def _of(self, links: Links) -> list[Outcome]:
        """Fetch the files of links. Return their outcomes, and those of records without a link."""
        segment = self.downloader.delivered.segment
        used = [row for row in links.rows if row["segment"] == segment]
        found: list[Outcome] = []
        for outcome in self.downloader.fetch(used):
            found.append(outcome)
            # What is gone may be asked for again.
            if outcome.problem is None or not outcome.problem.gone:
                self._tell(outcome)
        for record, missing in links.missing.items():
            found.append(Outcome(record, "", None, "", missing.status, missing.reason, 0))
        return found

    def _look_for_a_stop(self, found: list[Outcome]) -> None:
        """Set `problem` in an outage, or if all files were processed otherwise than asked."""
        problems = [o.problem for o in found if o.problem is not None]
        for problem in problems:
            if problem.down or len([p for p in problems if p.mismatch]) == len(found):
                self.problem = problem

    def _tell(self, outcome: Outcome) -> None:
        """Count an outcome, and log why a file failed. Do nothing if it is told already."""
        name = outcome.record, outcome.filename
        if name in self._told:
            return
        self._told.add(name)
        self._progress.add(fetched=outcome.fetched, failed=outcome.status == Status.FAILED)
        if outcome.status == Status.FAILED and outcome.reason != self._said:
            self._said = outcome.reason
            log.info("%s: %s", outcome.filename or outcome.record, outcome.reason)


def acquire(acquisition: Acquisition, job: Job, most: Mapping[str, int] | None) -> list[Row]:
    """Bring a job's files and return the manifest.

    `most` is the number of images per bin, by phase; None brings every image of the window. Of
    pictures and movies, all are brought.
    """
    if job.facts.pictured:
        acquisition.bring(job.with_image)
    elif most is None:
        acquisition.bring(of_records(job.with_image, set(records_in(job.inside))))
    else:
        acquisition.draw(job, most)
    return manifest_of(acquisition.outcomes)


def manifest_of(outcomes: Iterable[Outcome]) -> list[Row]:
    """Return a row per file and per wanted record without a file, in the order of file names."""
    rows = [
        {
            "record": outcome.record,
            "filename": outcome.filename,
            "kind": outcome.kind or "",
            "path": outcome.path,
            "status": outcome.status,
            "reason": outcome.reason,
            "tries": outcome.tries,
            "bytes": outcome.facts.get("bytes"),
            "sha256": outcome.facts.get("sha256", ""),
            "requestid": outcome.facts.get("requestid", ""),
            "proof": outcome.facts.get("proof", ""),
            "blank": int(outcome.facts["blank"]) if "blank" in outcome.facts else "",
            **{key: _text(outcome.facts.get("keywords", {}).get(key)) for key in KEYWORD_NAMES},
        }
        for outcome in outcomes
    ]
    return in_order(rows, "filename", "record")


def _text(value: object) -> str:
    """Return a keyword's value as text, as a manifest that is read has it."""
    return "" if value is None else str(value)


def check_complete(
    manifest: Sequence[Row], allow_missing: int, where: str, problem: TransferError | None = None
) -> None:
    """Raise IncompleteError, with every reason, if more files failed than allowed.

    With a `problem` of the whole archive, raise it in any case.
    """
    failed = [row for row in manifest if row["status"] == Status.FAILED]
    if len(failed) <= allow_missing and problem is None:
        return
    reasons: dict[str, list[str]] = {}
    for row in failed:
        reasons.setdefault(row["reason"], []).append(row["filename"] or row["record"])
    lines = [
        f"  {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {reason}"
        for reason, names in reasons.items()
    ]
    raise IncompleteError(
        f"{where}: {len(failed)} of {len(manifest)} images could not be had"
        f" (completeness.allow_missing is {allow_missing}):\n"
        + "\n".join(lines)
        + "\nWhat arrived is in the store; run again to fetch only what is missing."
    )


def check_usable(
    job: Job,
    manifest: Sequence[Row],
    most: Mapping[str, int] | None,
    allow_missing: int,
    where: str,
) -> None:
    """Raise IncompleteError if every image that could be drawn is rejected or failed.

    Rejected images count as missing only if no image is left. `most` is the number of images per
    bin, by phase; None for all images.
    """
    inside = [row for row in job.inside if not most or most[row["phase"]]]
    if job.facts.pictured or len(inside) <= allow_missing:
        return
    became = _became(inside, manifest)
    if {status for status, _ in became} - {Status.FAILED} != {Status.REJECTED}:
        return
    reasons = Counter(reason for _, reason in became).most_common(_MOST_REASONS)
    lines = [f"  {number} of them: {reason}" for reason, number in reasons]
    raise IncompleteError(
        f"{where}: none of its {len(inside)} images can be drawn (completeness.allow_missing is"
        f" {allow_missing}):\n" + "\n".join(lines) + "\nCheck quality.reject,"
        " sample.exposure and other_flares, or take the row out of events.csv."
    )


def _became(candidates: Iterable[Row], manifest: Iterable[Row]) -> list[tuple[str, str]]:
    """Return the status of each candidate, and the reason: that of the draw, else of its file."""
    tried = {row["record"]: (row["status"], row["reason"]) for row in manifest}
    return [
        (REJECTED, row["reason"])
        if row["verdict"] == REJECTED
        else tried.get(row["record"], (Status.NOT_NEEDED, "not drawn"))
        for row in candidates
    ]


def store_of(job: Job, root: Path, archive_name: str) -> Store:
    """Return the store of a job's files: a folder for each archive, series and processing.

    So a cut-out never takes the place of a full frame, nor a stored file that of an exported one.
    """
    done = fingerprint(job.facts.process) or ("as-is" if job.facts.as_stored else "")
    if job.facts.source == "direct":
        done = "direct"
    series = job.series.name
    return Store(root, archive_name, f"{series}+{done}" if done else series)


@contextmanager
def open_acquisition(
    job: Job,
    settings: VerifySettings,
    access: Access,
    store: Store,
    progress: Progress,
) -> Iterator[Acquisition]:
    """Yield the Acquisition of a job's files, and hold the store while the block runs."""
    with (
        store.in_use(environment.campaign()),
        reached(access, job.event.flares, store.root) as site,
    ):
        source = _source_of(job, settings, site, store)
        with Downloader(
            site.transfer(progress.receive),
            store,
            delivered=Delivered.of(job, settings.request.filename_format),
            rules=Rules(settings.quality, settings.exposure),
            check=source.check if isinstance(source, Direct) else ImageCheck,
        ) as downloader:
            ask_least = job.facts.source in ("export", "direct") and not job.facts.pictured
            yield Acquisition(downloader, source, progress, ask_least=ask_least)


@contextmanager
def open_requests(
    job: Job, settings: VerifySettings, access: Access, store: Store
) -> Iterator[Callable[[Sequence[Row], Sequence[Row]], list[str]]]:
    """Yield a function that returns the new exports that wanted records would need.

    Its arguments are the wanted records, and all needed records. It asks for no export.
    """
    if job.facts.source != "export":
        yield lambda *_: []
        return
    with reached(access, job.event.flares, store.root) as site:
        source = _source_of(job, settings, site, store)
        assert isinstance(source, Export)
        yield source.requests


def _source_of(job: Job, settings: VerifySettings, site: Site, store: Store) -> Source:
    """Return the source of a job's files."""
    facts = job.facts
    if facts.source in ("page", "request_id"):
        return Listed(job.listing, facts.requestid or "the page")
    query, jsoc = Query.of(job.event, job.wavelength, [], settings), site.jsoc(store.archive)
    exporter = site.exporter(jsoc, store.archive, job.series)
    delivery = Delivery(query, job.with_image, facts.process)
    if facts.source == "direct":
        return Direct(query, jsoc, Export(delivery, exporter) if jsoc.email else None)
    return Export(delivery, exporter, whole=settings.fetch == "all" or facts.pictured)
