"""The driver of the simulated camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytel.base.errors import Busy, DeviceError
from pytel.base.units import Celsius
from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.services.camera import BaseCamera, CameraPhase, CameraReading, ExposureSettings
from pytel.services.fitted import fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SimulatedCamera(BaseCamera):
    """Takes the images of the simulated world."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Connect, and learn what the hardware is like."""
        hardware = world_config(self.site).camera
        self.config = fitted(
            self.config,
            width=hardware.width,
            height=hardware.height,
            pixel_size=hardware.pixel_size,
            gain=hardware.gain,
            read_noise=hardware.read_noise,
            saturation=float(hardware.saturation),
            readout_time=hardware.readout_time,
            has_shutter=hardware.shutter,
            rotation=-hardware.rotation,
            flipped=hardware.flip,
        )
        await self.reconnect()
        await super().on_start()

    async def reconnect(self) -> None:
        """Connect anew."""
        self.device = await connect_device(self, "camera")

    async def read_camera(self) -> CameraReading:
        """Ask the electronics."""
        said = await self.device.status()
        phase = CameraPhase(said["phase"])
        return CameraReading(phase, said["temperature"], said["setpoint"], said["cooler_power"])

    async def begin_exposure(self, settings: ExposureSettings) -> None:
        """Start to expose."""
        window = settings.window
        try:
            await self.device.execute(
                "start",
                exposure_time=settings.exposure_time,
                shutter=settings.shutter,
                binning=settings.binning,
                x=window.x,
                y=window.y,
                width=window.width,
                height=window.height,
            )
        except Busy as error:
            raise DeviceError(f"{self.address} is stuck in a former exposure", device=str(self.address)) from error

    async def end_exposure(self) -> None:
        """Close the shutter and keep the frame."""
        await self.device.execute("stop")

    async def abort(self) -> None:
        """Throw the exposure away."""
        await self.device.execute("abort")

    async def read_frame(self) -> NDArray[np.uint16]:
        """Fetch the frame."""
        frame: NDArray[np.uint16] = await self.device.execute("read")
        return frame

    async def set_setpoint(self, setpoint: Celsius | None) -> None:
        """Cool, or switch the cooler off."""
        await self.device.execute("cool", setpoint=setpoint)
