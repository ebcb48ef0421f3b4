"""Motions of a device along one axis: begun, awaited no longer than they can take, stopped at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Generic, Protocol, TypeVar

from pytel.base import clock
from pytel.base.errors import Cancelled, DeviceTimeout, PytelError
from pytel.base.units import Duration, Seconds
from pytel.module.config import ModuleConfig
from pytel.services.module import Module
from pytel.services.timing import MARGIN, answered, patient

_POLL = 0.5


class AxisReading(Protocol):
    """What any axis says."""

    @property
    def moving(self) -> bool:
        """Whether it moves."""


R = TypeVar("R", bound=AxisReading)


class BaseAxis(Module, ABC, Generic[R]):
    """What focusers and rotators share."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """How long it is waited for."""

        extra_time: Duration = 5.0
        answer_time: Duration = 5.0
        poll_period: Duration = 30.0

    config: Config

    # hooks

    @abstractmethod
    async def halt(self) -> None:
        """Stop at once."""

    @abstractmethod
    async def _look(self) -> R:
        """Ask where it stands, and tell it as state."""

    # motion

    async def on_start(self) -> None:
        """Nothing is stopped yet."""
        self._stopped = asyncio.Event()

    async def stop(self) -> None:
        """Stop at once; the job under way ends with `Cancelled`."""
        self._stopped.set()
        await self._command_halt()

    async def _travel(self, begin: Awaitable[None], expected: Seconds) -> R:
        """Begin a motion and wait for its end; whatever goes wrong, it is stopped.

        Raises `Cancelled` when it was stopped meanwhile, `DeviceTimeout`.
        """
        try:
            await answered(begin, self.config.answer_time, str(self.address), "begin to move")
            return await self._at_rest(expected * MARGIN + patient(self.config.extra_time, 2.0))
        except BaseException:
            await self._halt_quietly()
            raise

    async def _at_rest(self, patience: Seconds) -> R:
        ends = clock.time() + patience
        while True:
            reading = await self._look()
            if self._stopped.is_set():
                raise Cancelled(f"{self.address} was stopped")
            if not reading.moving:
                return reading
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} still moves after {patience:.0f} s; look at its motor", device=str(self.address)
                )
            await clock.wait_for_event(self._stopped, _POLL)

    async def _command_halt(self) -> None:
        await answered(self.halt(), self.config.answer_time, str(self.address), "stop")

    async def _halt_quietly(self) -> None:
        try:
            await self._command_halt()
        except PytelError as error:
            self.log.warning("it could not be stopped: %s", error)
