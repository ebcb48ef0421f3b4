"""The header cards of an image: standard keywords with their comments, checked before they reach a file.

Names are those of the FITS standard 4.0, of SBFITSEXT (MaxIm DL, ASCOM) and of common practice, in this order.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pytel.base.errors import InvalidParams
from pytel.base.location import Location
from pytel.base.units import Celsius, Declination, Degrees, Duration, Micrometres, RightAscension

CardValue = str | int | float | bool | None


class HeaderCard(NamedTuple):
    """Value and comment of one header keyword; `None` is written as an undefined value (FITS 4.0, 4.1.2.3)."""

    value: CardValue
    comment: str = ""


COMMENTS: Mapping[str, str] = {
    "DATE": "time of writing (UTC)",
    "DATE-OBS": "start of exposure (UTC)",
    "DATE-BEG": "start of exposure (UTC)",
    "DATE-AVG": "middle of exposure (UTC)",
    "DATE-END": "end of exposure (UTC)",
    "MJD-OBS": "[d] start of exposure",
    "MJD-BEG": "[d] start of exposure",
    "MJD-AVG": "[d] middle of exposure",
    "MJD-END": "[d] end of exposure",
    "TIMESYS": "time scale",
    "EXPTIME": "[s] exposure time",
    "XPOSURE": "[s] exposure time",
    "TELAPSE": "[s] from start to end of exposure",
    "IMAGETYP": "what the frame is for",
    "OBJECT": "target",
    "OBSERVER": "who asked for it",
    "ORIGIN": "who made this file",
    "INSTRUME": "camera",
    "TELESCOP": "telescope",
    "OBSERVAT": "observatory",
    "FILTER": "filter",
    "FOCUSPOS": "focuser position",
    "FOCUSTEM": "[Celsius] temperature at the focuser",
    "GAIN": "[electron/adu] gain",
    "RDNOISE": "[electron] read noise",
    "SATURATE": "[adu] pixels at and above are saturated",
    "BUNIT": "unit of the pixels",
    "CCD-TEMP": "[Celsius] detector at start of exposure",
    "SET-TEMP": "[Celsius] detector, as asked for",
    "XBINNING": "columns to a pixel",
    "YBINNING": "rows to a pixel",
    "XORGSUBF": "[pix] first column, binned, from 0",
    "YORGSUBF": "[pix] first row, binned, from 0",
    "XPIXSZ": "[um] width of a pixel, binned",
    "YPIXSZ": "[um] height of a pixel, binned",
    "FOCALLEN": "[mm] focal length",
    "APTDIA": "[mm] aperture",
    "SITELAT": "[deg] latitude, WGS84",
    "SITELONG": "[deg] longitude, east is positive, WGS84",
    "SITEELEV": "[m] elevation",
    "OBSGEO-X": "[m] geocentric position of the observatory",
    "OBSGEO-Y": "[m] geocentric position of the observatory",
    "OBSGEO-Z": "[m] geocentric position of the observatory",
    "RA": "[deg] right ascension of the telescope, ICRS",
    "DEC": "[deg] declination of the telescope, ICRS",
    "OBJCTRA": "[h m s] right ascension of the telescope",
    "OBJCTDEC": "[d m s] declination of the telescope",
    "OBJCTALT": "[deg] altitude",
    "OBJCTAZ": "[deg] azimuth, from north through east",
    "AIRMASS": "airmass at start of exposure",
    "RADESYS": "reference system",
    "EQUINOX": "[a] equinox",
    "WCSAXES": "number of axes",
    "WCSNAME": "where these coordinates come from",
    "CTYPE1": "gnomonic projection",
    "CTYPE2": "gnomonic projection",
    "CUNIT1": "unit of CRVAL1",
    "CUNIT2": "unit of CRVAL2",
    "CRVAL1": "[deg] right ascension at the reference pixel",
    "CRVAL2": "[deg] declination at the reference pixel",
    "CRPIX1": "[pix] reference column, the first is 1",
    "CRPIX2": "[pix] reference row, the first is 1",
    "CD1_1": "[deg/pix]",
    "CD1_2": "[deg/pix]",
    "CD2_1": "[deg/pix]",
    "CD2_2": "[deg/pix]",
}

_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_PRINTABLE = re.compile(r"[ -~]*")
# What describes the form of the file itself, or of the table that a compressed image is kept in.
_STRUCTURAL = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|PCOUNT|GCOUNT|GROUPS|BZERO|BSCALE|BLANK|THEAP|TFIELDS|EXTNAME|INHERIT"
    r"|CHECKSUM|DATASUM|END|COMMENT|HISTORY|CONTINUE|LONGSTRN|FZ.*|(TTYPE|TFORM|TUNIT|TDIM|TNULL|TSCAL|TZERO|TDISP)\d+"
    r"|Z(IMAGE|TENSION|BITPIX|NAXIS|TILE|NAME|VAL|CMPTYPE|MASKCMP|QUANTIZ|DITHER|BLANK|SIMPLE|EXTEND|PCOUNT|GCOUNT"
    r"|HECKSUM|DATASUM|BLOCKED|SCALE|ZERO|TABLE|CTYP)\d*"
)
_LARGEST_INTEGER = 2**63 - 1
_LONGEST_TEXT = 512


def card(keyword: str, value: CardValue) -> HeaderCard:
    """Make a card with the standard comment of its keyword."""
    return HeaderCard(value, COMMENTS.get(keyword, ""))


def cards(values: Mapping[str, CardValue]) -> dict[str, HeaderCard]:
    """Make cards with the standard comments of their keywords; those without a value are left out."""
    return {keyword: card(keyword, value) for keyword, value in values.items() if value is not None}


def validate_card(keyword: str, given: HeaderCard) -> HeaderCard:
    """Check a card against the FITS standard; a number that is not finite becomes an undefined value.

    Raises `InvalidParams` for a bad or structural keyword, for text that is not printable ASCII or longer than
    512 characters, and for integers beyond 64 bits.
    """
    _validate_keyword(keyword)
    value, comment = given
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    if not (value is None or isinstance(value, str | int | float)):
        raise InvalidParams(f"header {keyword}: {type(value).__name__} is no header value; give text or a number")
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise InvalidParams(f"header {keyword}: {value:.3e} is beyond 64 bits")
    for text in (value, comment):
        if isinstance(text, str) and not (_PRINTABLE.fullmatch(text) and len(text) <= _LONGEST_TEXT):
            raise InvalidParams(f"header {keyword}: {text[:40]!r} is not printable ASCII of at most 512 characters")
    return HeaderCard(value, comment)


def _validate_keyword(keyword: str) -> None:
    if not _KEYWORD.fullmatch(keyword):
        raise InvalidParams(f"{keyword[:40]!r} is no header keyword: 1 to 8 of A-Z, 0-9, '-' and '_'")
    if _STRUCTURAL.fullmatch(keyword):
        raise InvalidParams(f"header {keyword} describes the file itself and cannot be given")


def clean_cards(given: Mapping[str, HeaderCard]) -> tuple[dict[str, HeaderCard], list[str]]:
    """Make what other modules offer fit for a file, so that no provider can spoil an image.

    Text is brought to printable ASCII (`ζ Öri` becomes `? Ori`) and cut at 512 characters; cards that are still
    invalid are dropped. Returns the good cards and one sentence for each that was dropped.
    """
    good: dict[str, HeaderCard] = {}
    dropped: list[str] = []
    for keyword, (value, comment) in given.items():
        text = ascii_text(value)[:_LONGEST_TEXT] if isinstance(value, str) else value
        try:
            good[keyword] = validate_card(keyword, HeaderCard(text, ascii_text(comment)[:_LONGEST_TEXT]))
        except InvalidParams as error:
            dropped.append(error.message)
    return good, dropped


def ascii_text(text: str) -> str:
    """Write text in printable ASCII: accents go, what has no ASCII form becomes `?`, control characters spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else " " if ord(c) < 32 or ord(c) == 127 else "?" for c in bare)


