"""What every module knows of the site it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytel.base.location import Location


class SiteInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Name, place and folders of a site.

    `state_dir` is where modules keep what must outlive them. `simulation` is the section of the simulated world as the
    site file has it (None: real hardware). `path` is the site file itself, None for a site that was made in code.
    """

    name: str
    location: Location
    seed: int = 0
    state_dir: Path
    simulation: Mapping[str, Any] | None = None
    path: Path | None = None
