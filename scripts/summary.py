"""Summarise a campaign, and write its provenance."""

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from flareset.campaign.run import alone
from flareset.summary import provenance, summarise, write_summary
from flareset.system.endings import exit_status
from flareset.system.files import write_text
from flareset.system.logs import add_terminal, job_log

log = logging.getLogger("flareset.summary")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", required=True, nargs="+", help="account.json of every job")
    parser.add_argument(
        "--config", required=True, type=Path, help="<results>/settings/config.*.json"
    )
    parser.add_argument("--results", required=True, type=Path, help="the folder of results")
    parser.add_argument("--outputs", required=True, nargs="+", help="files whose sha256 to record")
    parser.add_argument("--csv", required=True, type=Path, help="output: summary.csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: summary.md")
    parser.add_argument("--provenance", required=True, help="output: provenance.json")
    add_terminal(parser)
    args = parser.parse_args()

    with job_log("summary", args.terminal), alone(args.results):
        accounts = [json.loads(Path(path).read_text(encoding="utf-8")) for path in args.accounts]
        write_summary(summarise(accounts), args.csv, args.markdown)
        logs = (args.results / "data_selection" / "sampling_logs").glob("*.csv")
        ledgers = {
            args.results / "ledger" / f"{entry['event_id']}.{entry['wavelength']}.csv"
            for entry in accounts
        }
        outputs = {args.csv, args.markdown, *map(Path, args.outputs), *logs, *ledgers}
        config = json.loads(args.config.read_text(encoding="utf-8"))
        history = provenance(accounts, config, outputs, args.results, datetime.now(UTC))
        write_text(json.dumps(history, indent=1, sort_keys=True) + "\n", args.provenance)
        log.info("%s", args.markdown)


if __name__ == "__main__":
    sys.exit(exit_status(main))
