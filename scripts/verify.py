"""Compare the store and the results with the manifests; with --repair, fetch what is damaged."""

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd

from flareset.archive import open_archive
from flareset.download import Downloader, read_manifest
from flareset.errors import StoreError, exit_status
from flareset.events import read_event
from flareset.label import image_links, read_samples
from flareset.links import sync_folder
from flareset.listing import images_of, read_listing
from flareset.partition import phase_links
from flareset.progress import Progress
from flareset.store import Store
from flareset.verify import Damage, check_links, check_store, repair_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument("--jobs", required=True, nargs="+", help="<event_id>/<wavelength> of each")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--archive", required=True, type=json.loads, help="JSON: how to reach it")
    parser.add_argument("--repair", action="store_true", help="fetch what is damaged again")
    args = parser.parse_args()

    folders = {job: args.results / "events" / job for job in args.jobs}
    done = {job: folder for job, folder in folders.items() if (folder / "account.json").exists()}
    for job in sorted(set(folders) - set(done)):
        print(f"{job}: not finished, so there is nothing to verify yet")
    if not done:
        raise StoreError(f"{args.results}: no event is finished; run snakemake first")
    manifests = {job: read_manifest(folder / "manifest.csv") for job, folder in done.items()}
    everything = pd.concat(manifests.values(), ignore_index=True)

    damaged = check_store(args.store, everything, lambda _: None)
    for damage in damaged:
        print(f"damaged: {args.store}/{damage}")
    if args.repair:
        damaged = _repair(args, done, manifests, {damage.path for damage in damaged})
    links = [pair for job in done for pair in _links(args, job, done[job], manifests[job])]
    wrong = check_links([(path, source) for path, source in links if source.exists()])
    for damage in wrong:
        print(f"damaged: {damage}")
    files = int(everything["sha256"].ne("").sum())
    if damaged or wrong:
        advice = "run snakemake again" if args.repair else "`snakemake repair` fetches them again"
        raise StoreError(f"{len(damaged) + len(wrong)} of {files} files are damaged; {advice}")
    print(f"{files} files are what their manifests say")


def _links(
    args: argparse.Namespace, job: str, folder: Path, manifest: pd.DataFrame
) -> list[tuple[Path, Path]]:
    """Every result that a job has in final_fits and the data set, with its source."""
    images = read_listing(folder / "partition.csv")
    phases = phase_links(images, manifest, args.store)
    final, raw = args.results / "final_fits" / job, args.results / "data_selection/fits/raw"
    drawn = image_links(read_samples([folder / "sample.csv"]), args.store)
    return [
        (final / p / n, source) for p, wanted in phases.items() for n, source in wanted.items()
    ] + [(raw / name, source) for name, source in drawn.items()]


def _repair(
    args: argparse.Namespace,
    done: dict[str, Path],
    manifests: dict[str, pd.DataFrame],
    damaged: set[str],
) -> list[Damage]:
    """Fetch damaged files again and link results anew; what is still not right."""
    left: list[Damage] = []
    store = Store(args.store, args.settings["archive_name"], args.settings["series"])
    with store.in_use(os.getcwd()):
        for job, folder in done.items():
            event = read_event(folder.parent / "event.json")
            if damaged & set(manifests[job]["path"]):
                with open_archive(args.archive, [event.flare, *event.other_flares]) as archive:
                    downloader = Downloader(
                        archive,
                        store,
                        segment=args.settings["segment"],
                        reject=args.settings["quality"]["reject"],
                        connections=args.archive["connections"],
                        progress=Progress(job, [sys.stdout]),
                        log=print,
                    )
                    listing = read_listing(folder / "listing.csv")
                    images = images_of(listing, args.settings["segment"])
                    failed, changed = repair_store(downloader, images, manifests[job], damaged)
                    downloader.progress.close()
                damaged -= set(manifests[job]["path"])
                left += failed + changed
                for damage in failed + changed:
                    print(f"not repaired: {damage}")
                if changed:
                    # A new manifest makes the event's later stages stale.
                    (folder / "manifest.csv").unlink()
        _relink(args, done, manifests)
    return left


def _relink(
    args: argparse.Namespace, done: dict[str, Path], manifests: dict[str, pd.DataFrame]
) -> None:
    samples = []
    for job, folder in done.items():
        images = read_listing(folder / "partition.csv")
        for phase, wanted in phase_links(images, manifests[job], args.store).items():
            there = {name: source for name, source in wanted.items() if source.exists()}
            sync_folder(args.results / "final_fits" / job / phase, there)
        samples.append(folder / "sample.csv")
    drawn = image_links(read_samples(samples), args.store)
    there = {name: source for name, source in drawn.items() if source.exists()}
    sync_folder(args.results / "data_selection" / "fits" / "raw", there)


if __name__ == "__main__":
    sys.exit(exit_status(main))
