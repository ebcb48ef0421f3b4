"""Site time: that of sky, devices, weather and schedule. Real, scaled or virtual.

Module code asks this file for the time and never the operating system:

    await clock.sleep(60)          # a minute of site time
    async with clock.deadline(30): # half a minute of site time, then TimeoutError
        await mount.settled()

Real time (keepalives, expiry of calls, log-ins) is `real_time()`; on the virtual clock both are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time as _time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime

from pytel.base.units import Seconds


class Clock(ABC):
    """How site time runs in this process."""

    rate: float = 1.0
    """Seconds of site time in a second of the event loop's time."""
    may_be_set: bool = True
    """Whether somebody may set it forward or back while we sleep."""

    @abstractmethod
    def time(self) -> float:
        """Site time in seconds since 1970-01-01 UTC."""

    def real_time(self) -> float:
        """Real time in seconds since 1970-01-01 UTC."""
        return _time.time()


class RealClock(Clock):
    """Site time is real time."""

    def time(self) -> float:
        """Site time in seconds since 1970-01-01 UTC."""
        return _time.time()


class ScaledClock(Clock):
    """Site time runs `rate` times faster, from an epoch that all processes of a site share.

    `site_epoch` and `real_epoch` are the two times (Unix seconds) at one instant.
    """

    def __init__(self, site_epoch: float, real_epoch: float, rate: float) -> None:
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"the rate of a clock must be positive, not {rate}")
        self.site_epoch = site_epoch
        self.real_epoch = real_epoch
        self.rate = rate

    def time(self) -> float:
        """Site time in seconds since 1970-01-01 UTC."""
        return self.site_epoch + (_time.time() - self.real_epoch) * self.rate


class VirtualClock(Clock):
    """Site time is the time of a `VirtualEventLoop`, which jumps from timer to timer."""

    may_be_set = False

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float) -> None:
        self._loop = loop
        self._offset = epoch - loop.time()

    def time(self) -> float:
        """Site time in seconds since 1970-01-01 UTC."""
        return self._offset + self._loop.time()

    def real_time(self) -> float:
        """The same as site time: a virtual night has only one time."""
        return self.time()


_current: Clock = RealClock()
_LONGEST_SLEEP = 30.0
"""Real seconds after which `sleep_until` looks at the clock again."""


def current() -> Clock:
    """The clock of this process."""
    return _current


def install(clock: Clock) -> None:
    """Make `clock` the clock of this process."""
    global _current
    _current = clock


@contextlib.contextmanager
def using(clock: Clock) -> Iterator[Clock]:
    """Install a clock for the length of a block."""
    before = _current
    install(clock)
    try:
        yield clock
    finally:
        install(before)


def time() -> float:
    """Site time in seconds since 1970-01-01 UTC."""
    return _current.time()


def elapsed() -> float:
    """Seconds of site time that pass steadily, whoever sets the clock: only differences mean something."""
    return asyncio.get_running_loop().time() * _current.rate


def now() -> datetime:
    """Site time as an aware datetime in UTC."""
    return datetime.fromtimestamp(_current.time(), UTC)


def real_time() -> float:
    """Real time in seconds since 1970-01-01 UTC: for keepalives and expiry, never for the sky."""
    return _current.real_time()


async def sleep(seconds: Seconds) -> None:
    """Sleep for `seconds` of site time."""
    await asyncio.sleep(max(0.0, seconds) / _current.rate)


async def sleep_until(when: float | datetime) -> None:
    """Sleep until a site time (Unix seconds or aware datetime); at once when it has passed."""
    target = when.timestamp() if isinstance(when, datetime) else when
    # Site time follows the wall clock, which may be set forward or back while we sleep.
    longest = _LONGEST_SLEEP * _current.rate if _current.may_be_set else math.inf
    while (left := target - time()) > 1e-6:
        await sleep(min(left, longest))


def deadline(seconds: Seconds | None) -> asyncio.Timeout:
    """Bound a block to `seconds` of site time: `async with clock.deadline(30): …` raises `TimeoutError` after."""
    return asyncio.timeout(None if seconds is None else max(0.0, seconds) / _current.rate)


async def wait_for_event(event: asyncio.Event, seconds: Seconds) -> bool:
    """Wait for `event` up to `seconds` of site time; tells whether it was set."""
    with contextlib.suppress(TimeoutError):
        async with deadline(seconds):
            await event.wait()
    return event.is_set()
