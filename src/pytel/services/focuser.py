"""The base of every focuser: base position plus offset, limits, time-outs, state and header cards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytel.base.errors import DeviceError, PytelError
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Millimetres, Seconds
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, limit, rpc
from pytel.module.handlers import every
from pytel.services.axis import BaseAxis
from pytel.services.timing import answered


class FocuserReading(NamedTuple):
    """What the focuser says; `temperature` is that of the tube."""

    position: Millimetres
    moving: bool
    temperature: Celsius | None = None


class BaseFocuser(BaseAxis[FocuserReading], Focuser, FitsHeaderProvider, ABC):
    """What all focusers share. The offset is kept on disk, so that a restart does not take it for the base position."""

    class Config(BaseAxis.Config, frozen=True, kw_only=True):
        """Travel and speed."""

        min_position: Millimetres = 0.0
        max_position: Millimetres = 50.0
        step: Millimetres = 0.001
        speed: float = 1.0
        """Millimetres per second."""

    config: Config
    _offset: Millimetres = 0.0
    _told: FocuserState | None = None

    # hooks

    @abstractmethod
    async def read_focuser(self) -> FocuserReading:
        """Ask where it stands."""

    @abstractmethod
    async def begin_move(self, position: Millimetres) -> None:
        """Start to move."""

    # state

    async def on_start(self) -> None:
        """Reach the focuser once before serving."""
        await super().on_start()
        self._offset = await in_thread(_read_offset, self._file)
        await self._look()

    @property
    def _file(self) -> Path:
        return self.directory / "offset.json"

    def capabilities(self) -> list[Capabilities]:
        """Tell the travel."""
        config = self.config
        return [
            FocuserCapabilities(min_position=config.min_position, max_position=config.max_position, step=config.step)
        ]

    @every("poll_period")
    async def poll(self) -> None:
        """Read position and temperature."""
        try:
            await self._look()
        except PytelError:
            self._tell(FocuserState(status=MotionStatus.ERROR, offset=self._offset))
            raise

    async def _look(self) -> FocuserReading:
        reading = await answered(self.read_focuser(), self.config.answer_time, str(self.address), "tell its position")
        self.clear_alarm("poll")
        self._tell(
            FocuserState(
                status=MotionStatus.MOVING if reading.moving else MotionStatus.IDLE,
                position=reading.position,
                base=reading.position - self._offset,
                offset=self._offset,
                temperature=reading.temperature,
            )
        )
        return reading

    def _tell(self, state: FocuserState) -> None:
        if state != self._told:
            self._told = state
            self.publish(state)

    # motion

    @rpc(long=True)
    async def set_focus(self, position: Millimetres) -> None:
        """Move the base position."""
        await self._move(position + self._offset)

    @rpc(long=True)
    async def set_focus_offset(self, offset: Millimetres) -> None:
        """Set the offset that is added to the base position."""
        reading = await self._look()
        target = self._refuse(reading.position - self._offset + offset)
        self._offset = offset
        await in_thread(_write_offset, self._file, offset)
        await self._move(target)

    def estimate_set_focus(self, position: Millimetres) -> Seconds:
        """From the distance."""
        return self._duration(position + self._offset)

    def _duration(self, target: Millimetres) -> Seconds:
        here = self._told.position if self._told is not None else None
        distance = self.config.max_position - self.config.min_position if here is None else abs(target - here)
        return distance / self.config.speed

    def _refuse(self, target: Millimetres) -> Millimetres:
        return limit(target, self.config.min_position, self.config.max_position, f"a {self.address} position", "mm")

    async def _move(self, target: Millimetres) -> None:
        self._refuse(target)
        self._stopped.clear()
        reading = await self._look()
        expected = abs(target - reading.position) / self.config.speed
        reading = await self._travel(self.begin_move(target), expected)
        if abs(reading.position - target) > 2 * self.config.step:
            raise DeviceError(
                f"{self.address} stands at {reading.position:.3f} mm, not at {target:.3f} mm; look at its motor",
                device=str(self.address),
            )

    # header cards

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell position and temperature."""
        reading = await self._look()
        cards = {"FOCUSPOS": Card(value=round(reading.position, 6), comment="[mm] focuser position")}
        if reading.temperature is not None:
            value = round(reading.temperature, 3)
            cards["FOCUSTEM"] = Card(value=value, comment="[Celsius] temperature at the focuser")
        return cards


def _read_offset(file: Path) -> Millimetres:
    try:
        return msgspec.json.decode(file.read_bytes(), type=float)
    except FileNotFoundError:
        return 0.0
    except msgspec.DecodeError as error:
        raise DeviceError(f"{file} is damaged: {error}; remove it, and focus again") from error


def _write_offset(file: Path, offset: Millimetres) -> None:
    write_atomically(file, [msgspec.json.encode(offset)])
