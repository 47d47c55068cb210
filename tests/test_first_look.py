"""What users do with a campaign: the first look, Snakemake's report, a workflow of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
from support import loaded, needs
from support.project import ROOT, Project


def code_in(page: Path, language: str) -> str:
    """Return the one block of code of a language in a page, as written."""
    (block,) = re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return block


def test_the_first_look_as_written(finished: Project, tmp_path: Path) -> None:
    needs.module("matplotlib")
    needs.module("reproject")
    code = code_in(ROOT / "docs/first_look.md", "python")
    assert len(code.splitlines()) <= 25
    images = pd.read_csv(finished.path("results/data_selection/images.csv"))
    assert images["split"].isna().all(), "two flares are too few for a split"
    splits = images["event_id"].map({"2014-01-07T180534": "train"})
    for folder, table in (("a", images), ("b", images.assign(split=splits))):
        data = tmp_path / folder / "results/data_selection"
        data.mkdir(parents=True)
        (data / "fits").symlink_to(finished.path("results/data_selection/fits"))
        table.to_csv(data / "images.csv", index=False)
    both = "".join(f"import os; os.chdir('{tmp_path / folder}')\n{code}" for folder in "ab")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", both],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "131.0 Angstrom" in done.stdout
    assert 0 < splits.notna().sum() < len(images)
    for number in (len(images), splits.notna().sum()):
        assert f"{number} (128, 128) 0" in done.stdout


def test_snakemakes_own_report(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    flux = project.path("goes.csv")
    flux.write_text("time,xrsb_flux\n2014-01-07T18:06:00Z,1e-5\n")
    project.configure(report_page={"goes": ["goes.csv"]})
    assert project.run("report_page").jobs == {"report_page": 1}
    assert project.planned("report_page") == {}
    run = project.run("report_page", "--report", "report.html")
    added = set(re.findall(r"Adding (\S+) \(", run.text))
    # Not images.csv, which is as large as the campaign.
    assert added == {"index.html", "summary.csv", "leaks.csv", "audit.md"}
    report = project.path("report.html").read_text()
    assert "Begin with the page of the campaign" in report
    assert "how well each keyword alone" in report.lower()
    # The page shows what is in the files of GOES.
    flux.write_text("time,xrsb_flux\n2014-01-07T18:06:00Z,2e-5\n")
    assert project.planned("report_page") == {"report_page": 1}


def test_a_workflow_of_others_uses_it_as_a_module(tmp_path: Path) -> None:
    code = code_in(ROOT / "config/README.md", "python")
    (tmp_path / "Snakefile").write_text(code.replace("flareset/Snakefile", f"{ROOT}/Snakefile"))
    (tmp_path / "my_flares.csv").write_text(
        "event_starttime,event_endtime\n2014-04-18 12:31:00,2014-04-18 12:33:30\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run"]
    done = loaded.run(command, tmp_path, os.environ)
    assert done.returncode == 0, done.stdout
    assert "flareset_download" in done.stdout
    assert "my_flares/data_selection/images.csv" in done.stdout
