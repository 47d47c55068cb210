"""Divide an event's images into phases by time, and link them in a folder for each phase."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.run import alone
from flareset.candidates import read_candidates
from flareset.partition import links_of, select_verified
from flareset.store.hardlinks import sync_folder
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.csv import write_table
from flareset.tables.manifest import read_manifest


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
        candidates = read_candidates(args.candidates, args.wavelength)
        table = select_verified(candidates, read_manifest(args.manifest))
        for folder, wanted in links_of(table, Path(args.store)).items():
            sync_folder(Path(args.folder) / folder, wanted)
            print(
                f"{folder}: {(candidates['phase'] == folder).sum()} records, {len(wanted)} linked"
            )
        write_table(table, args.partition)


if __name__ == "__main__":
    sys.exit(exit_status(main))
