"""A roof or dome of ours as ASCOM's IDomeV3. It turns by itself, if at all: clients open and close it."""

from __future__ import annotations

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.enclosure import Enclosure, EnclosureState, EnclosureStatus

OPEN, CLOSED, OPENING, CLOSING, ERROR = range(5)
_SHUTTER = {
    EnclosureStatus.OPEN: OPEN,
    EnclosureStatus.CLOSED: CLOSED,
    EnclosureStatus.OPENING: OPENING,
    EnclosureStatus.CLOSING: CLOSING,
}
_MOVES = frozenset({EnclosureStatus.OPENING, EnclosureStatus.CLOSING})


class AlpacaDome(Device):
    """Opens and closes. Whether it may open is judged by the enclosure itself, whoever asks."""

    kind = "dome"
    type_name = "Dome"
    interface = Enclosure
    interface_version = 3
    constants = {  # noqa: RUF012 - declared as such by the base
        "CanFindHome": False,
        "CanPark": False,
        "CanSetAltitude": False,
        "CanSetAzimuth": False,
        "CanSetPark": False,
        "CanSetShutter": True,
        "CanSlave": False,
        "CanSyncAzimuth": False,
        "Slaved": False,
    }
    missing = {  # noqa: RUF012
        "Altitude": None,
        "AtHome": None,
        "AtPark": None,
        "FindHome": {},
        "Park": {},
        "SetPark": {},
        "SlewToAltitude": {"Altitude": float},
        "SlewToAzimuth": {"Azimuth": float},
        "SyncToAzimuth": {"Azimuth": float},
    }
    operational = ("Altitude", "AtHome", "AtPark", "Azimuth", "ShutterStatus", "Slewing")
    actions = ("WhyClosed",)

    def _state(self) -> EnclosureState:
        return self.site.state(self.address, EnclosureState)

    @get("Azimuth")
    def azimuth(self) -> float:
        """Degrees, of domes that turn."""
        azimuth = self._state().azimuth
        if azimuth is None:
            raise absent("Azimuth")
        return azimuth

    @get("ShutterStatus")
    def shutter_status(self) -> int:
        """Open, closed, on the way, or neither."""
        return _SHUTTER.get(self._state().status, ERROR)

    @get("Slewing")
    def slewing(self) -> bool:
        """Whether it moves; raises the error of a motion that failed."""
        if self.operation.is_running or self._state().status in _MOVES:
            return True
        self.operation.check()
        return False

    @put("OpenShutter")
    async def open_shutter(self, client: Client) -> None:
        """Begin to open."""
        await self.operation.begin((await self.controlled(client, Enclosure)).open())

    @put("CloseShutter")
    async def close_shutter(self, client: Client) -> None:
        """Begin to close; needs no control."""
        self.operation.excuse()
        await self.operation.begin(self.of(client, Enclosure).close())

    @put("AbortSlew")
    async def abort_slew(self, client: Client) -> None:
        """Stop where it is."""
        self.operation.excuse()
        await self.of(client, Enclosure).stop()

    @put("Slaved", Slaved=bool)
    def set_slaved(self, client: Client, slaved: bool) -> None:
        """It cannot be."""
        if slaved:
            raise absent("Slaved")

    async def do(self, client: Client, name: str, parameters: str) -> str:
        """Tell why it may not open, and why it was closed last."""
        state = self._state()
        return "; ".join(state.reasons or state.closed_because)
