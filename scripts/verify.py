"""Compare the store and the results with the manifests; with --repair, fetch damaged files."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.access import Access, add_flags
from flareset.campaign.settings import VerifySettings
from flareset.download import open_acquisition, store_of
from flareset.errors import StoreError
from flareset.job import Job
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import job_log
from flareset.system.progress import Progress
from flareset.verify import Damage, Results, repair_files

SHOWN = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument("--jobs", required=True, nargs="+", help="<event_id>/<wavelength> of each")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/verify.*.json")
    parser.add_argument("--list", required=True, type=Path, help="output: all damaged files")
    parser.add_argument("--repair", action="store_true", help="fetch damaged files again")
    add_flags(parser)
    args = parser.parse_args()

    results = Results(args.results, args.store, args.jobs)
    for job in results.unfinished:
        print(f"{job}: not finished, so there is nothing to verify yet; run snakemake")
    if not results.folders:
        raise StoreError(f"{args.results}: no event is finished; run snakemake first")
    damaged = results.check_store()
    if args.repair:
        with job_log():
            damaged = mended(results, damaged, args)
        results.relink()
    damaged += results.check_links()
    files = sum(bool(row["sha256"]) for rows in results.manifests.values() for row in rows)
    verdict = f"{files} files are what their manifests say"
    if damaged:
        advice = "run it again later" if args.repair else "the target `repair` fetches them again"
        verdict = f"{len(damaged)} of {files} files are damaged; {advice}"
    show(damaged, args.list, verdict)
    # That files are damaged is a finding, and no error of ours.
    if damaged:
        raise SystemExit(1)


def show(damaged: list[Damage], path: Path, verdict: str) -> None:
    """Write all damaged files and the verdict to a list; print the first 20, and the verdict."""
    write_text("".join(f"{damage}\n" for damage in damaged) + f"{verdict}\n", path)
    for damage in damaged[:SHOWN]:
        print(f"damaged: {damage}")
    if len(damaged) > SHOWN:
        print(f"... and {len(damaged) - SHOWN} more, all in {path}")
    print(verdict)


def mended(results: Results, damaged: list[Damage], args: argparse.Namespace) -> list[Damage]:
    """Put back what is damaged; return what could not be. StoreError where jobs have to run again.

    The results may have what the store lost; the rest is fetched again.
    """
    for damage in damaged[:SHOWN]:
        print(f"damaged: {damage}")
    lost = results.restore(damaged)
    left, stale = repair(results, lost, args)
    if stale:
        jobs = ", ".join(stale)
        raise StoreError(f"the archive now has other bytes for images of {jobs}; run snakemake")
    if damaged:
        print(
            f"put back: {len(damaged) - len(lost)} files from the results,"
            f" {len(lost) - len(left)} from the archive"
        )
    return left


def repair(
    results: Results, damaged: list[Damage], args: argparse.Namespace
) -> tuple[list[Damage], list[str]]:
    """Fetch damaged files again.

    Returns the files that could not be had, and the jobs that have to be run again.
    """
    # A file that cannot be read may still be good: it is not replaced.
    left = [damage for damage in damaged if not damage.readable]
    paths = {str(Path(d.path).relative_to(args.store)) for d in damaged if d.readable}
    changed: set[str] = set()
    settings = VerifySettings.read(args.settings)
    access = Access.of(args, settings.origin)
    for job, folder in results.folders.items():
        if not paths & results.paths[job]:
            continue
        listed = Job.read(folder, settings.image_series, settings.segment)
        store = store_of(listed, args.store, settings.archive_of(listed.event))
        progress = Progress(f"repair {job.replace('/', ' ')}", [sys.stdout])
        with open_acquisition(listed, settings, access, store, progress) as acquisition:
            failed, other = repair_files(acquisition, listed, results.manifests[job], paths)
            progress.close()
        paths -= results.paths[job]
        left += failed
        changed |= set(other)
    stale = [job for job, known in results.paths.items() if changed & known]
    for job in stale:
        # The target `all` needs every manifest, so the next run makes this one again.
        (results.folders[job] / "manifest.csv").unlink()
    return left, stale


if __name__ == "__main__":
    sys.exit(exit_status(main))
