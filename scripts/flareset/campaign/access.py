"""How a job reaches the archive. Results do not depend on it, so stages' settings lack it."""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import ValidationError

from flareset.campaign import environment
from flareset.campaign.config import Archive, Manners
from flareset.campaign.values import Section, problems
from flareset.errors import ConfigError

# These get no flag. Other users could see an e-mail address on a command line. The other two follow
# from the origin of files in the stage's settings.
_NO_FLAG = {"email", "kind", "frame_size"}


class Access(Section):
    """The archive, and what an export tells it beside the request."""

    archive: Archive = Archive()
    manners: Manners = Manners()

    @classmethod
    def of(cls, flags: argparse.Namespace, origin: str) -> Access:
        """Return each value from the flags, else from the environment, else the config's default.

        `origin` is the origin of files in the stage's settings. Raises ConfigError if a value
        cannot be used, or the archive has another origin.
        """
        kind, _, frame_size = origin.partition("-")
        own = {"kind": kind, "frame_size": int(frame_size)} if frame_size else {"kind": "jsoc"}
        archive = {**environment.archive(), **_given(flags, Archive), **own}
        said = {
            "archive": {**archive, "email": environment.email()},
            "manners": {**environment.manners(), **_given(flags, Manners)},
        }
        try:
            access = cls.model_validate(said)
        except ValidationError as error:
            sentences = "\n".join(problems(error, cls).values())
            raise ConfigError(f"the archive cannot be reached so:\n{sentences}") from None
        if access.archive.origin != origin:
            raise ConfigError(
                f"the settings are for files from {origin}, but {access.archive.data_url} has files"
                f" from {access.archive.origin}: set --data-url, or use settings for this archive"
            )
        return access


def _given(flags: argparse.Namespace, section: type[Section]) -> dict[str, Any]:
    return {key: value for key, value in vars(flags).items() if key in section.model_fields}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `Access.of` reads."""
    group = parser.add_argument_group(
        "the archive", "Without a flag the environment counts, which Snakemake sets."
    )
    fields = {**Archive.model_fields, **Manners.model_fields}
    defaults = {**Archive().model_dump(mode="json"), **Manners().model_dump(mode="json")}
    for key in (key for key in fields if key not in _NO_FLAG):
        several = isinstance(default := defaults[key], list)
        text = " ".join(default) if several else default
        group.add_argument(
            f"--{key.replace('_', '-')}",
            nargs="+" if several else None,
            type=lambda text: int(text) if text.isdecimal() else text,
            default=argparse.SUPPRESS,
            metavar=key.upper(),
            help=f"{fields[key].description} (default: {text})".replace("`", ""),
        )
