"""Label the drawn images of all events: the data set."""

import argparse
import logging
import sys
from pathlib import Path

from flareset.campaign.events import read_event
from flareset.campaign.run import alone
from flareset.label import image_links, label_images, read_samples, with_splits, write_labels
from flareset.split import SHARES, read_splits, split_at_random
from flareset.store.hardlinks import sync_folder
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.label")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--samples",
        required=True,
        nargs="+",
        type=Path,
        help="<event_id>/<wavelength>/sample.csv of every job; its sampling_log.csv lies beside it,"
        " the event.json above",
    )
    parser.add_argument("--splits", required=True, help="splits.csv")
    parser.add_argument("--split-seed", required=True, help="decides the leaky baseline's split")
    for name, share in SHARES.items():
        parser.add_argument(
            f"--{name}",
            type=float,
            default=share,
            help=f"share of the images in {name} of the leaky baseline (default: %(default)s)",
        )
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--folder", required=True, help="output: the data set's folder")
    add_terminal(parser)
    args = parser.parse_args()

    folder = Path(args.folder)
    with job_log("label", args.terminal), alone(folder.parent):
        samples = read_samples(args.samples)
        folders = sorted({path.parents[1] for path in args.samples})
        images = label_images(samples, [read_event(path / "event.json") for path in folders])
        shares = {name: getattr(args, name) for name in SHARES}
        baseline = split_at_random(images["record"], args.split_seed, shares)
        images = with_splits(images, read_splits(args.splits), baseline)
        sync_folder(folder / "fits" / "raw", image_links(samples, Path(args.store)))
        logs = {
            f"{path.parents[1].name}.{path.parent.name}.csv": path.with_name("sampling_log.csv")
            for path in args.samples
        }
        sync_folder(folder / "sampling_logs", logs)
        write_labels(images, folder)
        flares = int((images["label"] == 1).sum())
        log.info("%d images, %d of them in a flare: %s", len(images), flares, folder)


if __name__ == "__main__":
    sys.exit(exit_status(main))
