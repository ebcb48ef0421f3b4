"""A camera as an INDI device; its frames go out as FITS files with all their cards."""

from __future__ import annotations

from typing import Any

from indipydriver import BLOBMember, BLOBVector

from pytel.base.errors import NotAllowed
from pytel.base.threads import in_thread
from pytel.gateway.indi.offered import BUSY, IDLE, OK, Offered, numbers, on_off, switches, wanted
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, Window
from pytel.interfaces.images import FrameType

_TYPES = {
    "FRAME_LIGHT": FrameType.OBJECT,
    "FRAME_BIAS": FrameType.BIAS,
    "FRAME_DARK": FrameType.DARK,
    "FRAME_FLAT": FrameType.FLAT,
}


class OfferedCamera(Offered):
    """A camera."""

    interface = 2
    _type = "FRAME_LIGHT"
    _binning = 1

    async def make_vectors(self) -> tuple[Any, ...]:
        """Exposure, detector, window, binning, type, temperature, and the frame."""
        able = await self.module.capabilities_of(CameraCapabilities)
        self._whole = self._window = Window(x=0, y=0, width=able.width, height=able.height)
        highest = max(able.binnings)
        return (
            numbers("CCD_EXPOSURE", "Exposure", "rw", CCD_EXPOSURE_VALUE=(0.0, able.max_exposure_time or 7200.0, 0.0)),
            switches("CCD_ABORT_EXPOSURE", "Abort", "AtMostOne", ABORT=False),
            numbers(
                "CCD_INFO",
                "Detector",
                "ro",
                CCD_MAX_X=(0, 0, able.width),
                CCD_MAX_Y=(0, 0, able.height),
                CCD_PIXEL_SIZE=(0, 0, able.pixel_size),
                CCD_PIXEL_SIZE_X=(0, 0, able.pixel_size),
                CCD_PIXEL_SIZE_Y=(0, 0, able.pixel_size),
                CCD_BITSPERPIXEL=(0, 0, 16),
            ),
            numbers(
                "CCD_FRAME",
                "Window",
                "rw",
                X=(0, able.width - 1, 0),
                Y=(0, able.height - 1, 0),
                WIDTH=(1, able.width, able.width),
                HEIGHT=(1, able.height, able.height),
            ),
            numbers("CCD_BINNING", "Binning", "rw", HOR_BIN=(1, highest, 1), VER_BIN=(1, highest, 1)),
            switches(
                "CCD_FRAME_TYPE",
                "Type",
                "OneOfMany",
                FRAME_LIGHT=True,
                FRAME_BIAS=False,
                FRAME_DARK=False,
                FRAME_FLAT=False,
            ),
            numbers("CCD_TEMPERATURE", "Temperature", "ro", CCD_TEMPERATURE_VALUE=(-100, 100, 0)),
            BLOBVector("CCD1", "Frame", "Main", "ro", IDLE, [BLOBMember("CCD1", "Frame", 0, ".fits")]),
        )

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Expose, abort, choose window, binning and type."""
        if name == "CCD_EXPOSURE":
            self.run(name, self._expose(wanted(values, "CCD_EXPOSURE_VALUE")), {"CCD_EXPOSURE_VALUE": 0.0})
        elif name == "CCD_ABORT_EXPOSURE":
            await self.module.find(Camera).abort_exposure()
            await self.tell(name, OK, on_off(ABORT=False), force=True)
        elif name == "CCD_FRAME":
            x, y, width, height = (round(wanted(values, member)) for member in ("X", "Y", "WIDTH", "HEIGHT"))
            self._window = Window(x=x, y=y, width=width, height=height)
            await self.tell(name, OK, {"X": x, "Y": y, "WIDTH": width, "HEIGHT": height}, force=True)
        elif name == "CCD_BINNING":
            self._binning = round(wanted(values, "HOR_BIN"))
            await self.tell(name, OK, {"HOR_BIN": self._binning, "VER_BIN": self._binning}, force=True)
        elif name == "CCD_FRAME_TYPE":
            self._type = next((member for member, on in values.items() if on), "FRAME_LIGHT")
            await self.tell(name, OK, on_off(**{member: member == self._type for member in _TYPES}), force=True)
        else:
            raise NotAllowed(f"{name} cannot be set")

    async def _expose(self, exposure_time: float) -> None:
        window = None if self._window == self._whole else self._window
        ref = await self.module.find(Camera).expose(exposure_time, _TYPES[self._type], self._binning, window)
        image = await self.module.images.get(ref)
        vector = self.vectors["CCD1"]
        vector["CCD1"] = await in_thread(_fits_of, image.pixels, image.header)
        vector.data["CCD1"].blobsize = 0
        await vector.send_setVectorMembers(state=OK, members=["CCD1"])
        vector["CCD1"] = None

    async def update(self) -> None:
        """What is left of the exposure, and the temperature."""
        state = self.module.latest(CameraState)
        if state is None:
            return
        if self.is_busy("CCD_EXPOSURE"):
            await self.tell("CCD_EXPOSURE", BUSY, {"CCD_EXPOSURE_VALUE": max(0.0, state.remaining or 0.0)})
        if state.temperature is not None:
            await self.tell("CCD_TEMPERATURE", OK, {"CCD_TEMPERATURE_VALUE": state.temperature})


def _fits_of(pixels: Any, header: dict[str, Any]) -> bytes:
    """A FITS file in memory; blocking."""
    import io

    from astropy.io import fits

    unit = fits.PrimaryHDU(pixels)
    structure = {
        "SIMPLE",
        "BITPIX",
        "NAXIS",
        "NAXIS1",
        "NAXIS2",
        "EXTEND",
        "BZERO",
        "BSCALE",
        "CHECKSUM",
        "DATASUM",
        "",
    }
    for keyword, value in header.items():
        if keyword not in structure and not keyword.startswith(("Z", "COMMENT", "HISTORY")):
            unit.header[keyword] = value
    file = io.BytesIO()
    unit.writeto(file)
    return file.getvalue()