def utc_text(when: datetime) -> str:
    """Write a time as FITS has it: ISO 8601 in UTC with milliseconds and without zone."""
    return _to_millisecond(when).isoformat(timespec="milliseconds")


def _to_millisecond(when: datetime) -> datetime:
    """Round to milliseconds, in UTC and without zone."""
    utc = when.astimezone(UTC).replace(tzinfo=None) + timedelta(microseconds=500)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def modified_julian_date(when: datetime) -> float:
    """Modified Julian date in UTC days, rounded to 1e-9 d (0.1 ms)."""
    return round(40587 + when.timestamp() / 86400, 9)


def exposure_cards(
    *,
    frame_type: str,
    start: datetime,
    end: datetime,
    exposure_time: Duration,
    object_name: str | None = None,
    observer: str | None = None,
) -> dict[str, HeaderCard]:
    """When an exposure was made and of what (FITS 4.0, 9.5). `start` and `end` (aware) are those of the shutter."""
    middle = start + (end - start) / 2
    elapsed = round((end - start).total_seconds(), 6)
    return cards(
        {
            "IMAGETYP": frame_type,
            "OBJECT": object_name,
            "OBSERVER": observer,
            "TIMESYS": "UTC",
            "DATE-OBS": utc_text(start),
            "DATE-BEG": utc_text(start),
            "DATE-AVG": utc_text(middle),
            "DATE-END": utc_text(end),
            "MJD-OBS": modified_julian_date(start),
            "MJD-BEG": modified_julian_date(start),
            "MJD-AVG": modified_julian_date(middle),
            "MJD-END": modified_julian_date(end),
            "EXPTIME": float(exposure_time),
            "XPOSURE": float(exposure_time),
            "TELAPSE": elapsed,
        }
    )


