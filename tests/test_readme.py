"""The README's commands, as a reader types them."""

import re
import subprocess
from pathlib import Path

from support.project import ROOT, Project

README = (ROOT / "README.md").read_text()


def block_after(heading: str) -> list[str]:
    """Return the lines of code under a heading."""
    text = README.split(f"## {heading}\n", 1)[1]
    return re.findall(r"^    (.+)$", text.split("\n## ")[0], re.MULTILINE)


def test_your_own_campaign(tmp_path: Path) -> None:
    project = Project(tmp_path / "clone")
    _, *commands = block_after("Your own campaign")
    assert len(commands) == 4
    for command in commands[:2]:
        subprocess.run(command, shell=True, check=True, cwd=project.folder)
    # The files of a small campaign in place of the two that take longer.
    (project.folder / "my_flares.csv").write_text(
        "event_starttime,event_endtime\n2014-04-18 12:31:00,2014-04-18 12:33:30\n"
    )
    for command in commands[2:]:
        words = command.partition("#")[0].split()
        assert words[0] == "snakemake"
        run = project.run(*words[1:])
    assert run.code == 0
    assert (project.folder / "my_results/data_selection/images.csv").exists()


def test_from_a_wish_to_a_campaign(tmp_path: Path) -> None:
    project = Project(tmp_path / "clone")
    settings, *commands = block_after("From a wish to a campaign")
    intake, run = (command.partition("#")[0] for command in commands)
    subprocess.run(settings, shell=True, check=True, cwd=project.folder)
    # A month in place of the three years, which take longer.
    config = project.path("strongest.yaml")
    config.write_text(config.read_text().replace("2016-01-01", "2013-02-01"))
    told = project.run(*intake.split()[1:]).text
    assert "made up by the stand-in" in told
    events = project.table("strongest/intake/events.csv")
    assert project.planned(*run.split()[1:])["event"] == len(events) > 5


def test_upkeep_commands_name_real_targets() -> None:
    commands = [c for c in block_after("When something fails") if c.startswith("snakemake")]
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert len(commands) >= 3
    for command in commands:
        target = command.split()[1]
        assert target.startswith("-") or f"rule {target}:" in rules
