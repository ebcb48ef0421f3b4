"""Properties of an INDI device that no interface knows (INDI protocol 1.7)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.module import Interface, Role, Struct, rpc

IndiNumber = Annotated[float, Meta(description="in the unit of the property")]


class IndiProperty(Struct, frozen=True, kw_only=True):
    """A property of the device; the value of a number is None where the device told none (NaN)."""

    name: str
    label: str
    group: str
    kind: str
    state: str
    permission: str
    values: dict[str, IndiNumber | bool | str | None]


class IndiProperties(Interface):
    """Reads and changes any property of an INDI device, for what the device's own interface has no word for."""

    several = True

    @rpc(role=Role.VIEWER)
    async def indi_names(self) -> list[str]:
        """The names of the device's properties, sorted. Raises `ConnectionLost`."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def indi_get(self, property: str) -> IndiProperty:  # noqa: A002 - the word of the protocol
        """Tell a property as the device last told it. Raises `NotFound`, `ConnectionLost`."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def indi_set(
        self,
        property: str,  # noqa: A002
        values: dict[str, IndiNumber | bool | str],
    ) -> IndiProperty:
        """Ask for other values and wait until the device has taken them (or works on it).

        Raises `NotFound`, `InvalidParams`, `LimitExceeded`, `NotAllowed` (read-only), `DeviceError`, `DeviceTimeout`,
        `ConnectionLost`. What the module itself sets it may set again.
        """
        raise NotImplementedError
