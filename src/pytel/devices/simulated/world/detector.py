"""The detector as it was made: flat response, bias structure, hot pixels and bad columns. All follow from the seed."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from pytel.base.ids import derived_seed
from pytel.devices.simulated.world.config import CameraConfig

Image = NDArray[np.float32]


class Detector:
    """Maps over the whole detector, made when first needed and kept."""

    def __init__(self, config: CameraConfig, seed: int) -> None:
        self.config = config
        self.seed = derived_seed(seed, "detector")
        source = np.random.default_rng(self.seed)
        width, height = config.width, config.height
        self.bias_rows = self._bias_course(source, height)[:, None]
        self.bias_columns = self._bias_course(source, width)[None, :]
        count = min(config.hot_pixels, width * height)
        self.hot_y = source.integers(0, height, count)
        self.hot_x = source.integers(0, width, count)
        self.hot_dark = (10 ** source.uniform(1.5, 4.0, count)).astype(np.float32)
        """How many times the dark current of an ordinary pixel."""
        self.bad_columns = np.sort(source.integers(0, width, config.bad_columns))

    @functools.cached_property
    def flat(self) -> Image:
        """Relative response: 1 in the centre; vignetting and the differences from pixel to pixel."""
        height, width = self.config.height, self.config.width
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
        source = np.random.default_rng(derived_seed(self.seed, "flat"))
        flat = source.standard_normal((height, width), dtype=np.float32)
        flat *= self.config.pixel_response
        flat += 1.0
        flat *= 1.0 - self.config.vignetting * (x + y) / 2
        flat[:, self.bad_columns] *= 0.3
        return np.maximum(flat, 0.0, out=flat)

    def dark_current(self, temperature: float) -> float:
        """Electrons per second in an ordinary pixel."""
        return float(self.config.dark_current * 2 ** ((temperature - 20.0) / self.config.dark_doubling))

    def _bias_course(self, source: np.random.Generator, length: int) -> Image:
        """A slight slope and steps of about an ADU from line to line."""
        slope = np.linspace(-1.5, 1.5, length, dtype=np.float32) * np.float32(source.uniform(-1, 1))
        return slope + source.standard_normal(length, dtype=np.float32) * np.float32(0.4)
