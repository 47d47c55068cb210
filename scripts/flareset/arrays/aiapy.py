"""Whether aiapy is here, and right. Imports nothing heavy: Snakemake asks at its start."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from flareset.errors import ArraysError

_NEEDED = (0, 12)
_INSTALL = ".venv/bin/python -m pip install 'aiapy>=0.12.1' opencv-python-headless"


def refuse_without_aiapy() -> None:
    """Raise ArraysError if there is no aiapy here that is right. Nothing is imported."""
    if sys.version_info < (3, 12):
        raise ArraysError(
            f"arrays.register: aiapy needs Python 3.12, and this is {sys.version.split()[0]}: pip"
            " takes an older aiapy there, whose degradation is wrong; let JSOC register (jsoc)"
        )
    try:
        found = version("aiapy")
        version("opencv-python-headless")
    except PackageNotFoundError as error:
        raise ArraysError(f"arrays.register: aiapy needs {error.name}: {_INSTALL}") from None
    if tuple(map(int, found.split(".")[:2])) < _NEEDED:
        raise ArraysError(f"arrays.register: aiapy is {found}, which is too old: {_INSTALL}")
