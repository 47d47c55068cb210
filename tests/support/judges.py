"""Run what libraries judge that are no part of flareset: those of envs/requirements-judges.txt.

`make judges` installs them into a folder that only these processes look into.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import needs
from support.project import ROOT

JUDGES = ROOT / ".venv/judges"


def judged(folder: Path, *command: str | Path) -> str:
    """Run a command of this Python in a folder, with the judges' libraries; return its output."""
    if not JUDGES.is_dir():
        needs.skip(f"{JUDGES} is missing: make judges")
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(JUDGES), str(ROOT / "scripts")]),
            "PYTHONWARNINGS": "ignore",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
