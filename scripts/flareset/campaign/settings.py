"""The settings of each stage: the part of the config that shapes the stage's outputs.

They are files in `<results>/settings/`. New settings are a new file, which makes the stage stale.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from flareset.campaign.config import (
    Arrays,
    Completeness,
    Config,
    Intake,
    Quality,
    Release,
    Request,
    Sample,
)
from flareset.campaign.events import Event
from flareset.campaign.values import Duration, ImageSeries, Name, Section, problems
from flareset.errors import ConfigError
from flareset.sdo.series import SERIES, Series


class StageSettings(Section):
    """The settings that a stage reads. Each field is an attribute of the config."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the stage's settings from a campaign's config."""
        return cls(**{name: getattr(config, name) for name in cls.model_fields})

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the settings in a file. Raise ConfigError that names all that is wrong."""
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except ValidationError as error:
            wrong = "\n".join(f"  {sentence}" for sentence in problems(error, cls).values())
            raise ConfigError(f"{path}: these settings cannot be used:\n{wrong}") from None

    def to_json(self) -> str:
        """Return the settings as sorted JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1)


class IntakeSettings(StageSettings):
    """The settings that `intake` reads. `origin` says which archive answers its queries."""

    origin: Name
    intake: Intake


class Settings(StageSettings):
    """The settings that `list` reads. Later stages read them, too."""

    series: ImageSeries
    segment: Name
    origin: Name
    request: Request

    @property
    def image_series(self) -> Series:
        """The campaign's series."""
        return SERIES[self.series]

    def archive_of(self, event: Event) -> str:
        """Return the archive's name in the store for an event's files.

        A rehearsal's frames show the flares of the event's window, so the name has a hash of them:
        the same name and record always mean the same bytes.
        """
        if not self.origin.startswith("rehearsal"):
            return self.origin
        return f"{self.origin}-{hashlib.sha256(event.sky.encode()).hexdigest()[:12]}"


class VerifySettings(Settings):
    """The settings that `verify` and `repair` read."""

    quality: Quality
    exposure: str
    fetch: str


class DownloadSettings(VerifySettings):
    """The settings that `download` reads."""

    quotas: dict[str, int] | None
    completeness: Completeness


class PlanSettings(VerifySettings):
    """The settings that `plan` reads, which draws as well."""

    quotas: dict[str, int] | None
    sample: Sample
    other_flares: str
    guard: Duration


class ArraysSettings(StageSettings):
    """What `calibrate` reads."""

    arrays: Arrays


class ReleaseSettings(StageSettings):
    """What `release` reads."""

    release: Release


OF_STAGE = {
    "intake": IntakeSettings,
    "list": Settings,
    "plan": PlanSettings,
    "download": DownloadSettings,
    "verify": VerifySettings,
    "arrays": ArraysSettings,
    "release": ReleaseSettings,
}
