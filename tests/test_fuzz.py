"""Inputs that are nearly right are read, or refused with a sentence. tests/fuzz.py reads more."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fuzzing import SUBJECTS, read_one


@pytest.mark.parametrize("subject", SUBJECTS)
def test_no_input_ends_in_a_traceback(subject: str, tmp_path: Path) -> None:
    refused = sum(read_one(subject, seed, tmp_path) for seed in range(150))
    assert 0 < refused <= 150
