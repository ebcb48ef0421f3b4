"""Acquisition on the simulated observatory: slews to places all over the sky, each from the one before, on the virtual
clock, with the pointing errors of its mount (15 arcsec rms over the sky and 2 arcsec from slew to slew, and a second
set with 2 arcmin and 10 arcsec). The truth is where the world says that the last frame pointed.
"""

from __future__ import annotations

import functools
import json
import math
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.accuracy.goals import Options, Row, tell
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.interfaces import Acquisition, Enclosure, SafetyMonitorState, Telescope
from pytel.sky.coordinates import radec_to_altaz
from pytel.sky.sphere import separation
from pytel.testing import Observatory
from pytel.testing.clocks import run
from pytel.testing.observatory import default_site

SLEWS = 100
MOUNTS = {"15 arcsec": (15.0, 2.0), "2 arcmin": (120.0, 10.0)}
_LOWEST = 30.0


class Slew(NamedTuple):
    """What came of one: how far off the truth was in the end (arcsec), and the exposures it took."""

    error: float
    exposures: int
    failure: str


def main(options: Options) -> None:
    """Measure and tell."""
    rows: list[Row] = []
    for name, (error, scatter) in MOUNTS.items():
        number = options.cases(SLEWS)
        slews = run(functools.partial(_slews, number, error, scatter))
        good = [slew for slew in slews if slew.error <= 1.0 and slew.exposures <= 3]
        rows += [
            Row(
                f"pointing error {name}: within 1 arcsec in 3 exposures",
                100 * len(good) / len(slews),
                99,
                least=True,
                unit="%",
            ),
            Row("  error, median", float(np.median([slew.error for slew in slews])), unit="arcsec"),
            Row("  error, largest", max(slew.error for slew in slews), unit="arcsec"),
            Row("  exposures, mean", float(np.mean([slew.exposures for slew in slews]))),
            Row("  failed", sum(bool(slew.failure) for slew in slews)),
        ]
    tell("acquisition", rows, notes=["1024 x 1024 frames, 30 arcmin, exposures of 5 s; clear, seeing as it comes"])


async def _slews(number: int, error: float, scatter: float) -> list[Slew]:
    site: dict[str, Any] = default_site()
    site["simulation"] = {
        "weather": {"mode": "clear"},
        "camera": {"width": 1024, "height": 1024},
        "telescope": {"pointing_error": error, "pointing_scatter": scatter},
    }
    site["modules"]["acquisition"] = {"type": "plate-solving-acquisition"}
    async with Observatory(site, pixels="full", keep=lambda _: False) as observatory:
        await clock.sleep(4 * 3600)
        await observatory.until(lambda: observatory.state(SafetyMonitorState).verdict(clock.now())[0])
        await observatory.find(Enclosure, deadline=300).open()
        chance = random.Random(1)
        truth = observatory.site.info.state_dir / "world" / "truth.jsonl"
        return [await _slew(observatory, *_place(observatory, chance), truth) for _ in range(number)]


def _place(observatory: Observatory, chance: random.Random) -> tuple[float, float]:
    """Somewhere above the horizon, with the same chance for each part of the sky."""
    while True:
        ra, dec = chance.uniform(0, 360), math.degrees(math.asin(chance.uniform(-1, 1)))
        if radec_to_altaz(ra, dec, clock.time(), observatory.site.info.location)[0] > _LOWEST:
            return ra, dec


async def _slew(observatory: Observatory, ra: float, dec: float, truth: Path) -> Slew:
    await observatory.find(Telescope, deadline=600).move_radec(ra, dec)
    try:
        result = await observatory.find(Acquisition, deadline=900).acquire(ra, dec)
    except PytelError as error:
        return Slew(math.inf, int(error.data.get("attempts") or 0), error.name)
    last = json.loads(truth.read_text().splitlines()[-1])  # noqa: ASYNC240 - virtual time stands still meanwhile
    return Slew(separation(last["ra"], last["dec"], ra, dec) * 3600, result.attempts, "")
