"""Run the stages of a campaign in this process, by their scripts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import yaml

from flareset.campaign.campaign import Campaign
from flareset.campaign.rows import Row
from flareset.sdo.times import duration_text, iso
from support.project import ROOT, Project


def in_process(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every stage of a campaign in this process, as its rules do, but without Snakemake.

    If a script fails, its error is raised.
    """
    monkeypatch.chdir(project.folder)
    campaign = Campaign(yaml.safe_load((project.folder / "config/config.yaml").read_text()))
    for name, value in campaign.environment().items():
        monkeypatch.setenv(name, value)
    for event_id, row in campaign.rows.items():
        list_and_draw(campaign, row)
        for wavelength in row.wavelengths:
            bring_and_sample(campaign, event_id, wavelength)
    label_and_summarise(campaign)


def list_and_draw(campaign: Campaign, row: Row) -> None:
    """Run the stages `list` and `draw` of a row's event, in the campaign's folder."""
    event = row.event
    top = Path(campaign.config.results) / "events" / event.event_id
    top.mkdir(parents=True, exist_ok=True)
    (top / "event.json").write_text(event.to_json())
    of_event = ["--event", str(top / "event.json")]
    settings = ["--settings", settings_file(campaign, "list"), "--store", campaign.config.store]
    for wavelength in row.wavelengths:
        folder = top / str(wavelength)
        folder.mkdir(exist_ok=True)
        page = campaign.page(event.event_id, wavelength)
        origin = ["--source", row.source, *(["--page", str(page)] if page else [])]
        if event.event_id in campaign.config.accept_pages:
            origin.append("--accept")
        of_channel = [*of_event, "--wavelength", str(wavelength), *origin, *settings]
        facts = ["--facts", str(folder / "export.json")]
        script("list", *of_channel, *options(folder, "records", "listing"), *facts)
    sample = campaign.config.sample
    records = [str(top / str(wavelength) / "records.csv") for wavelength in row.wavelengths]
    drawn = [f"--seed={sample.seed}", "--channels", sample.channels]
    rules = ["--quality", campaign.config.quality.model_dump_json()]
    rules += ["--other-flares", campaign.config.other_flares, "--exposure", sample.exposure]
    rules += ["--guard", duration_text(campaign.config.window.guard)]
    script("draw", *of_event, "--records", *records, *drawn, *rules, *options(top, "candidates"))


def bring_and_sample(campaign: Campaign, event_id: str, wavelength: int) -> None:
    """Run the stages `download`, `partition` and `sample` of an event and channel."""
    results = Path(campaign.config.results)
    job = results / "events" / event_id / str(wavelength)
    store = ["--store", campaign.config.store]
    of_job, manifest = ["--job", str(job)], options(job, "manifest")
    ledger = ["--ledger", str(results / "ledger" / f"{event_id}.{wavelength}.csv")]
    settings = ["--settings", settings_file(campaign, "download")]
    script("download", *of_job, *store, *settings, *manifest, *ledger)
    candidates = [*options(job.parent, "candidates"), "--wavelength", str(wavelength)]
    folder = ["--folder", str(results / "final_fits" / event_id / str(wavelength))]
    script("partition", *candidates, *manifest, *store, *folder, *options(job, "partition"))
    (results / "ledger").mkdir(exist_ok=True)
    series = ["--series", campaign.config.series, "--segment", campaign.config.segment]
    outputs = [*options(job, "sample"), "--log", str(job / "sampling_log.csv")]
    outputs += ["--account", str(job / "account.json"), *ledger]
    quotas = campaign.config.sample.quotas
    flags = [f"--{key.replace('_', '-')}={count}" for key, count in quotas.items()]
    script("sample", *of_job, *manifest, *series, *flags, *outputs)


def label_and_summarise(campaign: Campaign) -> None:
    """Run the stages of all events together."""
    results = Path(campaign.config.results)
    jobs = [results / "events" / event / str(wavelength) for event, wavelength in campaign.jobs]
    data = results / "data_selection"
    data.mkdir(exist_ok=True)
    samples = [str(job / "sample.csv") for job in jobs]
    store = ["--store", campaign.config.store]
    splitting = campaign.config.splits
    seed = campaign.config.split_seed
    shares = [f"--{name}={share}" for name, share in splitting.shares.items()]
    linked = ["--buffer", duration_text(splitting.buffer), "--group-by", *splitting.group_by]
    rows = [str(results / "events" / event / "event.json") for event in campaign.events]
    splits, images = options(data, "splits"), options(data, "images")
    rules = ["--method", splitting.method, f"--stratify={splitting.stratify}", f"--seed={seed}"]
    rules += ["--folds", str(splitting.folds), "--boundaries", *map(iso, splitting.boundaries)]
    frozen = ["--freeze", splitting.freeze]
    script("split", "--events", *rows, *rules, *shares, *linked, *frozen, *splits)
    drawn = [f"--split-seed={seed}", *shares]
    script("label", "--samples", *samples, *splits, *drawn, *store, "--folder", str(data))
    leaks = ["--keywords", *campaign.config.leaks.keywords, f"--seed={campaign.config.sample.seed}"]
    script("leaks", *images, *leaks, *options(data, "leaks"))
    found = ["--json", str(data / "audit.json"), "--markdown", str(data / "audit.md")]
    script("audit", *images, *splits, *linked, *found)
    accounts = [str(job / "account.json") for job in jobs]
    names = ("images.csv", "image_labels.csv", "image_labels.txt")
    names += ("leaks.csv", "splits.csv", "audit.json", "audit.md")
    tables = [str(data / name) for name in names]
    told = ["--config", settings_file(campaign, "config"), "--results", str(results)]
    made = ["--csv", str(results / "summary.csv"), "--markdown", str(results / "summary.md")]
    history = ["--provenance", str(results / "provenance.json")]
    script("summary", "--accounts", *accounts, *told, "--outputs", *tables, *made, *history)


def options(folder: Path, *names: str) -> list[str]:
    """Return flags for CSV files with the same names as the flags."""
    return [text for name in names for text in (f"--{name}", str(folder / f"{name}.csv"))]


def settings_file(campaign: Campaign, stage: str, folder: Path | None = None) -> str:
    """Write the settings of a stage to a file as the rule does, and return its path."""
    folder = folder or Path(campaign.config.results) / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stage}.json"
    path.write_text(campaign.settings(stage))
    return str(path)


def script(name: str, *args: str) -> None:
    """Run a script of the workflow in this process."""
    path = ROOT / "scripts" / f"{name}.py"
    module = importlib.util.module_from_spec(
        spec := importlib.util.spec_from_file_location(f"script_{name}", path)
    )
    spec.loader.exec_module(module)
    before, sys.argv = sys.argv, [str(path), *args]
    try:
        module.main()
    finally:
        sys.argv = before
