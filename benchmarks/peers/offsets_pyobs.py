# mypy: ignore-errors
"""The peer of the offset benchmark: pyobs-core's processors that measure a frame against an earlier one.

Runs in its own python. Each line of stdin is a JSON list of files (.npy): a reference and a frame. Each is answered by
a line of JSON: for each processor the offset, or null, and the processor's milliseconds for the frame.
"""

import asyncio
import json
import logging
import sys
import time

import numpy as np
from astropy.io import fits
from pyobs.images import Image
from pyobs.images.meta import PixelOffsets
from pyobs.images.processors.detection import SepSourceDetection
from pyobs.images.processors.offsets import BrightestStarGuiding, ProjectedOffsets

logging.disable(logging.CRITICAL)
# What the guider on the brightest star asks of a header beside the pixels.
HEADER = fits.Header(
    {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 1024.5, "CRPIX2": 1024.5,
        "CD1_1": -1.6e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.6e-4, "EQUINOX": 2000.0,
        "LATITUDE": 49.0, "LONGITUD": 8.0, "HEIGHT": 300.0, "DATE-OBS": "2026-01-01T00:00:00",
    }
)  # fmt: skip


def loaded(path):
    """A frame as the camera would hand it on."""
    return Image(np.load(path).astype(np.float32), header=HEADER.copy())


async def measured(chain, reference, frame):
    """Offset and time of a chain of processors."""
    image = loaded(reference)
    for processor in chain:
        image = await processor(image)
    image = loaded(frame)
    begun = time.process_time()
    try:
        for processor in chain:
            image = await processor(image)
        taken = (time.process_time() - begun) * 1000
        found = image.get_meta(PixelOffsets) if image.has_meta(PixelOffsets) else None
    except Exception as error:  # noqa: BLE001
        return {"error": repr(error)}
    return {"offset": [float(found.dx), float(found.dy)] if found else None, "ms": taken}


async def main():
    """Answer until stdin ends."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        reference, frame = json.loads(line)
        answer = {
            "ProjectedOffsets": await measured([ProjectedOffsets()], reference, frame),
            "BrightestStarGuiding": await measured([SepSourceDetection(), BrightestStarGuiding()], reference, frame),
        }
        print(json.dumps(answer), flush=True)


asyncio.run(main())
