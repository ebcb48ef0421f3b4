"""How good a frame is, in numbers and as header cards: sharpness, sky, depth, transparency."""

from __future__ import annotations

from dataclasses import dataclass

from pytel.base.units import Arcsec, ArcsecPerPixel, Magnitude
from pytel.imaging.headers import CardValue, HeaderCard
from pytel.imaging.sources import Quality


@dataclass(frozen=True)
class FrameQuality:
    """What a reduced frame tells of the night; None is what could not be measured."""

    stars: int = 0
    fwhm: Arcsec | None = None
    hfd: float | None = None
    """Pixels."""
    ellipticity: float | None = None
    background: float = 0.0
    """Electrons per pixel."""
    noise: float = 0.0
    gradient: float = 0.0
    """Range of the background over the field, by its level."""
    sky: Magnitude | None = None
    """Of a square arcsecond."""
    zero_point: Magnitude | None = None
    """The magnitude that gives an electron per second in this frame."""
    zero_point_error: Magnitude | None = None
    zero_point_stars: int = 0
    above_atmosphere: Magnitude | None = None
    """The zero point without the extinction of a clear sky."""
    extinction: Magnitude | None = None
    """Of a clear sky, per airmass, as it was taken."""
    transparency: float | None = None
    """Starlight as a share of that of a clear night."""
    limiting_magnitude: Magnitude | None = None
    """At 5 sigma."""
    cosmics: int = 0
    """Pixels hit by cosmic rays."""


_CARDS = {
    "stars": ("NSTARS", "sources in the catalogue"),
    "fwhm": ("FWHM", "[arcsec] of stars, median"),
    "hfd": ("HFD", "[pix] half flux diameter of stars, median"),
    "ellipticity": ("ELLIP", "ellipticity of stars, median"),
    "background": ("BACKGRND", "[electron] background of a pixel"),
    "noise": ("BACKNOIS", "[electron] noise of a pixel of the background"),
    "gradient": ("BACKGRAD", "range of the background by its level"),
    "sky": ("SKYMAG", "[mag/arcsec2] brightness of the sky"),
    "zero_point": ("MAGZP", "[mag] of 1 electron/s in this frame"),
    "zero_point_error": ("MAGZPERR", "[mag] error of MAGZP"),
    "zero_point_stars": ("MAGZPN", "stars of the catalogue used for MAGZP"),
    "above_atmosphere": ("MAGZP0", "[mag] MAGZP above the atmosphere"),
    "extinction": ("EXTCOEF", "[mag] extinction per airmass, as assumed"),
    "transparency": ("TRANSPAR", "starlight as a share of a clear night's"),
    "limiting_magnitude": ("MAGLIM", "[mag] limit for point sources, 5 sigma"),
    "cosmics": ("NCOSMIC", "pixels hit by cosmic rays"),
}


def quality_cards(quality: FrameQuality) -> dict[str, HeaderCard]:
    """The cards of what could be measured."""
    found: dict[str, HeaderCard] = {}
    for name, (keyword, comment) in _CARDS.items():
        value: CardValue = getattr(quality, name)
        if value is not None:
            found[keyword] = HeaderCard(round(value, 5) if isinstance(value, float) else value, comment)
    return found


def sharpness(quality: Quality, scale: ArcsecPerPixel | None) -> tuple[Arcsec | None, float]:
    """FWHM in arcsec, where the scale is known, and HFD in pixels."""
    return None if scale is None else quality.fwhm * scale, quality.hfd
