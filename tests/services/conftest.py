"""A roof and whoever is about it, on the virtual clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from roof_kit import Night, Scenario, play


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Play a scenario."""

    def run(scenario: Scenario) -> None:
        play(tmp_path, scenario)

    return run
