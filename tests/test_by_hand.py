"""Run every script by hand, with flags only, on the results of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import loaded
from support.project import ROOT, Project

from flareset.campaign import environment
from flareset.campaign.checks import check_config
from flareset.campaign.code import SCRIPTS
from flareset.campaign.config import Leaks, Quality
from flareset.campaign.settings import ArraysSettings, IntakeSettings, ReleaseSettings
from flareset.standin.server import StandIn

A, B = "2014-01-07T180534", "2014-02-24T235710"
JOB = f"results/events/{A}/131"
SCRIPT_NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
# What SMALL says of the draw, and the defaults of quality.
QUOTAS = ["--per-minute=1", "--pre=5", "--post=5"]
DRAW = ["--seed=7", "--channels=together", "--other-flares=exclude", "--exposure=any"]
QUALITY = Quality().model_dump_json().replace("{", "{{").replace("}", "}}")
CANDIDATES = f"results/events/{A}/candidates.csv"
EVENT = ["--event", f"results/events/{A}/event.json"]
CHANNEL = [*EVENT, "--wavelength", "131", "--source", "page"]
STORE = ["--store", "store"]
RESULTS = ["--results", "results"]
JOBS = ["--jobs", f"{A}/131", f"{B}/131"]
SAMPLES = [f"results/events/{event}/131/sample.csv" for event in (A, B)]
ACCOUNTS = [f"results/events/{event}/131/account.json" for event in (A, B)]
LEDGERS = [f"results/ledger/{event}.131.csv" for event in (A, B)]
SPLITS = ["--splits", "results/data_selection/splits.csv"]
IMAGES = ["--images", "results/data_selection/images.csv"]
TABLES = [f"results/data_selection/{n}" for n in ("images.csv", "image_labels.csv")]

# The flags of each script. `{stage}` is the file of a stage's settings; outputs go to `new/`.
COMMANDS: dict[str, list[str]] = {
    "intake": [
        "--settings", "{intake}", "--lists", "config/events.csv", "--events", "new/events.csv",
    ],
    "list": [
        *CHANNEL, *STORE, "--settings", "{list}", "--listing", "new/listing.csv",
        "--records", "new/records.csv", "--facts", "new/export.json",
    ],
    "draw": [
        *EVENT, "--records", f"{JOB}/records.csv", *DRAW, "--quality", QUALITY,
        "--candidates", "new/candidates.csv",
    ],
    "download": [
        "--job", JOB, *STORE, "--settings", "{download}",
        "--manifest", "new/manifest.csv", "--ledger", "new/ledger.csv",
    ],
    "partition": [
        "--candidates", CANDIDATES, "--wavelength", "131", "--manifest", f"{JOB}/manifest.csv",
        *STORE, "--folder", "new/final_fits", "--partition", "new/partition.csv",
    ],
    "sample": [
        "--job", JOB, "--manifest", f"{JOB}/manifest.csv", "--series", "aia.lev1_euv_12s",
        "--segment", "image", *QUOTAS, "--sample", "new/sample.csv",
        "--log", "new/sampling_log.csv", "--ledger", f"new/{A}.131.csv",
        "--account", "new/account.json",
    ],
    "split": [
        "--events", *(f"results/events/{event}/event.json" for event in (A, B)),
        "--seed=7", "--group-by", "noaa_ar", "--stratify", "goes_class",
        "--splits", "new/splits.csv",
    ],
    "label": [
        "--samples", *SAMPLES, *SPLITS, "--split-seed=7", *STORE,
        "--folder", "new/data_selection",
    ],
    "leaks": [
        *IMAGES, "--keywords", *Leaks().keywords, "--seed=7", "--leaks", "new/leaks.csv",
    ],
    "audit": [
        *IMAGES, *SPLITS, "--buffer", "1d", "--group-by", "noaa_ar",
        "--json", "new/audit.json", "--markdown", "new/audit.md",
    ],
    "summary": [
        "--accounts", *ACCOUNTS, "--config", "{config}", *RESULTS, "--outputs", *TABLES,
        "--csv", "results/by_hand.csv", "--markdown", "results/by_hand.md",
        "--provenance", "new/provenance.json",
    ],
    "plan": [
        "--look-up", f"page/{A}/131", f"page/{B}/131", "--events", "results/events", *STORE,
        "--settings", "{plan}",
    ],
    "verify": [*RESULTS, *JOBS, *STORE, "--settings", "{verify}", "--list", "new/list"],
    "check_archive": [
        *EVENT, "--wavelength", "131", "--settings", "{list}", "--report", "new/report",
    ],
    "clean_unused": [*RESULTS, *JOBS, *STORE, "--list", "new/list"],
    "calibrate": [
        *EVENT, "--sample", f"{JOB}/sample.csv", *STORE, "--settings", "{arrays}",
        "--folder", "new/arrays", "--arrays", "new/arrays.csv",
    ],
    "fetch_tables": [
        "--events", f"results/events/{A}/event.json", *STORE, "--settings", "{list}",
        "--arrays", "{arrays}",
    ],
    "arrays": [
        "--tables", "new/arrays.csv", "--settings", "{arrays}",
        "--arrays", "new/all_arrays.csv", "--json", "new/arrays.json",
    ],
    "release": [
        "--data", "results/data_selection", "--ledgers", *LEDGERS,
        "--provenance", "results/provenance.json", "--settings", "{release}",
        "--folder", "new/release", "--sum", "new/release.sha256",
    ],
    "report_page": [
        *RESULTS, "--config", "{config}", "--images=4", "--one-page=50",
        "--page", "new/page/index.html",
    ],
    "standin": ["--page", "aia.lev1_euv_12s[2014-01-07T18:01:00Z/13m][131]"],
    "reference": ["--manual", "new/README.md", "--schema", "new/config.schema.json"],
}  # fmt: skip
# What a script writes that the run has written too, and the run's own.
SAME = {
    "list": {f"new/{n}": f"{JOB}/{n}" for n in ("listing.csv", "records.csv", "export.json")},
    "draw": {"new/candidates.csv": CANDIDATES},
    "download": {"new/manifest.csv": f"{JOB}/manifest.csv"},
    "partition": {"new/partition.csv": f"{JOB}/partition.csv"},
    "sample": {
        f"new/{A}.131.csv": f"results/ledger/{A}.131.csv",
        **{f"new/{n}": f"{JOB}/{n}" for n in ("sample.csv", "sampling_log.csv", "account.json")},
    },
    "label": {
        f"new/data_selection/{name}": f"results/data_selection/{name}"
        for name in ("images.csv", "image_labels.csv", f"sampling_logs/{A}.131.csv")
    },
    "split": {"new/splits.csv": "results/data_selection/splits.csv"},
    "leaks": {"new/leaks.csv": "results/data_selection/leaks.csv"},
    "audit": {f"new/audit.{end}": f"results/data_selection/audit.{end}" for end in ("json", "md")},
    "summary": {"results/by_hand.csv": "results/summary.csv"},
    "reference": {
        "new/README.md": str(ROOT / "config/README.md"),
        "new/config.schema.json": str(ROOT / "workflow/schemas/config.schema.json"),
    },
}
# What these scripts, which run for each event, do without: it takes longer to load than they work.
WITHOUT = {
    **dict.fromkeys(("draw", "partition", "sample"), ("numpy", "pandas")),
    **dict.fromkeys(("download", "list"), ("pandas",)),
}
SAYS = {
    "intake": "2 flares, 2 selected: new/events.csv",
    "list": "62 records",
    "download": "15 of 15 images",
    "partition": "flare: ",
    "sample": "15 images drawn",
    "split": "no split: test would be empty with 2 groups of events for 3 splits",
    "label": "31 images, ",
    "leaks": "AIMGSHCE (131) 0.",
    "audit": "no split: new/audit.md",
    "plan": "TOTAL",
    "verify": "31 files are what their manifests say",
    "clean_unused": "unused: 0 in all",
    "calibrate": "15 arrays",
    "fetch_tables": "new/response.txt: asked 20",
    "release": "by_hand-1.0.0: 31 images, in fits",
    "check_archive": "things are as expected",
    "standin": "aia.lev1_euv_12s.2014-01-07T180",
}


@pytest.fixture(scope="module")
def campaign(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a finished campaign in which the targets `plan` and `verify` have run, too."""
    project = finished.copy(tmp_path_factory.mktemp("by") / "hand")
    project.run("plan", "verify")
    settings = IntakeSettings.of(check_config(project.config))
    project.path("results/settings/intake.json").write_text(settings.to_json())
    settings = ArraysSettings.of(
        check_config(
            {"arrays": {"steps": ["exposure"], "tables": {"response": "new/response.txt"}}}
        )
    )
    project.path("results/settings/arrays.json").write_text(settings.to_json())
    terms = {"name": "by_hand", "creators": ["Ada"], "license": "CC0-1.0"}
    settings = ReleaseSettings.of(check_config({"release": terms}))
    project.path("results/settings/release.json").write_text(settings.to_json())
    project.path("new").mkdir()
    project.path("new/arrays.csv").write_text("event_id,wavelength,filename,array\n")
    shutil.copy(ROOT / "config/README.md", project.path("new"))
    return project


