"""Every test of pytel fails when it leaves tasks or threads behind, or blocks an event loop."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


@pytest.fixture(autouse=True)
def _clean(no_leaks: None, no_blocking: None) -> None:
    """Hold all tests to what we ask of others."""
