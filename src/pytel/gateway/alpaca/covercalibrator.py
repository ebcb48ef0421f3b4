"""A mirror cover with a lamp of ours as ASCOM's ICoverCalibratorV2."""

from __future__ import annotations

from typing import Any

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range, invalid_operation
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.operation import Operation
from pytel.gateway.alpaca.site import AlpacaSite, Client
from pytel.interfaces.cover import (
    CalibratorStatus,
    CoverCalibrator,
    CoverCalibratorCapabilities,
    CoverCalibratorState,
    CoverStatus,
)

UNKNOWN = 4
_COVER = {
    CoverStatus.NOT_PRESENT: 0,
    CoverStatus.CLOSED: 1,
    CoverStatus.OPENING: 2,
    CoverStatus.CLOSING: 2,
    CoverStatus.OPEN: 3,
    CoverStatus.ERROR: 5,
}
_CALIBRATOR = {
    CalibratorStatus.NOT_PRESENT: 0,
    CalibratorStatus.OFF: 1,
    CalibratorStatus.WARMING_UP: 2,
    CalibratorStatus.READY: 3,
    CalibratorStatus.ERROR: 5,
}


class AlpacaCoverCalibrator(Device):
    """Opens, closes, shines."""

    kind = "covercalibrator"
    type_name = "CoverCalibrator"
    interface = CoverCalibrator
    interface_version = 2
    operational = ("Brightness", "CalibratorState", "CoverState", "CalibratorChanging", "CoverMoving")

    def __init__(self, site: AlpacaSite, *where: Any) -> None:
        super().__init__(site, *where)
        self._lamp: Operation[None] = Operation()

    async def close(self) -> None:
        """Let go of what is under way."""
        await super().close()
        await self._lamp.close()

    def _state(self) -> CoverCalibratorState:
        return self.site.state(self.address, CoverCalibratorState)

    async def _parts(self) -> CoverCalibratorCapabilities:
        return await self.site.capabilities(self.address, CoverCalibratorCapabilities)

    async def _need_cover(self, what: str) -> None:
        if not (await self._parts()).has_cover:
            raise absent(what)

    async def _levels(self, what: str) -> int:
        parts = await self._parts()
        if not parts.has_calibrator:
            raise absent(what)
        return parts.brightness_levels

    @get("CoverState")
    def cover_state(self) -> int:
        """Open, closed, on the way; raises the error of a motion that failed."""
        self.operation.check()
        return _COVER.get(self._state().cover, UNKNOWN)

    @get("CoverMoving")
    def cover_moving(self) -> bool:
        """Whether it moves; raises the error of a motion that failed."""
        if self.operation.is_running or self._state().cover in (CoverStatus.OPENING, CoverStatus.CLOSING):
            return True
        self.operation.check()
        return False

    @get("CalibratorState")
    def calibrator_state(self) -> int:
        """Off, warming up, ready."""
        self._lamp.check()
        return _CALIBRATOR.get(self._state().calibrator, UNKNOWN)

    @get("CalibratorChanging")
    def calibrator_changing(self) -> bool:
        """Whether its light is not steady yet."""
        if self._lamp.is_running or self._state().calibrator is CalibratorStatus.WARMING_UP:
            return True
        self._lamp.check()
        return False

    @get("MaxBrightness")
    async def max_brightness(self) -> int:
        """Steps."""
        return await self._levels("MaxBrightness")

    @get("Brightness")
    async def brightness(self) -> int:
        """Steps."""
        levels = await self._levels("Brightness")
        brightness = self._state().brightness
        if brightness is None:
            raise invalid_operation(f"{self.address} has not told how bright it is")
        return round(brightness * levels)

    @put("OpenCover")
    async def open_cover(self, client: Client) -> None:
        """Begin to open."""
        await self._need_cover("OpenCover")
        await self.operation.begin((await self.controlled(client, CoverCalibrator)).open_cover())

    @put("CloseCover")
    async def close_cover(self, client: Client) -> None:
        """Begin to close; needs no control."""
        await self._need_cover("CloseCover")
        self.operation.excuse()
        await self.operation.begin(self.of(client, CoverCalibrator).close_cover())

    @put("HaltCover")
    async def halt_cover(self, client: Client) -> None:
        """Stop the cover."""
        await self._need_cover("HaltCover")
        self.operation.excuse()
        await self.of(client, CoverCalibrator).stop_cover()

    @put("CalibratorOn", Brightness=int)
    async def calibrator_on(self, client: Client, brightness: int) -> None:
        """Switch the lamp on."""
        levels = await self._levels("CalibratorOn")
        in_range(brightness, 0, levels, "the brightness")
        lamp = await self.controlled(client, CoverCalibrator)
        await self._lamp.begin(lamp.calibrator_on(brightness / levels))

    @put("CalibratorOff")
    async def calibrator_off(self, client: Client) -> None:
        """Switch the lamp off."""
        await self._levels("CalibratorOff")
        self._lamp.excuse()
        await self.of(client, CoverCalibrator).calibrator_off()
