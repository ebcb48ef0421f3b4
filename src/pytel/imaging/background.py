"""The background of a frame: its level, its noise, and how much it differs over the field (by SEP)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams

_BOX = 64


@dataclass(frozen=True)
class SkyBackground:
    """Level and noise (1 sigma of a pixel) in the frame's unit; `gradient` is the range over the field by the level."""

    level: float
    noise: float
    gradient: float
    surface: NDArray[np.float32]
    """The background of every pixel."""


def measure_background(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_] | None = None, *, box: int = _BOX
) -> SkyBackground:
    """Measure the background in boxes of `box` pixels, stars clipped. Raises `InvalidParams` for what is no frame."""
    if pixels.ndim != 2 or min(pixels.shape) < 16:
        raise InvalidParams(f"a background is measured in frames of at least 16 x 16 pixels, not {pixels.shape}")
    import sep

    size = max(8, min(box, min(pixels.shape) // 4))
    data = np.ascontiguousarray(pixels, dtype=np.float32)
    mesh = sep.Background(data, mask=mask, bw=size, bh=size, fw=3, fh=3)
    surface = mesh.back(dtype=np.float32)
    low, high = np.percentile(surface[::16, ::16], (2, 98))
    level = float(mesh.globalback)
    gradient = float(high - low) / level if level > 0 else 0.0
    return SkyBackground(level, float(mesh.globalrms), gradient, surface)
