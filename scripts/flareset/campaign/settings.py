"""What shapes the outputs of a stage: its own settings, and nothing else of the config.

They lie in `<results>/settings/`, sorted. Other settings are another file: the stage is stale then.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from flareset.campaign.config import Completeness, Config, Intake, Quality, Request, Sample
from flareset.campaign.events import Event
from flareset.campaign.values import Duration, ImageSeries, Name, Section, problems
from flareset.errors import ConfigError
from flareset.sdo.series import SERIES, Series


class StageSettings(Section):
    """What a stage reads. Each field is an attribute of the config."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the stage's settings in a campaign."""
        return cls(**{name: getattr(config, name) for name in cls.model_fields})

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the settings in a file. ConfigError names all that is wrong with them."""
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except ValidationError as error:
            wrong = "\n".join(f"  {sentence}" for sentence in problems(error, cls).values())
            raise ConfigError(f"{path}: these settings cannot be used:\n{wrong}") from None

    def to_json(self) -> str:
        """Return the settings as one sorted text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1)


class IntakeSettings(StageSettings):
    """What `intake` reads; `origin` says who answers its queries."""

    origin: Name
    intake: Intake


class Settings(StageSettings):
    """What `list` reads, and the stages behind it too."""

    series: ImageSeries
    segment: Name
    origin: Name
    request: Request

    @property
    def image_series(self) -> Series:
        """What is known of the series."""
        return SERIES[self.series]

    def archive_of(self, event: Event) -> str:
        """Return the name, in the store, of the archive that an event's files come from.

        A rehearsal's frames show the flares of the event's window, so those are in the name: the
        same name and record always mean the same bytes.
        """
        if not self.origin.startswith("rehearsal"):
            return self.origin
        return f"{self.origin}-{hashlib.sha256(event.sky.encode()).hexdigest()[:12]}"


class VerifySettings(Settings):
    """What `verify` and `repair` read."""

    quality: Quality
    exposure: str
    fetch: str


class DownloadSettings(VerifySettings):
    """What `download` reads."""

    quotas: dict[str, int] | None
    completeness: Completeness


class PlanSettings(VerifySettings):
    """What `plan` reads: it draws as well."""

    quotas: dict[str, int] | None
    sample: Sample
    other_flares: str
    guard: Duration


OF_STAGE = {
    "intake": IntakeSettings,
    "list": Settings,
    "plan": PlanSettings,
    "download": DownloadSettings,
    "verify": VerifySettings,
}
