"""Tell a server on this machine from other servers."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine.

    Such a server is used without proxy and rate limits, and is not the real archive.
    """
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
