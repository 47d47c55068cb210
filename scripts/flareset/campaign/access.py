"""How a job reaches the archive. No result depends on it, so it is no setting of a stage."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from flareset.campaign import environment
from flareset.campaign.config import Archive, Manners
from flareset.campaign.values import Section, problems
from flareset.errors import ConfigError


class Access(Section):
    """The archive, and the manners towards it."""

    archive: Archive = Archive()
    manners: Manners = Manners()

    @classmethod
    def of(cls, flags: argparse.Namespace) -> Access:
        """Return what the flags say, else the environment, else the defaults of the config.

        ConfigError: a value that cannot be used.
        """
        archive, manners = (
            {key: value for key, value in vars(flags).items() if key in section.model_fields}
            for section in (Archive, Manners)
        )
        said = {
            "archive": {**environment.archive(), "email": environment.email(), **archive},
            "manners": {**environment.manners(), **manners},
        }
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            sentences = "\n".join(problems(error, cls).values())
            raise ConfigError(f"the archive cannot be reached like this:\n{sentences}") from None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `Access.of` reads. The address has none: others could see it."""
    group = parser.add_argument_group(
        "the archive", "What no flag says, the environment does (Snakemake sets it there)."
    )
    fields = {**Archive.model_fields, **Manners.model_fields}
    defaults = {**Archive().model_dump(mode="json"), **Manners().model_dump(mode="json")}
    for key in (key for key in fields if key != "email"):
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
