"""The door by which people and foreign systems reach all modules over HTTP."""

from __future__ import annotations

from pytel.module import Interface, State


class GatewayState(State, frozen=True, kw_only=True):
    """Where the gateway is found, and how many read along."""

    url: str | None
    """None while it does not serve."""
    clients: int = 0


class Gateway(Interface, state=GatewayState):
    """Passes calls of people on to modules, in their names and with their roles."""
