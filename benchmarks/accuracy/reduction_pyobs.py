# mypy: ignore-errors
"""The peer of the reduction figure: pyobs-core's processors, run by its own python on a raw frame and three masters.

The last line of stdout has the seconds of each step as JSON: the median of three runs.
"""

import asyncio
import json
import logging
import statistics
import sys
import time
import warnings

import numpy as np
from astropy.io import fits
from pyobs.images import Image
from pyobs.images.processors.calibration._ccddata_calibrator import _CCDDataCalibrator
from pyobs.images.processors.detection import SepSourceDetection
from pyobs.images.processors.photometry import SepPhotometry

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def read(path, **cards):
    """An image as pyobs has them."""
    with fits.open(path) as units:
        unit = next(unit for unit in units if unit.data is not None and unit.is_image)
        header = unit.header.copy()
        data = np.ascontiguousarray(unit.data, dtype=np.float32)
    for keyword in ("BUNIT", "CHECKSUM", "DATASUM", "BZERO", "BSCALE"):
        header.pop(keyword, None)
    header["DET-GAIN"] = header.get("GAIN", 1.0)
    header["DET-RON"] = header.get("RDNOISE", 6.0)
    header.update(cards)
    return Image(data, header=header)


async def main():
    """Time the steps."""
    paths = sys.argv[1:5]
    taken = {"calibrate": [], "sources": [], "photometry": []}
    for _ in range(3):
        raw, bias, dark, flat = (read(path) for path in paths)
        dark.header["EXPTIME"] = 1.0  # the master is of one second
        begin = time.perf_counter()
        calibrated = _CCDDataCalibrator(raw, bias, dark, flat)()
        taken["calibrate"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        found = await SepSourceDetection(threshold=5.0)(calibrated)
        taken["sources"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        await SepPhotometry()(found)
        taken["photometry"].append(time.perf_counter() - begin)
    print(json.dumps({step: statistics.median(seconds) for step, seconds in taken.items()}))


asyncio.run(main())
