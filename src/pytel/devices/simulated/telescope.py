"""The driver of the simulated mount."""

from __future__ import annotations

from pytel.base.units import Altitude, Arcsec, Azimuth, Declination, RightAscension
from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.services.fitted import fitted
from pytel.services.telescope import BaseTelescope, MountReading


class SimulatedTelescope(BaseTelescope):
    """Drives the equatorial mount of the simulated world."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Connect, and learn what the hardware is like."""
        hardware = world_config(self.site).telescope
        self.config = fitted(
            self.config,
            focal_length=hardware.focal_length,
            aperture=hardware.aperture,
            slew_rate=hardware.slew_rate,
            settle_time=hardware.settle_time,
        )
        self.device = await connect_device(self, "mount")
        await super().on_start()

    async def read_mount(self) -> MountReading:
        """Ask the encoders."""
        said = await self.device.status()
        return MountReading(*(said[name] for name in MountReading._fields))

    async def begin_slew(self, ra: RightAscension, dec: Declination) -> None:
        """Start to slew."""
        await self.device.execute("slew", ra=ra, dec=dec)

    async def begin_slew_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Start to slew to where it will stand still."""
        await self.device.execute("slew_altaz", alt=alt, az=az)

    async def begin_offset(self, ra: Arcsec, dec: Arcsec) -> None:
        """Start to move by a small angle."""
        await self.device.execute("offset", d_ra=ra, d_dec=dec)

    async def begin_park(self) -> None:
        """Start to go to the park position."""
        await self.device.execute("park")

    async def begin_unpark(self) -> None:
        """Make ready to move."""
        await self.device.execute("unpark")

    async def set_tracking(self, enabled: bool) -> None:
        """Follow the sky, or stand still."""
        await self.device.execute("track", enabled=enabled)

    async def halt(self) -> None:
        """Stop a slew."""
        await self.device.execute("stop")

    async def synchronise(self, ra: RightAscension, dec: Declination) -> None:
        """Take these coordinates for where it points."""
        await self.device.execute("sync", ra=ra, dec=dec)
