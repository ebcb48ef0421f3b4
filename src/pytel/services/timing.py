"""Waiting for hardware, never for ever: time-outs are calculated from what the device has to do."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from pytel.base import clock
from pytel.base.errors import DeviceTimeout
from pytel.base.units import Seconds

T = TypeVar("T")
MARGIN = 1.5
"""A device may take this many times as long as calculated before it counts as stuck."""


def patient(seconds: Seconds, real: float = 0.5) -> Seconds:
    """Site seconds, but no less than `real` seconds of real time: on a fast clock computers need their time too."""
    return max(seconds, real * clock.current().rate)


async def answered(work: Awaitable[T], within: Seconds, device: str, what: str, *, real: float = 1.0) -> T:
    """Await what a device does.

    Raises `DeviceTimeout` that names it after `within` seconds of site time (but no less than `real` real ones).
    """
    limit = clock.deadline(patient(within, real))
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise DeviceTimeout(f"{device} timed out on {what}; check its connection", device=device) from error
        raise DeviceTimeout(
            f"{device} did not {what} within {within:.0f} s; check its power and connection", device=device
        ) from error
