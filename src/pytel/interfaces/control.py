"""Who may move things: the control lease."""

from __future__ import annotations

from datetime import datetime

from pytel.module import Interface, Role, Struct, rpc
from pytel.module.leases import ControlState

__all__ = ["Control", "ControlState", "Lease"]


class Lease(Struct, frozen=True, kw_only=True):
    """A lease as it was given."""

    holder: str
    until: datetime


class Control(Interface, state=ControlState):
    """Lends the control of a group to one origin at a time, for 60 s of real time unless renewed."""

    @rpc(role=Role.OBSERVER)
    async def take(self) -> Lease:
        """Take the lease, or renew one's own. Raises `ControlHeld` while somebody else has it."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER)
    async def renew(self) -> Lease:
        """Renew one's own lease. Raises `ControlHeld` when it was lost."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER)
    async def release(self) -> None:
        """Give the lease back; harmless when one has none."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def take_over(self) -> Lease:
        """Take the lease from whoever has it."""
        raise NotImplementedError
