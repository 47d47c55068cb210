"""Label the drawn images of all events: the data set."""

import argparse
import sys
from pathlib import Path

from flareset.errors import exit_status
from flareset.events import read_event
from flareset.label import image_links, label_images, read_samples, write_labels
from flareset.links import sync_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", required=True, nargs="+", help="event.json of every event")
    parser.add_argument("--samples", required=True, nargs="+", help="sample.csv of every job")
    parser.add_argument("--logs", required=True, nargs="+", help="sampling_log.csv of every job")
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--folder", required=True, help="output: the data set's folder")
    args = parser.parse_args()

    folder = Path(args.folder)
    samples = read_samples(args.samples)
    images = label_images(samples, [read_event(path) for path in args.events])
    sync_folder(folder / "fits" / "raw", image_links(samples, Path(args.store)))
    # A log lies at …/<event_id>/<wavelength>/sampling_log.csv.
    logs = {f"{p.parent.parent.name}.{p.parent.name}.csv": p for p in map(Path, args.logs)}
    sync_folder(folder / "sampling_logs", logs)
    write_labels(images, folder)
    print(f"{len(images)} drawn, {(images['label'] == 1).sum()} of them in the flare")


if __name__ == "__main__":
    sys.exit(exit_status(main))
