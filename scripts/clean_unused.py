"""List, or remove, what no current event refers to in the store and the results."""

import argparse
import os
import sys
from pathlib import Path

from flareset.download import read_manifest
from flareset.errors import StoreError, exit_status
from flareset.store import Store
from flareset.unused import remove, size_of, unused_files, unused_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument("--jobs", required=True, nargs="+", help="<event_id>/<wavelength> of each")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    args = parser.parse_args()

    used: set[str] = set()
    for job in args.jobs:
        manifest = args.results / "events" / job / "manifest.csv"
        if not manifest.exists():
            raise StoreError(
                f"{manifest}: not there, so what {job} needs is not known; run snakemake first"
            )
        used |= set(read_manifest(manifest)["path"])
    jobs = [
        (event_id, int(wavelength)) for event_id, wavelength in (j.split("/") for j in args.jobs)
    ]
    with Store(args.store, "", "").in_use(os.getcwd()):
        found = unused_files(args.store, used) + unused_results(args.results, jobs)
        total = 0
        for path in found:
            total += size_of(path)
            print(f"{'removed' if args.remove else 'unused'}: {path}")
            if args.remove:
                remove(path)
    print(f"{len(found)} unused, {total / 1e9:.3f} GB")
    if found and not args.remove:
        print(
            "Nothing was removed. A store shared with other campaigns holds their files too."
            " To remove what is listed: snakemake clean_unused --config clean=remove"
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
