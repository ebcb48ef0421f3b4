"""Alpaca simulators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from benchmarks.peers.environment import peer_python

from alpaca_kit import simulators


@pytest.fixture(scope="session")
def alpaca_python() -> Path:
    """The python of an environment with alpaca-simulators, made when it is first used."""
    return peer_python("alpaca")


@pytest.fixture
async def alpaca_server(alpaca_python: Path, tmp_path: Path) -> AsyncIterator[str]:
    """The address of alpaca-simulators."""
    async with simulators(alpaca_python, tmp_path) as address:
        yield address
