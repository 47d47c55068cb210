"""Serve the stand-in archive by hand, or print one of its listing pages."""

import argparse
import sys
from datetime import timedelta

from flareset.errors import ConfigError, exit_status
from flareset.events import read_events
from flareset.series import SERIES
from flareset.standin.server import FAULTS, Fault, StandIn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8014, help="0 takes any free one")
    parser.add_argument("--frame-size", type=int, default=256, help="pixels a side, 128 to 4096")
    parser.add_argument("--events", help="events.csv whose flares shine in the frames")
    parser.add_argument(
        "--page", metavar="RECORDSET", help="print this recordset's listing page and end"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND:PATTERN[:TIMES]",
        help=f"fail file names that match PATTERN; KIND is one of {', '.join(FAULTS)}",
    )
    args = parser.parse_args()

    if not 128 <= args.frame_size <= 4096:
        raise ConfigError(f"--frame-size {args.frame_size}: must be from 128 to 4096")
    flares = []
    if args.events:
        events = read_events(
            args.events,
            series=SERIES["aia.lev1_euv_12s"],
            wavelengths=[],
            pre=timedelta(0),
            post=timedelta(0),
        )
        flares = [event.flare for event in events]
    server = StandIn(
        port=args.port,
        frame_size=args.frame_size,
        flares=flares,
        faults=[_fault(text) for text in args.fault],
        verbose=True,
    )
    if args.page:
        print(server.page(args.page), end="")
        return
    print(f"serving {server.url} (archive.data_url); end with Ctrl-C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    pattern, _, times = rest.partition(":")
    if kind not in FAULTS or (times and not times.isdigit()):
        raise ConfigError(
            f"--fault {text}: write KIND:PATTERN[:TIMES], KIND of {', '.join(FAULTS)}"
        )
    return Fault(kind, pattern, int(times) if times else 10**9)


if __name__ == "__main__":
    sys.exit(exit_status(main))
