"""Units as types: `Seconds` is a float that says so, in code, in JSON Schema and in a site file."""

from __future__ import annotations

import math
import re
import typing
from typing import Annotated, Any

from msgspec import Meta

from pytel.base.errors import InvalidParams


def _unit(symbol: str, **limits: Any) -> Meta:
    return Meta(extra_json_schema={"unit": symbol}, **limits)


Seconds = Annotated[float, _unit("s")]
Duration = Annotated[float, _unit("s", ge=0)]
"""Seconds that cannot be negative."""
Degrees = Annotated[float, _unit("deg")]
Arcsec = Annotated[float, _unit("arcsec")]
ArcsecPerSecond = Annotated[float, _unit("arcsec/s")]
ArcsecPerPixel = Annotated[float, _unit("arcsec/px", gt=0)]
DegreesPerSecond = Annotated[float, _unit("deg/s")]
RightAscension = Annotated[float, _unit("deg", ge=0, lt=360)]
"""ICRS right ascension in degrees."""
Declination = Annotated[float, _unit("deg", ge=-90, le=90)]
"""ICRS declination in degrees."""
Altitude = Annotated[float, _unit("deg", ge=-90, le=90)]
Azimuth = Annotated[float, _unit("deg", ge=0, lt=360)]
"""Degrees from north through east."""
Latitude = Annotated[float, _unit("deg", ge=-90, le=90)]
Longitude = Annotated[float, _unit("deg", ge=-180, le=360)]
"""Degrees, positive to the east."""
Metres = Annotated[float, _unit("m")]
Millimetres = Annotated[float, _unit("mm")]
Micrometres = Annotated[float, _unit("um")]
MillimetresPerKelvin = Annotated[float, _unit("mm/K")]
MillimetresPerHour = Annotated[float, _unit("mm/h", ge=0)]
MetresPerSecond = Annotated[float, _unit("m/s")]
Celsius = Annotated[float, _unit("degC", ge=-273.15)]
Hectopascal = Annotated[float, _unit("hPa", ge=0)]
Percent = Annotated[float, _unit("%", ge=0, le=100)]
Fraction = Annotated[float, _unit("1", ge=0, le=1)]
Magnitude = Annotated[float, _unit("mag")]
MagnitudePerSquareArcsec = Annotated[float, _unit("mag/arcsec2")]
Electrons = Annotated[float, _unit("e-")]
ElectronsPerSecond = Annotated[float, _unit("e-/s")]
ElectronsPerAdu = Annotated[float, _unit("e-/ADU", gt=0)]
Adu = Annotated[float, _unit("ADU")]
Pixels = Annotated[float, _unit("px")]
Bytes = Annotated[int, _unit("byte", ge=0)]

_SCALES: dict[str, dict[str, float]] = {
    "time": {"s": 1, "ms": 1e-3, "min": 60, "h": 3600, "d": 86400},
    "angle": {"deg": 1, "arcmin": 1 / 60, "arcsec": 1 / 3600, "mas": 1 / 3.6e6, "rad": 180 / math.pi},
    "length": {"m": 1, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6},
    "speed": {"m/s": 1, "km/h": 1 / 3.6, "kn": 1852 / 3600},
    "angular speed": {"deg/s": 1, "arcmin/s": 1 / 60, "arcsec/s": 1 / 3600},
    "pressure": {"hPa": 1, "mbar": 1, "Pa": 1e-2, "kPa": 10},
    "size": {"byte": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "ratio": {"1": 1, "%": 1e-2},
    "temperature": {"degC": 1, "°C": 1, "C": 1},
    "rate of rain": {"mm/h": 1},
    "expansion": {"mm/K": 1, "um/K": 1e-3, "µm/K": 1e-3},
    "brightness": {"mag": 1},
    "surface brightness": {"mag/arcsec2": 1},
    "charge": {"e-": 1},
    "current": {"e-/s": 1},
    "gain": {"e-/ADU": 1},
    "counts": {"ADU": 1},
    "pixels": {"px": 1},
    "pixel scale": {"arcsec/px": 1},
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S+)\s*")


def unit_of(annotation: Any) -> str | None:
    """Find the unit that a type such as `Seconds` or `Seconds | None` carries."""
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.extra_json_schema and "unit" in meta.extra_json_schema:
            return str(meta.extra_json_schema["unit"])
    for argument in typing.get_args(annotation):
        if found := unit_of(argument):
            return found
    return None


def parse_quantity(text: str, unit: str) -> float:
    """Turn `"30 arcsec"` into a number in `unit`.

    Raises `InvalidParams` for something that is no quantity or has a unit of another kind.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InvalidParams(f"{text!r} is not a number with a unit, such as '30 {unit}'")
    return convert(float(match[1]), match[2], unit)


def convert(value: float, given: str, wanted: str) -> float:
    """Convert between units of one kind. Raises `InvalidParams` across kinds and for unknown units."""
    if given == wanted:
        return value
    for scales in _SCALES.values():
        if wanted in scales:
            if given not in scales:
                raise InvalidParams(f"unit {given!r} does not fit: {' or '.join(map(repr, scales))} is expected")
            return value * scales[given] / scales[wanted]
    raise InvalidParams(f"{given!r} cannot be converted to {wanted!r}")
