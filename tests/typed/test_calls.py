"""Types of calls are a promise too: mypy holds it over `calls.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_mypy_sees_jobs_for_long_methods_and_coroutines_for_short_ones() -> None:
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "tests/typed/calls.py"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
