"""Acquisition: bringing a target to the middle of the detector, by the stars."""

from __future__ import annotations

from pytel.automation.acquisition_aim import Sighting, aim_for, sight
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Arcsec, Declination, Degrees, Duration, RightAscension, Seconds
from pytel.interfaces.acquisition import (
    Acquisition,
    AcquisitionFailed,
    AcquisitionResult,
    AcquisitionState,
    AcquisitionStatus,
    FieldNotSolved,
    TargetAcquired,
)
from pytel.interfaces.camera import Camera, CameraCapabilities
from pytel.interfaces.images import FrameType, ImageRef
from pytel.interfaces.telescope import Telescope
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module
from pytel.services.images import Image
from pytel.services.stars import site_stars

_MOVE: Seconds = 600.0
_SLACK: Seconds = 60.0
_READOUT: Seconds = 5.0


class PlateSolvingAcquisition(Module, Acquisition):
    """Exposes, finds where the frame is on the sky, and moves the telescope, until the target is in the middle.

    Small errors are taken out by an offset, large ones by another slew. The mount's own idea of where it points is
    left alone. Everything is done in the name of whoever asked, under that one's lease.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """How to look.

        - `tolerance`: nearer than this is good enough, unless the caller says otherwise.
        - `exposures`: so many frames at most; `unsolved` of them may be without a solution, each is exposed twice as
          long as the one before it.
        - `search_radius`: how far from where it was sent the telescope may point.
        - `slew_beyond`: larger errors than this are taken out by a slew.
        - `pixel_scale`: arcsec per unbinned pixel, where neither camera nor telescope tell it.
        - `catalogue`: a file of stars (`pytel catalogue pack`) to be used instead of the bundled ones.
        """

        exposure_time: Duration = 5.0
        binning: int = 1
        tolerance: Arcsec = 1.0
        exposures: int = 5
        unsolved: int = 1
        search_radius: Degrees = 1.0
        slew_beyond: Arcsec = 1800.0
        pixel_scale: Arcsec | None = None
        catalogue: str | None = None

        def __post_init__(self) -> None:
            if self.exposures < 1 or self.unsolved < 0:
                raise ValueError("exposures must be at least 1, and unsolved at least 0")
            if not (self.tolerance > 0 and 0 < self.search_radius <= 20 and 0 < self.slew_beyond <= 3600):
                raise ValueError(
                    "tolerance, search_radius (at most 20 deg) and slew_beyond (at most 3600 arcsec) must be above 0"
                )

    config: Config

    async def on_start(self) -> None:
        """Be ready."""
        self._last: AcquisitionResult | None = None
        self._stars = await in_thread(site_stars, self.site, self.config.catalogue)
        self._show(AcquisitionStatus.IDLE)

    @rpc(long=True)
    async def acquire(self, ra: RightAscension, dec: Declination, tolerance: Arcsec | None = None) -> AcquisitionResult:
        """Bring a place to the middle of the detector."""
        try:
            result = await self._acquire(ra, dec, self.config.tolerance if tolerance is None else tolerance)
        finally:
            self._show(AcquisitionStatus.IDLE)
        self._last = result
        self._show(AcquisitionStatus.IDLE)
        self.publish(TargetAcquired(result=result))
        return result

    def estimate_acquire(self, ra: RightAscension, dec: Declination, tolerance: Arcsec | None = None) -> Seconds:
        """Two frames, as a rule."""
        return 2 * (self.config.exposure_time + _READOUT)

    async def _acquire(self, ra: RightAscension, dec: Declination, tolerance: Arcsec) -> AcquisitionResult:
        exposure_time, unsolved = self.config.exposure_time, 0
        distance: Arcsec | None = None
        for attempt in range(1, self.config.exposures + 1):
            image = await self._expose(attempt, exposure_time, distance)
            frame = await self.images.get(image)
            self._show(AcquisitionStatus.SOLVING, attempt, distance)
            try:
                seen = await in_thread(self._sight, frame, ra, dec)
            except PytelError as error:
                unsolved += 1
                exposure_time *= 2
                if unsolved > self.config.unsolved or attempt == self.config.exposures:
                    raise _not_solved(error, attempt, distance, image) from error
                self.log.info("%s is not solved, and is taken again: %s", image.id, error)
                continue
            distance = seen.distance
            self.log.info("%s: the target is %.2f arcsec off", image.id, distance)
            if distance <= tolerance:
                return _result(seen, attempt, image)
            if attempt < self.config.exposures:
                await self._approach(seen, attempt)
        raise AcquisitionFailed(
            f"the target is still {distance:.1f} arcsec off after {self.config.exposures} exposures;"
            " does the telescope follow its offsets?",
            attempts=self.config.exposures,
            distance=distance,
            image=image.id,
        )

    async def _expose(self, attempt: int, exposure_time: Duration, distance: Arcsec | None) -> ImageRef:
        self._show(AcquisitionStatus.EXPOSING, attempt, distance)
        readout = (await self.capabilities_of(CameraCapabilities)).readout_time
        camera = self.find(Camera, deadline=1.5 * exposure_time + 3 * readout + _SLACK)
        return await camera.expose(exposure_time, frame_type=FrameType.ACQUISITION, binning=self.config.binning)

    def _sight(self, frame: Image, ra: RightAscension, dec: Declination) -> Sighting:
        config = self.config
        return sight(
            frame.pixels,
            frame.header,
            ra,
            dec,
            radius=config.search_radius,
            pixel_scale=config.pixel_scale,
            stars=self._stars,
        )

    async def _approach(self, seen: Sighting, attempt: int) -> None:
        self._show(AcquisitionStatus.MOVING, attempt, seen.distance)
        telescope = self.find(Telescope, deadline=_MOVE)
        if seen.distance <= self.config.slew_beyond:
            await telescope.offset_radec(seen.error.ra, seen.error.dec)
        else:
            await telescope.move_radec(*aim_for(seen))

    def _show(self, status: AcquisitionStatus, attempt: int | None = None, distance: Arcsec | None = None) -> None:
        progress = None if attempt is None else (attempt - 1) / self.config.exposures
        if progress is not None:
            self.report_progress(progress)
        self.publish(
            AcquisitionState(status=status, attempt=attempt, progress=progress, distance=distance, last=self._last)
        )


def _result(seen: Sighting, attempt: int, image: ImageRef) -> AcquisitionResult:
    return AcquisitionResult(
        ra=seen.ra,
        dec=seen.dec,
        distance=seen.distance,
        attempts=attempt,
        time=clock.now(),
        position_angle=seen.position_angle,
        x=seen.x,
        y=seen.y,
        image=image.id,
    )


def _not_solved(error: PytelError, attempt: int, distance: Arcsec | None, image: ImageRef) -> FieldNotSolved:
    return FieldNotSolved(
        f"nobody knows where the telescope points: {error.message}",
        attempts=attempt,
        distance=distance,
        image=image.id,
        cause=error.name,
    )
