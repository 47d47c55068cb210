"""The published campaign of 2014: on its real page, and as it ships for rehearsal."""

import ast
import csv
import hashlib
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml
from support.project import ROOT, Project

from flareset.standin.server import StandIn


def test_the_real_page_of_2014_01_07(
    real: Path, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    server = serve()
    project = Project(tmp_path / "real")
    project.config.clear()
    project.configure(
        archive={"kind": "jsoc", "data_url": server.url},
        source="page",
        fetch="sampled",
        sample={"seed": 42},
    )
    pages = project.path("export_pages")
    pages.mkdir()
    shutil.copyfile(real / "original/html_dump/2014-01-07.html", pages / "2014-01-07.html")
    rows = real / "original/flare_summary_final/flare_selection"
    lines = (rows / "strongest_flares_2014_SDO_AIA_131.csv").read_text().splitlines(keepends=True)
    project.events("".join(lines[:2]))
    project.run()

    event = "2014-01-07T180534"
    ledger = project.table(f"results/ledger/{event}.131.csv")
    files = [row for row in ledger if row["filename"]]
    counts = [sum(row["phase"] == phase for row in files) for phase in ("pre", "flare", "post")]
    assert counts == [892, 518, 885]
    assert len(project.table("results/data_selection/image_labels.csv")) == 460
    assert len([path for path in server.log if path.startswith("/SUM14/D1891724991/")]) == 460
    (summary, _) = project.table("results/summary.csv")
    assert summary["minute_bins"] == "104"

    log = project.table(f"results/data_selection/sampling_logs/{event}.131.csv")
    with open(real / "original/data_selection/sampling_logs/2014-01-07.csv", newline="") as file:
        published = list(csv.DictReader(file))
    assert len(log) == len(published) == 104
    for ours, theirs in zip(log, published, strict=True):
        for column in ("hhmm", "count", "place"):
            assert ours[column] == theirs[column]
        assert int(ours["chosen_index"]) in ast.literal_eval(theirs["place"])

    # The draw of the design, by hand: from the record's T_REC and the file's name alone.
    bins: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in files:
        stamp = row["filename"].split(".")[2]
        time = datetime.strptime(stamp, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
        start = datetime(2014, 1, 7, 18, 5, 34, tzinfo=UTC)
        end = datetime(2014, 1, 7, 19, 48, 58, tzinfo=UTC)
        phase = "pre" if time < start else "post" if time > end else "flare"
        bin_ = f"{time:%Y-%m-%dT%H:%M}" if phase == "flare" else ""
        slot = row["record"].split("[")[1].rstrip("]")
        key = f"42|{event}|{phase}|{bin_}|{slot}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        bins[phase, bin_].append((digest, row["filename"]))
    drawn = {
        name
        for (phase, _), members in bins.items()
        for _, name in sorted(members)[: 1 if phase == "flare" else 178]
    }
    images = project.table("results/data_selection/images.csv")
    assert {row["filename"] for row in images} == drawn
    assert {row["record"] for row in images} == {
        f"aia.lev1_euv_12s[{row['slot']}][131]" for row in images
    }


def test_the_shortened_real_pages_are_refused(real: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "real", {"archive": {"kind": "jsoc"}})
    project.config.pop("window")
    project.configure()
    pages = project.path("export_pages")
    pages.mkdir()
    for page in (real / "original/html_dump").glob("2014-*.html"):
        shutil.copyfile(page, pages / page.name)
    rows = real / "original/flare_summary_final/flare_selection"
    table = (rows / "strongest_flares_2014_SDO_AIA_131.csv").read_text()
    project.events(table)
    text = project.run("--until", "list", fails=True).text
    for date, count, rows_there in (
        ("2014-02-20", 4620, 14),
        ("2014-02-25", 4580, 13),
        ("2014-04-18", 4450, 13),
        ("2014-09-10", 5244, 12),
    ):
        expected = f"count says {count} files, but it lists {rows_there}"
        assert f"{date}.html: the page's {expected}" in text
    assert project.path("results/events/2014-01-07T180534/131/listing.csv").exists()


def test_the_default_campaign(tmp_path: Path) -> None:
    """Its jobs, and the plan of its draw; `make dataset` runs it whole, and so does CI."""
    project = Project(tmp_path / "default")
    project.config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    project.configure(archive={"frame_size": 128})
    project.events((ROOT / "config/events.csv").read_text())
    stages = dict.fromkeys(("event", "list", "draw", "download", "partition", "sample"), 5)
    together = dict.fromkeys(("split", "label", "leaks", "audit", "summary", "report_page"), 1)
    assert project.planned() == {**stages, "settings": 3, **together}
    row = r"^(2014\S+|TOTAL) .* (\d+) +0 +\d+\.\d+ +0\.000 +0 +\d+:[\d:]+$"
    rows = re.findall(row, project.run("plan").text, re.M)
    # Of each flare an image a minute, and of the time before and after as many as are published.
    minutes = [104, 107, 104, 90, 193]
    assert [int(needed) for _, needed in rows[:-1]] == [178 + number + 178 for number in minutes]
    assert rows[-1] == ("TOTAL", str(598 + 1780))


def a_starting_point(folder: Path, name: str) -> Project:
    """A campaign that ships, as a user runs it beside the default one, with tiny frames."""
    project = Project(folder / name)
    (project.folder / "config/config.yaml").unlink()
    for each in ("config.yaml", "regions.csv", f"{name}.yaml"):
        shutil.copyfile(ROOT / "config" / each, project.folder / "config" / each)
    return project


def test_cut_outs_of_active_regions_in_four_channels(tmp_path: Path) -> None:
    project = a_starting_point(tmp_path, "cutouts")
    assert project.planned("--configfile", "config/cutouts.yaml")["download"] == 4 * 5
    regions = project.path("config/regions.csv")
    regions.write_text("".join(regions.read_text().splitlines(keepends=True)[:2]))
    small = "window={pre: 2m, post: 2m}"
    text = project.run("plan", "--config", small, "--configfile", "config/cutouts.yaml").text
    channels = re.findall(r"^2014-01-07T180534 +(\d+) +(\d) ", text, re.M)
    # Each channel's wanted images are one request.
    assert channels == [("94", "1"), ("131", "1"), ("171", "1"), ("193", "1")]


def test_magnetograms(tmp_path: Path) -> None:
    project = a_starting_point(tmp_path, "magnetograms")
    assert project.planned("--configfile", "config/magnetograms.yaml")["download"] == 5


def test_many_flares_from_a_list(tmp_path: Path) -> None:
    project = a_starting_point(tmp_path, "many")
    path = project.path("config/many.yaml")
    path.write_text(path.read_text().replace("to: 2015-01-01", "to: 2014-02-01"))
    project.run("intake", "--configfile", "config/many.yaml")
    events = project.table("results-many/intake/events.csv")
    assert len(events) > 3
    assert all(abs(float(row["hgs_lon"])) <= 65 for row in events)
    assert project.planned("--configfile", "config/many.yaml")["download"] == len(events)
