"""Draw an event's images, and write its sampling log, ledger and account."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from flareset.download import read_manifest
from flareset.errors import exit_status
from flareset.events import read_event
from flareset.ledger import ledger, write_ledger
from flareset.listing import read_facts, read_listing
from flareset.sample import Quota, choose, draw, sample_table, sampling_log, shortages
from flareset.recordset import window_recordset
from flareset.series import SERIES
from flareset.summary import account


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--wavelength", required=True, type=int, help="angstrom")
    parser.add_argument("--listing", required=True, help="listing.csv")
    parser.add_argument("--facts", required=True, help="the page's summary, JSON")
    parser.add_argument("--partition", required=True, help="partition.csv")
    parser.add_argument("--manifest", required=True, help="manifest.csv")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: the stage's")
    parser.add_argument("--sample", required=True, help="output: CSV, a row per drawn image")
    parser.add_argument("--log", required=True, help="output: the sampling log, CSV")
    parser.add_argument("--ledger", required=True, help="output: CSV, a row per slot and file")
    parser.add_argument("--account", required=True, help="output: JSON, times and counts")
    args = parser.parse_args()

    event, quota = read_event(args.event), Quota(**args.settings["quota"])
    series = SERIES[args.settings["series"]]
    listing, images = read_listing(args.listing), read_listing(args.partition)
    facts, manifest = read_facts(args.facts), read_manifest(args.manifest)

    candidates = draw(images, event.event_id, args.wavelength, quota)
    verified = set(manifest["filename"][manifest["status"] == "verified"])
    chosen = choose(candidates, candidates["filename"].isin(verified), quota)
    short = shortages(chosen, event, quota)
    booked = ledger(
        listing, images, manifest, event, args.wavelength,
        series=series, facts=facts, shortages=short,
    )  # fmt: skip
    write_ledger(booked, args.ledger)
    sampling_log(images, chosen).to_csv(args.log, index=False, lineterminator="\n")
    table = sample_table(chosen, manifest, event.event_id, args.wavelength)
    table.to_csv(args.sample, index=False, lineterminator="\n")
    asked = str(window_recordset(series, event.window_start, event.window_end, [args.wavelength]))
    entry = account(
        event,
        args.wavelength,
        images,
        chosen,
        booked["status"][booked["record"] != ""],
        asdict(facts),
        asked,
    )
    Path(args.account).write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n")
    print(f"{len(chosen)} images drawn; {len(short)} bins came short (see the ledger)")


if __name__ == "__main__":
    sys.exit(exit_status(main))
