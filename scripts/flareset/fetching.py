"""The downloader that fits a job's export."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flareset.asking import Wish, renewer
from flareset.download import Delivered, Downloader
from flareset.job import Job
from flareset.progress import Progress
from flareset.site import reached
from flareset.store import Store


@contextmanager
def open_downloader(
    job: Job,
    settings: dict[str, Any],
    archive: dict[str, Any],
    store: Store,
    progress: Progress,
    say: Callable[[str], object],
) -> Iterator[Downloader]:
    """What fetches a job's files; the store is held meanwhile.

    An export of ours that has expired is asked for again.
    """
    with (
        store.in_use(os.environ.get("FLARESET_CAMPAIGN", os.getcwd())),
        reached(archive, [job.event.flare, *job.event.other_flares], store.root) as site,
    ):
        renew = None
        if job.facts.recordset:
            wish = Wish.of(job.event, job.wavelength, settings, archive["wavelengths"])
            exporter = site.exporter(site.jsoc(say), store.archive, job.series, say)
            renew = renewer(wish, job.records, job.facts, exporter)
        with Downloader(
            site.archive(say, progress.receive),
            store,
            delivered=Delivered.of(job),
            reject=settings["quality"]["reject"],
            progress=progress,
            log=say,
            renew=renew,
        ) as downloader:
            yield downloader
