"""Bring an event's images into the store: all of them, or those that the draw needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from flareset.archive import Archive
from flareset.errors import IncompleteError, TransferError
from flareset.fitscheck import Asked, check_image
from flareset.partition import OUTSIDE
from flareset.progress import Progress
from flareset.quality import rejected_by
from flareset.sample import Quota, choose, draw
from flareset.series import SERIES
from flareset.store import Store

KEYWORDS = ("T_OBS", "QUALITY", "EXPTIME", "AECTYPE")
COLUMNS = [
    "record", "filename", "path", "status", "reason", "tries", "bytes", "sha256", *KEYWORDS
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one image: `verified`, `rejected` or `failed`, and what is known of it."""

    row: Any
    path: str
    status: str
    reason: str
    tries: int
    facts: dict[str, Any] = field(default_factory=dict)
    fetched: int = 0


class Downloader:
    """Fetches images into a store over a few connections; a failed one never stops the others."""

    def __init__(
        self,
        archive: Archive,
        store: Store,
        *,
        segment: str,
        reject: list[str],
        connections: int,
        progress: Progress,
        log: Callable[[str], object],
    ) -> None:
        self.archive = archive
        self.store = store
        self.segment = segment
        self.reject = reject
        self.connections = connections
        self.progress = progress
        self.log = log

    def fetch(self, images: pd.DataFrame) -> Iterator[Outcome]:
        """Yield the outcome of each image (a row of a listing) as it comes."""
        self.progress.total += len(images)
        with ThreadPoolExecutor(self.connections) as pool:
            jobs = [pool.submit(self._one, row) for row in images.itertuples()]
            try:
                for job in as_completed(jobs):
                    outcome = job.result()
                    self.progress.add(fetched=outcome.fetched, failed=outcome.status == "failed")
                    if outcome.status == "failed":
                        self.log(f"{outcome.row.filename}: {outcome.reason}")
                    yield outcome
            except BaseException:
                self.archive.stopping.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, row: Any) -> Outcome:
        path = self.store.path_of(row.wavelength, row.filename, row.t_rec)
        facts = self.store.facts(path, row.record)
        fetched = 0
        if facts is None:
            with self.store.claim(path) as part:
                facts = self.store.facts(path, row.record)
                if facts is None:
                    try:
                        facts = self._bring(row, path, part)
                    except TransferError as error:
                        return Outcome(row, path, "failed", str(error), error.tries)
                    fetched = facts["bytes"]
        status, reason = self._judge(facts)
        return Outcome(row, path, status, reason, facts["tries"], facts, fetched)

    def _bring(self, row: Any, path: str, part: Path) -> dict[str, Any]:
        cadence = SERIES[row.record.partition("[")[0]].cadence
        asked = Asked(row.record, row.t_rec, row.wavelength, self.segment, row.filename, cadence)
        got = self.archive.fetch(row.url, part, lambda file: check_image(file, asked))
        facts = {
            "record": row.record,
            "sha256": got.sha256,
            "bytes": got.bytes,
            "tries": got.tries,
            "keywords": got.found,
        }
        self.store.commit(path, part, facts)
        return facts

    def _judge(self, facts: dict[str, Any]) -> tuple[str, str]:
        """Whether a verified image passes the quality rule."""
        quality = facts["keywords"]["QUALITY"]
        if not isinstance(quality, int):
            return "verified", f"the header has no QUALITY ({quality})"
        if bits := rejected_by(quality, self.reject):
            return "rejected", f"QUALITY {quality & 0xFFFFFFFF:#010x}: {', '.join(bits)}"
        return "verified", ""


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
    while True:
        chosen = choose(candidates, usable, quota)
        needed = chosen[~tried[chosen.index]]
        if needed.empty:
            return _manifest(outcomes)
        for outcome in downloader.fetch(needed):
            outcomes.append(outcome)
            tried[outcome.row.Index] = True
            usable[outcome.row.Index] = outcome.status == "verified"


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


def check_complete(manifest: pd.DataFrame, allow_missing: int, where: str) -> None:
    """Raise IncompleteError, with every file and reason, where too many images failed."""
    failed = manifest[manifest["status"] == "failed"]
    if len(failed) <= allow_missing:
        return
    lines = [f"  {row.filename}: {row.reason}" for row in failed.itertuples()]
    raise IncompleteError(
        f"{where}: {len(failed)} of {len(manifest)} images could not be had"
        f" (completeness.allow_missing is {allow_missing}):\n"
        + "\n".join(lines)
        + "\nWhat arrived is in the store; run again to fetch only what is missing."
    )


def write_manifest(manifest: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV."""
    manifest.to_csv(path, index=False, lineterminator="\n")


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest that `write_manifest` wrote; keywords as text, as the header had them."""
    keywords = dict.fromkeys(KEYWORDS, "str")
    texts = dict.fromkeys(["record", "filename", "path", "status", "reason", "sha256"], "str")
    return pd.read_csv(
        path,
        dtype={**texts, **keywords, "tries": "int64", "bytes": "Int64"},
        keep_default_na=False,
        na_values={"bytes": [""]},
    )
