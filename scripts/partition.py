"""Divide an event's images into phases by time, and link them in a folder for each phase."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.run import alone
from flareset.partition import COLUMNS, links_of, select_verified
from flareset.store.hardlinks import sync_folder
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.csv import read_rows, write_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", required=True, help="candidates.csv of the event")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument("--manifest", required=True, help="manifest.csv")
    parser.add_argument("--store", required=True, help="the folder of verified files")
    parser.add_argument("--folder", required=True, help="output: has a folder for each phase")
    parser.add_argument("--partition", required=True, help="output: CSV, a row per linked file")
    args = parser.parse_args()

    with job_log(), alone(Path(args.partition).parent):
        candidates = [
            row for row in read_rows(args.candidates) if row["wavelength"] == str(args.wavelength)
        ]
        files = select_verified(candidates, read_rows(args.manifest))
        for folder, wanted in links_of(files, Path(args.store)).items():
            sync_folder(Path(args.folder) / folder, wanted)
            records = sum(row["phase"] == folder for row in candidates)
            print(f"{folder}: {records} records, {len(wanted)} linked")
        write_rows(files, COLUMNS, args.partition)


if __name__ == "__main__":
    sys.exit(exit_status(main))
