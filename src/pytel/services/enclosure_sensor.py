"""What the sensors of an enclosure say, and how far it is believed: no further than the motor can have moved."""

from __future__ import annotations

from typing import NamedTuple

from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.units import Fraction, Seconds
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.timing import patient

FASTEST = 2.0
"""No enclosure moves this many times faster than configured; a sensor that says so lies."""
_SLACK = 0.1
_OPENINGS = {EnclosureStatus.CLOSED: 0.0, EnclosureStatus.OPEN: 1.0}


class EnclosureReading(NamedTuple):
    """What the hardware says. `opening` is 0 (shut) to 1, None where it cannot tell."""

    status: EnclosureStatus
    opening: Fraction | None = None


class Belief:
    """Weighs readings against the last one that was believed; an enclosure takes its time to get anywhere."""

    def __init__(self, name: str, opening: Seconds, closing: Seconds) -> None:
        self._name, self._opening, self._closing = name, opening, closing
        self._believed: tuple[float, float] | None = None  # opening, when

    def weigh(self, said: EnclosureReading, moving: bool) -> tuple[EnclosureReading, DeviceError | None]:
        """What to make of a reading, and what is wrong with it; `moving` tells whether it is meant to move.

        Raises `DeviceError` for an opening that cannot be one.
        """
        said = _sane(said, self._name)
        opening = said.opening if said.opening is not None else _OPENINGS.get(said.status)
        now = clock.elapsed()
        if opening is None:
            return said, None
        if self._believed is not None and not self._can_be(opening, *self._believed, now):
            towards = EnclosureStatus.CLOSING if opening < self._believed[0] else EnclosureStatus.OPENING
            text = f"{self._name} says {said.status.value} sooner than it can be; look at its limit switches"
            error = DeviceError(text, device=self._name)
            return EnclosureReading(towards if moving else EnclosureStatus.UNKNOWN), error
        self._believed = (opening, now)
        return said, None

    def _can_be(self, opening: float, before: float, when: float, now: float) -> bool:
        lowest = before - _SLACK - FASTEST * (now - when) / self._closing
        highest = before + _SLACK + FASTEST * (now - when) / self._opening
        return lowest <= opening <= highest


def _sane(said: EnclosureReading, device: str) -> EnclosureReading:
    if said.opening is None:
        return said
    if not -_SLACK <= said.opening <= 1.0 + _SLACK:
        raise DeviceError(f"{device} says that it is {said.opening:.0%} open; look at its sensor", device=device)
    return said._replace(opening=min(1.0, max(0.0, said.opening)))


class Progress:
    """Signs of motion: the opening changes, or (where it is not measured) the hardware says that it moves."""

    def __init__(self, wanted: EnclosureStatus, stall: Seconds) -> None:
        closing = wanted is EnclosureStatus.CLOSED
        self._status = EnclosureStatus.CLOSING if closing else EnclosureStatus.OPENING
        self._sign = -1.0 if closing else 1.0
        self._furthest: float | None = None
        self._stall = patient(stall)
        self._last = clock.elapsed()

    def seen(self, reading: EnclosureReading, now: float) -> bool:
        """Note a reading; tells whether it moves the right way, as far as one can tell."""
        opening = reading.opening
        if opening is None:
            moved = reading.status is self._status
        else:
            moved = self._furthest is not None and self._sign * (opening - self._furthest) > 1e-9
            self._furthest = opening if moved or self._furthest is None else self._furthest
        if moved:
            self._last = now
        return reading.status is self._status and now - self._last <= self._stall

    def renew(self, now: float) -> None:
        """Be patient: the sensor is not to be trusted."""
        self._last = now

    def is_over(self, now: float) -> bool:
        """Tell whether it stands still."""
        return now - self._last > self._stall
