"""Units that other systems use and pytel does not, and the many ways to write a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from pytel.base import units
from pytel.base.errors import InvalidParams

_J1970 = 2440587.5
"""Julian date of 1970-01-01 0h UTC."""
_MODIFIED = 2400000.5
_DAY = 86400.0


class Line(NamedTuple):
    """`theirs * factor + offset` is ours; `factor` is not zero."""

    factor: float = 1.0
    offset: float = 0.0

    def ours(self, theirs: float) -> float:
        """Convert a number that came from the other system."""
        return theirs * self.factor + self.offset

    def theirs(self, ours: float) -> float:
        """Convert one of our numbers for the other system. Raises `OverflowError` beyond all numbers."""
        return (ours - self.offset) / self.factor


_FOREIGN: dict[str, tuple[Line, str]] = {
    "hourangle": (Line(15.0), "deg"),
    "degF": (Line(5 / 9, -160 / 9), "degC"),
    "K": (Line(1.0, -273.15), "degC"),
    "mph": (Line(0.44704), "m/s"),
    "mmHg": (Line(1.33322387415), "hPa"),
    "inHg": (Line(33.8638866667), "hPa"),
    "in/h": (Line(25.4), "mm/h"),
    "mm/min": (Line(60.0), "mm/h"),
}
"""What `pytel.base.units` does not know, and the unit of ours that it leads to."""
TIMES = ("iso", "unix", "unix-ms", "jd", "mjd")
"""How a time is written: ISO 8601 (without a zone: UTC), seconds or milliseconds since 1970, Julian dates of UTC."""


def line_between(theirs: str, ours: str) -> Line:
    """How to convert a number. Raises `InvalidParams` across kinds of units and for unknown ones."""
    line, reached = _FOREIGN.get(theirs, (Line(), theirs))
    try:
        scale = units.convert(1.0, reached, ours)
    except InvalidParams as error:
        if theirs in _FOREIGN:
            raise InvalidParams(f"unit {theirs!r} cannot be converted to {ours!r}") from error
        others = [name for name, (_, target) in _FOREIGN.items() if _fits(target, ours)]
        more = f", or {' or '.join(map(repr, others))}" if others else ""
        raise InvalidParams(f"{error.message}{more}") from error
    return Line(line.factor * scale, line.offset * scale)


def _fits(theirs: str, ours: str) -> bool:
    try:
        units.convert(1.0, theirs, ours)
    except InvalidParams:
        return False
    return True


def time_of(value: float | str, way: str) -> datetime:
    """Read a time that is written in one of `TIMES`. Raises `InvalidParams`."""
    try:
        if way == "iso":
            moment = datetime.fromisoformat(str(value))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidParams(f"{value!r} is no number, as a time in {way!r} should be")
        return datetime.fromtimestamp(_seconds(value, way), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidParams(f"{value!r} is no time in {way!r}") from error


def _seconds(value: float, way: str) -> float:
    if way == "unix-ms":
        return value / 1000.0
    if way == "unix":
        return value
    return (value - (_J1970 if way == "jd" else _J1970 - _MODIFIED)) * _DAY


def time_for(moment: datetime, way: str) -> float | str:
    """Write a time in one of `TIMES`."""
    if way == "iso":
        return moment.astimezone(UTC).isoformat()
    seconds = moment.timestamp()
    if way in ("unix", "unix-ms"):
        return seconds if way == "unix" else seconds * 1000.0
    return seconds / _DAY + (_J1970 if way == "jd" else _J1970 - _MODIFIED)