def by_hand(project: Project, name: str, flags: list[str], barred: Path | None = None) -> str:
    """Run a script without the environment that Snakemake gives to its jobs; return its output.

    The modules in the folder `barred` come before those that are installed.
    """
    files = {path.name.split(".")[0]: path for path in project.path("results/settings").iterdir()}
    ours = {key: value for key, value in vars(environment).items() if key.isupper()}
    bare = {k: v for k, v in os.environ.items() if k not in ours.values() or k == "PATH"}
    command = [sys.executable, f"{SCRIPTS}/{name}.py", *(flag.format(**files) for flag in flags)]
    if barred is None:
        done = loaded.run(command, project.folder, bare, longest=120)
    else:
        done = subprocess.run(
            command,
            cwd=project.folder,
            env={**bare, "PYTHONPATH": str(barred)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_a_script_by_hand_does_what_its_rule_does(
    campaign: Project, tmp_path: Path, name: str
) -> None:
    for module in WITHOUT.get(name, ()):
        (tmp_path / f"{module}.py").write_text(f"raise ImportError('{name} loads {module}')")
    barred = tmp_path if name in WITHOUT else None
    assert SAYS.get(name, "") in by_hand(campaign, name, COMMANDS[name], barred)
    for made, theirs in SAME.get(name, {}).items():
        assert campaign.path(made).read_bytes() == (campaign.folder / theirs).read_bytes()


def test_a_download_by_hand_reaches_the_archive_that_its_flags_name(
    fetched: Project, tmp_path: Path, serve: Callable[..., StandIn]
) -> None:
    project = fetched.copy(tmp_path / "copy")
    project.path("new").mkdir()
    shutil.rmtree(project.path("store"))
    server = serve()
    flags = [*COMMANDS["download"], "--data-url", server.url]
    by_hand(project, "download", flags)
    assert len(server.log) == 15
    manifest = project.path(f"{JOB}/manifest.csv").read_bytes()
    assert project.path("new/manifest.csv").read_bytes() == manifest
    # Without the flag it would be JSOC: what the store has from here never mixes with that.
    with pytest.raises(AssertionError, match="the settings are for files from local"):
        by_hand(project, "download", COMMANDS["download"])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--patience", "often"], "archive.patience: 'often' is not a number and s, m, h or d"),
        (["--connections", "99"], "archive.connections: 99 is not a whole number from 1 to 16"),
        (["--max-file-size", "100"], "is not a number and kB, MB or GB, like 100MB: write 100MB"),
    ],
)
def test_a_flag_that_cannot_be_used_is_told(
    campaign: Project, flags: list[str], sentence: str
) -> None:
    with pytest.raises(AssertionError) as failed:
        by_hand(campaign, "download", [*COMMANDS["download"], *flags])
    assert sentence in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_settings_that_cannot_be_used_are_told(campaign: Project) -> None:
    campaign.path("new/bad.json").write_text('{"series": "aia.lev2", "segmen": "image"}')
    with pytest.raises(AssertionError) as failed:
        by_hand(campaign, "list", [*COMMANDS["list"], "--settings", "new/bad.json"])
    for sentence in (
        "new/bad.json: these settings cannot be used:",
        "series: 'aia.lev2' is not one of aia.lev1_euv_12s, ",
        "segmen: unknown key; did you mean segment?",
        "request: is missing",
    ):
        assert sentence in str(failed.value)
