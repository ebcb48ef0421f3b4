"""What can be chosen of the demonstration."""

from __future__ import annotations

from pathlib import Path

import msgspec


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `pytel demo`."""

    out: Path
    headless: bool = False
    virtual: bool = False
    nights: int = 1
    seed: int = 1
    rate: float = 60.0
    compress: bool = False
    guided: bool = False
    fresh: bool = False
    bus: str = "local"
    server: str = "prosody"
