"""Make an array of each drawn image of an event and channel."""

import argparse
import logging
import shutil
import sys
from pathlib import Path

from flareset.arrays.calibrate import Calibration, read_sample, write_arrays
from flareset.arrays.degradation import pinned
from flareset.arrays.registration import Registration
from flareset.campaign.events import read_event
from flareset.campaign.run import tried_once
from flareset.campaign.settings import ArraysSettings
from flareset.system.endings import exit_status
from flareset.system.logs import add_terminal, job_log
from flareset.tables.csv import write_table

log = logging.getLogger("flareset.calibrate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--event", required=True, help="event.json")
    parser.add_argument("--sample", required=True, type=Path, help="sample.csv")
    parser.add_argument("--store", required=True, type=Path, help="the folder of verified files")
    parser.add_argument("--settings", required=True, help="<results>/settings/arrays.*.json")
    parser.add_argument("--response", type=Path, help="table of responses, for degradation")
    parser.add_argument("--pointing", type=Path, help="table of pointings, to register by aiapy")
    parser.add_argument("--folder", required=True, type=Path, help="output: the arrays")
    parser.add_argument("--arrays", required=True, type=Path, help="output: a row per array, CSV")
    add_terminal(parser)
    args = parser.parse_args()

    event, samples = read_event(args.event), read_sample(args.sample)
    channels = " ".join(map(str, sorted({*samples["wavelength"]})))
    name = f"calibrate {event.event_id} {channels}"
    with job_log(name, args.terminal), tried_once(args.arrays.with_name(".arrays.failed")):
        settings = ArraysSettings.read(args.settings).arrays
        responses = registration = None
        if "degradation" in settings.steps:
            responses = pinned(args.response, settings.tables.version, settings.tables.sha256)
        if settings.register_by == "aiapy":
            registration = Registration.of(args.pointing)
        calibration = Calibration(event, settings, responses, registration)
        shutil.rmtree(args.folder, ignore_errors=True)
        table = write_arrays(samples, calibration, args.store, args.folder, settings.format)
        write_table(table, args.arrays)
        saturated = table["saturated"].sum()
        log.info("%d arrays, %d saturated pixels in them", len(table), saturated)


if __name__ == "__main__":
    sys.exit(exit_status(main))
