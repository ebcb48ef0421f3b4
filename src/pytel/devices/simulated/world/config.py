"""What the simulated hardware is like: sizes, speeds, noise, optics, weather; `WorldConfig()` is a good default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from pytel.base.units import (
    Altitude,
    Arcsec,
    Azimuth,
    Celsius,
    Degrees,
    DegreesPerSecond,
    Duration,
    Electrons,
    Fraction,
    Magnitude,
    Millimetres,
)


def _positive(unit: str) -> Any:
    return Meta(gt=0, extra_json_schema={"unit": unit})


PositiveSeconds = Annotated[float, _positive("s")]
PositiveMillimetres = Annotated[float, _positive("mm")]
Pixels = Annotated[int, Meta(gt=0, le=16384, extra_json_schema={"unit": "px"})]
Micrometre = Annotated[float, _positive("um")]


class TelescopeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An equatorial mount and its tube."""

    focal_length: PositiveMillimetres = 1056.0
    aperture: PositiveMillimetres = 300.0
    slew_rate: Annotated[DegreesPerSecond, Meta(gt=0)] = 4.0
    acceleration: Annotated[float, _positive("deg/s2")] = 2.0
    settle_time: Duration = 2.0
    pointing_error: Annotated[Arcsec, Meta(ge=0)] = 15.0
    """Rms over the sky of the smooth, repeatable error of the pointing."""
    pointing_scatter: Annotated[Arcsec, Meta(ge=0)] = 2.0
    """Rms of what differs from slew to slew."""
    periodic_error: Annotated[Arcsec, Meta(ge=0)] = 1.0
    """Amplitude of the worm's error in right ascension."""
    worm_period: PositiveSeconds = 480.0
    drift: Annotated[Arcsec, Meta(ge=0)] = 3.0
    """Arcseconds per hour since the last slew."""
    minimum_altitude: Altitude = 10.0
    park_altitude: Altitude = 30.0
    park_azimuth: Azimuth = 0.0


class CameraConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cooled CCD with a shutter."""

    width: Pixels = 2048
    height: Pixels = 2048
    pixel_size: Micrometre = 9.0
    rotation: Degrees = 0.0
    """Position angle of the detector, as CROTA2 of FITS; 0 is north up."""
    flip: bool = False
    """East is left when false."""
    gain: Annotated[float, _positive("e-/ADU")] = 1.5
    read_noise: Annotated[Electrons, Meta(ge=0)] = 6.0
    bias: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "ADU"})] = 500.0
    full_well: Annotated[Electrons, Meta(gt=0)] = 100_000.0
    saturation: Annotated[int, Meta(gt=0, le=65535, extra_json_schema={"unit": "ADU"})] = 65535
    dark_current: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "e-/s"})] = 1.0
    """Of an ordinary pixel at 20 °C."""
    dark_doubling: Annotated[float, _positive("degC")] = 6.0
    """The dark current doubles with every so many degrees."""
    readout_time: Duration = 3.0
    """Of a whole frame without binning."""
    shutter: bool = True
    cooling_depth: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "degC"})] = 45.0
    """How far below the air's temperature the cooler reaches."""
    cooling_time: PositiveSeconds = 90.0
    """Time constant of the cooling."""
    vignetting: Fraction = 0.12
    """Light lost in the corners of the field."""
    pixel_response: Fraction = 0.006
    """Rms of the sensitivity from pixel to pixel."""
    bad_columns: Annotated[int, Meta(ge=0)] = 3
    hot_pixels: Annotated[int, Meta(ge=0)] = 400
    cosmic_rays: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "1/s"})] = 0.08
    """Hits on the whole detector per second."""


class FocuserConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A focuser on a tube that shrinks in the cold."""

    travel: PositiveMillimetres = 50.0
    best_focus: Millimetres = 25.0
    """At 10 °C, without a filter's offset."""
    temperature_coefficient: Annotated[float, Meta(extra_json_schema={"unit": "mm/K"})] = -0.02
    initial: Millimetres = 24.9
    speed: Annotated[float, _positive("mm/s")] = 1.0
    backlash: Annotated[Millimetres, Meta(ge=0)] = 0.0
    """Lost when the direction turns: the optics stay behind the reported position."""


class FilterConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter in its place of the wheel."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    zero_point: Magnitude
    """The magnitude that gives one electron per second above the atmosphere."""
    extinction: Annotated[Magnitude, Meta(ge=0)] = 0.15
    """Of a clear sky, per airmass."""
    focus_offset: Millimetres = 0.0


DEFAULT_FILTERS = (
    FilterConfig(name="Clear", zero_point=22.3, extinction=0.15, focus_offset=0.0),
    FilterConfig(name="B", zero_point=20.9, extinction=0.25, focus_offset=0.03),
    FilterConfig(name="V", zero_point=21.2, extinction=0.15, focus_offset=0.02),
    FilterConfig(name="R", zero_point=21.3, extinction=0.10, focus_offset=0.01),
    FilterConfig(name="I", zero_point=20.7, extinction=0.06, focus_offset=-0.01),
)


class FilterWheelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wheel that turns from slot to slot."""

    filters: Annotated[tuple[FilterConfig, ...], Meta(min_length=1, max_length=32)] = DEFAULT_FILTERS
    move_time: Duration = 1.0
    """From one slot to the next."""


class RoofConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A roll-off roof."""

    open_time: PositiveSeconds = 30.0
    """From shut to open, and back."""


class CoverConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cover of the tube with a light panel."""

    present: bool = False
    move_time: PositiveSeconds = 5.0
    brightness: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "e-/s"})] = 5000.0
    """Per pixel at full level, in the filter with the highest throughput."""


class WeatherConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The course of the weather; it follows from the seed."""

    mode: Literal["course", "clear"] = "course"
    """`clear` keeps clouds, rain and storm away."""
    seeing: Annotated[Arcsec, Meta(gt=0)] = 1.6
    """Median at the zenith."""
    temperature: Celsius = 11.0
    """Mean of the year."""
    report_interval: PositiveSeconds = 1.0
    """How often the station takes a reading."""


class WorldConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the simulated hardware."""

    telescope: TelescopeConfig = field(default_factory=TelescopeConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    focuser: FocuserConfig = field(default_factory=FocuserConfig)
    filters: FilterWheelConfig = field(default_factory=FilterWheelConfig)
    roof: RoofConfig = field(default_factory=RoofConfig)
    cover: CoverConfig = field(default_factory=CoverConfig)
    weather: WeatherConfig = field(default_factory=WeatherConfig)
    pixels: Literal["full", "stamp"] = "full"
    """`stamp` makes frames of 64 x 64 pixels with a single star, for hundreds of nights without rendering."""
    star_limit: Magnitude = 16.0

    @property
    def pixel_scale(self) -> float:
        """Arcseconds per pixel."""
        return 206.264806 * self.camera.pixel_size / self.telescope.focal_length
