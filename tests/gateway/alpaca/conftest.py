"""An observatory that ASCOM's own client drives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.alpaca.kit import AlpacaSite
from gateway.alpaca.kit import alpaca_site as open_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[AlpacaSite]:
    """All devices, at a site whose time runs ten times as fast."""
    async with open_site(tmp_path) as opened:
        yield opened
