"""The camera's electronics: shutter, cooler, read-out. The picture itself comes from `render`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta

from pytel.base.errors import Busy, InvalidParams
from pytel.base.units import Celsius, Duration
from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.optics import Optics
from pytel.devices.simulated.world.state import Exposure, Sample

_SAME_PLACE = 0.2  # pixels
_MOST_SAMPLES = 12
Binning = Annotated[int, Meta(ge=1, le=8)]
Pixel = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=1)]


class Camera(Device):
    """Exposes, reads out, cools."""

    name = "camera"

    def __init__(self, site: Site, optics: Optics, climate: Climate, finished: Callable[[Exposure], None]) -> None:
        super().__init__(site)
        self.config = site.config.camera
        self.state = site.state.camera
        self.optics = optics
        self.climate = climate
        self.finished = finished

    def phase(self, now: float) -> str:
        """idle, exposing, reading or ready."""
        current = self.state.current
        if current is None:
            return "idle"
        if current.site_end is None:
            return "exposing"
        return "reading" if self.local(now) < current.ready else "ready"

    def temperature(self, now: float) -> float:
        """Of the detector, °C."""
        state = self.state
        goal = self._goal(now)
        return goal + (state.cooled_from - goal) * math.exp(
            -max(0.0, now - state.cooled_since) / self.config.cooling_time
        )

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report the state of exposure and cooler; `exposure_number` counts the frames of this camera's life."""
        current, state = self.state.current, self.state
        return {
            "phase": self.phase(now),
            "exposure_time": current.exposure_time if current else 0.0,
            "elapsed": self._elapsed(now),
            "exposure_number": state.exposures,
            "temperature": self.temperature(now),
            "setpoint": state.setpoint,
            "cooler_on": state.setpoint is not None,
            "cooler_power": self._power(now),
            "width": self.config.width,
            "height": self.config.height,
            "pixel_size": self.config.pixel_size,
            "gain": self.config.gain,
            "read_noise": self.config.read_noise,
            "readout_time": self.config.readout_time,
        }

    @command
    def start(
        self,
        now: float,
        exposure_time: Duration,
        shutter: bool = True,
        binning: Binning = 1,
        x: Pixel = 0,
        y: Pixel = 0,
        width: Size | None = None,
        height: Size | None = None,
    ) -> None:
        """Begin an exposure of a window, which is given in unbinned pixels. Raises `Busy` during another one."""
        if self.phase(now) in ("exposing", "reading"):
            raise Busy("the camera is exposing; stop or abort that exposure before another one", device=self.name)
        width = width or self.config.width - x
        height = height or self.config.height - y
        self._check_window(binning, x, y, width, height)
        if self.is_stuck():
            return
        self.state.exposures += 1
        local = self.local(now)
        self.state.current = Exposure(
            number=self.state.exposures,
            exposure_time=exposure_time,
            shutter=shutter,
            binning=binning,
            x=x,
            y=y,
            width=width // binning * binning,
            height=height // binning * binning,
            site_start=now,
            local_start=local,
            temperature=self.temperature(now),
            sampled_until=now,
            local_end=local + exposure_time,
        )
        self.settle(now)

    @command
    def stop(self, now: float) -> None:
        """Close the shutter now and read out what was collected."""
        current = self.state.current
        if current is not None and current.site_end is None:
            local = self.local(now)
            current.exposure_time, current.local_end = local - current.local_start, local
            self._close_shutter(current, now)

    @command
    def abort(self, now: float) -> None:
        """Throw the exposure away."""
        if self.phase(now) in ("exposing", "reading"):
            self.state.current = None

    @command
    def read(self, now: float) -> Exposure:
        """The frame that is ready, as the recipe from which `render` makes pixels. Raises `DeviceError` without one."""
        current = self.state.current
        if current is None or self.phase(now) != "ready":
            raise self.fault(f"the camera has no frame to read; it is {self.phase(now)}")
        return current

    @command
    def cool(self, now: float, setpoint: Celsius | None) -> None:
        """Cool to `setpoint`, or switch the cooler off."""
        self.state.cooled_from, self.state.cooled_since = self.temperature(now), now
        if not self.is_stuck():
            self.state.setpoint = setpoint

    def collect(self, now: float) -> None:
        """Take in the light up to now, before something in its way changes."""
        current = self.state.current
        if current is None or current.site_end is not None or now <= current.sampled_until:
            return
        if current.shutter or not self.config.shutter:
            self._add(current.samples, self.optics.collect(current.sampled_until, now))
        current.sampled_until = now

    def settle(self, now: float) -> bool:
        """Close the shutter when the time is over."""
        current = self.state.current
        if current is None or current.site_end is not None or self.local(now) < current.local_end:
            return False
        self._close_shutter(current, min(now, self.timebase.site_time(current.local_end)))
        return True

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report an exposure as finished."""
        return status | {"phase": "ready" if status["phase"] == "exposing" else status["phase"]}

    def _close_shutter(self, current: Exposure, when: float) -> None:
        self.collect(when)
        current.site_end = when
        part = current.width * current.height / (self.config.width * self.config.height) / current.binning
        current.ready = current.local_end + self.config.readout_time * max(0.1, part)
        current.temperature = self.temperature(when)
        self.finished(current)

    def _add(self, samples: list[Sample], more: list[Sample]) -> None:
        for sample in more:
            last = samples[-1] if samples else None
            if last and (len(samples) >= _MOST_SAMPLES or self.optics.shift(last, sample) < _SAME_PLACE):
                _merge(last, sample)
            else:
                samples.append(sample)

    def _elapsed(self, now: float) -> float:
        current = self.state.current
        if current is None:
            return 0.0
        return min(current.exposure_time, self.local(now) - current.local_start)

    def _goal(self, now: float) -> float:
        ambient = self.climate.temperature(now)
        if self.state.setpoint is None:
            return ambient
        return max(ambient - self.config.cooling_depth, min(ambient, self.state.setpoint))

    def _power(self, now: float) -> float:
        """Percent of what the cooler can do."""
        if self.state.setpoint is None:
            return 0.0
        if self.temperature(now) > self._goal(now) + 1.0:
            return 100.0
        below = self.climate.temperature(now) - self._goal(now)
        return min(100.0, 100.0 * below / self.config.cooling_depth) if self.config.cooling_depth else 100.0

    def _check_window(self, binning: int, x: int, y: int, width: int, height: int) -> None:
        if x + width > self.config.width or y + height > self.config.height or min(width, height) < binning:
            raise InvalidParams(
                f"the window {width} x {height} at ({x}, {y}) does not fit the {self.config.width} x "
                f"{self.config.height} pixels of the camera",
                device=self.name,
            )


def _merge(into: Sample, other: Sample) -> None:
    """Join two parts of an exposure into one at their mean place, weighted by starlight (else by time)."""
    a, b = into.stars, other.stars
    if a + b <= 0:
        a, b = into.end - into.start, other.end - other.start
    share = b / (a + b) if a + b > 0 else 0.5
    into.ra = (into.ra + share * ((other.ra - into.ra + 180) % 360 - 180)) % 360
    into.dec += share * (other.dec - into.dec)
    into.fwhm += share * (other.fwhm - into.fwhm)
    into.end = other.end
    into.stars += other.stars
    into.sky += other.sky
