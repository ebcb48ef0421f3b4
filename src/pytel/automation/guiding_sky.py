"""Small angles on the sky, and how a frame's pixels lie on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pytel.base.units import Arcsec, ArcsecPerPixel, Degrees, Pixels

HeaderValue = str | int | float | bool | None


class Shift(NamedTuple):
    """An angle on the sky: along right ascension (times cos(dec), positive to the east) and declination."""

    ra: Arcsec
    dec: Arcsec

    def plus(self, other: Shift) -> Shift:
        """The sum of both."""
        return Shift(self.ra + other.ra, self.dec + other.dec)

    def minus(self, other: Shift) -> Shift:
        """What leads from the other to this."""
        return Shift(self.ra - other.ra, self.dec - other.dec)

    def times(self, factor: float) -> Shift:
        """This many times as far."""
        return Shift(self.ra * factor, self.dec * factor)

    @property
    def length(self) -> Arcsec:
        """How far it is."""
        return math.hypot(self.ra, self.dec)

    def along(self, other: Shift) -> float:
        """Cosine of the angle between both, 0 where one is nothing."""
        size = self.length * other.length
        return (self.ra * other.ra + self.dec * other.dec) / size if size else 0.0


NOWHERE = Shift(0.0, 0.0)


class Orientation(NamedTuple):
    """How far one goes on the sky with each pixel: arcsec east and north along columns (x) and rows (y)."""

    east_x: ArcsecPerPixel
    east_y: ArcsecPerPixel
    north_x: ArcsecPerPixel
    north_y: ArcsecPerPixel

    @property
    def scale(self) -> ArcsecPerPixel:
        """Arcseconds per pixel."""
        return math.sqrt(abs(self.east_x * self.north_y - self.east_y * self.north_x))

    def sky(self, dx: Pixels, dy: Pixels) -> Shift:
        """The angle on the sky of a way in pixels."""
        return Shift(self.east_x * dx + self.east_y * dy, self.north_x * dx + self.north_y * dy)

    def turned_from(self, other: Orientation) -> Degrees:
        """By how much two orientations differ, 0 to 180; 180 where one is mirrored."""
        mine = self.east_x * self.north_y - self.east_y * self.north_x
        others = other.east_x * other.north_y - other.east_y * other.north_x
        if mine * others <= 0:
            return 180.0
        turned = math.degrees(math.atan2(self.east_y, self.north_y) - math.atan2(other.east_y, other.north_y))
        return abs((turned + 180.0) % 360.0 - 180.0)


def oriented(scale: ArcsecPerPixel, position_angle: Degrees, flipped: bool) -> Orientation:
    """The orientation of a frame whose rows grow towards `position_angle` (from north through east).

    `flipped`: with north up, east is right.
    """
    angle = math.radians(position_angle)
    along_x = scale if flipped else -scale
    return Orientation(
        along_x * math.cos(angle), scale * math.sin(angle), -along_x * math.sin(angle), scale * math.cos(angle)
    )


def header_orientation(header: Mapping[str, HeaderValue]) -> Orientation | None:
    """The orientation that the CD matrix of a header tells (FITS 4.0, 8.1), None without a usable one."""
    matrix = [header.get(keyword) for keyword in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")]
    numbers = [float(value) * 3600 for value in matrix if isinstance(value, int | float)]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        return None
    found = Orientation(*numbers)
    return found if found.scale > 1e-3 else None
