"""Waiting for a service that restarts or whose line is bad: what does no harm twice is tried again, for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pytel.base import clock, ids
from pytel.base.errors import ConnectionLost, ModuleNotFound, NotReady, Timeout
from pytel.base.units import Seconds
from pytel.services.timing import patient

T = TypeVar("T")
PATIENCE: Seconds = 60.0
"""How long a store may be away, restarting, before an image counts as lost."""
PASSING = (ConnectionLost, ModuleNotFound, NotReady, Timeout)
"""Errors after which the same call may well succeed."""


async def patiently(call: Callable[[], Awaitable[T]], progress: Callable[[], int] = lambda: 0) -> T:
    """Repeat a call that does no harm twice until the store is back.

    It gives up, with the last error, when `progress()` has not grown for a minute of site time (30 real seconds).
    """
    before, ends = progress(), clock.time() + patient(PATIENCE, 30.0)
    while True:
        try:
            return await call()
        except PASSING:
            if progress() > before:
                before, ends = progress(), clock.time() + patient(PATIENCE, 30.0)
            if clock.time() >= ends:
                raise
        await clock.sleep(patient(ids.uniform(0.8, 1.2)))
