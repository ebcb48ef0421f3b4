"""Pointing runs: how a mount misses all over the sky, and the model that makes up for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from pytel.automation.acquisition_aim import sight
from pytel.automation.pointing_plot import draw_residuals
from pytel.base import clock
from pytel.base.errors import InvalidParams, LimitExceeded, PytelError
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Altitude, Arcsec, Azimuth, Degrees, Duration, Seconds
from pytel.imaging.solving import NotSolved
from pytel.interfaces.camera import Camera, CameraCapabilities
from pytel.interfaces.images import FrameType
from pytel.interfaces.pointing import (
    PointingMeasured,
    PointingResult,
    PointingRun,
    PointingRunFailed,
    PointingRunState,
    PointingStatus,
)
from pytel.interfaces.telescope import MountKind, Telescope, TelescopeCapabilities, TelescopeState
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module
from pytel.services.stars import site_stars
from pytel.sky.pointing_model import PointingFit, PointingFitFailed, PointingModel, fit_pointing

_SLEW: Seconds = 600.0
_GOLDEN = math.pi * (3.0 - math.sqrt(5.0))
_HIGHEST: Altitude = 85.0


class Measurement(NamedTuple):
    """Where the mount believed to be, in hour angle and declination (degrees), and how far off that was (arcsec)."""

    hour_angle: float
    dec: float
    error: tuple[Arcsec, Arcsec]


class SolvedPointingRun(Module, PointingRun):
    """Points to places all over the sky, solves a frame at each, and fits a pointing model to what it finds."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The frames, the mount and where not to look."""

        mount: MountKind = MountKind.EQUATORIAL
        exposure_time: Duration = 5.0
        binning: int = 1
        search_radius: Degrees = 2.0
        pixel_scale: Arcsec | None = None
        """Arcsec per unbinned pixel, where neither camera nor telescope tell it."""
        catalogue: str | None = None
        """A file of stars (`pytel catalogue pack`) to be used instead of the bundled ones."""
        lowest: Altitude = 25.0

    config: Config
    _last: PointingResult | None = None

    async def on_start(self) -> None:
        """Show that nothing is done."""
        self.follow(TelescopeState)
        self._stars = await in_thread(site_stars, self.site, self.config.catalogue)
        self._show(PointingStatus.IDLE)

    @rpc(long=True)
    async def measure_pointing(self, points: int = 40) -> PointingResult:
        """Measure, fit and apply."""
        try:
            measured = await self._measure(points)
            self._show(PointingStatus.FITTING, len(measured), points)
            result = await self._fit(measured, points)
        finally:
            self._show(PointingStatus.IDLE)
        self._last = result
        self._show(PointingStatus.IDLE)
        self.publish(PointingMeasured(result=result))
        return result

    def estimate_measure_pointing(self, points: int = 40) -> Seconds:
        """A short slew, a frame and a solution for each place."""
        return points * (self.config.exposure_time + 25.0)

    # measuring

    async def _measure(self, points: int) -> list[Measurement]:
        limits = await self.capabilities_of(TelescopeCapabilities)
        lowest = max(self.config.lowest, limits.min_altitude + 2.0)
        old = await self._model_in_use()
        measured: list[Measurement] = []
        for index, place in enumerate(spread(points, lowest)):
            self._show(PointingStatus.MEASURING, len(measured), points, index / points)
            try:
                measured.append(await self._measure_at(*place, old))
            except (LimitExceeded, NotSolved) as error:
                self.log.info("the place at %.0f deg altitude, %.0f deg azimuth is left out: %s", *place, error)
        return measured

    async def _measure_at(self, alt: Altitude, az: Azimuth, old: PointingModel | None) -> Measurement:
        from pytel.sky.coordinates import altaz_to_radec, hour_angle
        from pytel.sky.sphere import project

        ra, dec = altaz_to_radec(alt, az, clock.time(), self.site.location)
        await self.find(Telescope, deadline=_SLEW).move_radec(ra, dec)
        readout = (await self.capabilities_of(CameraCapabilities)).readout_time
        camera = self.find(Camera, deadline=1.5 * self.config.exposure_time + 3 * readout + 120.0)
        middle = clock.time() + self.config.exposure_time / 2
        image = await camera.expose(
            self.config.exposure_time, frame_type=FrameType.ACQUISITION, binning=self.config.binning
        )
        frame = await self.images.get(image)
        radius, scale = self.config.search_radius, self.config.pixel_scale
        look = functools.partial(sight, radius=radius, pixel_scale=scale, stars=self._stars)
        seen = await in_thread(look, frame.pixels, frame.header, ra, dec)
        hour = hour_angle(ra, dec, middle, self.site.location)
        if old is not None:
            ra, dec = old.aim(ra, dec, hour)
            hour = hour_angle(ra, dec, middle, self.site.location)
        east, north = project(seen.ra, seen.dec, ra, dec)
        return Measurement(hour, dec, (east * 3600.0, north * 3600.0))

    async def _model_in_use(self) -> PointingModel | None:
        """The model that the measurements have to be freed from."""
        terms = await self.find(Telescope).pointing_terms()
        if not terms:
            return None
        model = PointingModel(self.config.mount.value, self.site.location.latitude, terms)
        try:
            model.error(0.0, 0.0)
        except InvalidParams as error:
            raise PointingRunFailed(
                f"the telescope's model is not one of an {model.mount} mount ({error.message}): correct `mount` in the"
                " configuration, or remove the model with set_pointing_model and no terms"
            ) from error
        return model

    # fitting

    async def _fit(self, measured: list[Measurement], tried: int) -> PointingResult:
        try:
            fit = await in_thread(self._fitted, measured)
        except PointingFitFailed as error:
            raise PointingRunFailed(
                f"{error.message}; are there clouds, or is the focus lost?", measured=len(measured), tried=tried
            ) from error
        applied = await self._apply(fit, _rms_with(await self._model_in_use(), measured, fit))
        plot = f"pointing-{clock.now():%Y%m%dT%H%M%S}.svg"
        await in_thread(write_atomically, self.directory / plot, [draw_residuals(measured, fit).encode()])
        return PointingResult(
            time=clock.now(),
            measured=len(measured),
            tried=tried,
            rms_before=fit.rms_before,
            rms_after=fit.rms_after,
            terms=dict(fit.model.terms),
            uncertainties=dict(fit.uncertainties),
            applied=applied,
            plot=plot,
        )

    def _fitted(self, measured: list[Measurement]) -> PointingFit:
        return fit_pointing(
            [one.hour_angle for one in measured],
            [one.dec for one in measured],
            [one.error for one in measured],
            self.site.location.latitude,
            mount=self.config.mount.value,
        )

    async def _apply(self, fit: PointingFit, so_far: Arcsec) -> bool:
        """Hand the model over if it is better than what the telescope uses, which is `so_far` off."""
        if fit.rms_after >= so_far:
            return False
        try:
            await self.find(Telescope).set_pointing_model(self.config.mount, dict(fit.model.terms))
        except PytelError as error:
            self.log.warning("the telescope does not take the model: %s", error.message)
            return False
        return True

    def _show(self, status: PointingStatus, measured: int = 0, wanted: int = 0, progress: float | None = None) -> None:
        if progress is not None:
            self.report_progress(progress)
        self.publish(
            PointingRunState(status=status, measured=measured, wanted=wanted, progress=progress, last=self._last)
        )


def _rms_with(model: PointingModel | None, measured: Sequence[Measurement], fit: PointingFit) -> Arcsec:
    """How far off the model in use is at the same places."""
    if model is None:
        return fit.rms_before
    pairs = zip(measured, fit.used, strict=True)
    left = [math.dist(one.error, model.error(one.hour_angle, one.dec)) for one, used in pairs if used]
    return math.sqrt(sum(size**2 for size in left) / len(left))


def spread(points: int, lowest: Altitude) -> list[tuple[Altitude, Azimuth]]:
    """Places spread evenly over the sky above an altitude, by azimuth, so that the slews are short."""
    low, high = math.sin(math.radians(lowest)), math.sin(math.radians(_HIGHEST))
    places = [
        (
            math.degrees(math.asin(low + (high - low) * (index + 0.5) / points)),
            math.degrees(index * _GOLDEN) % 360.0,
        )
        for index in range(points)
    ]
    return sorted(places, key=lambda place: place[1])
