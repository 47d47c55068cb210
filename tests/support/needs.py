"""Requirements of tests: without them a test is skipped, but in CI it fails."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import pytest

from support.project import ROOT

# Artefacts of the real archive, beside the repository.
REAL = ROOT.parent / "shared" / "real"


def skip(reason: str) -> NoReturn:
    """Skip a test, or a module of tests that is being loaded; in CI the test fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and this is CI", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def module(name: str) -> ModuleType:
    """Import a module that only tests need."""
    try:
        return import_module(name)
    except ImportError:
        skip(f"{name} is not installed")
