"""Whether a server is on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine: no proxy, no manners, no real archive."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
