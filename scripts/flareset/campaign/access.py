"""How a job reaches the archive. No result depends on it, so it is no setting of a stage."""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import ValidationError

from flareset.campaign import environment
from flareset.campaign.config import Archive, Manners
from flareset.campaign.values import Section, problems
from flareset.errors import ConfigError

# No flags: the address could be seen by others, and a stage's settings say what files come from.
_NO_FLAG = {"email", "kind", "frame_size"}


class Access(Section):
    """The archive, and the manners towards it."""

    archive: Archive = Archive()
    manners: Manners = Manners()

    @classmethod
    def of(cls, flags: argparse.Namespace, origin: str) -> Access:
        """Return what the flags say, else the environment, else the defaults of the config.

        `origin` is what files come from, by the settings of the stage. ConfigError: a value that
        cannot be used, or the archive is another.
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
            raise ConfigError(f"the archive cannot be reached like this:\n{sentences}") from None
        if access.archive.origin != origin:
            raise ConfigError(
                f"the settings are of files from {origin}, {access.archive.data_url} gives those"
                f" of {access.archive.origin}: set --data-url, or take the settings of this archive"
            )
        return access


def _given(flags: argparse.Namespace, section: type[Section]) -> dict[str, Any]:
    return {key: value for key, value in vars(flags).items() if key in section.model_fields}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `Access.of` reads."""
    group = parser.add_argument_group(
        "the archive", "What no flag says, the environment does (Snakemake sets it there)."
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
