"""Calling a person."""

from __future__ import annotations

from enum import StrEnum

from pytel.module import Event, Interface, Role, rpc


class Urgency(StrEnum):
    """How loud: `CALL` wakes somebody."""

    INFO = "info"
    WARNING = "warning"
    CALL = "call"


class Notified(Event, frozen=True, kw_only=True):
    """A message went out to people."""

    urgency: Urgency
    subject: str
    message: str


class Notifier(Interface, events=(Notified,)):
    """Tells people what happened, by whatever reaches them."""

    @rpc(role=Role.MODULE)
    async def notify(self, urgency: Urgency, subject: str, message: str) -> None:
        """Send a message. Returns when it has left the house."""
        raise NotImplementedError
