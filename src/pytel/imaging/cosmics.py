"""Cosmic rays: found by L.A.Cosmic (van Dokkum 2001, PASP 113, 1420; astroscrappy) around pixels sharper than any star.

L.A.Cosmic over a whole frame takes ten times as long as all other steps of a reduction together. A hit always has a
pixel that stands out more than the star image allows, in at least one direction; only the neighbourhoods of such
pixels are given to it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.calibration import Image, Mask

_STAMP = 48
_EDGE = 8
_MOST_STAMPS = 2000
_THRESHOLD = 7.0
_SHARE = 0.3
"""A pixel is suspicious whose opposite neighbours have less than this share of what a star's would have."""
_PAIRS = (((0, 1), (0, -1), 1.0), ((1, 0), (-1, 0), 1.0), ((1, 1), (-1, -1), 2.0), ((1, -1), (-1, 1), 2.0))
"""Two opposite neighbours, and the square of their distance."""


def find_cosmics(
    pixels: Image,
    background: Image | float,
    *,
    noise: float,
    read_noise: float,
    fwhm: float,
    bad: Mask | None = None,
    saturation: float | None = None,
) -> Mask:
    """Find the pixels that cosmic rays hit, in a calibrated frame (electrons).

    `noise` is that of a pixel of `background`, `fwhm` that of the stars (pixels): of stars sharper than 1.5 pixels
    hits cannot be told apart, and none are found.
    """
    hits = np.zeros(pixels.shape, np.bool_)
    if fwhm < 1.5:
        return hits
    rows, columns = _suspicious(pixels, background, noise, fwhm, bad, saturation)
    if not len(rows):
        return hits
    suspicious = np.zeros(pixels.shape, np.bool_)
    suspicious[rows, columns] = True
    corners = sorted(set(zip((rows // _STAMP).tolist(), (columns // _STAMP).tolist(), strict=True)))[:_MOST_STAMPS]
    level = float(np.median(background))

    def look(corner: tuple[int, int]) -> None:
        y, x = corner[0] * _STAMP, corner[1] * _STAMP
        wide = (slice(max(0, y - _EDGE), y + _STAMP + _EDGE), slice(max(0, x - _EDGE), x + _STAMP + _EDGE))
        found = _stamp_hits(
            pixels[wide], suspicious[wide], None if bad is None else bad[wide], level, read_noise, fwhm, saturation
        )
        inner = (slice(y, y + _STAMP), slice(x, x + _STAMP))
        top, left = y - wide[0].start, x - wide[1].start
        hits[inner] |= found[top : top + _STAMP, left : left + _STAMP]

    with ThreadPoolExecutor(2, thread_name_prefix="pytel-cosmics") as threads:
        list(threads.map(look, corners))
    return hits


def _suspicious(
    pixels: Image,
    background: Image | float,
    noise: float,
    fwhm: float,
    bad: Mask | None,
    saturation: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of pixels that stand out more than the middle of a star."""
    above = pixels - background
    bright = above[2:-2, 2:-2] > np.float32(_THRESHOLD * noise)
    if saturation is not None:
        bright &= pixels[2:-2, 2:-2] < np.float32(0.9 * saturation)
    if bad is not None:
        bright &= ~bad[2:-2, 2:-2]
    rows, columns = np.nonzero(bright)
    rows, columns = rows + 2, columns + 2
    peak = above[rows, columns]
    sharp = np.zeros(len(rows), np.bool_)
    for (dy1, dx1), (dy2, dx2), squared in _PAIRS:
        around = (above[rows + dy1, columns + dx1] + above[rows + dy2, columns + dx2]) / 2
        star = np.exp(-4 * np.log(2) * squared / fwhm**2)
        sharp |= around < np.float32(_SHARE * star) * peak - np.float32(noise)
    return rows[sharp], columns[sharp]


def _stamp_hits(
    stamp: Image,
    suspicious: Mask,
    bad: Mask | None,
    level: float,
    read_noise: float,
    fwhm: float,
    saturation: float | None,
) -> Mask:
    """L.A.Cosmic on a stamp; of what it finds only what hangs together with a suspicious pixel."""
    import astroscrappy

    lowest = float(stamp.min())
    found, _ = astroscrappy.detect_cosmics(
        # Its noise model takes the square root of the pixels, so the sky must be in them.
        np.ascontiguousarray(stamp - min(0.0, lowest)),
        inmask=None if bad is None else np.ascontiguousarray(bad),
        inbkg=None,
        gain=1.0,
        readnoise=float(np.hypot(read_noise, 0.0 if level > 0 else 1.0)),
        satlevel=float(saturation or 1e9),
        sigclip=5.0,
        sigfrac=0.3,
        objlim=3.0,
        niter=2,
        sepmed=True,
        cleantype="medmask",
        fsmode="convolve",
        psfmodel="gauss",
        psffwhm=fwhm,
        psfsize=7,
    )
    return _grown(suspicious & found, found | suspicious)


def _grown(seeds: Mask, within: Mask) -> Mask:
    """All pixels of `within` that hang together with a seed."""
    while True:
        wide = seeds.copy()
        for axis in (0, 1):
            source = wide.copy()
            forth, back = [slice(None)] * 2, [slice(None)] * 2
            forth[axis], back[axis] = slice(1, None), slice(None, -1)
            wide[tuple(forth)] |= source[tuple(back)]
            wide[tuple(back)] |= source[tuple(forth)]
        wide &= within
        if wide.sum() == seeds.sum():
            return seeds
        seeds = wide
