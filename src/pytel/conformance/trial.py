"""The steps of a check: each has an end, an outcome and a time, and what was changed is put back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from pytel.base.errors import (
    Busy,
    ControlHeld,
    InvalidParams,
    LimitExceeded,
    NotAllowed,
    PytelError,
    Unsafe,
)
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin
from pytel.conformance.device import LONGEST, Device
from pytel.conformance.report import Deviation, Finding, NotTried, Options, Verdict

T = TypeVar("T")
Refusals = tuple[type[PytelError], ...]
INTERLOCKS: Refusals = (Unsafe, ControlHeld, NotAllowed, Busy)
"""With these a module keeps something from being done: that is no fault of the device."""
WRONG_CALLS: Refusals = (LimitExceeded, InvalidParams)
"""With these a call is refused that asks for what there is not."""
_REFUSED_WITHIN: Seconds = 10.0
_FREE_WITHIN: Seconds = 60.0


class Trial:
    """The trial of one interface of a module."""

    def __init__(self, device: Device, interface: str, options: Options, tell: Callable[[Finding], None]) -> None:
        self.device, self.options = device, options
        self.findings: list[Finding] = []
        self._interface, self._tell = interface, tell
        self._undo: list[tuple[str, Callable[[], Awaitable[Any]]]] = []

    async def step(
        self,
        what: str,
        work: Callable[[], Awaitable[T]],
        *,
        within: Seconds = LONGEST,
        refusals: Refusals = INTERLOCKS,
        detail: Callable[[T], str] = lambda result: "",
    ) -> T | None:
        """Do something and note how it ended; None when it did not end well. `refusals` are no deviations."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(within):
                result = await work()
        except NotTried as reason:
            self._note(what, Verdict.NOT_TRIED, began, str(reason))
        except refusals as error:
            self._note(what, Verdict.NOT_TRIED, began, f"{error.name}: {error.message}")
        except Deviation as deviation:
            self._note(what, Verdict.DEVIATION, began, str(deviation))
        except PytelError as error:
            self._note(what, Verdict.DEVIATION, began, f"{error.name}: {error.message}")
        except TimeoutError:
            self._note(what, Verdict.DEVIATION, began, f"it was not over after {within:.0f} s")
        else:
            self._note(what, Verdict.OK, began, detail(result))
            return result
        return None

    async def refused(self, what: str, method: str, *, long: bool, **params: Builtin) -> None:
        """See that a wrong call is refused with a typed error that says why; one that is not is ended at once."""

        async def attempt() -> str:
            try:
                if long:
                    job = await self.device.start(method, **params)
                    await job.result(_REFUSED_WITHIN)
                else:
                    await self.device.call(method, **params)
            except WRONG_CALLS as error:
                if len(error.message.split()) < 3:
                    raise Deviation(f"{error.name} does not say what is wrong: {error.message!r}") from error
                return f"{error.name}: {error.message}"
            except INTERLOCKS:
                raise
            except PytelError as error:
                wanted = " or ".join(kind.__name__ for kind in WRONG_CALLS)
                raise Deviation(f"it ends with {error.name} ({error.message}), not with {wanted}") from error
            raise Deviation("it was accepted")

        await self.step(what, attempt, detail=lambda sentence: sentence)

    def skip(self, what: str, reason: str) -> None:
        """Note what was left alone."""
        self._note(what, Verdict.NOT_TRIED, time.monotonic(), reason)

    def undo(self, what: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Have something put back at the end, also after an interruption; the last first."""
        self._undo.append((what, work))

    async def failed(self, what: str, error: Exception) -> None:
        """Note what kept the rest from being tried."""

        async def fail() -> None:
            raise error

        await self.step(what, fail)

    async def restore(self) -> None:
        """Put everything back."""
        while self._undo:
            what, work = self._undo.pop()
            await self.step(what, partial(_when_free, work), refusals=())

    def _note(self, what: str, verdict: Verdict, began: float, detail: str) -> None:
        finding = Finding(
            interface=self._interface,
            what=what,
            verdict=verdict,
            seconds=round(time.monotonic() - began, 3),
            detail=detail,
        )
        self.findings.append(finding)
        self._tell(finding)


async def _when_free(work: Callable[[], Awaitable[Any]]) -> None:
    """Do it as soon as what was interrupted has ended."""
    ends = time.monotonic() + _FREE_WITHIN
    while True:
        try:
            await work()
            return
        except Busy:
            if time.monotonic() >= ends:
                raise
        await asyncio.sleep(0.5)


__all__ = ["INTERLOCKS", "Trial"]
