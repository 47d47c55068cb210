"""Draw from an event's records: the candidates of all its channels, in a seeded order."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from flareset.campaign.config import Quality
from flareset.campaign.events import read_event
from flareset.campaign.run import alone
from flareset.candidates import Rules, write_candidates
from flareset.draw import draw
from flareset.sdo.exposure import KINDS
from flareset.sdo.times import parse_duration
from flareset.system.endings import exit_status
from flareset.system.logs import job_log
from flareset.tables.records import read_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, type=Path, help="event.json")
    parser.add_argument(
        "--records", required=True, nargs="+", help="records.csv of each channel of the event"
    )
    parser.add_argument("--seed", required=True, help="a number or text: decides every choice")
    parser.add_argument(
        "--quality",
        required=True,
        type=Quality.model_validate_json,
        help="the settings under `quality`, as JSON",
    )
    parser.add_argument(
        "--other-flares",
        required=True,
        choices=("exclude", "allow"),
        help="whether an image in another flare may be drawn as pre or post",
    )
    parser.add_argument(
        "--exposure",
        choices=("any", *KINDS),
        default="any",
        help="which exposures may be drawn (default: %(default)s)",
    )
    parser.add_argument(
        "--guard",
        type=parse_duration,
        default="0m",
        help="no image of pre and post is nearer to the flare than this (default: %(default)s)",
    )
    parser.add_argument(
        "--channels",
        choices=("together", "apart"),
        default="together",
        help="whether a slot has to be accepted in every channel (default: %(default)s)",
    )
    parser.add_argument("--candidates", required=True, help="output: CSV, a row per record")
    args = parser.parse_args()

    with job_log(), alone(args.event.parent):
        event = read_event(args.event)
        rules = Rules(args.quality, args.exposure, args.other_flares, args.guard)
        tables = [read_records(path) for path in args.records]
        candidates = draw(tables, event, rules, seed=args.seed, channels=args.channels)
        write_candidates(candidates, args.candidates)
        counts = Counter((row["wavelength"], row["phase"], row["verdict"]) for row in candidates)
        for (wavelength, phase, verdict), number in sorted(counts.items()):
            print(f"{wavelength} {phase}: {number} {verdict}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
