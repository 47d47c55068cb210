"""Commands of stages that benchmarks run by hand, as the rules have them."""

from __future__ import annotations

import sys
from pathlib import Path

from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS


def draw_command(campaign: Campaign, job: Path) -> list[str]:
    """Return the command that draws from a job's records, with the seed 1."""
    return [
        *(sys.executable, str(SCRIPTS / "draw.py"), "--seed=1", "--other-flares=exclude"),
        *("--event", str(job.parent / "event.json"), "--records", str(job / "records.csv")),
        *("--quality", campaign.config.quality.model_dump_json()),
        *("--candidates", str(job.parent / "candidates.csv")),
    ]
