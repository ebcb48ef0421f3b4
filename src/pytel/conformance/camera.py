"""A camera: a short exposure, and a long one that is aborted."""

from __future__ import annotations

from pytel.base.errors import Cancelled, PytelError
from pytel.conformance.device import LEAST
from pytel.conformance.report import Deviation, NotTried
from pytel.conformance.trial import Trial
from pytel.interfaces.camera import CameraCapabilities, CameraState, CameraStatus
from pytel.interfaces.images import FrameType, ImageRef
from pytel.module.rpc import from_builtins

_SHORT = 0.5
_LONG = 120.0
_SMALLEST = 2 * 2880
"""Bytes of a FITS file: a block of header, a block of pixels."""
_KIND = FrameType.ACQUISITION.value
"""No calibration is made of these."""


async def check_camera(trial: Trial) -> None:
    """Expose, abort, and ask for what there is not."""
    device = trial.device
    told = device.capabilities(CameraCapabilities)
    if min(told.width, told.height) < 1 or not told.binnings or min(told.binnings) < 1:
        raise Deviation(f"its detector has {told.width} x {told.height} pixels and the binnings {told.binnings}")
    state = await device.state(CameraState)
    if state.status in (CameraStatus.EXPOSING, CameraStatus.READING):
        trial.skip("takes an image", f"it is {state.status}")
        return

    async def expose() -> ImageRef:
        result = await device.run("expose", exposure_time=_SHORT, frame_type=_KIND)
        try:
            ref: ImageRef = from_builtins(result, ImageRef, "expose")
        except PytelError as error:
            raise Deviation(f"expose gave no image: {error.message}") from error
        if ref.size < _SMALLEST:
            raise Deviation(f"the image has {ref.size} bytes only: no FITS file is that small")
        await device.until(CameraState, lambda now: now.status is CameraStatus.IDLE, "it has exposed")
        return ref

    async def abort() -> None:
        if told.max_exposure_time is not None and told.max_exposure_time < _LONG:
            raise NotTried(f"its longest exposure, {told.max_exposure_time:g} s, may be over before it is aborted")
        job = await device.start("expose", exposure_time=_LONG, frame_type=_KIND)
        try:
            await device.until(CameraState, lambda now: now.status is CameraStatus.EXPOSING, "it was to expose")
            await device.call("abort_exposure")
            await job.result(LEAST)
        except Cancelled:
            await device.until(CameraState, lambda now: now.status is CameraStatus.IDLE, "it was aborted")
            return
        finally:
            await job.cancel()
        raise Deviation("an exposure that was aborted did not end with Cancelled")

    await trial.step(
        f"exposes for {_SHORT:g} s", expose, within=300.0, detail=lambda ref: f"{ref.size} bytes in {ref.store}"
    )
    await trial.step(f"aborts an exposure of {_LONG:g} s", abort, within=_LONG)
    await trial.refused("refuses a negative exposure time", "expose", long=True, exposure_time=-1.0)
    unknown = max(told.binnings) + 97
    await trial.refused(f"refuses binning {unknown}", "expose", long=True, exposure_time=_SHORT, binning=unknown)
    outside = {"x": told.width, "y": 0, "width": 10, "height": 10}
    await trial.refused(
        "refuses a window beside the detector", "expose", long=True, exposure_time=_SHORT, window=outside
    )
    if told.has_cooler:
        trial.skip("cools", "the cooler is left as it is")


__all__ = ["check_camera"]
