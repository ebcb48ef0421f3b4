"""A device does one thing at a time: who occupies what, until when."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from pytel.base.errors import Busy
from pytel.bus.contract import Call
from pytel.module.rpc import Method


class Occupation:
    """A resource in use."""

    def __init__(self, resource: str, method: str, by: str, until: datetime | None) -> None:
        self.resource, self.method, self.by, self.until = resource, method, by, until
        self.freed = asyncio.Event()


class Exclusive:
    """The resources of one module (motion, exposure, …), each used by one call at a time."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._used: dict[str, Occupation] = {}

    def check(self, method: Method) -> None:
        """Raise `Busy` with who and until when, if the method's resource is in use."""
        used = self._used.get(method.options.exclusive or "")
        if used is not None:
            until = f" until about {used.until:%H:%M:%S} UTC" if used.until else ""
            raise Busy(
                f"{self._module} is busy with {used.method} for {used.by}{until}",
                by=used.by,
                method=used.method,
                until=used.until.isoformat() if used.until else None,
            )

    def occupy(self, method: Method, call: Call, until: datetime | None = None) -> Occupation | None:
        """Take the method's resource, if it has one. Raises `Busy`."""
        resource = method.options.exclusive
        if resource is None:
            return None
        self.check(method)
        self._used[resource] = taken = Occupation(resource, method.name, call.origin.name, until)
        return taken

    async def wait_and_occupy(self, method: Method, call: Call, until: datetime | None = None) -> Occupation | None:
        """Take the method's resource when it is free; a method that `queues` waits its turn."""
        while method.options.queues and (used := self._used.get(method.options.exclusive or "")):
            await used.freed.wait()
        return self.occupy(method, call, until)

    def free(self, taken: Any) -> None:
        """Give a resource back; harmless for None."""
        if isinstance(taken, Occupation):
            if self._used.get(taken.resource) is taken:
                del self._used[taken.resource]
            taken.freed.set()
