"""A closing that fails: one alarm, and a person who is called until it is shut."""

from __future__ import annotations

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.interfaces.notifier import Notifier, Urgency
from pytel.services.module import Module

CALL_AGAIN: Seconds = 900.0
_NOBODY_CALLED: Seconds = 60.0


class ClosingIncident:
    """From the first attempt to close that fails until the enclosure is shut, however many attempts that takes.

    Each complaint is told once; a person is called at once, and again every 15 minutes (every minute while there is no
    notifier that works).
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._error: PytelError | None = None
        self._complaints: set[str] = set()
        self._call_at = 0.0

    def __bool__(self) -> bool:
        return self._error is not None

    def complain(self, error: PytelError) -> None:
        """Begin, or go on with what the last attempt failed by."""
        if self._error is None:
            self._call_at = clock.elapsed()
        self._error = error
        if error.message not in self._complaints:
            self._complaints.add(error.message)
            self._module.raise_alarm("closing", error)
        self.remind()

    def remind(self) -> None:
        """Call a person if it is time to."""
        if self._error is not None and clock.elapsed() >= self._call_at:
            self._call_at = clock.elapsed() + CALL_AGAIN
            self._module.spawn(self._call_person(self._error), "call a person")

    def end(self) -> None:
        """It is shut."""
        self._error = None
        self._complaints.clear()
        self._module.clear_alarm("closing")

    async def _call_person(self, error: PytelError) -> None:
        module = self._module
        subject = f"{module.address} does not close"
        called = False
        for notifier in module.find_all(Notifier):
            try:
                await notifier.notify(Urgency.CALL, subject, error.message)
                called = True
            except PytelError as failure:
                module.log.error("nobody could be called: %s", failure)
        if not called and self:
            module.log.error("nobody was called, as there is no notifier that works; trying again in a minute")
            self._call_at = min(self._call_at, clock.elapsed() + _NOBODY_CALLED)
