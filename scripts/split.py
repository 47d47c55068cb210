"""Split the events into training, validation and test, by groups that share nothing."""

import argparse
import logging
import sys
from collections import Counter
from pathlib import Path

from flareset.campaign.events import read_event
from flareset.campaign.run import tried_once
from flareset.sdo.times import parse_duration, parse_utc
from flareset.split import SHARES, Rules, divide, frozen_splits, write_splits
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.split")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--events", required=True, nargs="+", type=Path, help="event.json of every event"
    )
    parser.add_argument(
        "--method",
        choices=("groups", "time", "none"),
        default="groups",
        help="by groups of linked events, by times, or not at all (default: %(default)s)",
    )
    for name, share in SHARES.items():
        parser.add_argument(
            f"--{name}",
            type=float,
            default=share,
            help=f"share of the events in {name} (default: %(default)s)",
        )
    parser.add_argument(
        "--buffer",
        type=parse_duration,
        default="1d",
        help="windows nearer than this are linked (default: %(default)s)",
    )
    parser.add_argument(
        "--group-by", nargs="*", default=[], help="columns of events.csv that link events"
    )
    parser.add_argument("--stratify", default="", help="a column: each split has its share of it")
    parser.add_argument("--seed", required=True, help="decides the order of the groups")
    parser.add_argument("--freeze", default="", help="splits.csv of an earlier release")
    parser.add_argument(
        "--boundaries", nargs="*", default=[], type=parse_utc, help="times between the splits, UTC"
    )
    parser.add_argument("--folds", type=int, default=0, help="parts for cross-validation")
    parser.add_argument("--splits", required=True, type=Path, help="output: CSV, a row per event")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("split", args.terminal), tried_once(args.splits.with_name(".splits.failed")):
        rules = Rules(
            method=args.method,
            shares={name: getattr(args, name) for name in SHARES},
            buffer=args.buffer,
            group_by=tuple(args.group_by),
            stratify=args.stratify,
            boundaries=tuple(args.boundaries),
            folds=args.folds,
        )
        frozen = frozen_splits(args.freeze, rules.names)
        rows, lack = divide(map(read_event, args.events), rules, args.seed, frozen)
        write_splits(rows, args.splits)
        counts = Counter(row.split or "in no split" for row in rows)
        parts = ", ".join(f"{split} {number}" for split, number in counts.most_common())
        groups = len({row.group for row in rows})
        told = f"no split: {lack}" if lack else parts
        log.info("events %d, groups %d; %s", len(rows), groups, told)


if __name__ == "__main__":
    sys.exit(exit_status(main))
