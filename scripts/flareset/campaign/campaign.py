"""A campaign as the Snakefile needs it: its events, its jobs, and what makes each job stale.

Every job that Snakemake starts imports it, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from flareset.campaign import environment
from flareset.campaign.cells import made_up_line, refuse
from flareset.campaign.checks import check_config
from flareset.campaign.code import modules, sum_of
from flareset.campaign.events import Event
from flareset.campaign.known import read_known, with_known_flares
from flareset.campaign.pages import SavedPages
from flareset.campaign.rows import Row, Rows, read_rows
from flareset.campaign.settings import OF_STAGE
from flareset.errors import ConfigError


class Campaign:
    """A config and its events.csv. Raises ConfigError or EventsError if they cannot be used."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = check_config(config)
        intake = self.config.intake
        self._has_lists = bool(intake.lists or intake.queries)
        refuse([*self._misnamed()])
        self._lacking = [*self._missing(), *self._made_up()]
        # Until the tables can be used, only `snakemake intake` can run, which makes them.
        self.awaits_intake = self._has_lists and bool(self._lacking)
        if not self._has_lists:
            refuse(self._lacking)
        found = Rows([], []) if self.awaits_intake else self._with_known(self._read_rows())
        self.rows: dict[str, Row] = {row.event.event_id: row for row in found.rows}
        self.events: dict[str, Event] = {name: row.event for name, row in self.rows.items()}
        self.warnings = [*found.warnings, *self._known_before()]
        strange = sorted(set(self.config.accept_pages) - set(self.events))
        if strange and not self.awaits_intake:
            raise ConfigError(f"accept_pages: no event is called {', '.join(strange)}")

    @property
    def _tables(self) -> dict[str, Path]:
        """The tables of flares that the config names, by their key."""
        named = {"events": self.config.events, "flares": self.config.flares}
        return {key: Path(path) for key, path in named.items() if path}

    def _by_intake(self) -> set[Path]:
        """Return the paths where `snakemake intake` writes its tables."""
        events = Path(self.config.events)
        return {events, events.with_name("flares.csv")} if self._has_lists else set()

    def _misnamed(self) -> Iterator[str]:
        for key, path in self._tables.items():
            if path not in self._by_intake() and not path.exists():
                yield f"{key}: {path}: no such file; write its path from the working folder"

    def _missing(self) -> Iterator[str]:
        for path in self._tables.values():
            if not path.exists():
                yield (
                    f"{path}: not there yet: run `snakemake intake` first, which makes it from"
                    " intake.lists and intake.queries"
                )

    def _made_up(self) -> Iterator[str]:
        """Yield a sentence for each table with a rehearsal's flares, beside real images."""
        for path in self._tables.values():
            line = None if self.config.archive.rehearses else made_up_line(path)
            if line is None:
                continue
            advice = "make it again from lists of real flares"
            if path in self._by_intake():
                advice = "run `snakemake intake` first; a table that you edited, move away before"
            yield (
                f"{path}, line {line}: its values are of a flare that a rehearsal made up, and"
                f" archive.kind is jsoc: {advice}"
            )

    def _read_rows(self) -> Rows:
        return read_rows(
            self.config.events,
            series=self.config.image_series,
            wavelengths=list(self.config.wavelengths),
            pre=self.config.window.pre,
            post=self.config.window.post,
            source=self.config.source,
        )

    def _with_known(self, found: Rows) -> Rows:
        """Return the rows; each event gets the known flares in its window."""
        if not self.config.flares:
            return found
        known = read_known(self.config.flares)
        rows = [
            replace(row, event=with_known_flares(row.event, known, self.config.other_flares_class))
            for row in found.rows
        ]
        return replace(found, rows=rows)

    def _known_before(self) -> Iterator[str]:
        """Yield what is known of jobs that will fail, before the first of them."""
        if lost := list(dict.fromkeys(event_id for event_id, _ in self.without_page)):
            yield (
                f"{len(lost)} of {len(self.events)} flares lack a saved page ({_some(lost)}):"
                " `snakemake plan` names the exports to ask for"
            )
        asking = [name for name, row in self.rows.items() if row.source == "export"]
        archive = self.config.archive
        if asking and not (archive.rehearses or environment.email() or archive.email):
            yield (
                f"the exports of {len(asking)} flares ({_some(asking)}) need an address that is"
                " registered with JSOC: set JSOC_EMAIL in the environment"
            )

    def check_events(self) -> None:
        """Raise EventsError if `snakemake intake` has still to make a table."""
        if self.awaits_intake:
            refuse(self._lacking)

    @cached_property
    def _pages(self) -> SavedPages:
        return SavedPages(self.config.export_pages)

    @property
    def jobs(self) -> list[tuple[str, int]]:
        """Every (event_id, wavelength), in the order of the flares' start."""
        return [
            (event_id, wavelength)
            for event_id, row in self.rows.items()
            for wavelength in row.wavelengths
        ]

    def page(self, event_id: str, wavelength: int) -> Path | None:
        """Return the path of a job's saved export page; None if there is none."""
        return self._pages.find(self.events[event_id], wavelength)

    @cached_property
    def without_page(self) -> list[tuple[str, int]]:
        """The jobs whose saved page is missing. Empty in a rehearsal, which makes its pages."""
        if self.config.archive.rehearses:
            return []
        return [
            (event_id, wavelength)
            for event_id, wavelength in self.jobs
            if self.rows[event_id].source == "page" and not self.page(event_id, wavelength)
        ]

    @property
    def longest_wait(self) -> int:
        """How long a job waits for an export (minutes)."""
        return round(self.config.export.wait.total_seconds() / 60)

    def settings(self, stage: str) -> str:
        """Return a stage's settings as JSON, or with `config` all that may shape the set.

        The address is left out.
        """
        if stage == "config":
            hidden = {"clean": True, "refresh": True, "report_page": True}
            shown = self.config.model_dump(mode="json", exclude={"archive": {"email"}, **hidden})
            return json.dumps(shown, sort_keys=True, indent=1)
        return OF_STAGE[stage].of(self.config).to_json()

    def settings_file(self, stage: str) -> str:
        """Return the name of the file with a stage's settings. It contains a hash of them.

        So a job is stale when its settings change, and is up to date when they are changed back.
        """
        digest = hashlib.sha256(self.settings(stage).encode()).hexdigest()
        return f"{stage}.{digest[:12]}.json"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that jobs need."""
        asked = {wavelength for row in self.rows.values() for wavelength in row.wavelengths}
        config = self.config
        return environment.for_jobs(
            archive=config.archive.model_dump(mode="json", exclude={"email"}),
            manners=config.export.model_dump(mode="json", include={"requestor", "wait"}),
            wavelengths=asked,
            results=config.results,
            email=config.archive.email,
        )

    def without_address(self, texts: list[str]) -> list[str]:
        """Return texts in which the address of the config is masked."""
        email = self.config.archive.email
        return [text.replace(email, "<address>") if email else text for text in texts]

    def code(self, script: str) -> str:
        """Return the sha256 (hex) over the modules that a script uses: new code makes it stale.

        A rule has it as a parameter and the script itself as input. The modules as inputs of every
        job would be most of the files that Snakemake has to check in a large campaign.
        """
        return sum_of(modules(script, rehearsal=self.config.archive.rehearses))


def _some(names: list[str]) -> str:
    """Return the first of many names."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
