"""Split an event's images into pre, flare and post by time, and link them there."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.events import read_event
from flareset.campaign.run import alone
from flareset.partition import partition, phase_links, product_links
from flareset.store.hardlinks import sync_folder
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.listing import images_of, read_listing, write_listing
from flareset.tables.manifest import read_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--listing", required=True, help="listing.csv")
    parser.add_argument("--manifest", required=True, help="manifest.csv")
    parser.add_argument("--segment", required=True, help="the segment that is used")
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--folder", required=True, help="output: holds pre, flare and post")
    parser.add_argument("--partition", required=True, help="output: CSV, a row per listed image")
    args = parser.parse_args()

    with job_log(), alone(Path(args.partition).parent):
        images = partition(
            images_of(read_listing(args.listing), args.segment), read_event(args.event)
        )
        manifest, store = read_manifest(args.manifest), Path(args.store)
        links = phase_links(images, manifest, store)
        for phase, wanted in (links | product_links(manifest, store)).items():
            sync_folder(Path(args.folder) / phase, wanted)
            print(f"{phase}: {(images['phase'] == phase).sum()} listed, {len(wanted)} linked")
        write_listing(images.drop(columns="url"), args.partition)


if __name__ == "__main__":
    sys.exit(exit_status(main))
