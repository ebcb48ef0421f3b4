"""Right ascension and declination as people write them."""

from __future__ import annotations

import math
import re

from pytel.base.errors import InvalidParams

_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[-+−]?)\s*(?P<whole>\d{1,3})\s*(?:[:hd°\s])
        \s*(?P<minutes>\d{1,2}(?:\.\d*)?)\s*(?:[:m'′\s]\s*
        (?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*(?:s|"|″|'')?)?)?""",
    re.VERBOSE,
)
_DECIMAL = re.compile(r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def format_ra(degrees: float, decimals: int = 2) -> str:
    """Write a right ascension in degrees as `HH:MM:SS.ss`, from 00:00:00 to below 24:00:00."""
    units = round((degrees % 360.0) / 15.0 * 3600 * 10**decimals) % (86400 * 10**decimals)
    return _sexagesimal(units, decimals)


def format_dec(degrees: float, decimals: int = 1) -> str:
    """Write a declination (or another angle) in degrees as `+DD:MM:SS.s`, always with its sign."""
    units = round(abs(degrees) * 3600 * 10**decimals)
    sign = "-" if degrees < 0 and units else "+"
    return sign + _sexagesimal(units, decimals)


def _sexagesimal(units: int, decimals: int) -> str:
    seconds, fraction = divmod(units, 10**decimals)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:0{decimals}d}" if decimals else text


def parse_ra(text: str | float) -> float:
    """Read a right ascension: a number in degrees, or hours as `12:34:56.7`, `12 34 56.7` or `12h34m56.7s`.

    Returns degrees, 0 <= ra < 360 (24:00:00 and 360 are 0). Raises `InvalidParams`.
    """
    value = _parse(text, "right ascension", hours=True)
    if not 0 <= value <= 360:
        raise InvalidParams(f"right ascension {text!r} is outside 0 to 360 degrees (0 to 24 hours)")
    return value % 360.0


def parse_dec(text: str | float) -> float:
    """Read a declination: a number in degrees, or `-12:34:56.7`, `-12 34 56.7` or `-12d34m56.7s`.

    The sign counts even where the degrees are zero: `-0:16`.

    Returns degrees. Raises `InvalidParams`.
    """
    value = _parse(text, "declination", hours=False)
    if not -90 <= value <= 90:
        raise InvalidParams(f"declination {text!r} is outside -90 to 90 degrees")
    return value


def _parse(text: str | float, what: str, *, hours: bool) -> float:
    if not isinstance(text, str):
        value = float(text)
    elif _DECIMAL.fullmatch(text.strip()):
        value = float(text.strip().replace("−", "-"))
    else:
        value = _parse_sexagesimal(text, what, hours=hours)
    if not math.isfinite(value):
        raise InvalidParams(f"{what} {text!r} is not a finite number")
    return value


def _parse_sexagesimal(text: str, what: str, *, hours: bool) -> float:
    form = "12:34:56.7" if hours else "-12:34:56.7"
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if match is None or (not hours and "h" in text) or (hours and re.search("[d°]", text)):
        raise InvalidParams(f"{what} {text!r} is neither degrees nor of the form {form}")
    minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise InvalidParams(f"{what} {text!r} has 60 or more minutes or seconds")
    if match["seconds"] is not None and "." in match["minutes"]:
        raise InvalidParams(f"{what} {text!r} has a fraction before its last part")
    value = int(match["whole"]) + minutes / 60 + seconds / 3600
    return (-value if match["sign"] in ("-", "−") else value) * (15.0 if hours else 1.0)
