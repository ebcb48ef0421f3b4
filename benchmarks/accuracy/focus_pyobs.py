# mypy: ignore-errors
"""The peer of the focus figure: pyobs-core's focus series, run by its own python.

A line of stdin is JSON with the `path` of a NumPy file of frames and their `positions`; the answer has the best focus
of ProjectionFocusSeries and of PhotometryFocusSeries, null where they raise an error.
"""

import asyncio
import json
import logging
import sys
import warnings

import numpy as np
from pyobs.images import Image
from pyobs.images.processors.detection import SepSourceDetection
from pyobs.utils.focusseries import PhotometryFocusSeries, ProjectionFocusSeries

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


class Detection(SepSourceDetection):
    """Its own detection, with the column that PhotometryFocusSeries reads and no detection of 2.19.1 writes."""

    async def __call__(self, image):
        """Detect, and call the half-flux radius what the series calls it."""
        found = await super().__call__(image)
        catalog = found.safe_catalog
        if catalog is not None and "radius" not in catalog.colnames:
            catalog["radius"] = catalog["fluxrad50"]
            found.catalog = catalog
        return found


async def fitted(series, frames, positions):
    """Best focus as its autofocus module has it: frames that cannot be analysed are left out."""
    for frame, position in zip(frames, positions, strict=True):
        try:
            await series.analyse_image(Image(frame.astype(np.float32)), position)
        except Exception:  # noqa: BLE001 - as its autofocus module does
            continue
    try:
        best = series.fit_focus()[0]
    except Exception:  # noqa: BLE001 - as its autofocus module does
        return None
    return best if np.isfinite(best) else None


async def main():
    """Answer until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        frames = np.load(order["path"])
        kinds = {"projection": ProjectionFocusSeries(), "photometry": PhotometryFocusSeries(Detection())}
        answer = {name: await fitted(series, frames, order["positions"]) for name, series in kinds.items()}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
