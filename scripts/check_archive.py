"""Check that the archive behaves as the workflow relies on, with a few questions and one image."""

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from flareset.archive.endpoints import reached
from flareset.campaign.access import Access, add_flags
from flareset.campaign.events import read_event
from flareset.campaign.settings import Settings
from flareset.check_archive import ArchiveCheck
from flareset.errors import StoreError
from flareset.sources.query import Query
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import job_log

_PATIENCE, _LONGEST_EXPORT = timedelta(seconds=20), timedelta(minutes=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json; questions are about its flare")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument("--settings", required=True, help="<results>/settings/list.*.json")
    parser.add_argument("--report", required=True, help="output: the findings, as text")
    add_flags(parser)
    args = parser.parse_args()

    event, settings = read_event(args.event), Settings.read(args.settings)
    query = Query.of(event, args.wavelength, [args.wavelength], settings)
    access = _hasty(Access.of(args, settings.origin))
    # The campaign's store is not used, so that each question goes to the archive.
    with job_log(), TemporaryDirectory() as folder:
        with reached(access, [event.flare], folder) as site:
            jsoc = site.jsoc("check")
            exporter = site.exporter(jsoc, "check", query.series) if jsoc.email else None
            transfer = site.transfer(lambda _: None)
            where = Path(folder)
            check = ArchiveCheck(query, jsoc, transfer, event.flare_start, where, exporter)
            findings = []
            for finding in check.findings():
                findings.append(finding)
                print(finding, flush=True)
        strange = sum(not finding.fine for finding in findings)
        told = f"{len(findings) - strange} of {len(findings)} things are as expected"
        print(told)
        write_text("".join(f"{finding}\n" for finding in findings) + f"{told}\n", args.report)
        if strange:
            raise StoreError(
                f"{strange} things are not as expected; the report is in {args.report}: send it to"
                " the maintainers"
            )


def _hasty(access: Access) -> Access:
    """Return the access with less patience, so that a failing server is soon reported."""
    archive, manners = access.archive, access.manners
    patience, wait = min(archive.patience, _PATIENCE), min(manners.wait, _LONGEST_EXPORT)
    return access.model_copy(
        update={
            "archive": archive.model_copy(update={"patience": patience}),
            "manners": manners.model_copy(update={"wait": wait}),
        }
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
