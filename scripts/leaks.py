"""Measure how well each keyword of the images, without their pixels, tells the label."""

import argparse
import logging
import sys
from pathlib import Path

import pandas as pd

from flareset.campaign.run import tried_once
from flareset.leaks import find_leaks, read_images, refuse_leaks
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log
from flareset.tables.csv import write_table

log = logging.getLogger("flareset.leaks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, help="images.csv")
    parser.add_argument(
        "--keywords", required=True, nargs="+", help="columns of images.csv, or parts of its times"
    )
    parser.add_argument("--seed", required=True, help="decides the bootstraps")
    parser.add_argument(
        "--fail-above",
        type=float,
        help="the AUC above which a keyword of the instrument, or a column from events.csv, fails"
        " the run (default: never)",
    )
    parser.add_argument("--leaks", required=True, type=Path, help="output: CSV, a row per keyword")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("leaks", args.terminal), tried_once(args.leaks.with_name(".leaks.failed")):
        leaks = find_leaks(read_images(args.images, args.keywords), args.keywords, args.seed)
        write_table(leaks, args.leaks)
        log.info("%s", told(leaks, args.leaks))
        if args.fail_above is not None:
            refuse_leaks(leaks, args.fail_above)


def told(leaks: pd.DataFrame, path: Path) -> str:
    """Return what tells the label best, besides the scene itself, in a line."""
    other = leaks[leaks["kind"] != "scene"]
    best = other.sort_values("auc", ascending=False, kind="stable").dropna(subset="auc").head(3)
    names = ", ".join(
        f"{row.keyword} ({row.wavelength}) {row.auc:.2f}" for row in best.itertuples()
    )
    best_of_all = names or "nothing has values"
    return f"what tells the label best without the scene, by AUC: {best_of_all} ({path})"


if __name__ == "__main__":
    sys.exit(exit_status(main))
