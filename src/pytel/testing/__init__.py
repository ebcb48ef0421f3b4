"""The test kit of module authors: an observatory in three lines, modules alone, faults, leaks.

It belongs to the library; what pytel's own tests use is here. Names are imported when they are first used, so that the
pytest plugin (`leaks`) costs nothing to those who use only that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytel.testing.clocks import NIGHT, on_virtual_clock, run
    from pytel.testing.nights import NightResult, run_nights
    from pytel.testing.observatory import Observatory
    from pytel.testing.stubs import Stub, StubBus, StubCall, alone, stub

_HOMES = {
    "NIGHT": "clocks",
    "NightResult": "nights",
    "Observatory": "observatory",
    "Stub": "stubs",
    "StubBus": "stubs",
    "StubCall": "stubs",
    "alone": "stubs",
    "on_virtual_clock": "clocks",
    "run": "clocks",
    "run_nights": "nights",
    "stub": "stubs",
}

__all__ = [
    "NIGHT",
    "NightResult",
    "Observatory",
    "Stub",
    "StubBus",
    "StubCall",
    "alone",
    "on_virtual_clock",
    "run",
    "run_nights",
    "stub",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
