"""Real servers with devices that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from benchmarks.peers.environment import peer_python

from alpaca_kit import simulators
from indi_kit import IndiServer


@pytest.fixture(scope="session")
def alpaca_python() -> Path:
    """The python of an environment with alpaca-simulators, made when it is first used."""
    return peer_python("alpaca")


@pytest.fixture
async def alpaca_server(alpaca_python: Path, tmp_path: Path) -> AsyncIterator[str]:
    """The address of alpaca-simulators."""
    async with simulators(alpaca_python, tmp_path) as address:
        yield address


@pytest.fixture
async def indi_server(tmp_path: Path) -> AsyncIterator[IndiServer]:
    """Debian's simulators."""
    drivers = (
        f"indi_simulator_{name}" for name in ("telescope", "ccd", "focus", "wheel", "rotator", "dome", "weather")
    )
    server = await IndiServer(tmp_path / "indi").start(*drivers)
    yield server
    await server.kill()
