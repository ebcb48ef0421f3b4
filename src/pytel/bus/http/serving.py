"""Executing the calls that reach a module, each in a task that shares no context with its caller."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from pytel.base import clock
from pytel.base.errors import Busy, ConnectionLost, Timeout
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Endpoint, Role

MAX_IN_FLIGHT = 500
MAX_OF_PEOPLE = 100
"""How many of them may be people's: however many wait for jobs, modules get through."""
LONGEST = 3600.0
"""Real seconds after which a call is not waited for any more, whatever its sender says."""


class Serving:
    """The calls under way in one module."""

    def __init__(self, own: Address) -> None:
        self._own = own
        self._endpoint: Endpoint | None = None
        self._tasks: set[asyncio.Task[Builtin]] = set()
        self._of_people = 0

    def open(self, endpoint: Endpoint) -> None:
        """Serve from now on."""
        self._endpoint = endpoint

    async def serve(self, call: Call) -> Builtin:
        """Execute a call. Raises what it raises, `Timeout` at its expiry (it goes on), `ConnectionLost` at our end."""
        if self._endpoint is None:
            raise ConnectionLost(f"{self._own} serves no calls")
        is_persons = not call.caller.role.includes(Role.MODULE)
        if len(self._tasks) >= MAX_IN_FLIGHT or (is_persons and self._of_people >= MAX_OF_PEOPLE):
            raise Busy(f"{self._own} has too many calls under way; try again in a moment")
        self._of_people += is_persons
        try:
            return await self._result(self._endpoint, call)
        finally:
            self._of_people -= is_persons

    async def _result(self, endpoint: Endpoint, call: Call) -> Builtin:
        left = None if call.expires is None else call.expires - clock.real_time()
        work: Any = endpoint.handle_call(call)
        name = f"{self._own}.{call.method}"
        task = asyncio.get_running_loop().create_task(work, name=name, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        # One that is late is refused by the module, not here: it needs a moment for that.
        await asyncio.wait([task], timeout=min(LONGEST, max(1.0, left)) if left is not None else LONGEST)
        if not task.done():
            raise Timeout(f"{self._own}.{call.method} did not answer in time")
        if task.cancelled():
            raise ConnectionLost(f"{self._own} left while it was called")
        return task.result()

    def _done(self, task: asyncio.Task[Builtin]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told to the caller, if he still waits

    def stop(self) -> None:
        """Serve no more, and end what is under way."""
        self._endpoint = None
        for task in list(self._tasks):
            task.cancel()

    async def ended(self) -> None:
        """Wait until what was under way has ended."""
        own = asyncio.current_task()
        if tasks := [task for task in self._tasks if task is not own]:
            await asyncio.wait(tasks)
