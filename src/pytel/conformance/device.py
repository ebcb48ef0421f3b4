"""The module under trial, as its callers see it: calls, jobs with a deadline, states, capabilities."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin
from pytel.conformance.report import Deviation
from pytel.module import Capabilities, State
from pytel.module.messages import topic_of
from pytel.module.rpc import from_builtins

S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Capabilities)
ANSWER: Seconds = 15.0
"""Real seconds for a short call."""
LEAST: Seconds = 30.0
"""Real seconds that a long call gets besides three times what the module itself estimates."""
LONGEST: Seconds = 900.0
_POLL: Seconds = 0.5
_SETTLED: Seconds = 5.0
"""Within so long a state must follow what the module has answered."""


class Link(Protocol):
    """The way to a site: `address.method`, and what every door answers (`states.list` and the like)."""

    async def call(self, method: str, params: Mapping[str, Builtin], within: Seconds) -> Builtin:
        """Call. Raises what the site answers; `Timeout` after `within` real seconds."""


class Device:
    """One module. Structures that are not as its interface says raise `Deviation`."""

    def __init__(self, link: Link, address: str, described: Mapping[str, Any]) -> None:
        self.link, self.address = link, address
        self._told: Mapping[str, Any] = described.get("x-pytel", {}).get("capabilities", {})

    async def call(self, method: str, within: Seconds = ANSWER, **params: Builtin) -> Builtin:
        """Call a short method."""
        return await self.link.call(f"{self.address}.{method}", params, within)

    async def start(self, method: str, **params: Builtin) -> RunningJob:
        """Begin what takes long."""
        reply = await self.call(method, **params)
        if not isinstance(reply, dict) or not isinstance(reply.get("job"), str):
            raise Deviation(f"{method} takes long, but gave no job")
        eta = reply.get("eta")
        return RunningJob(self, method, reply["job"], float(eta) if isinstance(eta, int | float) else 0.0)

    async def run(self, method: str, **params: Builtin) -> Builtin:
        """Begin what takes long and wait for its result; cancelled when it takes too long, or this task ends."""
        job = await self.start(method, **params)
        return await job.result(min(LEAST + 3.0 * job.eta, LONGEST))

    def capabilities(self, kind: type[C]) -> C:
        """What it tells of itself. Raises `Deviation`."""
        told = self._told.get(kind.__name__)
        if told is None:
            raise Deviation(f"it tells no {kind.__name__}")
        read: C = _read(told, kind)
        return read

    async def state(self, kind: type[S]) -> S:
        """Its last state. Raises `Deviation` when there is none."""
        state, _ = await self.state_and_time(kind)
        return state

    async def state_and_time(self, kind: type[S]) -> tuple[S, datetime]:
        """The same with the site time at which it was told."""
        for told in await self.link.call("states.list", {}, ANSWER):
            if told["publisher"] == self.address and told["topic"] == str(topic_of(kind)):
                return _read(told["data"], kind), datetime.fromisoformat(told["time"])
        raise Deviation(f"it has told no {kind.__name__}")

    async def until(
        self, kind: type[S], condition: Callable[[S], bool], sentence: str, within: Seconds = _SETTLED
    ) -> S:
        """Wait until its state is so. Raises `Deviation` with the sentence and the state as it is."""
        ends = time.monotonic() + within
        while not condition(state := await self.state(kind)):
            if time.monotonic() >= ends:
                raise Deviation(f"{sentence}; its state says {shown(state)}")
            await asyncio.sleep(0.1)
        return state


class RunningJob:
    """What takes long, under way."""

    def __init__(self, device: Device, method: str, job: str, eta: Seconds) -> None:
        self._device, self._method, self._job, self.eta = device, method, job, eta

    async def result(self, within: Seconds) -> Builtin:
        """Wait for its end. Raises what it ended with, `Deviation` when it does not end; then it is cancelled."""
        try:
            async with asyncio.timeout(within):
                report = await self._over()
        except TimeoutError:
            await self.cancel()
            raise Deviation(f"{self._method} was not over after {within:.0f} s; it is cancelled") from None
        except asyncio.CancelledError:
            await self.cancel()
            raise
        if report.get("error"):
            raise PytelError.from_wire(report["error"])
        return report.get("result")

    async def _over(self) -> Mapping[str, Any]:
        while True:
            report: dict[str, Any] = await self._device.call("job.wait", ANSWER, job=self._job, timeout=_POLL)
            if report["status"] in ("done", "failed", "cancelled"):
                return report

    async def cancel(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(PytelError):
            await self._device.call("job.cancel", job=self._job)


def _read(told: Builtin, kind: type[Any]) -> Any:
    try:
        return from_builtins(told, kind, kind.__name__)
    except PytelError as error:
        raise Deviation(f"its {kind.__name__} is none: {error.message}") from error


def shown(state: State) -> str:
    """A state in half a sentence."""
    fields = ((name, getattr(state, name)) for name in state.__struct_fields__)
    return ", ".join(f"{name} {value}" for name, value in fields if value not in (None, "", ()))[:200]


__all__ = ["ANSWER", "Device", "Link", "RunningJob", "shown"]
