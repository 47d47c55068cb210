"""Bring the images of one event and wavelength into the store, verified."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from flareset.archive import open_archive
from flareset.download import (
    Downloader,
    check_complete,
    download_all,
    download_sampled,
    write_manifest,
)
from flareset.errors import exit_status
from flareset.events import read_event
from flareset.ledger import ledger, write_ledger
from flareset.listing import images_of, read_facts, read_listing
from flareset.partition import partition
from flareset.progress import Progress
from flareset.sample import Quota
from flareset.series import SERIES
from flareset.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument("--listing", required=True, help="listing.csv")
    parser.add_argument("--facts", required=True, help="the page's summary, JSON")
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--archive", required=True, type=json.loads, help="JSON: how to reach it")
    parser.add_argument("--manifest", required=True, help="output: CSV, a row per image tried")
    parser.add_argument("--ledger", required=True, help="output where images are missing: CSV")
    parser.add_argument("--terminal", default="/dev/stderr", help="where progress is shown")
    args = parser.parse_args()

    event, settings = read_event(args.event), args.settings
    listing, facts = read_listing(args.listing), read_facts(args.facts)
    images = partition(images_of(listing, settings["segment"]), event)
    name = f"{event.event_id} {args.wavelength}"
    store = Store(args.store, settings["archive_name"], settings["series"])
    with (
        store.in_use(os.environ.get("FLARESET_CAMPAIGN", os.getcwd())),
        open_archive(args.archive, [event.flare, *event.other_flares]) as archive,
        _terminal(args.terminal) as terminal,
    ):
        progress = Progress(name, [sys.stdout, *terminal])
        downloader = Downloader(
            archive,
            store,
            segment=settings["segment"],
            reject=settings["quality"]["reject"],
            connections=args.archive["connections"],
            progress=progress,
            log=lambda line: print(line, flush=True),
        )
        if settings["fetch"] == "all":
            manifest = download_all(downloader, images)
        else:
            manifest = download_sampled(
                downloader, images, event.event_id, args.wavelength, Quota(**settings["quota"])
            )
        progress.close()
    try:
        check_complete(manifest, settings["completeness"]["allow_missing"], name)
    except Exception:
        # No later stage will run, so the ledger that names what is missing is written here.
        series = SERIES[settings["series"]]
        Path(args.ledger).parent.mkdir(parents=True, exist_ok=True)
        write_ledger(
            ledger(listing, images, manifest, event, args.wavelength, series=series, facts=facts),
            args.ledger,
        )
        raise
    write_manifest(manifest, args.manifest)


@contextmanager
def _terminal(path: str) -> Iterator[list[TextIO]]:
    """The terminal at `path` besides standard output, or nothing where there is none."""
    try:
        stream = open(path, "a")  # noqa: SIM115
    except OSError:
        yield []
        return
    with stream:
        yield [stream] if stream.isatty() and not sys.stdout.isatty() else []


if __name__ == "__main__":
    sys.exit(exit_status(main))
