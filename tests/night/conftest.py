"""One simulated night, observed once and looked at by many tests."""

from __future__ import annotations

import pytest

from night_kit import Night, observe, read_night


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The night of seed 1 with the default camera."""
    return read_night(observe(tmp_path_factory.mktemp("night"), "--nights", "1", "--seed", "1"))
