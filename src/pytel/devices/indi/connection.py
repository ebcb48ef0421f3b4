"""A link that is made anew whenever it breaks; that is said once when it is lost, and once when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from pytel.base import clock
from pytel.base.errors import ConnectionLost
from pytel.base.units import Seconds
from pytel.devices.indi.transport import Link, connect
from pytel.services.timing import patient

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0

Serve = Callable[[Link], Awaitable[None]]
"""What is done with a link; returns or raises `ConnectionLost` when it is of no use any more."""


class Connection:
    """Keeps a link up: `serve` has each one until it breaks; `lost` is called after. Without a `log` it is silent."""

    def __init__(
        self, address: str, serve: Serve, lost: Callable[[ConnectionLost], None], log: logging.Logger | None
    ) -> None:
        self.address = address
        self.link: Link | None = None
        """The link that stands."""
        self.failure = ConnectionLost(f"{address} has not been reached yet")
        """Why there is none."""
        self._serve, self._lost, self._log = serve, lost, log
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alive = False
        self._complained = False

    def start(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"INDI {self.address}")

    async def stop(self) -> None:
        """Let go of the link."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def up(self) -> None:
        """`serve` says that the link can be used."""
        self._up.set()

    @property
    def is_up(self) -> bool:
        """Whether the link can be used."""
        return self.link is not None and self._up.is_set()

    def alive(self) -> None:
        """`serve` says that the other side has spoken."""
        if not self._alive:
            self._alive = True
            if self._complained:
                self._complained = False
                self._say(logging.INFO, f"{self.address} is back")

    async def until_up(self, patience: Seconds) -> Link:
        """The link, waited for. Raises `ConnectionLost`."""
        with contextlib.suppress(TimeoutError):
            async with clock.deadline(patient(patience)):
                await self._up.wait()
        return self.current()

    def current(self) -> Link:
        """The link. Raises `ConnectionLost` when there is none."""
        if self.link is None or not self.is_up:
            raise ConnectionLost(self.failure.message)
        return self.link

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._alive = False
            try:
                await self._once()
            except ConnectionLost as error:
                self._down(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the devices must not stay away for it
                self._say(logging.ERROR, f"what {self.address} said was not understood", error)
                self._down(ConnectionLost(f"the link to {self.address} was given up: {error!r}"))
            pause = _FIRST_PAUSE if self._alive else min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _once(self) -> None:
        link = self.link = await connect(self.address)
        try:
            await self._serve(link)
        finally:
            self.link = None
            self._up.clear()
            link.close()

    def _down(self, error: ConnectionLost) -> None:
        self.failure = error
        if not self._complained:
            self._complained = True
            self._say(logging.WARNING, f"{error.message}; trying again until it is there")
        self._lost(error)

    def _say(self, level: int, sentence: str, error: Exception | None = None) -> None:
        if self._log is not None:
            self._log.log(level, "%s", sentence, exc_info=error)
