"""Our safety monitor as ASCOM's ISafetyMonitorV3: its word expires, and silence means unsafe."""

from __future__ import annotations

from typing import Any

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.members import Member, Value, get
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.safety import SafetyMonitor, SafetyMonitorState


class AlpacaSafetyMonitor(Device):
    """Tells whether it is safe; whoever has not connected hears that it is not."""

    kind = "safetymonitor"
    type_name = "SafetyMonitor"
    interface = SafetyMonitor
    interface_version = 3
    operational = ("IsSafe",)
    actions = ("Reasons",)

    async def answer(self, member: Member, values: list[Value], client: Client) -> Any:
        """Answer a request; ASCOM wants False, and no error, for whoever has not connected."""
        if member.name == "IsSafe" and not self.is_open_to(client, ""):
            return False
        return await super().answer(member, values, client)

    @get("IsSafe")
    def is_safe(self) -> bool:
        """Whether it is."""
        return self._verdict()[0]

    def _verdict(self) -> tuple[bool, tuple[str, ...]]:
        try:
            return self.site.state(self.address, SafetyMonitorState).verdict(clock.now())
        except PytelError as error:
            return False, (error.message,)

    async def do(self, client: Client, name: str, parameters: str) -> str:
        """Tell why it is unsafe."""
        return "; ".join(self._verdict()[1])
