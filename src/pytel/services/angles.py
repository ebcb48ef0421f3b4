"""How far a mount has to turn, without numpy: every telescope process needs it at once."""

from __future__ import annotations

import math

from pytel.base.units import Degrees

FARTHEST: Degrees = 180.0


def axis_distance(longitude1: float | None, latitude1: float | None, longitude2: float, latitude2: float) -> Degrees:
    """How far the axis with the longer way turns."""
    if longitude1 is None or latitude1 is None:
        return FARTHEST
    around = abs((longitude2 - longitude1 + 180.0) % 360.0 - 180.0)
    return max(around, abs(latitude2 - latitude1))


def apart(longitude1: float, latitude1: float, longitude2: float, latitude2: float) -> Degrees:
    """Angle between two directions (haversine formula), degrees."""
    first, second = math.radians(latitude1), math.radians(latitude2)
    across = math.sin(math.radians(longitude2 - longitude1) / 2) ** 2
    half = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * across
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))
