"""Put the arrays of all events and channels into one table, and say how they came about."""

import argparse
import json
import logging
import sys
from pathlib import Path

import pandas as pd

from flareset import __version__
from flareset.arrays.origin import origin_of
from flareset.campaign.settings import ArraysSettings
from flareset.store.store import sha256_of
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log
from flareset.tables.csv import write_table

log = logging.getLogger("flareset.arrays")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", required=True, nargs="+", help="arrays.csv of every job")
    parser.add_argument("--settings", required=True, help="<results>/settings/arrays.*.json")
    parser.add_argument("--response", type=Path, help="table of responses, for degradation")
    parser.add_argument("--pointing", type=Path, help="table of pointings, to register by aiapy")
    parser.add_argument("--arrays", required=True, help="output: a row per array, CSV")
    parser.add_argument("--json", required=True, help="output: steps, tables, versions")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("arrays", args.terminal):
        tables = [pd.read_csv(path, dtype="str", keep_default_na=False) for path in args.tables]
        table = pd.concat(tables, ignore_index=True)
        write_table(table, args.arrays)
        told = json.loads(ArraysSettings.read(args.settings).to_json())["arrays"]
        for key, known in (("response", args.response), ("pointing", args.pointing)):
            if known and (origin := origin_of(known)):
                told["tables"][f"{key}_from"] = origin
        if args.response:
            told["tables"] |= {"response": args.response.name, "sha256": sha256_of(args.response)}
        if args.pointing:
            told["tables"] |= {
                "pointing": args.pointing.name,
                "pointing_sha256": sha256_of(args.pointing),
            }
        history = {"flareset": __version__, **told}
        write_text(json.dumps(history, indent=1, sort_keys=True) + "\n", args.json)
        log.info("%d arrays: %s", len(table), args.arrays)


if __name__ == "__main__":
    sys.exit(exit_status(main))
