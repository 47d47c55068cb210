"""Read many inputs that are nearly right; print what no reader may do. Not a test: run by hand.

python tests/fuzz.py --seed 7 --pages 10000 --answers 2500 --events 6000 --configs 16000
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

from support.fuzzing import SUBJECTS, read_one

_SLOW = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first input of each kind")
    for name in SUBJECTS:
        parser.add_argument(f"--{name}", type=int, default=0, metavar="N", help="how many")
    args = parser.parse_args()
    faults = 0
    for name in SUBJECTS:
        refused, slowest, number = 0, (0.0, 0), getattr(args, name)
        with TemporaryDirectory() as folder:
            for seed in range(args.seed, args.seed + number):
                begin = time.perf_counter()
                try:
                    refused += read_one(name, seed, Path(folder))
                except Exception:  # noqa: BLE001 - it is what is looked for
                    faults += 1
                    print(f"{name} {seed}:\n{traceback.format_exc(limit=-3)}")
                slowest = max(slowest, (time.perf_counter() - begin, seed))
        if number:
            faults += slowest[0] > _SLOW
            print(
                f"{name}: {number} read, {refused} refused,"
                f" slowest {slowest[0]:.2f} s (seed {slowest[1]})"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{faults} faults; peak {peak:.0f} MB")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
