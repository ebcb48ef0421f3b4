"""What pytel's sky is compared with."""

from __future__ import annotations

import pytest
from astropy.utils import iers


@pytest.fixture(autouse=True, scope="session")
def tables_as_installed() -> None:
    """Astropy takes the tables of Earth's rotation that came with it, and never asks the net."""
    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
