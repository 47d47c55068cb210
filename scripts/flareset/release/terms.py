"""The terms of a release: its name, creators, licence and other settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flareset.errors import ReleaseError

_ORCID = re.compile(r"(?P<name>.*?),?\s+(?P<orcid>\d{4}-\d{4}-\d{4}-\d{3}[\dX])")


@dataclass(frozen=True)
class Terms:
    """The terms of a release: `creators` as in the config, `date` like 2026-11-26."""

    name: str
    version: str
    title: str
    creators: tuple[str, ...]
    license: str
    url: str | None
    date: str
    changes: str
    layouts: tuple[str, ...]
    shard_size: int

    def __post_init__(self) -> None:
        for key in ("name", "creators", "license"):
            if not getattr(self, key):
                raise ReleaseError(f"release.{key} is empty: nothing is published without")

    @property
    def folder(self) -> str:
        """The name of the release's folder."""
        return f"{self.name}-{self.version}"

    @property
    def people(self) -> list[tuple[str, str]]:
        """The name and the ORCID (empty if there is none) of each creator."""
        found = [(each, _ORCID.fullmatch(each.strip())) for each in self.creators]
        return [(m["name"], m["orcid"]) if m else (each, "") for each, m in found]

    @property
    def license_url(self) -> str:
        """The URL of the licence's text."""
        is_url = self.license.startswith("http")
        return self.license if is_url else f"https://spdx.org/licenses/{self.license}.html"

    @property
    def citation(self) -> str:
        """The text for citing the release."""
        names = "; ".join(name for name, _ in self.people)
        where = f" {self.url}" if self.url else ""
        return f"{names} ({self.date[:4]}): {self.title}, version {self.version}.{where}"
