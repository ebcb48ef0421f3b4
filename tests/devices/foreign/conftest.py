"""A stand-in for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.foreign.kit import PASSWORD, StandIn


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A foreign system that runs."""
    monkeypatch.setenv("TOWER_PASSWORD", PASSWORD)
    stand_in = StandIn(tmp_path)
    stand_in.start()
    yield stand_in
    stand_in.kill()
