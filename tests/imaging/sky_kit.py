"""Frames and source lists of a made-up sky, small and quick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.sources import SourceList

Frame = NDArray[np.uint16]
Places = NDArray[np.complex128]
SKY, READ_NOISE = 800.0, 8.0


def scattered(number: int, size: int, seed: int = 3) -> tuple[Places, NDArray[np.float64]]:
    """Places of stars (x + iy), well inside a square frame, and their light."""
    random = np.random.default_rng(seed)
    places = random.uniform(60, size - 60, number) + 1j * random.uniform(60, size - 60, number)
    return places, np.exp(random.uniform(np.log(2e4), np.log(4e5), number))


def moved(places: Places, size: int, dx: float, dy: float, rotation: float = 0.0) -> Places:
    """Turned about the frame's middle, then shifted."""
    middle = (size - 1) / 2 * (1 + 1j)
    return np.asarray((places - middle) * np.exp(1j * np.radians(rotation)) + middle + dx + 1j * dy)


def exposed(
    size: int,
    places: Places,
    light: NDArray[np.float64],
    *,
    seed: int,
    width: float = 1.4,
    hot: int = 0,
    sky: NDArray[np.float64] | float = SKY,
) -> Frame:
    """A frame with Gaussian stars, noise, and hot pixels that are the same in every frame."""
    image = np.zeros((size, size)) + sky
    reach = int(6 * width) + 2
    for place, flux in zip(places, light, strict=True):
        left, low = max(0, int(place.real) - reach), max(0, int(place.imag) - reach)
        right, high = min(size, int(place.real) + reach + 1), min(size, int(place.imag) + reach + 1)
        if left >= right or low >= high:
            continue
        gx = np.exp(-((np.arange(left, right) - place.real) ** 2) / (2 * width**2))
        gy = np.exp(-((np.arange(low, high) - place.imag) ** 2) / (2 * width**2))
        image[low:high, left:right] += flux / (2 * np.pi * width**2) * np.outer(gy, gx)
    random = np.random.default_rng(seed)
    image += random.normal(0, 1, image.shape) * np.sqrt(np.maximum(image, 0) + READ_NOISE**2)
    spots = np.random.default_rng(99).integers(0, size, (2, hot))
    image[spots[0], spots[1]] += np.random.default_rng(98).uniform(300, 40_000, hot)
    return np.asarray(np.clip(image, 0, 65535), dtype=np.uint16)


def listed(places: Places, flux: NDArray[np.float64]) -> SourceList:
    """A list of sources as extraction gives it: bright ones first."""
    order = np.argsort(-flux)
    same = np.full(len(flux), 3.0)
    x, y, flux = places.real[order], places.imag[order], flux[order]
    return SourceList(x, y, flux, flux, same, same, np.zeros(len(flux)), np.zeros(len(flux), dtype=np.int64))
