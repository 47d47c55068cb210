"""Say what a campaign will download, before anything is."""

import argparse
import json
import sys
from pathlib import Path

from tabulate import tabulate

from flareset.errors import exit_status
from flareset.plan import pages_wanted, plan_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listings", nargs="*", default=[], help="listing.csv of every job")
    parser.add_argument("--missing", nargs="*", default=[], help="<event_id>/<wavelength> without")
    parser.add_argument("--events", type=Path, required=True, help="the folder of event.json files")
    parser.add_argument("--pages", default="export_pages", help="the folder of saved pages")
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--archive", required=True, type=json.loads, help="JSON: how to reach it")
    args = parser.parse_args()

    if args.missing:
        wanted = pages_wanted(args.missing, args.events, args.settings["series"], args.pages)
        print("No page is saved for these; export them at JSOC (method url, protocol FITS):\n")
        print(tabulate(wanted, headers="keys", showindex=False), end="\n\n")
    table = plan_table(
        [Path(path) for path in args.listings], Path(args.store), args.settings, args.archive
    )
    print(tabulate(table, headers="keys", showindex=False, floatfmt=".2f"))
    print("\nGB are estimated from the size that the export's page gives.")


if __name__ == "__main__":
    sys.exit(exit_status(main))
