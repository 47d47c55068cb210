"""List or remove files of the store and the results that no event of the campaign refers to."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from flareset.campaign import environment
from flareset.errors import StoreError
from flareset.store.store import Store
from flareset.store.unused import remove, size_of, unused_files, unused_results
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.tables.manifest import read_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument("--jobs", required=True, nargs="+", help="<event_id>/<wavelength> of each")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--list", required=True, type=Path, help="output: every unused path")
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    args = parser.parse_args()

    used = used_paths(args.results, args.jobs)
    store = Store(args.store, "", "")
    with store.in_use(environment.campaign()):
        folders = unused_results(args.results, args.jobs)
        raw = args.results / "data_selection" / "fits" / "raw"
        files, shared = unused_files(store, used, [*folders, raw])
        found = [*files, *folders]
        total = sum(size_of(path) for path in found)
        write_text("".join(f"{path}\n" for path in found), args.list)
        for path in found if args.remove else []:
            remove(path)
    done = "removed" if args.remove else "unused"
    show(files, folders, done)
    print(f"{done}: {len(found)} in all, {total / 1e9:.3f} GB; every path is in {args.list}")
    if shared:
        print(f"kept: {len(shared)} files that the results of another campaign are linked to")
    if found and not args.remove:
        print("Nothing was removed. To remove them, add --config clean=remove to this command.")


def show(files: list[Path], folders: list[Path], done: str) -> None:
    """Print each folder, and the number of files in each folder of the store."""
    for path in folders:
        print(f"{done}: {path}")
    for folder, number in sorted(Counter(path.parent for path in files).items()):
        print(f"{done}: {number} files in {folder}")


def used_paths(results: Path, jobs: list[str]) -> set[str]:
    """Return the paths in the store that jobs refer to. Raise StoreError if a job is unfinished."""
    used: set[str] = set()
    for job in jobs:
        manifest = results / "events" / job / "manifest.csv"
        if not manifest.exists():
            raise StoreError(
                f"{manifest}: missing, so it is not known what {job} needs; run snakemake first"
            )
        used |= {row["path"] for row in read_manifest(manifest)}
    return used


if __name__ == "__main__":
    sys.exit(exit_status(main))
