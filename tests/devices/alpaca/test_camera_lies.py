"""Cameras whose server falls silent in mid-exposure, or whose frames are none: typed errors, then all is well again."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from alpaca_kit import until
from pytel.base.errors import DeviceError, DeviceTimeout, MethodNotFound
from pytel.interfaces import Camera, CameraState, CameraStatus, FrameType, Window

from .liar import Liar
from .site_kit import site_of, works_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
MEDIA_TYPE = "application/imagebytes"
PART = Window(x=100, y=40, width=300, height=200)


def head(at: int, form: str, *values: int) -> Callable[[bytes], tuple[str, bytes]]:
    """The same frame with something else in its head."""
    written = struct.pack(form, *values)
    return lambda frame: (MEDIA_TYPE, frame[:at] + written + frame[at + len(written) :])


FORGERIES: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "is torn": lambda frame: (MEDIA_TYPE, frame[: len(frame) // 2]),
    "within its head": lambda frame: (MEDIA_TYPE, frame[:43]),
    "more than": lambda frame: (MEDIA_TYPE, frame + bytes(1 << 20)),
    "version 2": head(0, "<i", 2),
    "0x500": head(4, "<i", 0x500),
    "answer to request 4294967295": head(8, "<I", 0xFFFFFFFF),
    "type 77": head(24, "<i", 77),
    "3 axes": head(28, "<i", 3),
    "200 x 300 pixels, but 300 x 200": head(32, "<ii", 200, 300),
    "not as application/imagebytes": lambda frame: (
        "application/json",
        b'{"Type":2,"Rank":2,"ErrorNumber":0,"ErrorMessage":"","Value":[[1,2],[3,4]]}',
    ),
    "No image": lambda frame: ("application/json", b'{"ErrorNumber":1035,"ErrorMessage":"No image"}'),
}


class Forger(Liar):
    """Alters the frames that come through."""

    forge: Callable[[bytes], tuple[str, bytes]] | None = None

    def forged(self, kind: str, content: bytes) -> tuple[str, bytes]:
        """Alter a frame."""
        return (kind, content) if self.forge is None or kind != MEDIA_TYPE else self.forge(content)


async def expose(camera: Camera, exposure_time: float = 0.1) -> None:
    await camera.expose(exposure_time, FrameType.DARK, 1, PART)


async def test_a_frame_that_is_none_is_told(alpaca_server: str, tmp_path: Path) -> None:
    async with Forger(alpaca_server) as forger, site_of(forger.address, tmp_path, "camera") as observatory:
        camera = observatory.find(Camera)
        for said, forge in FORGERIES.items():
            forger.forge = forge
            with pytest.raises(DeviceError, match=said):
                await expose(camera)
        forger.forge = None
        await works_again(lambda: expose(camera))


@pytest.mark.parametrize("lie", ["silence", "a heap", "NaN", "gone", "a fault", "torn", "500"])
async def test_a_camera_lies_in_mid_exposure(alpaca_server: str, tmp_path: Path, lie: str) -> None:
    async with Liar(alpaca_server) as liar, site_of(liar.address, tmp_path, "camera") as observatory:
        camera = observatory.find(Camera)
        job = asyncio.ensure_future(expose(camera, 4.0))
        await until(lambda: getattr(observatory.latest(CameraState), "status", None) is CameraStatus.EXPOSING)
        liar.lie = lie
        with pytest.raises((DeviceError, DeviceTimeout, MethodNotFound)) as caught:
            await job
        assert "camera" in str(caught.value)
        liar.lie = None
        await works_again(lambda: expose(camera))
        image = await observatory.image(await camera.expose(0.1, FrameType.DARK, 1, PART))
        assert image.pixels.shape == (200, 300)
