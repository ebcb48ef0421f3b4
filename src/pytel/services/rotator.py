"""The base of every rotator: travel, sense and zero, time-outs, state and header cards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from pytel.base.errors import DeviceError, LimitExceeded, PytelError
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Degrees, DegreesPerSecond, Seconds
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.rotator import PositionAngle, Rotator, RotatorCapabilities, RotatorState
from pytel.module import Capabilities, limit, rpc
from pytel.module.handlers import every
from pytel.services.axis import BaseAxis
from pytel.services.timing import answered

_TURN = 360.0


class RotatorReading(NamedTuple):
    """What the rotator says: the angle of its encoder."""

    mechanical: Degrees
    moving: bool


class BaseRotator(BaseAxis[RotatorReading], Rotator, FitsHeaderProvider, ABC):
    """What all rotators share: position angle = mechanical angle times sense plus zero; the zero is kept on disk."""

    class Config(BaseAxis.Config, frozen=True, kw_only=True):
        """Travel, speed and sense."""

        min_mechanical: Degrees = 0.0
        max_mechanical: Degrees = 360.0
        rate: DegreesPerSecond = 2.0
        """The slowest to be expected; time-outs follow from it."""
        reverse: bool = False
        """The encoder counts against the position angle."""
        zero: Degrees = 0.0
        """Position angle at mechanical 0, until `sync_position_angle` finds a better one."""
        tolerance: Annotated[Degrees, Meta(gt=0)] = 0.1

    config: Config
    _zero: Degrees = 0.0
    _target: PositionAngle | None = None
    _told: RotatorState | None = None

    # hooks

    @abstractmethod
    async def read_rotator(self) -> RotatorReading:
        """Ask where it stands."""

    @abstractmethod
    async def begin_turn(self, mechanical: Degrees) -> None:
        """Start to turn."""

    # state

    async def on_start(self) -> None:
        """Reach the rotator once before serving."""
        await super().on_start()
        self._zero = await in_thread(_read_zero, self._file, self.config.zero)
        await self._look()

    @property
    def _file(self) -> Path:
        return self.directory / "zero.json"

    def capabilities(self) -> list[Capabilities]:
        """Tell the travel."""
        config = self.config
        return [
            RotatorCapabilities(
                min_mechanical=config.min_mechanical,
                max_mechanical=config.max_mechanical,
                rate=config.rate,
                can_follow=False,
            )
        ]

    @every("poll_period")
    async def poll(self) -> None:
        """Read the angle."""
        try:
            await self._look()
        except PytelError:
            self._tell(RotatorState(status=MotionStatus.ERROR))
            raise

    async def _look(self) -> RotatorReading:
        reading = await answered(self.read_rotator(), self.config.answer_time, str(self.address), "tell its angle")
        self.clear_alarm("poll")
        self._tell(
            RotatorState(
                status=MotionStatus.MOVING if reading.moving else MotionStatus.IDLE,
                position_angle=self._on_sky(reading.mechanical),
                mechanical=reading.mechanical,
                target=self._target,
            )
        )
        return reading

    def _tell(self, state: RotatorState) -> None:
        if state != self._told:
            self._told = state
            self.publish(state)

    @property
    def _sense(self) -> int:
        return -1 if self.config.reverse else 1

    def _on_sky(self, mechanical: Degrees) -> PositionAngle:
        return _wrapped(self._sense * mechanical + self._zero)

    def _mechanical(self, angle: PositionAngle) -> Degrees:
        """The angle within the travel that is nearest to where it stands. Raises `LimitExceeded`."""
        config, here = self.config, self._told.mechanical if self._told else None
        first = self._sense * (angle - self._zero)
        lowest = math.ceil((config.min_mechanical - first) / _TURN - 1e-9)
        highest = math.floor((config.max_mechanical - first) / _TURN + 1e-9)
        choices = [first + _TURN * turn for turn in range(lowest, highest + 1)]
        if not choices:
            raise LimitExceeded(
                f"{self.address} cannot bring position angle {angle:g} deg up: its travel is "
                f"{config.min_mechanical:g} to {config.max_mechanical:g} deg",
                device=str(self.address),
            )
        return min(choices, key=lambda choice: abs(choice - (here or 0.0)))

    # motion

    @rpc(long=True)
    async def set_position_angle(self, angle: PositionAngle) -> None:
        """Turn so that this position angle is up."""
        await self._look()
        mechanical = self._mechanical(angle)
        self._target = angle
        await self._turn(mechanical)

    @rpc(long=True)
    async def move_mechanical(self, angle: Degrees) -> None:
        """Turn to an angle of the encoder."""
        limit(angle, self.config.min_mechanical, self.config.max_mechanical, f"a {self.address} angle", "deg")
        self._target = None
        await self._turn(angle)

    async def sync_position_angle(self, angle: PositionAngle) -> None:
        """Take this position angle for the one it has; kept for later starts."""
        reading = await self._look()
        zero = _wrapped(angle - self._sense * reading.mechanical)
        await in_thread(write_atomically, self._file, [msgspec.json.encode(zero)])
        self._zero = zero
        await self._look()

    def estimate_set_position_angle(self, angle: PositionAngle) -> Seconds:
        """From half a turn, which is the longest way."""
        return _TURN / 2 / self.config.rate

    def estimate_move_mechanical(self, angle: Degrees) -> Seconds:
        """From the distance."""
        here = self._told.mechanical if self._told is not None else None
        return (_TURN if here is None else abs(angle - here)) / self.config.rate

    async def _turn(self, mechanical: Degrees) -> None:
        self._stopped.clear()
        reading = await self._look()
        expected = abs(mechanical - reading.mechanical) / self.config.rate
        reading = await self._travel(self.begin_turn(mechanical), expected)
        if abs(math.remainder(reading.mechanical - mechanical, _TURN)) > self.config.tolerance:
            raise DeviceError(
                f"{self.address} stands at {reading.mechanical:.2f} deg, not at {mechanical:.2f} deg; look at it",
                device=str(self.address),
            )

    # header cards

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell both angles."""
        reading = await self._look()
        angle = round(self._on_sky(reading.mechanical), 3)
        return {
            "ROTANGLE": Card(value=angle, comment="[deg] position angle of the rotator"),
            "ROTMECH": Card(value=round(reading.mechanical, 3), comment="[deg] mechanical angle of the rotator"),
        }


def _wrapped(angle: Degrees) -> PositionAngle:
    rest = angle % _TURN
    return 0.0 if rest == _TURN else rest


def _read_zero(file: Path, configured: Degrees) -> Degrees:
    try:
        return msgspec.json.decode(file.read_bytes(), type=float)
    except FileNotFoundError:
        return configured
    except msgspec.DecodeError as error:
        raise DeviceError(f"{file} is damaged: {error}; remove it, and tell the position angle again") from error
