# mypy: ignore-errors
"""The peer of the guiding figure: pyobs-core's ProjectedOffsets, run by its own python.

A path of a NumPy file on each line of stdin; the answer is `dx dy` in pixels, or `none`. `reset` takes a new reference.
"""

import asyncio
import logging
import sys

import numpy as np
from pyobs.images import Image
from pyobs.images.meta import PixelOffsets
from pyobs.images.processors.offsets import ProjectedOffsets

logging.disable(logging.CRITICAL)


async def main():
    """Answer until stdin ends."""
    offsets = ProjectedOffsets()
    for line in sys.stdin:
        if line.strip() == "reset":
            await offsets.reset()
            print("none", flush=True)
            continue
        image = await offsets(Image(np.load(line.strip()).astype(np.float32)))
        if image.has_meta(PixelOffsets):
            found = image.get_meta(PixelOffsets)
            print(found.dx, found.dy, flush=True)
        else:
            print("none", flush=True)


asyncio.run(main())
