"""Where on Earth an observatory stands."""

from __future__ import annotations

import msgspec

from pytel.base.units import Latitude, Longitude, Metres


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Geodetic position (WGS84)."""

    latitude: Latitude
    longitude: Longitude
    elevation: Metres = 0.0