def detector_cards(
    *,
    camera: str,
    gain: float | None = None,
    read_noise: float | None = None,
    saturation: int | None = None,
    temperature: Celsius | None = None,
    set_temperature: Celsius | None = None,
    binning: tuple[int, int] = (1, 1),
    window_origin: tuple[int, int] = (0, 0),
    pixel_size: Micrometres | None = None,
) -> dict[str, HeaderCard]:
    """The detector and how it was read. `window_origin` counts unbinned pixels from 0."""
    return cards(
        {
            "INSTRUME": camera,
            "BUNIT": "adu",
            "GAIN": gain,
            "RDNOISE": read_noise,
            "SATURATE": saturation,
            "CCD-TEMP": None if temperature is None else round(temperature, 3),
            "SET-TEMP": set_temperature,
            "XBINNING": binning[0],
            "YBINNING": binning[1],
            "XORGSUBF": window_origin[0] // binning[0],
            "YORGSUBF": window_origin[1] // binning[1],
            "XPIXSZ": None if pixel_size is None else pixel_size * binning[0],
            "YPIXSZ": None if pixel_size is None else pixel_size * binning[1],
        }
    )


def site_cards(observatory: str, location: Location) -> dict[str, HeaderCard]:
    """Where the telescope stands, as geodetic (SBFITSEXT) and geocentric position (FITS 4.0, 8.4.1)."""
    x, y, z = geocentric(location)
    return cards(
        {
            "OBSERVAT": observatory,
            "SITELAT": location.latitude,
            "SITELONG": location.longitude,
            "SITEELEV": location.elevation,
            "OBSGEO-X": round(x, 3),
            "OBSGEO-Y": round(y, 3),
            "OBSGEO-Z": round(z, 3),
        }
    )


def pointing_cards(
    *,
    telescope: str,
    ra: RightAscension,
    dec: Declination,
    altitude: Degrees | None = None,
    azimuth: Degrees | None = None,
    airmass: float | None = None,
) -> dict[str, HeaderCard]:
    """Where the telescope points (ICRS)."""
    return cards(
        {
            "TELESCOP": telescope,
            "RA": round(ra, 7),
            "DEC": round(dec, 7),
            "OBJCTRA": sexagesimal(ra / 15 % 24, decimals=2, wrap=24),
            "OBJCTDEC": sexagesimal(dec, decimals=1, signed=True),
            "OBJCTALT": None if altitude is None else round(altitude, 5),
            "OBJCTAZ": None if azimuth is None else round(azimuth, 5),
            "AIRMASS": None if airmass is None else round(airmass, 5),
        }
    )


def sexagesimal(value: float, *, decimals: int, signed: bool = False, wrap: int | None = None) -> str:
    """Write hours or degrees as `12 34 56.78`; rounding carries over, so that no `60` appears."""
    unit = 10**decimals
    ticks = round(abs(value) * 3600 * unit)
    if wrap is not None:
        ticks %= wrap * 3600 * unit
    seconds, fraction = divmod(ticks, unit)
    sign = ("-" if value < 0 and ticks else "+") if signed else ""
    return f"{sign}{seconds // 3600:02d} {seconds // 60 % 60:02d} {seconds % 60:02d}.{fraction:0{decimals}d}"


def geocentric(location: Location) -> tuple[float, float, float]:
    """Geocentric position (ITRF) in metres of a geodetic one on WGS84."""
    equatorial, flattening = 6378137.0, 1 / 298.257223563
    latitude, longitude = math.radians(location.latitude), math.radians(location.longitude)
    eccentricity2 = flattening * (2 - flattening)
    normal = equatorial / math.sqrt(1 - eccentricity2 * math.sin(latitude) ** 2)
    across = (normal + location.elevation) * math.cos(latitude)
    along = (normal * (1 - eccentricity2) + location.elevation) * math.sin(latitude)
    return across * math.cos(longitude), across * math.sin(longitude), along
