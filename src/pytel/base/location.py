"""Where on Earth an observatory stands."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec

from pytel.base.units import Latitude, Longitude, Metres

_DAY = 86400.0


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Geodetic position (WGS84)."""

    latitude: Latitude
    longitude: Longitude
    elevation: Metres = 0.0

    @property
    def mean_noon(self) -> float:
        """Seconds from 0h UTC to local mean noon, where one night ends and the next begins."""
        east = (self.longitude + 180.0) % 360.0 - 180.0
        return _DAY / 2 - east / 360.0 * _DAY

    def evening_of(self, when: float) -> date:
        """The local date of the evening of the night that an instant (Unix seconds) belongs to."""
        return datetime.fromtimestamp((when - self.mean_noon) // _DAY * _DAY, UTC).date()
