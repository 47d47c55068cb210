"""Make the page that shows a campaign from its tables and some of its images."""

import argparse
import logging
import sys
from pathlib import Path

from flareset.campaign.known import read_known
from flareset.campaign.run import tried_once
from flareset.report.goes import read_goes
from flareset.report.page import Look, write_report
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.report_page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument(
        "--config", required=True, type=Path, help="<results>/settings/config.*.json"
    )
    parser.add_argument("--flares", default="", help="flares.csv with all known flares")
    parser.add_argument(
        "--goes", nargs="*", default=[], type=Path, help="files with the X-ray flux by GOES"
    )
    parser.add_argument(
        "--images", required=True, type=int, help="how many images of each phase are shown"
    )
    parser.add_argument(
        "--one-page", required=True, type=int, help="more flares than this get a page each"
    )
    parser.add_argument("--page", required=True, type=Path, help="output: index.html")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("report_page", args.terminal), tried_once(args.results / ".report_page.failed"):
        known = read_known(args.flares) if args.flares else None
        goes = read_goes(args.goes) if args.goes else None
        look = Look(args.images, args.one_page)
        write_report(args.results, args.config, args.page.parent, look, known, goes)
        log.info("%s", args.page)


if __name__ == "__main__":
    sys.exit(exit_status(main))
