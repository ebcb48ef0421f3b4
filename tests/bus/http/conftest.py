"""A site over HTTP with people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.http.http_kit import HttpSite
from pytel.base.threads import in_thread


@pytest.fixture
async def http_site(tmp_path: Path) -> AsyncIterator[HttpSite]:
    harness = HttpSite(tmp_path)
    await in_thread(harness.add_people)
    yield harness
    await harness.close()
