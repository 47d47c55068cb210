"""Audit a split from images.csv and splits.csv alone: what two of its parts share."""

import argparse
import json
import logging
import sys
from pathlib import Path

from flareset.audit import audit, read_images, read_splits, refuse_breaches, to_markdown
from flareset.campaign.run import tried_once
from flareset.sdo.times import parse_duration
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.audit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, help="images.csv")
    parser.add_argument("--splits", required=True, help="splits.csv")
    parser.add_argument(
        "--buffer",
        required=True,
        type=parse_duration,
        help="the least time between images of two splits, like 1d",
    )
    parser.add_argument(
        "--group-by",
        nargs="*",
        default=[],
        help="columns of images.csv whose values must not be in two splits",
    )
    parser.add_argument("--json", required=True, type=Path, help="output: the result, JSON")
    parser.add_argument("--markdown", required=True, help="output: the result as a page")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("audit", args.terminal), tried_once(args.json.with_name(".audit.failed")):
        images, splits = read_images(args.images, args.group_by), read_splits(args.splits)
        found = audit(images, splits, args.buffer, args.group_by)
        write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", args.json)
        write_text(to_markdown(found), args.markdown)
        log.info("%s: %s", found["verdict"], args.markdown)
        refuse_breaches(found)


if __name__ == "__main__":
    sys.exit(exit_status(main))
