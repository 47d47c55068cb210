"""Small objects with usual values: a test names what it is about."""

from __future__ import annotations

from flareset.sample import Quota


def a_quota(
    *,
    seed: int | str = 1,
    flare: int = 1,
    pre: int = 178,
    post: int = 178,
    other_flares: str = "exclude",
) -> Quota:
    """Return the quota of a draw; `flare` images from each minute."""
    return Quota(seed, {"pre": pre, "flare": flare, "post": post}, other_flares)
