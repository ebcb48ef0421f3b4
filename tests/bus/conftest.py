"""The buses that are held to the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.harness import BusHarness, LocalHarness

HARNESSES: dict[str, type[BusHarness]] = {"local": LocalHarness}


@pytest.fixture(params=sorted(HARNESSES))
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusHarness]:
    harness = HARNESSES[request.param](tmp_path)
    yield harness
    await harness.close()
