"""The frame in a BLOB of a camera, with as little done to its bytes as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytel.base.errors import DeviceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytel.devices.indi.blobs import Blob
    from pytel.imaging.stored import StoredFrame

_FITS = (".fits", ".fit", ".fts")


def frame_of(blob: Blob) -> NDArray[np.uint16] | StoredFrame:
    """The frame of a FITS file in a BLOB; blocking.

    16-bit unsigned pixels stay where they are, as FITS has them; whole numbers of other kinds become such if they fit.
    The BLOB may be closed then. Raises `DeviceError` for another format, and for what is no image of 16-bit numbers.
    """
    from pytel.imaging.layout import ImageError, plain_layout
    from pytel.imaging.stored import StoredFrame

    if blob.format.lower() not in _FITS:
        raise _wrong(blob, f"is {blob.format or 'of no format'}, not FITS: switch the camera's transfer format to FITS")
    data = blob.data
    try:
        layout = plain_layout(lambda start, size: bytes(data[start : start + size]), len(data))
    except ImageError as error:
        raise _wrong(blob, f"is no image: {error.message}") from error
    if layout is None:
        raise _wrong(blob, "has not two axes: switch colour and compression off")
    if layout.is_camera_frame:
        rows, columns = layout.shape
        return StoredFrame(data[layout.start : layout.start + 2 * rows * columns], layout.shape)
    return _converted(blob, layout)


def _converted(blob: Blob, layout: Any) -> NDArray[np.uint16]:
    import numpy as np

    from pytel.imaging.layout import physical

    rows, columns = layout.shape
    pixels = physical(np.frombuffer(blob.data, layout.form, rows * columns, layout.start), layout)
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 65535):
        raise _wrong(blob, "has pixels that are no numbers from 0 to 65535")
    frame: NDArray[np.uint16] = np.rint(pixels).astype(np.uint16).reshape(rows, columns)
    return frame


def _wrong(blob: Blob, what: str) -> DeviceError:
    return DeviceError(f"the frame of {blob.device} {what}", device=blob.device)
