from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_store_kit import Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A store that serves HTTP."""
    async with serving(tmp_path / "store") as store:
        yield store
