"""A campaign as the Snakefile needs it: its events, its jobs, and what makes each job stale.

Read by every job that Snakemake starts, so nothing heavy is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from flareset.campaign.code import SCRIPTS, modules, sum_of
from flareset.campaign.config import check_config
from flareset.campaign.events import Event, read_events
from flareset.campaign.pages import SavedPages
from flareset.errors import ConfigError
from flareset.sdo.series import SERIES
from flareset.sdo.times import parse_duration
from flareset.system.loopback import is_loopback


class Campaign:
    """One config and its events.csv; ConfigError or EventsError where they cannot be used."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = check_config(config)
        self.series = SERIES[self.config["series"]]
        events = read_events(
            self.config["events"],
            series=self.series,
            wavelengths=self.config["wavelengths"],
            pre=parse_duration(self.config["window"]["pre"]),
            post=parse_duration(self.config["window"]["post"]),
            source=self.config["source"],
        )
        self.events: dict[str, Event] = {event.event_id: event for event in events}
        if strange := sorted(set(self.config["accept_pages"]) - set(self.events)):
            raise ConfigError(f"accept_pages: no event is called {', '.join(strange)}")

    @cached_property
    def _pages(self) -> SavedPages:
        return SavedPages(self.config["export_pages"])

    @property
    def jobs(self) -> list[tuple[str, int]]:
        """Every (event_id, wavelength) in the order of time."""
        return [
            (e.event_id, wavelength) for e in self.events.values() for wavelength in e.wavelengths
        ]

    def page(self, event_id: str, wavelength: int) -> Path | None:
        """The saved export page of a job, or None where there is none."""
        return self._pages.find(self.events[event_id], wavelength)

    def jobs_in(self, states: Iterable[str]) -> list[tuple[str, int]]:
        """The jobs in these states.

        `listable` without asking JSOC for anything to be made (a rehearsal makes the pages that it
        does not find); `export`, which is asked for; `missing`, without a page.
        """
        return [job for job in self.jobs if self._state(*job) in states]

    def _state(self, event_id: str, wavelength: int) -> str:
        source = self.events[event_id].source
        if source == "export":
            return "export"
        rehearsal = self.config["archive"]["kind"] == "rehearsal"
        if source == "request_id" or rehearsal or self.page(event_id, wavelength):
            return "listable"
        return "missing"

    @property
    def longest_wait(self) -> int:
        """How long an export is waited for, in minutes."""
        return round(parse_duration(self.config["export"]["wait"]).total_seconds() / 60)

    def settings(self, stage: str, event_id: str = "") -> str:
        """The settings that shape a stage's outputs, as sorted JSON: a change makes it stale."""
        config = self.config
        settings: dict[str, Any] = {"series": config["series"], "segment": config["segment"]}
        if stage in ("list", "download"):
            settings["archive_name"] = archive_name(config["archive"], self.events[event_id])
        if stage == "list":
            settings["accept"] = event_id in config["accept_pages"]
            settings["source"] = self.events[event_id].source
        if stage in ("list", "plan", "download", "verify"):
            keys = ("method", "protocol", "filename_format", "processing")
            settings["export"] = {key: config["export"][key] for key in keys}
        if stage in ("plan", "download"):
            settings["fetch"] = config["fetch"]
        if stage in ("download", "verify"):
            settings["quality"] = config["quality"]
        if stage == "download":
            settings["completeness"] = config["completeness"]
        if stage in ("plan", "sample") or (stage == "download" and config["fetch"] == "sampled"):
            settings["quota"] = {**config["sample"], "other_flares": config["other_flares"]}
        return json.dumps(settings, sort_keys=True)

    def environment(self) -> dict[str, str]:
        """What jobs find in their environment: this Python first, how the archive is reached, what
        channels are asked for, and whose run it is.

        No result depends on these, so no job goes stale when they change.
        """
        archive, export = self.config["archive"], self.config["export"]
        settings = {key: value for key, value in archive.items() if key != "email"}
        settings |= {"requestor": export["requestor"], "wait": export["wait"]}
        email = os.environ.get("JSOC_EMAIL") or archive["email"]
        # The Slurm plugin of the Snakemake that reads this asks our `sacct`, which asks Slurm's.
        first = [str(Path(sys.executable).parent), str(SCRIPTS.parent / "profiles/slurm/bin")]
        path = os.pathsep.join([*first, os.environ.get("PATH", "")])
        asked = {wavelength for event in self.events.values() for wavelength in event.wavelengths}
        settings["wavelengths"] = sorted(asked)
        return {
            "FLARESET_ARCHIVE": json.dumps(settings, sort_keys=True),
            "FLARESET_CAMPAIGN": f"{os.getcwd()}, results in {self.config['results']}",
            "JSOC_EMAIL": email,
            "PATH": path,
        }

    def without_address(self, texts: list[str]) -> list[str]:
        """Texts in which the address of the config is masked."""
        email = self.config["archive"]["email"]
        return [text.replace(email, "<address>") if email else text for text in texts]

    @property
    def public_config(self) -> str:
        """The config as the provenance shows it: sorted JSON, without the e-mail address."""
        archive = {key: v for key, v in self.config["archive"].items() if key != "email"}
        left_out = {"archive": archive}
        shown = {key: v for key, v in self.config.items() if key != "clean"}
        return json.dumps({**shown, **left_out}, sort_keys=True)

    def code(self, script: str) -> str:
        """The sha256 over the modules that a script uses, hex: a change in code makes it stale.

        One parameter, where the modules as inputs of every job would be most of a large campaign's
        files. The script itself is an input.
        """
        return sum_of(modules(script, rehearsal=self.config["archive"]["kind"] == "rehearsal"))


def archive_name(archive: dict[str, Any], event: Event) -> str:
    """What an event's files come from, by the archive's settings: rehearsals never mix with
    observations, nor does what a server on this machine gives.

    A rehearsal's frames show the flares of the event's window, so those are in the name: the same
    name and record always mean the same bytes.
    """
    if archive["kind"] != "rehearsal":
        return "local" if is_loopback(archive["data_url"]) else str(archive["kind"])
    sky = hashlib.sha256(event.sky.encode()).hexdigest()[:12]
    return f"rehearsal-{archive['frame_size']}-{sky}"
