"""Write the manual's tables of keys, and the schema with which editors check a config."""

import argparse
import sys
from pathlib import Path

from flareset.campaign.reference import schema_text, with_tables
from flareset.intake.rules import with_rules
from flareset.system.endings import exit_status
from flareset.system.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--manual", required=True, type=Path, help="config/README.md; its text stays"
    )
    parser.add_argument("--schema", required=True, help="output: JSON")
    args = parser.parse_args()

    manual = args.manual.read_text(encoding="utf-8")
    write_text(with_rules(with_tables(manual)), args.manual)
    write_text(schema_text(), args.schema)


if __name__ == "__main__":
    sys.exit(exit_status(main))
