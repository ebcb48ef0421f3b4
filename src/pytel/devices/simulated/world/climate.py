"""The weather above and around the observatory, for any instant: believable, and the same for the same seed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

from pytel.base.ids import derived_seed
from pytel.base.location import Location
from pytel.devices.simulated.world.config import WeatherConfig
from pytel.devices.simulated.world.noise import Chain, smooth

HOUR = 3600.0
DAY = 86400.0
_STEP = 600.0
_COVER = (0.02, 0.35, 0.65, 0.98)  # of the sky: clear, thin, broken, overcast
_EXTINCTION = (0.01, 0.4, 1.2, 5.0)  # magnitudes
_DWELL = (24 * HOUR, 2.5 * HOUR, 3 * HOUR, 7 * HOUR)
_FOLLOWING = ((0.0, 0.7, 0.2, 0.1), (0.6, 0.0, 0.3, 0.1), (0.3, 0.3, 0.0, 0.4), (0.1, 0.3, 0.6, 0.0))

FORCED: dict[str, dict[str, float]] = {
    "rain": {"rain_rate": 5.0, "humidity": 97.0, "cloud_cover": 1.0, "cloud_extinction": 6.0},
    "wind": {"wind_speed": 22.0, "wind_gust": 30.0},
    "clouds": {"cloud_cover": 1.0, "cloud_extinction": 6.0},
    "humidity": {"humidity": 97.0},
}
"""Bad weather that can be forced, by name."""


def _nothing(when: float) -> Mapping[str, float]:
    return {}


class Climate:
    """The course of the weather; each method takes a site time."""

    def __init__(self, config: WeatherConfig, location: Location, seed: int) -> None:
        self.config = config
        self.location = location
        self.seed = derived_seed(seed, "weather")
        self.clear = config.mode == "clear"
        self.chain = Chain(self.seed, _DWELL, _FOLLOWING, _STEP)
        self.forced: Callable[[float], Mapping[str, float]] = _nothing
        """What is forced upon the course at a time, by quantity."""
        # One reading of the weather station asks for the same few courses over and over.
        self._air, self._vapour, self._cover, self._wet = (
            functools.lru_cache(maxsize=16)(course)
            for course in (self._temperature, self._humidity, self._cloud_cover, self._rain_rate)
        )

    def temperature(self, when: float) -> float:
        """Of the air, °C."""
        return self._forced("temperature", when, self._air)

    def humidity(self, when: float) -> float:
        """Relative, %."""
        return self._forced("humidity", when, self._vapour)

    def dew_point(self, when: float) -> float:
        """In °C, by the formula of Magnus."""
        temperature = self.temperature(when)
        gamma = math.log(max(1.0, self.humidity(when)) / 100) + 17.62 * temperature / (243.12 + temperature)
        return 243.12 * gamma / (17.62 - gamma)

    def pressure(self, when: float) -> float:
        """At the site's height, hPa."""
        sea_level = 1015.0 + 6.0 * self._noise("pressure", when, 2 * DAY)
        return sea_level * math.exp(-self.location.elevation / 8400.0)

    def wind_speed(self, when: float) -> float:
        """Mean wind, m/s."""
        return self._forced("wind_speed", when, self._wind_speed)

    def wind_gust(self, when: float) -> float:
        """Strongest wind of the last minutes, m/s."""
        return self._forced("wind_gust", when, self._wind_gust)

    def wind_direction(self, when: float) -> float:
        """Where it comes from, degrees from north through east."""
        return (250.0 + 60.0 * self._noise("direction", when, 8 * HOUR) + 8.0 * self._noise("veer", when, 120.0)) % 360

    def rain_rate(self, when: float) -> float:
        """In mm/h."""
        return self._forced("rain_rate", when, self._wet)

    def cloud_cover(self, when: float) -> float:
        """Part of the sky under cloud, 0 to 1."""
        return self._forced("cloud_cover", when, self._cover)

    def cloud_extinction(self, when: float) -> float:
        """Light that clouds take, magnitudes."""
        return self._forced("cloud_extinction", when, self._cloud_extinction)

    def sky_temperature(self, when: float) -> float:
        """Of the sky as an infrared sensor sees it, °C: far below the air's when clear."""
        below = 32.0 - 26.0 * self.cloud_cover(when) - 0.05 * self.humidity(when)
        return self.temperature(when) - below + 0.5 * self._noise("infrared", when, 600.0)

    def seeing(self, when: float) -> float:
        """At the zenith, arcsec; log-normal, worse in strong wind."""
        calm = self.config.seeing * math.exp(0.22 * self._noise("seeing", when, HOUR))
        return calm * (1 + 0.3 * (max(self.wind_speed(when) - 10, 0) / 10) ** 2)

    def _forced(self, quantity: str, when: float, otherwise: Callable[[float], float]) -> float:
        forced = self.forced(when).get(quantity)
        return otherwise(when) if forced is None else float(forced)

    def _noise(self, name: str, when: float, period: float) -> float:
        return smooth(self.seed, name, when, period)

    def _day(self, when: float) -> float:
        """1 in mid-afternoon, -1 before dawn."""
        return math.cos(2 * math.pi * ((when / HOUR + self.location.longitude / 15) % 24 - 15) / 24)

    def _season(self, when: float) -> float:
        """1 in midsummer, -1 in midwinter."""
        phase = math.cos(2 * math.pi * ((when / DAY) % 365.2422 - 200) / 365.2422)
        return phase * math.sin(math.radians(self.location.latitude))

    def _temperature(self, when: float) -> float:
        course = 10 * self._season(when) + (5 - 3 * self._cover(when)) * self._day(when)
        return (
            self.config.temperature
            + course
            + 3 * self._noise("air", when, 2 * DAY)
            + 0.2 * self._noise("eddy", when, 1200.0)
        )

    def _humidity(self, when: float) -> float:
        course = 42 - 10 * self._day(when) + 30 * self._cover(when) + 10 * self._noise("humidity", when, 12 * HOUR)
        wet = course + (25 if self._wet(when) else 0)
        return max(4.0, min(70.0 if self.clear else 100.0, wet))

    def _wind_speed(self, when: float) -> float:
        log = (
            0.5 * self._noise("wind", when, 6 * HOUR) + 0.1 * self._noise("breeze", when, 300.0) + 0.1 * self._day(when)
        )
        speed = 4.0 * math.exp(log)
        return min(8.0, speed) if self.clear else speed

    def _wind_gust(self, when: float) -> float:
        return self.wind_speed(when) * (1.25 + 0.2 * abs(self._noise("gust", when, 180.0)))

    def _rain_rate(self, when: float) -> float:
        wet = self._noise("rain", when, 1.5 * HOUR) - 0.6
        return 3.0 * wet if wet > 0 and self._cover(when) > 0.9 else 0.0

    def _between_steps(self, values: tuple[float, ...], when: float) -> float:
        place = when / _STEP
        index = math.floor(place)
        now, then = values[self.chain.state(index)], values[self.chain.state(index + 1)]
        return now + (then - now) * (place - index)

    def _cloud_cover(self, when: float) -> float:
        if self.clear:
            return _COVER[0]
        cover = self._between_steps(_COVER, when)
        return max(0.0, min(1.0, cover + 0.3 * cover * (1 - cover) * self._noise("cover", when, 900.0)))

    def _cloud_extinction(self, when: float) -> float:
        if self.clear:
            return _EXTINCTION[0]
        return self._between_steps(_EXTINCTION, when) * math.exp(0.3 * self._noise("patches", when, 300.0))
