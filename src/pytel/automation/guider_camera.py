"""Guiding with a camera of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from pytel.automation.guiding import BaseGuider, GuiderConfig
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.units import Duration, Seconds
from pytel.interfaces.camera import Camera, CameraCapabilities, Window
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore
from pytel.module.handlers import background
from pytel.services.images import Image

_SLACK: Seconds = 60.0
_IDLE = 5.0


class GuideCameraGuider(BaseGuider):
    """Exposes a guide camera again and again while the telescope tracks. The site file says which camera that is
    (`uses: {Camera: guidecam}`); its frames are dropped when they have been measured.
    """

    class Config(GuiderConfig, frozen=True, kw_only=True):
        """How to guide, and the frames; `pause` is waited between two of them."""

        exposure_time: Duration = 4.0
        binning: int = 1
        window: Window | None = None
        pause: Duration = 0.0
        feed_forward: Duration = 0.0

    config: Config

    @background
    async def watch_field(self) -> None:
        """Take frames as long as there is something to guide on."""
        while True:
            if not self.is_wanted:
                await clock.sleep(_IDLE)
                continue
            try:
                await self._look_once()
            except PytelError as error:
                self.raise_alarm("camera", error)
                await clock.sleep(_IDLE)
            else:
                self.clear_alarm("camera")
                await clock.sleep(self.config.pause)

    async def _look_once(self) -> None:
        config = self.config
        readout = (await self.capabilities_of(CameraCapabilities)).readout_time
        camera = self.find(Camera, deadline=config.exposure_time + 3 * readout + _SLACK)
        frame = await camera.take_guide_frame(config.exposure_time, config.binning, config.window)
        try:
            image = await self.images.get(frame)
            start = _start_of(image, config.exposure_time)
            await self.consider(frame, image, start, start + config.exposure_time)
        finally:
            await self._drop(frame)

    async def _drop(self, frame: ImageRef) -> None:
        """Nobody archives a guider's frames: the store may remove them when it needs room."""
        try:
            await asyncio.shield(self.find(ImageStore, name=frame.store).release(frame.id))
        except PytelError as error:
            self.log.info("the guide frame %s could not be released: %s", frame.id, error)


def _start_of(image: Image, exposure_time: Duration) -> float:
    """When the shutter opened, by the header; without a readable time, as if the frame had come at once."""
    told = image.header.get("DATE-OBS")
    try:
        return datetime.fromisoformat(str(told)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return clock.time() - exposure_time
