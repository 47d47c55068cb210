"""Image files, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flareset.proof.fits import Asked, ImageCheck


def check_image(path: Path, asked: Asked) -> dict[str, Any]:
    """Check an image file; return its keywords. Raises VerificationError."""
    return ImageCheck(asked, path).finish(path).keywords
