"""Pack the data set for others: a bag with its card, its sums, its metadata and its layouts."""

import argparse
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from flareset.campaign.run import alone
from flareset.campaign.settings import ReleaseSettings
from flareset.release.bundle import date_of, pack
from flareset.release.contents import read_contents
from flareset.release.terms import Terms
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.release")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="the folder data_selection")
    parser.add_argument(
        "--ledgers", required=True, nargs="+", type=Path, help="the ledger of every job"
    )
    parser.add_argument("--arrays", type=Path, help="arrays.csv, where the pixels are its arrays")
    parser.add_argument("--provenance", required=True, type=Path, help="provenance.json")
    parser.add_argument(
        "--settings", required=True, help="<results>/settings/release.*.json: the terms"
    )
    parser.add_argument(
        "--folder", required=True, type=Path, help="output: the parent folder of <name>-<version>/"
    )
    parser.add_argument("--sum", required=True, help="output: a sha256 over the whole release")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("release", args.terminal), alone(args.data.parent):
        settings = ReleaseSettings.read(args.settings).release
        terms = dict(settings)
        arrays = args.arrays.parent if terms.pop("images") == "arrays" else None
        release = args.folder / f"{settings.name}-{settings.version}"
        terms["date"] = settings.date or date_of(release) or f"{datetime.now(UTC):%Y-%m-%d}"
        contents = read_contents(args.data, args.ledgers, args.provenance, arrays)
        found = pack(contents, Terms(**terms), args.folder)
        layouts = ", ".join(settings.layouts)
        log.info("%s: %d images, in %s", release, len(contents.files), layouts)
        write_text(f"{found}  tagmanifest-sha256.txt\n", args.sum)


if __name__ == "__main__":
    sys.exit(exit_status(main))
