"""A site with a gateway for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.kit import House
from gateway.kit import house as open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A lamp, a gateway, four people."""
    async with open_house(tmp_path) as opened:
        yield opened
