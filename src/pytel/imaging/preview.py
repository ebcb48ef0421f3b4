"""Small pictures of an image, for filmstrips and people: stretched to 8 bits, the first row below."""

from __future__ import annotations

import io
import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.base.errors import InvalidParams
from pytel.imaging.frames import open_frame
from pytel.imaging.pixels import Cutout, binned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST, LARGEST = 16, 2048
_SAMPLE = 16384
_BLACK, _WHITE = 1.0, 99.7
"""Percentiles that become black and white."""


class Stretch(StrEnum):
    """How brightness follows value between black and white."""

    LINEAR = "linear"
    SQRT = "sqrt"
    ASINH = "asinh"
    LOG = "log"


class Picture(StrEnum):
    """File formats of previews; a JPEG costs a fifth of a WebP's time and is a little larger."""

    WEBP = "webp"
    JPEG = "jpg"


def render_preview(path: Path, size: int, stretch: Stretch = Stretch.ASINH, picture: Picture = Picture.WEBP) -> bytes:
    """Draw an image with at most `size` pixels on its longer edge; blocking. Raises `ImageError`, `InvalidParams`."""
    if not SMALLEST <= size <= LARGEST:
        raise InvalidParams(f"the size of a preview is {SMALLEST} to {LARGEST} pixels, not {size}")
    with open_frame(path) as frame:
        factor = min(math.ceil(max(frame.shape) / size), *frame.shape)
        return _encoded(stretched(binned(frame, Cutout(bin=factor)), stretch)[::-1], size, picture)


def stretched(values: NDArray[Any], stretch: Stretch) -> NDArray[np.uint8]:
    """Bring values to 8 bits, from the 1 % to the 99.7 % percentile; NaN is black."""
    import numpy as np

    black, white = display_limits(values)
    kind: Any = np.float64 if values.dtype.kind == "f" else np.float32
    with np.errstate(all="ignore"):
        # Halved, as the difference of two very large numbers may be none.
        part = (values * kind(0.5) - kind(black / 2)) / kind(white / 2 - black / 2)
    unit = np.nan_to_num(np.clip(part, 0, 1), nan=0.0).astype(np.float32)
    match stretch:
        case Stretch.SQRT:
            unit = np.sqrt(unit)
        case Stretch.ASINH:
            unit = np.arcsinh(unit * 10) / np.float32(math.asinh(10))
        case Stretch.LOG:
            unit = np.log1p(unit * 1000) / np.float32(math.log(1001))
        case Stretch.LINEAR:
            pass
    eight: NDArray[np.uint8] = (unit * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return eight


def display_limits(values: NDArray[Any]) -> tuple[float, float]:
    """Values that are shown black and white, from a sample of the pixels; they always differ."""
    import numpy as np

    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64)
    known = sample[np.isfinite(sample)]
    if known.size == 0:
        return 0.0, 1.0
    black, white = (float(limit) for limit in np.percentile(known, (_BLACK, _WHITE)))
    return black, white if white > black else black + max(1.0, abs(black) * 1e-6)


def _encoded(values: NDArray[np.uint8], size: int, picture: Picture) -> bytes:
    from PIL import Image

    image = Image.fromarray(values)
    if max(image.size) > size:  # an image so narrow that no bin fits it
        image.thumbnail((size, size))
    buffer = io.BytesIO()
    if picture is Picture.WEBP:
        image.save(buffer, "WEBP", quality=80, method=0)
    else:
        image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
