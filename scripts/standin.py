"""Serve the stand-in archive by hand, or print one of its listing pages."""

import argparse
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flareset.campaign.rows import read_rows
from flareset.errors import ConfigError
from flareset.sdo.series import SERIES
from flareset.standin import catalogue
from flareset.standin.server import FAULTS, Fault, StandIn
from flareset.system.endings import exit_status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8014, help="0 takes any free port")
    parser.add_argument("--frame-size", type=int, default=256, help="pixels a side, 128 to 4096")
    parser.add_argument("--events", help="events.csv whose flares shine in the frames")
    parser.add_argument(
        "--page", metavar="RECORDSET", help="print this recordset's listing page and end"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[=CODE]:PATTERN[:TIMES]",
        help="fail requests that match PATTERN (file names, or an endpoint and its op such as"
        f" 'jsoc_fetch exp_status'); KIND is one of {', '.join(FAULTS)}; CODE goes with status"
        " and jsoc",
    )
    parser.add_argument("--state", type=Path, help="JSON file to keep exports in (default: memory)")
    parser.add_argument(
        "--delay", type=float, default=2.0, help="seconds in the queue, and again in processing"
    )
    args = parser.parse_args()

    if not 128 <= args.frame_size <= 4096:
        raise ConfigError(f"--frame-size {args.frame_size}: must be from 128 to 4096")
    flares = []
    if args.events:
        found = read_rows(
            args.events,
            series=SERIES["aia.lev1_euv_12s"],
            wavelengths=[],
            pre=timedelta(0),
            post=timedelta(0),
        )
        flares = [row.event.flare for row in found.rows]
    if args.page:
        print(catalogue.listing_page(catalogue.export(args.page, args.frame_size)), end="")
        return
    try:
        server = StandIn(
            port=args.port,
            frame_size=args.frame_size,
            flares=flares,
            faults=[_fault(text) for text in args.fault],
            verbose=True,
            state=args.state,
            delay=args.delay,
        )
    except OSError as error:
        raise ConfigError(
            f"--port {args.port}: {error.strerror}: choose another, or 0 for any that is free"
        ) from None
    print(f"serving {server.url} (archive.data_url)")
    print(f"with its CGI at {server.cgi_url} (archive.cgi_url); end with Ctrl-C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    kind, _, code = kind.partition("=")
    pattern, _, times = rest.partition(":")
    if kind not in FAULTS or any(n and not n.isdigit() for n in (times, code)):
        raise ConfigError(
            f"--fault {text}: write KIND:PATTERN[:TIMES], KIND of {', '.join(FAULTS)}"
        )
    fault = Fault(kind, pattern, int(times) if times else 10**9)
    return replace(fault, code=int(code)) if code else fault


if __name__ == "__main__":
    sys.exit(exit_status(main))
