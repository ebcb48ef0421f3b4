"""Stars in a frame: where, how bright, how sharp (by SEP; Barbary 2016, Bertin & Arnouts 1996)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError

_BOX = 128
_BLURRED = 7.0
_COARSE = 4
_SHARPEST = 0.5
_STAMP = 128
_LEAST_NOISE = 0.1
_NARROWEST = 0.35
_KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32)
_KERNEL_VARIANCE = 0.5


class NoStars(PytelError):
    """The frame has too few stars to measure; `data` has `stars` and `needed`."""


@dataclass(frozen=True)
class SourceList:
    """Sources of a frame, brightest first; one array element for each.

    x, y count from 0 at the centre of the first pixel. flux and peak are in adu above the background; fwhm and hfd
    (diameter of the circle that holds half the light) in pixels; flags are those of SEP, 4 is saturated.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    peak: NDArray[np.float64]
    fwhm: NDArray[np.float64]
    hfd: NDArray[np.float64]
    ellipticity: NDArray[np.float64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)

    def select(self, which: NDArray[Any] | slice) -> SourceList:
        """The sources of a mask, of indices or of a slice."""
        return SourceList(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


class FlatFrame(NamedTuple):
    """A frame above its background, without hot pixels; the `sky` that was taken away and the `noise`, in adu.

    `hot` has a row of x, y and the adu that were taken away for every hot pixel.
    """

    pixels: NDArray[np.float32]
    sky: float
    noise: float
    hot: NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """How sharp a frame is: median HFD and FWHM (pixels) of its good stars, and how many of these there are.

    `hfd_error` is that of the median, by the scatter of the stars.
    """

    hfd: float
    fwhm: float
    stars: int
    hfd_error: float = float("nan")


SATURATED = 4
"""Flag of a source that reaches saturation."""
_UNFIT = SATURATED | 8 | 16  # or cut off by the edge of the frame
_MOST_ELLIPTIC = 0.5
_ENOUGH = 100
_USUAL_SCATTER = 0.05
"""Of HFDs in one frame, relative: what differs over the field and with the place within a pixel."""
_AS_STARS = 4


def find_sources(
    pixels: NDArray[Any],
    *,
    threshold: float = 5.0,
    saturation: float | None = None,
    max_sources: int = 5000,
    min_area: int = 5,
) -> SourceList:
    """Find stars above `threshold` times the noise in a frame of shape (rows, columns).

    What is sharper than any star (hot pixels, cosmic rays, bad columns) is left out. Sources whose peak reaches
    `saturation` (adu, background included) are flagged. Strongly defocused frames are searched on 4 x 4 binned
    pixels and measured on full ones. Raises `InvalidParams` for what is no frame.
    """
    return find_in(
        flatten(pixels), threshold=threshold, saturation=saturation, max_sources=max_sources, min_area=min_area
    )


def flatten(pixels: NDArray[Any]) -> FlatFrame:
    """Subtract the background of a frame and take its hot pixels away. Raises `InvalidParams` for what is no frame."""
    if pixels.ndim != 2 or min(pixels.shape) < 16:
        raise InvalidParams(f"stars are looked for in frames of at least 16 x 16 pixels, not {pixels.shape}")
    data = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(data).all():
        data = np.nan_to_num(data, nan=float(np.nanmedian(data)))
    flat, sky, noise = _subtract_background(data)
    return FlatFrame(flat, sky, noise, _remove_hot_pixels(flat, noise))


def find_in(
    frame: FlatFrame,
    *,
    threshold: float = 5.0,
    saturation: float | None = None,
    max_sources: int = 5000,
    min_area: int = 5,
) -> SourceList:
    """Find stars as `find_sources` does, in a frame that is flattened already."""
    flat, level = frame.pixels, None if saturation is None else saturation - frame.sky
    found = _measure(flat, _extract(flat, frame.noise, threshold, min_area), level, _KERNEL_VARIANCE)
    if _looks_blurred(found) and min(flat.shape) >= 64 * _COARSE:
        found = _find_blurred(flat, threshold, level, found)
    return found.select(slice(0, max_sources))


def _subtract_background(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, float]:
    """The frame above its background, the background's level and its noise."""
    import sep

    if min(data.shape) <= _STAMP:
        sky, noise = _edge_level(data)
        return data - np.float32(sky), sky, noise
    mesh = sep.Background(data, bw=_BOX, bh=_BOX, fw=3, fh=3)
    return data - mesh.back(dtype=np.float32), float(mesh.globalback), max(float(mesh.globalrms), _LEAST_NOISE)


def _edge_level(data: NDArray[np.float32]) -> tuple[float, float]:
    """Level and noise of a stamp from its edge: its middle may be all star."""
    width = max(2, min(data.shape) // 12)
    inside = np.zeros(data.shape, dtype=np.bool_)
    inside[width:-width, width:-width] = True
    edge = data[~inside]
    # The lower half knows least of neighbours that reach over the edge.
    low, sky = np.percentile(edge, (15.87, 50))
    return float(sky), max(float(sky - low), _LEAST_NOISE)


def _remove_hot_pixels(flat: NDArray[np.float32], noise: float) -> NDArray[np.float64]:
    """Bring single pixels that stand out of all four neighbours, as no star's core can, down to these. In place.

    Returns x, y and what was taken away.
    """
    rows, columns = np.nonzero(flat[1:-1, 1:-1] > 10 * noise)
    rows, columns = rows + 1, columns + 1
    around = (flat[rows - 1, columns], flat[rows + 1, columns], flat[rows, columns - 1], flat[rows, columns + 1])
    highest = np.maximum.reduce(around)
    hot = flat[rows, columns] > 5 * np.maximum(highest, 2 * noise)
    rows, columns, highest = rows[hot], columns[hot], highest[hot]
    excess = flat[rows, columns] - highest
    flat[rows, columns] = highest
    return np.column_stack((columns, rows, excess)).astype(np.float64)


def _extract(flat: NDArray[np.float32], noise: float, threshold: float, min_area: int) -> NDArray[Any]:
    """Extract; in a field that is too crowded for SEP's buffers, only what stands out more."""
    import sep

    for _ in range(8):
        try:
            return np.asarray(
                sep.extract(
                    flat, threshold, err=noise, minarea=min_area, filter_kernel=_KERNEL, deblend_cont=0.02, clean=True
                )
            )
        except Exception as error:
            if "limit" not in str(error) and "full" not in str(error) and "overflow" not in str(error):
                raise
            threshold *= 2
    raise InvalidParams("this frame is too crowded to look for stars in")


def _measure(
    flat: NDArray[np.float32], objects: NDArray[Any], saturation: float | None, kernel_variance: float
) -> SourceList:
    """Measure extracted objects on full pixels and keep those that may be stars."""
    import sep

    if not len(objects):
        return _EMPTY
    x, y = objects["x"], objects["y"]
    # SEP's moments are those of the smoothed frame.
    major, minor = (np.maximum(objects[axis] ** 2 - kernel_variance, 1e-3) for axis in ("a", "b"))
    size = 2.3548 * np.sqrt((major + minor) / 2)
    # One aperture for all, from the size of the brighter ones, so that HFDs compare between stars and frames.
    bright = np.argsort(-objects["flux"])[: min(50, max(5, len(x) // 3))]
    radius = float(np.clip(2.0 * np.median(size[bright]), 6.0, min(flat.shape) / 2))
    flux, _, _ = sep.sum_circle(flat, x, y, radius, subpix=5)
    usable = np.where(flux > 0, flux, 1.0)
    half, edge = sep.flux_radius(flat, x, y, np.full(len(x), radius), 0.5, normflux=usable, subpix=5)
    peak = np.maximum(objects["peak"], _own_peak(flat, x, y))
    flags = np.asarray(objects["flag"] | edge, dtype=np.int64) & ~SATURATED
    if saturation is not None:
        flags |= np.where(peak >= saturation, SATURATED, 0)
    found = SourceList(
        x=np.asarray(x),
        y=np.asarray(y),
        flux=np.asarray(flux),
        peak=np.asarray(peak, dtype=np.float64),
        fwhm=np.asarray(size),
        hfd=np.asarray(2 * half),
        ellipticity=np.asarray(1 - np.sqrt(minor / major)),
        flags=flags,
    )
    starlike = (flux > 0) & ~_too_sharp(flat, x, y, flux) & (minor > _NARROWEST**2) & (found.hfd > 0.8)
    starlike &= np.isfinite(found.hfd)
    kept = found.select(starlike)
    return kept.select(np.lexsort((kept.x, kept.y, -kept.flux)))


def _own_peak(flat: NDArray[np.float32], x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    columns = np.clip(np.rint(x).astype(int), 0, flat.shape[1] - 1)
    rows = np.clip(np.rint(y).astype(int), 0, flat.shape[0] - 1)
    return np.asarray(flat[rows, columns])


def _too_sharp(flat: NDArray[np.float32], x: NDArray[Any], y: NDArray[Any], flux: NDArray[Any]) -> NDArray[np.bool_]:
    """Sources that are mostly their central 3 x 3 pixels, and these mostly a single one: no star is like that."""
    columns = np.clip(np.rint(x).astype(int), 1, flat.shape[1] - 2)
    rows = np.clip(np.rint(y).astype(int), 1, flat.shape[0] - 2)
    steps = np.arange(-1, 2)
    core = flat[rows[:, None, None] + steps[:, None], columns[:, None, None] + steps]
    total = core.sum(axis=(1, 2))
    return np.asarray((core.max(axis=(1, 2)) > _SHARPEST * total) & (total > 0.3 * flux))


_NONE = np.empty(0)
_EMPTY = SourceList(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, flags=np.empty(0, dtype=np.int64))


def _looks_blurred(found: SourceList) -> bool:
    return len(found) == 0 or float(np.median(found.hfd[:50])) > _BLURRED


def _find_blurred(
    flat: NDArray[np.float32], threshold: float, saturation: float | None, sharp: SourceList
) -> SourceList:
    """Look for large discs: binned, they are stars again and a ring with a hole does not fall into pieces."""
    rows, columns = (size // _COARSE for size in flat.shape)
    blocks = flat[: rows * _COARSE, : columns * _COARSE].reshape(rows, _COARSE, columns, _COARSE)
    coarse = np.ascontiguousarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
    level, _, noise = _subtract_background(coarse)
    objects = _extract(level, noise, threshold, 5).copy()
    for name in ("x", "y"):
        objects[name] = objects[name] * _COARSE + (_COARSE - 1) / 2
    for name in ("a", "b"):
        objects[name] *= _COARSE
    objects["flux"] *= _COARSE**2
    found = _measure(flat, objects, saturation, _KERNEL_VARIANCE * _COARSE**2)
    if not len(found) or float(np.median(found.hfd[:50])) < _BLURRED:
        return sharp
    # What is much sharper than the brighter ones is no star.
    return found.select(found.hfd > 0.5 * np.median(found.hfd[:20]))


def median_hfd(sources: SourceList, *, min_stars: int = 5) -> float:
    """Median HFD (pixels) of the good stars. Raises `NoStars` when there are fewer than `min_stars`."""
    return quality_of(sources, min_stars=min_stars).hfd


def image_quality(
    pixels: NDArray[Any], *, min_stars: int = 5, threshold: float = 5.0, saturation: float | None = None
) -> Quality:
    """Measure how sharp a frame is. Raises `NoStars` when fewer than `min_stars` good stars are found."""
    return quality_of(find_sources(pixels, threshold=threshold, saturation=saturation), min_stars=min_stars)


def quality_of(sources: SourceList, *, min_stars: int = 5) -> Quality:
    """Medians over the brighter half of the good stars (round, whole, not saturated): of faint ones only cores show.

    Raises `NoStars` when there are fewer than `min_stars` good ones.
    """
    good = sources.select(((sources.flags & _UNFIT) == 0) & (sources.ellipticity < _MOST_ELLIPTIC))
    if len(good) < max(1, min_stars):
        raise NoStars(
            f"{len(good)} good stars in this frame, {min_stars} are needed: expose longer, or check clouds and cover",
            stars=len(good),
            needed=min_stars,
        )
    bright = good.select(slice(0, min(_ENOUGH, max(10, len(good) // 2))))
    hfd = float(np.median(bright.hfd))
    return Quality(
        hfd=hfd, fwhm=float(np.median(bright.fwhm)), stars=len(good), hfd_error=_error_of_median(bright.hfd, hfd)
    )


def _error_of_median(hfds: NDArray[np.float64], median: float) -> float:
    """Error of the median of some HFDs; a few stars may agree by chance, so a usual scatter counts as some more."""
    scatter = 1.4826 * float(np.median(np.abs(hfds - median)))
    number = len(hfds)
    usual = _USUAL_SCATTER * median
    variance = (number * scatter**2 + _AS_STARS * usual**2) / (number + _AS_STARS)
    return float(1.2533 * np.sqrt(variance / number))
